"""Honest bundles pass; every kind of lie is found and named."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from bundles import changed, in_record, in_rows, members, write

from bench.errors import UsageError
from reports.leaderboard.manifest import predictions_of, record_of
from reports.leaderboard.opening import open_bundle
from reports.leaderboard.submitting import submit
from reports.leaderboard.verify import verify
from tasks.base import Paths


def test_real_results_of_all_tasks_are_verified(trials) -> None:
    verdict = trials.verify(trials.bundle)
    assert verdict.problems == () and len(verdict.results) == len(trials.results)
    # These are the figures that nobody can work out without the models.
    assert {"alignment", "train_seconds", "peak_ms"} <= set(verdict.stated)
    assert not {"bleu", "cider", "accuracy", "per", "rouge_l"} & set(verdict.stated)


def test_the_same_results_are_the_same_bytes(trials, tmp_path: Path) -> None:
    for name in ("one", "two"):
        submit(trials.store, tmp_path / name, trials.rules, name="the same")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]  # no draft is left


def test_a_bundle_is_json_and_nothing_else(trials) -> None:
    for name, content in members(trials.bundle).items():
        assert name.endswith((".json", ".jsonl"))
        for line in content.splitlines() if name.endswith("l") else [content]:
            json.loads(line)
    with zipfile.ZipFile(trials.bundle) as archive:
        assert not any("traces" in name for name in archive.namelist())


@pytest.mark.parametrize(
    ("task", "figures"),
    [
        ("translation", ["bleu", "perplexity", "long_chrf"]),
        ("captioning", ["bleu_1", "control_human_cider", "long_rouge_l"]),
        ("entailment", ["f1_neutral", "control_overlap"]),
        ("speech", ["per", "long_perplexity", "long_control_constant"]),
        ("summarization", ["rouge_1", "reference_copy_rate", "long_control_lead_rouge_l"]),
    ],
)
def test_altered_figures_are_found(trials, tmp_path: Path, task: str, figures: list[str]) -> None:
    def better(record: dict[str, Any]) -> None:
        for figure in figures:
            record["metrics"][figure] = 1.01 * record["metrics"][figure] + 0.01

    name = record_of(trials.trial(task))
    path = changed(trials.of(task), tmp_path / "b.zip", {name: in_record(better)})
    said = trials.said(path)
    assert len(said) == len(figures)
    for figure in figures:
        assert any(f": {figure} is" in one and "by the outputs" in one for one in said)


def test_an_altered_headline_is_found(trials, tmp_path: Path) -> None:
    def better(record: dict[str, Any]) -> None:
        record["primary"]["value"] += 1
        record["primary"]["low"] += 1
        record["by_length"][0]["value"] += 1

    name = record_of(trials.trial("translation"))
    said = trials.said(
        changed(
            trials.of("translation"),
            tmp_path / "b.zip",
            {name: in_record(better)},
        )
    )
    assert [("value" in one, "low" in one, "length" in one) for one in said] == [
        (True, False, False),
        (False, True, False),
        (False, False, True),
    ]


def test_a_careless_change_shows_in_the_hash(trials, tmp_path: Path) -> None:
    hash = trials.trial("entailment")
    for name in (record_of(hash), predictions_of(hash)):
        path = changed(
            trials.of("entailment"),
            tmp_path / "b.zip",
            {name: lambda content: content.replace(b" ", b"  ", 1)},
            careful=False,
        )
        said = trials.said(path)
        assert len(said) == 1 and "SHA-256 differs" in said[0]


def test_an_altered_prediction_is_found(trials, tmp_path: Path) -> None:
    def right(rows: list[dict[str, Any]]) -> None:
        rows[0]["prediction"] = rows[0]["references"][0]

    name = predictions_of(trials.trial("translation"))
    said = trials.said(
        changed(
            trials.of("translation"),
            tmp_path / "b.zip",
            {name: in_rows(right)},
        )
    )
    assert any("its score is" in one for one in said)
    assert any("bleu is" in one and "by the outputs" in one for one in said)


def test_so_is_one_whose_own_figures_were_altered_too(trials, tmp_path: Path) -> None:
    """Row and its statistics agree; the test set's figures give it away."""

    def right(rows: list[dict[str, Any]]) -> None:
        row = next(row for row in rows if row["score"] == 0.0)
        label = row["references"][0]
        row |= {"prediction": label, "score": 1.0, "statistics": [1.0, 1.0]}
        row["extra"]["probabilities"] = {
            name: float(name == label) for name in row["extra"]["probabilities"]
        }

    name = predictions_of(trials.trial("entailment"))
    said = trials.said(
        changed(
            trials.of("entailment"),
            tmp_path / "b.zip",
            {name: in_rows(right)},
        )
    )
    assert any("accuracy is" in one for one in said)
    assert not any("its score" in one for one in said)


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (lambda rows: rows.pop(), "no prediction for 1 of"),
        (lambda rows: rows.append(rows[0]), "2 predictions"),
        (lambda rows: rows[0].update(example="easier"), "the data have no such example"),
        (lambda rows: rows[0].update(references=["a"]), "its references are not those"),
        (lambda rows: rows[0].update(source="a"), "its source is not that"),
        (lambda rows: rows[0].update(length=99), "its length is"),
        (lambda rows: rows[0].update(statistics=[1.0]), "statistics are not those"),
        (lambda rows: rows[0].update(score="high"), "score"),
        (lambda rows: rows[0].update(code="import os"), "code"),
        (lambda rows: rows[0].update(prediction="a" * 20_000), "10,000 are allowed"),
        (lambda rows: rows.clear(), "no prediction for"),
    ],
)
def test_altered_rows_are_found(trials, tmp_path: Path, edit, reason: str) -> None:
    name = predictions_of(trials.trial("translation"))
    path = changed(trials.of("translation"), tmp_path / "b.zip", {name: in_rows(edit)})
    assert any(reason in one for one in trials.said(path))


