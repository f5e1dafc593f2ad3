"""The DataFrames of a store: one row for each thing, documented dtypes, read when asked for."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pandas as pd
import pytest
from fake_trials import fake_result

from bench.errors import UsageError
from bench.store.store import Store
from reports.load import load
from reports.results import KINDS, KindName, read, wide
from tasks.plan import make_cell, resolve

PAGE = Path(__file__).resolve().parents[2] / "docs/notebook.md"


@pytest.fixture(scope="module")
def results(store):
    return load(store)


@pytest.mark.parametrize("kind", get_args(KindName))
def test_every_column_has_the_dtype_that_is_declared(results, kind):
    frame = results.read(kind)
    declared = {name: field.dtype for name, field in KINDS[kind].fields.items()}
    assert {name: str(dtype) for name, dtype in frame.dtypes.items()} == declared
    assert len(frame)
    assert getattr(results, kind).equals(frame)
    assert getattr(results, kind) is getattr(results, kind)


@pytest.mark.parametrize("kind", get_args(KindName))
def test_a_part_of_a_frame_is_the_part_of_the_whole(results, kind):
    whole = results.read(kind)
    columns = list(whole.columns[::-2])
    hashes = set(whole["hash"].unique()[:3])
    part = results.read(kind, columns, hashes)
    expected = whole.loc[whole["hash"].isin(hashes), columns].reset_index(drop=True)
    pd.testing.assert_frame_equal(part, expected, check_categorical=False)


@pytest.mark.parametrize("kind", get_args(KindName))
def test_the_page_has_every_column_with_its_dtype(kind):
    """The tables of docs/notebook.md are those of the code."""
    section = PAGE.read_text("utf-8").split(f"### `{kind}`")[1].split("\n##")[0]
    rows = re.findall(r"^\| `(\w+)` \| (\S.*?) \| (.*) \|$", section, re.MULTILINE)
    assert rows == [(name, one.dtype, one.help) for name, one in KINDS[kind].fields.items()]


def test_trials_are_the_records(results, made):
    trials = results.trials.set_index("hash")
    assert len(trials) == len(results.records)
    for one in results.records:
        row = trials.loc[one.hash]
        assert (row["task"], row["attention"], row["seed"]) == (
            one.cell.task,
            one.cell.attention,
            one.cell.seed,
        )
        assert row["status"] == one.status
        if one.primary is None:
            assert row["failure"] == "diverged: the training loss was nan by step 60"
            assert pd.isna(row["value"]) and pd.isna(row["higher_is_better"])
        else:
            assert pd.isna(row["failure"])
            assert row["value"] == one.primary.value
            assert row["train_seconds"] == one.cost.train_seconds
        assert row["started"] == pd.Timestamp("2025-01-31T12:00:00Z")


def test_metrics_curves_lengths_and_alignments_are_the_records(results):
    one = next(record for record in results.records if record.alignment)
    metrics = results.metrics.query("hash == @one.hash")
    assert dict(zip(metrics["metric"], metrics["value"], strict=True)) == one.metrics
    curve = results.curves.query("hash == @one.hash and figure == 'validation_loss'")
    assert list(curve["step"]) == [point["step"] for point in one.curve]
    assert list(curve["value"]) == [point["validation_loss"] for point in one.curve]
    lengths = results.lengths.query("hash == @one.hash")
    assert list(lengths["value"]) == [part.value for part in one.by_length]
    found = results.alignments.query("hash == @one.hash").set_index(["weights", "mode"])["aer"]
    assert found["own", "free"] == one.alignment.aer
    assert found["own", "forced"] == one.alignment.forced.aer
    assert found["uniform", "forced"] == one.alignment.baselines["uniform"].aer


def test_examples_are_the_kept_predictions(results, store):
    one = next(record for record in results.records if record.status == "done")
    kept = store.predictions(one.hash)
    frame = results.read("examples", ["example", "score", "references"], [one.hash])
    assert list(frame["example"]) == [row["example"] for row in kept]
    assert list(frame["score"]) == [row["score"] for row in kept]
    assert list(frame["references"]) == [row["references"] for row in kept]


def test_nothing_is_read_before_it_is_asked_for(made, tmp_path, monkeypatch):
    read: list[str] = []
    of_store, of_examples = Store.results, Store.predictions
    monkeypatch.setattr(Store, "results", lambda *args: read.append("results") or of_store(*args))
    monkeypatch.setattr(
        Store, "predictions", lambda *args: read.append("examples") or of_examples(*args)
    )
    found = load(made.store.address)
    assert read == []
    assert len(found.trials) and len(found.metrics)
    assert read == ["results"]
    first = found.trials["hash"][0]
    found.read("examples", ["score"], [first])
    assert read == ["results", "examples"]


def test_every_metric_is_a_column_of_the_wide_frame(results):
    frame = wide(results.records)
    assert list(frame["hash"]) == [one.hash for one in results.records]
    for row, one in zip(frame.to_dict("records"), results.records, strict=True):
        for name in ("bleu", "long_perplexity"):
            value = row[f"metric_{name}"]
            assert value == one.metrics[name] if name in one.metrics else pd.isna(value)


def test_the_frames_of_a_study(results, store):
    assert len(load(store, study="overview").trials) == len(results.trials)
    with pytest.raises(UsageError, match="no result of study 'nobody's'"):
        load(store, study="nobody's").trials  # noqa: B018 - reads


def test_what_does_not_exist_is_said(results, tmp_path):
    with pytest.raises(UsageError, match="did you mean 'value'"):
        results.read("trials", ["vale"])
    with pytest.raises(UsageError, match="kind of frame"):
        results.read("trails")
    with pytest.raises(UsageError, match="no store there"):
        load(tmp_path / "nothing")
    empty = load(Store.open(tmp_path / "empty", create=True))
    with pytest.raises(UsageError, match="holds no results"):
        empty.trials  # noqa: B018 - reads


def test_unreadable_records_and_examples_are_told_and_left_out(made, tmp_path):
    import shutil

    folder = tmp_path / "store"
    shutil.copytree(made.store.address, folder)
    (folder / "trials" / ("0" * 64 + ".json")).write_text("{}")
    found = load(folder)
    [problem] = found.problems
    assert "0" * 64 in problem
    done = found.trials.query("status == 'done'")["hash"]
    broken = done.iloc[0]
    (folder / "trials" / f"{broken}.predictions.jsonl").write_text("{")
    with pytest.warns(UserWarning, match="not valid JSON lines"):
        examples = found.read("examples", ["hash"], done.iloc[:2])
    assert set(examples["hash"]) == {done.iloc[1]}


def test_results_with_settings_of_another_budget_are_told_and_left_out(tmp_path):
    store = Store.open(tmp_path, create=True)
    cell = make_cell("translation", "soft", budget="smoke")
    settings = resolve(cell).stated_settings
    kept = fake_result(cell).model_copy(update={"settings": settings})
    store.put(kept)
    assert read(store) == ([kept], [])
    store.put(kept.model_copy(update={"settings": {**settings, "max_steps": 9999}}))
    results, [problem] = read(store)
    assert results == [] and problem.endswith(
        f"{cell.hash}.json: trained with settings that its budget had before "
        f"(max_steps=9999, not {settings['max_steps']})"
    )
