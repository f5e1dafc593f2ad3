"""Honest bundles pass; every kind of lie is found and named."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from bundles import Change, changed, in_record, in_rows, members, write

from bench.errors import UsageError
from bench.store.cell import Cell
from reports.leaderboard.bundle import open_bundle, predictions_of, record_of
from reports.leaderboard.submission import submit
from reports.leaderboard.verify import verify
from tasks.base import Paths

Said = Callable[..., list[str]]


@pytest.fixture
def said(trials, tmp_path: Path) -> Said:
    """Changes the record, the rows or the file of rows of a task's trial with `soft`; what
    verifying the bundle then says."""

    def said(
        task: str,
        *,
        record: Callable[[dict[str, Any]], object] | None = None,
        rows: Callable[[list[dict[str, Any]]], object] | None = None,
        file: Change | None = None,
    ) -> list[str]:
        hash = trials.trial(task)
        changes: dict[str, Change] = {}
        if record is not None:
            changes[record_of(hash)] = in_record(record)
        if rows is not None:
            changes[predictions_of(hash)] = in_rows(rows)
        if file is not None:
            changes[predictions_of(hash)] = file
        return trials.said(changed(trials.of(task), tmp_path / "b.zip", changes))

    return said


def check(said: list[str], *wanted: str) -> None:
    """These problems (regular expressions), in this order, and no other."""
    assert len(said) == len(wanted), said
    for one, pattern in zip(said, wanted, strict=True):
        assert re.search(pattern, one), (pattern, one)


def rehash(record: dict[str, Any], **fields: object) -> None:
    """Change the cell of a record, and its hash with it."""
    record["cell"].update(fields)
    canonical = json.dumps(record["cell"], sort_keys=True, separators=(",", ":"))
    record["hash"] = sha256(canonical.encode()).hexdigest()


def test_real_results_of_all_tasks_are_verified(trials) -> None:
    verdict = trials.verify(trials.bundle)
    assert verdict.problems == () and len(verdict.results) == len(trials.results)
    # These are the figures that nobody can work out without the models.
    assert {"alignment", "train_seconds", "peak_memory_bytes"} <= set(verdict.stated)
    headlines = {result.primary.name for result in trials.results.values()}
    assert len(headlines) == 5 and not headlines & set(verdict.stated)


def test_the_same_results_are_the_same_bytes(trials, tmp_path: Path) -> None:
    for name in ("one", "two"):
        submit(trials.store, tmp_path / name, trials.rules, name="the same")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]  # no draft is left


def test_a_bundle_is_json_and_nothing_else(trials) -> None:
    content = members(trials.bundle)
    hashes = [result.hash for result in trials.results.values()]
    files = {name(hash) for hash in hashes for name in (record_of, predictions_of)}
    assert set(content) == {"bundle.json", *files}, "no traces among them"
    for name, text in content.items():
        for line in text.splitlines() if name.endswith(".jsonl") else [text]:
            json.loads(line)


@pytest.mark.parametrize(
    ("task", "figures"),
    [
        ("translation", ["bleu", "perplexity", "long_chrf"]),
        ("captioning", ["bleu_1", "baseline_human_cider", "long_rouge_l"]),
        ("entailment", ["f1_neutral", "baseline_overlap"]),
        ("speech", ["per", "long_perplexity", "long_baseline_constant"]),
        ("summarization", ["rouge_1", "reference_copy_rate", "long_baseline_lead_rouge_l"]),
    ],
)
def test_altered_figures_are_found(said: Said, task: str, figures: list[str]) -> None:
    def better(record: dict[str, Any]) -> None:
        for figure in figures:
            record["metrics"][figure] = 1.01 * record["metrics"][figure] + 0.01

    found = said(task, record=better)
    named = [re.search(r": (\w+) is .* by the outputs, not ", one) for one in found]
    assert sorted(one[1] for one in named if one) == sorted(figures)
    assert len(found) == len(figures)


def test_an_altered_headline_is_found(said: Said) -> None:
    def better(record: dict[str, Any]) -> None:
        record["primary"]["value"] += 1
        record["primary"]["low"] += 1
        record["by_length"][0]["value"] += 1

    check(
        said("translation", record=better),
        "value of the headline figure is .* by the outputs",
        "low of the headline figure is .* by the outputs",
        "length .* by the outputs",
    )


@pytest.mark.parametrize("file", [record_of, predictions_of])
def test_a_careless_change_shows_in_the_hash(
    trials, tmp_path: Path, file: Callable[[str], str]
) -> None:
    path = changed(
        trials.of("entailment"),
        tmp_path / "b.zip",
        {file(trials.trial("entailment")): lambda content: content.replace(b" ", b"  ", 1)},
        careful=False,
    )
    check(trials.said(path), "SHA-256 differs")


def test_an_altered_prediction_is_found(said: Said) -> None:
    def right(rows: list[dict[str, Any]]) -> None:
        assert rows[0]["prediction"] != rows[0]["references"][0]
        rows[0]["prediction"] = rows[0]["references"][0]

    found = said("translation", rows=right)
    assert any("its score is" in one for one in found)
    assert any(re.search(": bleu is .* by the outputs", one) for one in found)


def test_so_is_one_whose_own_figures_were_altered_too(said: Said) -> None:
    """Row and its statistics agree; the test set's figures give it away."""

    def right(rows: list[dict[str, Any]]) -> None:
        row = next(row for row in rows if row["score"] == 0.0)
        label = row["references"][0]
        row |= {"prediction": label, "score": 1.0, "statistics": [1.0, 1.0]}
        row["extra"]["probabilities"] = {
            name: float(name == label) for name in row["extra"]["probabilities"]
        }

    found = said("entailment", rows=right)
    assert any(": accuracy is" in one for one in found)
    assert not any("its score" in one or "its statistics" in one for one in found)


