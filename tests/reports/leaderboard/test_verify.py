"""Honest bundles pass; every kind of lie is found and named."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from bundles import Change, changed, in_record, in_rows, member_of, members, write

from reports.leaderboard.bundle import examples_of, open_bundle, record_of
from reports.leaderboard.submission import submit
from reports.leaderboard.verify import verify
from tasks.base import datasets

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
            changes[examples_of(hash)] = in_rows(rows)
        if file is not None:
            changes[examples_of(hash)] = file
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
    assert not verdict.problems and len(verdict.results) == len(trials.results)
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
    files = {name(hash) for hash in hashes for name in (record_of, examples_of)}
    others = {name for name in content if name.startswith("testsets/")}
    assert set(content) == {"bundle.json", *files, *others}, "no traces among them"
    assert 5 < len(others) <= 10, "one for each test set, however many trials were tested on it"
    for text in content.values():
        json.loads(text)


def test_nothing_that_a_model_read_is_in_a_bundle(trials) -> None:
    whole = b"".join(members(trials.bundle).values()).decode()
    for (task, _), result in trials.results.items():
        for row in trials.store.predictions(result.hash)[:5]:
            if task in ("translation", "summarization", "entailment"):
                assert row["source"] not in whole
            if task in ("translation", "summarization", "captioning"):
                written = row["prediction"] in row["references"]
                assert written or not any(text in whole for text in row["references"])


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


@pytest.mark.parametrize("file", [record_of, examples_of])
def test_a_careless_change_shows_in_the_hash(
    trials, tmp_path: Path, file: Callable[[str], str]
) -> None:
    path = changed(
        trials.of("entailment"),
        tmp_path / "b.zip",
        {file(trials.trial("entailment")): lambda content: content.replace(b",", b", ", 1)},
        careful=False,
    )
    check(trials.said(path), "SHA-256 differs")


def test_an_altered_prediction_is_found(trials, said: Said) -> None:
    wanted = trials.store.predictions(trials.trial("translation"))[0]["references"][0]

    def right(rows: list[dict[str, Any]]) -> None:
        assert rows[0]["prediction"] != wanted
        rows[0]["prediction"] = wanted

    found = said("translation", rows=right)
    assert any("its score is" in one for one in found)
    assert any(re.search(": bleu is .* by the outputs", one) for one in found)


def test_so_is_one_whose_own_figures_were_altered_too(trials, said: Said) -> None:
    """Row and its statistics agree; the test set's figures give it away."""
    known = trials.store.predictions(trials.trial("entailment"))

    def right(rows: list[dict[str, Any]]) -> None:
        row, label = next(
            (row, one["references"][0])
            for row, one in zip(rows, known, strict=True)
            if row["score"] == 0.0
        )
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
        (lambda rows: rows.pop(), "a column has not"),
        (lambda rows: rows.append(rows[-1]), "a column has not"),
        (lambda rows: rows.clear(), "a column has not"),
        (lambda rows: rows[0]["statistics"].__setitem__(0, 99), "its statistics are not those"),
        (lambda rows: rows[0].update(score="high"), "scores.0: .* valid number"),
        (lambda rows: rows[0].update(source="a"), "source: .* not permitted"),
        (lambda rows: rows[0].update(code="import os"), "code: .* not permitted"),
        (lambda rows: rows[0].update(prediction="a" * 20_000), "20,000 characters, 10,000 are"),
        (lambda rows: rows.reverse(), "its score is"),
    ],
)
def test_altered_rows_are_found(said: Said, edit, wanted: str) -> None:
    found = said("translation", rows=edit)
    assert any(re.search(wanted, one) for one in found), found


@pytest.mark.parametrize(
    ("edit", "wanted"),
    [
        (
            lambda tested: tested["examples"].__setitem__(0, "easier"),
            ["no prediction for 1 of", "the data have no such example: easier"],
        ),
        (lambda tested: tested["lengths"].__setitem__(0, 99), ["its length is .*, not 99"]),
        (lambda tested: tested["lengths"].pop(), ["a length for every example"]),
        (
            lambda tested: tested["examples"].__setitem__(0, tested["examples"][1]),
            ["two of its examples have the same name"],
        ),
    ],
)
def test_an_altered_test_set_is_found(trials, tmp_path: Path, edit, wanted: list[str]) -> None:
    path = trials.of("translation")
    member = member_of(path, trials.trial("translation"))
    check(trials.said(changed(path, tmp_path / "b.zip", {member: in_record(edit)})), *wanted)


