"""Facts, a line each: what was run, how a mechanism was configured, where results are from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench.store.result import Result
from reports import formats
from reports.load import BenchmarkSetting, Collection, Contender, options_text, value_text

#: So many studies, machines and versions are named.
MOST = 6


@dataclass(frozen=True)
class Fact:
    """What is told, and its name."""

    label: str
    text: str


def facts(collection: Collection) -> tuple[Fact, ...]:
    """Summarize what was run, where and when."""
    results = collection.results
    done = [result for result in results if result.status == "done"]
    failed = len(results) - len(done)
    trials = f"{len(done)} finished" + (f", {failed} failed" if failed else "")
    origins = [result.provenance for result in results]
    versions = (
        f"{name} {one.libraries[name]}"
        for name in ("python", "torch", "pytorch-lightning", "sacrebleu")
        for one in origins
        if one.libraries.get(name)
    )
    settings = [f"{one.setting.task}: {one.setting.label}" for one in collection.frames]
    seeds = sorted({int(result.cell_json["seed"]) for result in results})
    found = [
        Fact("Trials", trials),
        Fact("Studies", _joined((one.study for one in origins), MOST)),
        Fact("Settings", "; ".join(settings)),
        Fact("Seeds", ", ".join(map(str, seeds))),
        Fact("Machines", _joined((one.device for one in origins), MOST)),
        Fact("Code", _joined(map(_code, results), MOST)),
        Fact("Libraries", _joined(versions)),
        Fact("Dates", _dates(results)),
        Fact("Training time", _training_time(done)),
        Fact("Store", collection.address),
    ]
    return tuple(fact for fact in found if fact.text)


def signatures(results: Sequence[Result]) -> tuple[Fact, ...]:
    """Return the signatures of the metrics, as their packages write them."""
    pairs = Counter(
        pair for result in results for pair in sorted(result.provenance.signatures.items())
    )
    return tuple(Fact(formats.metric_name(name), text) for name, text in pairs)


def _training_time(done: Sequence[Result]) -> str:
    times = [result.cost.train_seconds for result in done if result.cost.train_seconds is not None]
    if not times:
        return ""
    known = "" if len(times) == len(done) else f" ({len(times)} of {len(done)} trials)"
    return f"{formats.seconds(sum(times))} in all{known}"


def _code(result: Result) -> str:
    commit, version = result.provenance.commit, result.provenance.package_version
    if not commit:
        return version
    short = commit[:12] + ("-dirty" if commit.endswith("-dirty") else "")
    return f"{version} ({short})"


def _dates(results: Sequence[Result]) -> str:
    if not results:
        return ""
    first = min(result.provenance.started for result in results)[:16].replace("T", " ")
    last = max(result.provenance.finished for result in results)[:16].replace("T", " ")
    return f"{first} to {last} UTC"


def settings_facts(setting: BenchmarkSetting, contender: Contender) -> tuple[Fact, ...]:
    """Tell how a contender was configured: its axes, and every option that its study set."""
    cell = (contender.done or contender.failed)[0].cell
    given = [Fact(name, value_text(value)) for name, value in contender.options]
    found = [
        Fact("attention", contender.attention),
        Fact("score", contender.score),
        Fact("data set", f"{setting.dataset}{options_text(setting.options)}"),
        Fact("budget", cell.budget),
        *given,
    ]
    if not given:
        found.append(Fact("options", "none set: those of the budget"))
    return tuple(found)


def provenance_facts(results: Sequence[Result]) -> tuple[Fact, ...]:
    """Tell where a contender's results are from: code, libraries, device, data and their splits;
    several values where its seeds differ."""
    origins = [result.provenance for result in results]
    found = [
        Fact("version", _joined(one.package_version for one in origins)),
        Fact("commit", _joined(one.commit for one in origins)),
        Fact("study", _joined(one.study for one in origins)),
        Fact("device", _joined(one.device for one in origins)),
        Fact(
            "libraries",
            _joined(f"{name} {v}" for one in origins for name, v in one.libraries.items()),
        ),
        Fact("data", _joined(one.data_fingerprint for one in origins)),
        *_splits(results),
        Fact("signatures", _joined(text for one in origins for text in one.signatures.values())),
        Fact(
            "run",
            f"{min(one.started for one in origins)} to {max(one.finished for one in origins)}",
        ),
        Fact("results", _joined(result.hash for result in results)),
    ]
    return tuple(fact for fact in found if fact.text)


def _splits(results: Sequence[Result]) -> list[Fact]:
    """The fingerprint of each split, with its number of examples."""
    names = dict.fromkeys(name for one in results for name in one.provenance.splits)
    return [
        Fact(
            f"data: {name}",
            _joined(
                f"{split.fingerprint} ({formats.plural(split.examples, 'example')})"
                for one in results
                if (split := one.provenance.splits.get(name))
            ),
        )
        for name in names
    ]


def _joined(texts: Iterable[str | None], most: int | None = None) -> str:
    """Join texts, each once; where there are more than `most`, the others are counted."""
    found = [text for text in dict.fromkeys(texts) if text]
    more = f" and {len(found) - most} more" if most and len(found) > most else ""
    return ", ".join(found[:most]) + more