@pytest.mark.parametrize(
    ("edit", "wanted"),
    [
        (lambda rows: rows.pop(), ["no prediction for 1 of"]),
        (lambda rows: rows.append(rows[0]), ["2 predictions"]),
        (
            lambda rows: rows[0].update(example="easier"),
            ["no prediction for 1 of", "easier: the data have no such example"],
        ),
        (lambda rows: rows[0].update(references=["a"]), ["its references are not those"]),
        (lambda rows: rows[0].update(source="a"), ["its source is not that"]),
        (lambda rows: rows[0].update(length=99), ["its length is .*, not 99"]),
        (lambda rows: rows[0].update(statistics=[1.0]), ["its statistics are not those"]),
        (
            lambda rows: rows[0].update(score="high"),
            ["line 1 .*: score: .* valid number", "no prediction for 1 of"],
        ),
        (
            lambda rows: rows[0].update(code="import os"),
            ["line 1 .*: code: .* not permitted", "no prediction for 1 of"],
        ),
        (
            lambda rows: rows[0].update(prediction="a" * 20_000),
            ["line 1 .* 20,000 characters, 10,000 are allowed"],
        ),
        (
            lambda rows: rows.clear(),
            [r"no prediction for (\d+) of \1 examples of test", r"(\d+) of \1 examples of long"],
        ),
    ],
)
def test_altered_rows_are_found(said: Said, edit, wanted: list[str]) -> None:
    check(said("translation", rows=edit), *wanted)


@pytest.mark.parametrize("text", [b"{", b'{"score": NaN}', b"\x80\x04K\x01."])
def test_rows_that_are_not_json(said: Said, text: bytes) -> None:
    found = said("translation", file=lambda _: text)
    assert "line 1 of its predictions is not JSON" in found[0]
    assert all("no prediction for" in one for one in found[1:])