def test_a_test_set_with_other_right_answers_is_found(trials, tmp_path: Path) -> None:
    """Its digest is of names and right answers; only who has the data can tell."""
    path, hash = trials.of("translation"), trials.trial("translation")
    content = members(path)
    old = member_of(path, hash)
    content[f"testsets/{'e' * 64}.json"] = content.pop(old)
    manifest = json.loads(content.pop("bundle.json"))
    manifest["trials"][hash]["test_sets"][0][1] = "e" * 64
    manifest["files"][f"testsets/{'e' * 64}.json"] = manifest["files"].pop(old)
    forged = write(tmp_path / "b.zip", {**content, "bundle.json": json.dumps(manifest).encode()})
    check(trials.said(forged), "its right answers are not those of the data")


@pytest.mark.parametrize("text", [b"{", b'{"score": NaN}', b"\x80\x04K\x01."])
def test_rows_that_are_not_json(said: Said, text: bytes) -> None:
    found = said("translation", file=lambda _: text)
    check(found, "its examples cannot be used")


def test_an_infinite_score_is_no_score(said: Said) -> None:
    def endless(content: bytes) -> bytes:
        score = json.dumps(json.loads(content)["test"]["scores"][0]).encode()
        return content.replace(b'"scores":[' + score, b'"scores":[1e999', 1)

    check(said("translation", file=endless), "a finite number")


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


def test_without_the_data_figures_follow_from_statistics(trials, tmp_path: Path) -> None:
    """As for a cell of a data set that needs a folder."""

    def verdict(task: str, edit: Callable[[dict[str, Any]], object] = lambda _: None):
        change = {record_of(trials.trial(task)): in_record(edit)}
        path = changed(trials.of(task), tmp_path / "b.zip", change)
        return verify(open_bundle(path, trials.rules.limits), trials.rules, None)

    for (task, attention), result in trials.results.items():
        if attention == "soft":
            honest = verdict(task)
            assert not honest.problems, task
            stated = set(honest.stated)
            assert {"statistics of examples", "parameters"} <= stated
            assert result.primary.name not in stated
    said = verdict("translation", lambda r: r["primary"].update(value=r["primary"]["high"] + 1))
    assert any("by its examples" in str(one) for one in said.problems)
    for part in ("low", "high"):
        said = verdict("speech", lambda r, part=part: r["primary"].update({part: 0.5}))
        assert [part in str(one) for one in said.problems] == [True]
    said = verdict("captioning", lambda r: r["metrics"].update(long_cider=99.0))
    assert ["long_cider is" in str(one) for one in said.problems] == [True]
    said = verdict("summarization", lambda r: r["by_length"].pop())
    assert ["other bins" in str(one) for one in said.problems] == [True]


def test_outputs_are_kept_to_where_the_licence_allows(trials, tmp_path: Path, monkeypatch) -> None:
    dataset = datasets("entailment").get("synthetic")
    monkeypatch.setattr(dataset, "shares_outputs", classmethod(lambda cls: False))
    honest = trials.of("entailment", name="statistics")
    columns = json.loads(members(honest)[examples_of(trials.trial("entailment"))])
    for one in columns.values():
        assert set(one) == {"scores", "statistics", "extra"}
        assert set(one["extra"]) == {"confidence"}
    verdict = trials.verify(honest)
    assert not verdict.problems and "statistics of examples" in verdict.stated
    assert "parameters" not in verdict.stated, "the data are here, so models are built"
    told = trials.said(trials.bundle)
    assert any("which the licence of synthetic does not let go round" in one for one in told)


def test_what_strangers_wrote_is_printed_plainly(trials, tmp_path: Path) -> None:
    path = trials.of("translation")
    member = member_of(path, trials.trial("translation"))
    rename = in_record(lambda one: one["examples"].__setitem__(0, "\x1b[2J\nfine: verified"))
    found = trials.said(changed(path, tmp_path / "b.zip", {member: rename}))
    assert any("fine: verified" in one for one in found)
    assert all(one.isprintable() for one in found)
