"""What a mechanism's page tells besides its seeds: all figures, its settings, and where they are
from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench.store.result import Result
from reports import formats
from reports.load import BenchmarkSetting, Contender, options_text, value_text
from reports.statistics import Analysis
from reports.statistics.baselines import metric_names
from reports.tables import (
    Column,
    Entry,
    Row,
    Table,
    form_of,
    measured_metric,
)
from reports.tables.overview import Fact
from reports.tables.scores import mean_entry


def figures_table(analysis: Analysis, contender: Contender) -> Table:
    """Build the table of all figures of a contender: one metric a row, one seed a column, and
    their mean where there are several."""
    several = len(contender.done) > 1
    columns = [Column(f"seed_{seed}", f"seed {seed}") for seed in contender.seeds]
    if several:
        columns.insert(0, Column("mean", "mean"))
    known = {one.key: one for one in metric_names(analysis)}
    rows = []
    keys = dict.fromkeys(key for result in contender.done for key in result.metrics)
    ends = {f"{key}{end}" for key in keys for end in ("_low", "_high")}  # of intervals
    for key in (key for key in keys if key not in ends):
        one = known.get(key)
        figure = one.figure if one and one.kind == "figure" else key
        values = [result.metrics.get(key) for result in contender.done]
        entries: list[Entry] = [
            measured_metric(
                *(result.metrics.get(key), figure),
                *(result.metrics.get(f"{key}{end}") for end in ("_low", "_high")),
            )
            for result in contender.done
        ]
        if several:
            digits, form = formats.decimals(figure), form_of(figure)
            entries.insert(0, mean_entry(values, digits=digits, form=form))
        label = formats.metric_name(figure) if one and one.kind == "figure" else _plain(key)
        detail = f"test set “{one.subset}”" if one and one.subset else ""
        rows.append(Row(label, tuple(entries), detail))
    name = f"{analysis.frame.setting.slug}-{contender.slug}-figures"
    return Table(name, "All figures", "figure", tuple(columns), tuple(rows))


def _plain(key: str) -> str:
    return key.replace("_", " ")


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


def _joined(texts: Iterable[str | None]) -> str:
    return ", ".join(dict.fromkeys(text for text in texts if text))