def test_rows_that_are_not_json(trials, tmp_path: Path) -> None:
    name = predictions_of(trials.trial("translation"))
    for text in (b"{", b'{"score": NaN}', b"\x80\x04K\x01."):
        path = changed(
            trials.of("translation"),
            tmp_path / "b.zip",
            {name: lambda _, t=text: t},
        )
        assert any("line 1 of its predictions" in one for one in trials.said(path))


def test_an_infinite_score_is_no_score(trials, tmp_path: Path) -> None:
    def endless(content: bytes) -> bytes:
        first, _, rest = content.partition(b"\n")
        row = json.loads(first)
        return first.replace(b'"score": %a' % row["score"], b'"score": 1e999') + b"\n" + rest

    name = predictions_of(trials.trial("translation"))
    path = changed(trials.of("translation"), tmp_path / "b.zip", {name: endless})
    assert any("not inf" in one for one in trials.said(path))


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (lambda r: r["metrics"].pop("chrf"), "chrf is missing"),
        (lambda r: r["metrics"].update(humans_like_it=1.0), "nobody knows a figure humans_like_it"),
        (lambda r: r["curve"].append({"step": 9999.0}), "its curve ends at step 9999"),
        (lambda r: r["provenance"].update(data_fingerprint="d" * 64), "other data"),
        (lambda r: r["provenance"]["signatures"].clear(), "computed in another way"),
        (lambda r: r["by_length"].pop(), "other bins"),
        (lambda r: r["cost"].update(parameters=None), "how many parameters"),
        (lambda r: r["cost"].update(parameters=10), "parameters, not 10"),
        (lambda r: r["primary"].update(name="my figure"), "name of the headline figure"),
        (lambda r: r["cell"].update(seed=7), "not a valid record"),
        (lambda r: r["cell"].update(task=["x"]), "not a valid record"),
        (lambda r: r.update(status="failed"), "not a valid record"),
    ],
)
def test_altered_records_are_found(trials, tmp_path: Path, edit, reason: str) -> None:
    name = record_of(trials.trial("translation"))
    path = changed(trials.of("translation"), tmp_path / "b.zip", {name: in_record(edit)})
    assert any(reason in one for one in trials.said(path))


def test_a_record_under_another_trial_s_name(trials, tmp_path: Path) -> None:
    one, other = trials.trial("translation"), trials.trial("translation", "none")
    content = members(trials.bundle)[record_of(other)]
    path = changed(
        trials.of("translation"),
        tmp_path / "b.zip",
        {record_of(one): lambda _: content},
    )
    assert any("holds the record of" in said for said in trials.said(path))


def test_data_that_are_not_here_are_said_to_be_missing(trials, tmp_path: Path) -> None:
    """A cell of a data set that needs a folder cannot be judged without it."""
    from bench.cell import Cell

    def elsewhere(record: dict[str, Any]) -> None:
        record["cell"]["dataset"] = "multi30k"

    old = trials.trial("translation")
    record = json.loads(members(trials.of("translation"))[record_of(old)])
    elsewhere(record)
    new = Cell.from_json(record["cell"]).hash
    record["hash"] = new
    content = members(trials.of("translation"))
    manifest = json.loads(content.pop("bundle.json"))
    manifest["trials"] = {new: manifest["trials"][old]}
    for name, text in (
        (record_of(new), json.dumps(record).encode()),
        (predictions_of(new), content[predictions_of(old)]),
    ):
        content[name] = text
    del content[record_of(old)], content[predictions_of(old)]
    manifest["files"] = {name: {"bytes": 1, "sha256": "0" * 64} for name in content}
    path = write(tmp_path / "b.zip", {**content, "bundle.json": json.dumps(manifest).encode()})
    with pytest.raises(UsageError, match="data"):
        verify(open_bundle(path, trials.rules.limits), trials.rules, Paths(None, tmp_path))


def test_what_strangers_wrote_is_printed_plainly(trials, tmp_path: Path) -> None:
    def escape(rows: list[dict[str, Any]]) -> None:
        rows[0]["example"] = "\x1b[2J\nfine: verified"

    name = predictions_of(trials.trial("translation"))
    path = changed(trials.of("translation"), tmp_path / "b.zip", {name: in_rows(escape)})
    said = trials.said(path)
    assert any("fine: verified" in one for one in said)
    assert all(one.isprintable() for one in said)