def test_an_infinite_score_is_no_score(said: Said) -> None:
    def endless(content: bytes) -> bytes:
        first, _, rest = content.partition(b"\n")
        score = b'"score": %a' % json.loads(first)["score"]
        assert score in first
        return first.replace(score, b'"score": 1e999') + b"\n" + rest

    check(said("translation", file=endless), "its score is .*, not inf")


@pytest.mark.parametrize(
    ("edit", "wanted"),
    [
        (lambda r: r["metrics"].pop("chrf"), ["chrf is missing"]),
        (
            lambda r: r["metrics"].update(humans_like_it=1.0),
            ["nobody knows a figure humans_like_it"],
        ),
        (lambda r: r["curve"].append({"step": 9999.0}), ["its curve ends at step 9999"]),
        (
            lambda r: r["provenance"].update(data_fingerprint="d" * 64),
            ["record and manifest name different data", "other data: fingerprint dddddddddddd,"],
        ),
        (
            lambda r: r["provenance"]["signatures"].clear(),
            ["bleu was computed in another way", "chrf was computed in another way"],
        ),
        (lambda r: r["by_length"].pop(), ["other bins"]),
        (lambda r: r["cost"].update(parameters=None), ["how many parameters"]),
        (lambda r: r["cost"].update(parameters=10), ["parameters, not 10"]),
        (lambda r: r["primary"].update(name="my figure"), ["name of the headline figure is bleu"]),
        (lambda r: r["cell"].update(seed=7), [r"not a valid record \(hash .* is not that of its"]),
        (lambda r: rehash(r, seed=7), ["holds the record of"]),
        (lambda r: rehash(r, task=["x"]), ["not a valid record .task of a cell cannot be"]),
        (
            lambda r: rehash(r, seed="1"),
            ["not a valid record .seed of a cell cannot be"],
        ),
        (lambda r: rehash(r, options={"x": []}), ["not a valid record .options of a cell cannot"]),
        (lambda r: rehash(r, options=["x"]), ["not a valid record .options of a cell cannot"]),
        (lambda r: r.update(status="failed"), ["not a valid record .*fail"]),
    ],
)
def test_altered_records_are_found(said: Said, edit, wanted: list[str]) -> None:
    check(said("translation", record=edit), *wanted)


def test_a_record_under_another_trial_s_name(trials, tmp_path: Path) -> None:
    one, other = trials.trial("translation"), trials.trial("translation", "none")
    content = members(trials.bundle)[record_of(other)]
    path = changed(
        trials.of("translation"), tmp_path / "b.zip", {record_of(one): lambda _: content}
    )
    check(trials.said(path), f"holds the record of {other[:12]}")


def test_data_that_are_not_here_are_said_to_be_missing(trials, tmp_path: Path) -> None:
    """A cell of a data set that needs a folder cannot be judged without it."""
    old, content = trials.trial("translation"), members(trials.of("translation"))
    record = json.loads(content.pop(record_of(old)))
    record["cell"]["dataset"] = "multi30k"
    new = record["hash"] = Cell.from_json(record["cell"]).hash
    manifest = json.loads(content.pop("bundle.json"))
    moved = {
        record_of(new): json.dumps(record).encode(),
        predictions_of(new): content.pop(predictions_of(old)),
    }
    assert content == {}
    manifest["trials"] = {new: manifest["trials"][old]}
    manifest["files"] = {name: {"bytes": 1, "sha256": "0" * 64} for name in moved}
    path = write(tmp_path / "b.zip", {**moved, "bundle.json": json.dumps(manifest).encode()})
    with pytest.raises(UsageError, match="data set 'multi30k' needs its files"):
        verify(open_bundle(path, trials.rules.limits), trials.rules, Paths(None, tmp_path))


def test_what_strangers_wrote_is_printed_plainly(said: Said) -> None:
    found = said("translation", rows=lambda rows: rows[0].update(example="\x1b[2J\nfine: verified"))
    assert any("fine: verified" in one for one in found)
    assert all(one.isprintable() for one in found)
