"""What cannot be is refused, field by field; what cannot be known is its owner's word."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bundles import changed, in_record, in_rows, members
from fake_trials import fake_cell

from bench.errors import UsageError
from bench.store.cell import Cell
from bench.store.result import AlignmentFigures
from bench.store.store import Store
from reports.leaderboard.bundle import examples_of, record_of, title_problem
from reports.leaderboard.plausibility import _impossible_alignment, copies
from reports.leaderboard.submission import submit
from tasks.base import tasks
from tasks.evaluation.scoring import Prediction

Record = dict[str, Any]

FORGED: list[tuple[Callable[[Record], object], str]] = [
    (lambda r: r["cost"].update(train_seconds=-1), r"cost.train_seconds is -1; it lies between 0"),
    (lambda r: r["cost"].update(total_seconds=1e300), r"cost.total_seconds is 1e\+300"),
    (lambda r: r["cost"].update(decode_examples_per_second=-5), "cost.decode_examples_per_second"),
    (lambda r: r["cost"].update(peak_memory_bytes=-1), "cost.peak_memory_bytes is -1"),
    (lambda r: r["cost"].update(peak_memory_bytes=10**18), "cost.peak_memory_bytes is 1e"),
    (lambda r: r["cost"].update(peak_memory_bytes=10**40), "not a valid record .*41 digits"),
    (lambda r: r["cost"].update(attention_parameters=10**9), "of its attention"),
    (lambda r: r["cost"].update(attention_parameters=-1), "cost.attention_parameters is -1"),
    (lambda r: r["curve"].reverse(), "its curve ends|steps of its curve do not rise"),
    (lambda r: r["curve"].append(dict(r["curve"][-1])), "steps of its curve do not rise"),
    (lambda r: r["curve"][-1].update(step=10**6), "its curve ends at step 1e"),
    (lambda r: r["curve"][0].update(step=0.5), "without a whole number of steps"),
    (lambda r: r["curve"][0].pop("step"), "without a whole number of steps"),
    (lambda r: r["curve"].clear(), "its curve ends at step 0"),
    (lambda r: r["curve"].insert(0, {**r["curve"][0], "step": 1.0}), "has 3 validations"),
    (lambda r: r["curve"][0].update(validation_loss=-0.5), "curve.1.validation_loss is -0.5"),
    (lambda r: r["curve"][0].update(validation_loss=0.001), "a loss of 0.001 with an accuracy"),
    (lambda r: r["curve"][0].update(validation_accuracy=1.5), "curve.1.validation_accuracy is 1.5"),
    (lambda r: r["curve"][0].update(seconds=-1.0), "curve.1.seconds is -1"),
    (lambda r: r["curve"][0].pop("loss"), "have different figures"),
    (lambda r: r.update(converged=True), "converged is True, and None by its curve"),
    (lambda r: r.update(best_step=r["curve"][0]["step"]), "curve and patience=0 give None"),
    (lambda r: r.update(best_step=7), "not a valid record .*no validation at step 7"),
    (lambda r: r["provenance"].update(started="2999-01-01T00:00:00Z"), "future"),
    (lambda r: r["provenance"].update(finished="2020-01-01T00:00:00Z"), "before it started"),
    (lambda r: r["provenance"].update(started="yesterday"), "started is no time: yesterday"),
    (lambda r: r["provenance"].update(notes=["x" * 10**6]), "text of 1,000,000 characters"),
    (lambda r: r["provenance"].update(device="x" * 10**6), "text of 1,000,000 characters"),
    (lambda r: r["provenance"]["signatures"].update(mine="1"), "nobody knows a signature mine"),
    (lambda r: r["primary"].update(low=-9.0), "low of the headline figure is"),
    (lambda r: r["primary"].update(high=9e9), "high of the headline figure is"),
    (lambda r: r["by_length"][0].update(examples=999), "other bins"),
    (lambda r: r.update(schema=9), "a record of schema 9"),
    (lambda r: r["alignment"].update(coverage=1.5), "alignment.coverage is 1.5"),
    (lambda r: r["alignment"].update(aer=-0.1), "alignment.aer is -0.1"),
    (lambda r: r["alignment"]["forced"].update(mass_on_gold=2.0), "alignment.forced.mass_on_gold"),
    (lambda r: r["alignment"]["forced"].update(aer=0.0), "is less than 1 - pointing_accuracy"),
    (lambda r: r["alignment"]["forced"].update(aer=None), "some of its figures are missing"),
    (
        lambda r: r["alignment"]["baselines"]["uniform"].update(pointing_accuracy=-1.0),
        "alignment.baselines.uniform.pointing_accuracy is -1",
    ),
    (
        lambda r: r["alignment"]["forced"].update(mass_on_gold=0.0, pointing_accuracy=1.0),
        "without any mass_on_gold",
    ),
]


@pytest.mark.parametrize(("edit", "wanted"), FORGED)
@pytest.mark.parametrize("task", ["speech"])
def test_a_forged_field_is_named(trials, tmp_path: Path, task: str, edit, wanted: str) -> None:
    found = forged(trials, tmp_path, task, record=edit)
    assert any(re.search(wanted, one) for one in found), found
    assert all(len(one) < 400 and one.isprintable() for one in found)


TASKS = ["translation", "captioning", "entailment", "speech", "summarization"]


@pytest.mark.parametrize("task", TASKS)
def test_every_kind_of_forgery_is_found_in_every_task(trials, tmp_path: Path, task: str) -> None:
    """All at once, since reading the data takes longer than judging them."""

    def edit(record: Record) -> None:
        record["cost"].update(total_seconds=-1.0)
        record["curve"][0].update(validation_loss=-1.0)
        record["provenance"].update(finished="2020-01-01T00:00:00Z")
        record["alignment"]["forced"].update(aer=-1.0)
        for name in record["metrics"]:
            if name.endswith("perplexity"):
                record["metrics"][name] = 0.5

    def edit_rows(rows: list[Record]) -> None:
        for row in rows:
            if "nll" in row["extra"]:
                row["extra"]["nll"] = -1.0
            if "probabilities" in row["extra"]:
                row["extra"]["probabilities"] = dict.fromkeys(row["extra"]["probabilities"], 0.9)

    found = " ".join(forged(trials, tmp_path, task, record=edit, rows=edit_rows))
    for wanted in ("total_seconds is -1", "loss is -1", "before it started", "aer is -1"):
        assert wanted in found
    if task == "entailment":
        assert "extra.probabilities add up to 2.7, not 1" in found
    else:
        assert "extra.nll is -1" in found and "perplexity is 0.5; it lies between 1" in found


@pytest.mark.parametrize(
    ("edit", "wanted"),
    [
        (lambda rows: rows[0]["extra"].update(nll="low"), "extra.nll is not a number"),
        (lambda rows: rows[0]["extra"].update(log_prob=3.0), "extra.log_prob is 3"),
        (lambda rows: rows[0]["extra"].update(units=0), "extra.units is 0"),
        (lambda rows: rows[0]["extra"].update(mine="x" * 10**6), "extra has 1,000,"),
        (lambda rows: rows[0].update(score=10**30), "whole number of 31 digits"),
    ],
)
def test_a_forged_prediction_is_named(trials, tmp_path: Path, edit, wanted: str) -> None:
    found = forged(trials, tmp_path, "translation", rows=edit)
    assert any(wanted in one for one in found), found
    assert all(len(one) < 400 for one in found)


@pytest.mark.parametrize("task", TASKS)
def test_training_that_stopped_by_patience_is_verified(
    trials, more, tmp_path: Path, task: str
) -> None:
    store = Store.open(tmp_path / "store", create=True)
    wild = {"learning_rate": 0.3, "schedule": "constant", "warmup_fraction": 0.0}
    result = more(store, task, "soft", max_steps=12, num_validations=12, patience=2, **wild)
    assert len(result.curve) < 12 and result.best_step == len(result.curve) - 2
    path = tmp_path / "b.zip"
    submit(store, path, trials.rules, name="patient", kind="open")
    assert trials.said(path) == []

    def said(edit: Callable[[Record], object]) -> str:
        change = {record_of(result.hash): in_record(edit)}
        return " ".join(trials.said(changed(path, tmp_path / "c.zip", change)))

    def go_on(record: Record) -> None:
        last = record["curve"][-1]
        record["curve"].append({**last, "step": last["step"] + 1})

    assert "its curve goes on after 2 validations without a lower loss" in said(go_on)
    assert "its curve ends at step" in said(lambda r: r["curve"].pop())
    assert "curve and patience=2 give" in said(lambda r: r.update(best_step=None))


def test_predictions_of_another_task_are_not_taken(trials, tmp_path: Path) -> None:
    other = members(trials.of("summarization"))[examples_of(trials.trial("summarization"))]
    changes = {examples_of(trials.trial("translation")): lambda _: other}
    found = trials.said(changed(trials.of("translation"), tmp_path / "b.zip", changes))
    assert found and all("translation/synthetic" in one for one in found)


@pytest.mark.parametrize("task", TASKS)
def test_one_seed_s_outputs_under_another_seed(trials, tmp_path: Path, task: str) -> None:
    first = trials.results[task, "soft"]
    copied = Cell.from_json({**first.cell_json, "seed": 2})
    other = first.model_copy(update={"hash": copied.hash, "cell_json": copied.to_json()})
    store, rows = Store.open(tmp_path / "store", create=True), trials.store.predictions(first.hash)
    rules = trials.rules.model_copy(update={"seeds": (1, 2)})
    store.put(first, rows)
    store.put(other, rows)
    submission = submit(store, tmp_path / "b.zip", rules, name="twice")
    trials = type(trials)(**{**vars(trials), "rules": rules})
    wanted = "outputs and likelihoods of all examples are those of"
    assert wanted in " ".join(submission.notes)
    (found,) = trials.said(tmp_path / "b.zip")
    assert wanted in found

    def likelier(rows: list[Record]) -> None:  # the same texts of another model: nothing to refuse
        extra = rows[0]["extra"]
        if "probabilities" in extra:
            lowest = min(extra["probabilities"], key=extra["probabilities"].get)
            extra["probabilities"][lowest] += 1e-4
        else:
            extra["log_prob"] -= 0.5

    change = {examples_of(copied.hash): in_rows(likelier)}
    assert trials.said(changed(tmp_path / "b.zip", tmp_path / "c.zip", change)) == []


def test_a_cell_of_an_older_version(trials, tmp_path: Path) -> None:
    found = forged(trials, tmp_path, "translation", record=lambda r: r["cell"].update(version=2))
    assert len(found) == 1 and "cell version 2, when defaults were others" in found[0]


def test_what_cannot_be_known_is_its_owner_s_word(trials) -> None:
    stated = set(trials.verify(trials.of("translation")).stated)
    assert {"alignment", "curve", "likelihoods", "train_seconds", "peak_memory_bytes"} <= stated


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("x" * 81, "81 characters"),
        ("a\u200bb", r"printed \(U\+200B\)"),
        ("a\u202eb", r"printed \(U\+202E\)"),
        ("a\nb", r"printed \(U\+000A\)"),
        ("\u0430ttention", "two alphabets"),
        ("\uff41ttention", "stands for another"),
        ("a  b", "blanks"),
        ("a\u0300\u0300\u0300\u0300", "marks upon marks"),
        (" ", "empty"),
    ],
)
def test_names_that_mislead_are_refused(trials, tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason) as caught:
        submit(trials.store, tmp_path / "b.zip", trials.rules, name=name)
    assert str(caught.value).isprintable() and len(str(caught.value)) < 200

    def rename(manifest: Record) -> None:
        manifest["name"] = name

    path = changed(trials.of("translation"), tmp_path / "c.zip", {}, manifest=rename)
    with pytest.raises(UsageError, match=reason) as caught:
        trials.verify(path)
    assert str(caught.value).isprintable() and (name == " " or name not in str(caught.value))


@pytest.mark.parametrize(
    "name", ["Sharp attention", "注意力 2", "Внимание", "प्रथम मॉडल", "Tấn-1 (β)"]
)
def test_names_of_any_language_are_fine(name: str) -> None:
    assert title_problem(name) is None


def forged(trials, tmp_path: Path, task: str, record=None, rows=None) -> list[str]:
    """What verifying a task's bundle says after a change of its record or rows."""
    hash, changes = trials.trial(task), {}
    if record is not None:
        changes[record_of(hash)] = in_record(record)
    if rows is not None:
        changes[examples_of(hash)] = in_rows(rows)
    return trials.said(changed(trials.of(task), tmp_path / "b.zip", changes))


@pytest.mark.parametrize(
    ("prediction", "extra", "copied"),
    [
        ("neutral", {}, True),
        ("", {"probabilities": [0.2, 0.5, 0.3]}, True),
        (
            "",
            {},
            False,
        ),  # statistics alone: two seeds can be right on the same
    ],
)
def test_seeds_are_copies_where_outputs_or_likelihoods_are_known_to_be_the_same(
    prediction: str, extra: dict[str, Any], copied: bool
) -> None:
    row = Prediction("1", "test", "", (), prediction, 3, 1.0, (1.0,), extra)
    found = list(copies([(fake_cell(1), [row]), (fake_cell(2), [row])]))
    assert [refused for _, refused in found] == ([True] if copied else [])


@pytest.mark.parametrize("task", tasks.names())
def test_an_error_rate_below_that_of_pointing_is_of_boxes_alone(task: str) -> None:
    """The centre of a cell may lie outside a box that covers more than half of it."""
    figures = AlignmentFigures(aer=0.285, mass_on_gold=0.64, pointing_accuracy=0.71, coverage=0.39)
    assert bool(list(_impossible_alignment(figures, tasks.get(task)))) == (task != "captioning")
