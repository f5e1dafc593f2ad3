"""Stores whose records, predictions, traces or sweep statuses were changed, through the commands
that read them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from fuzzed_command import ask, examples
from fuzzed_values import renewed, spoilt
from hypothesis import given
from hypothesis import strategies as st

from bench.store.cell import Cell
from bench.store.store import Store
from reports.exchange import FORMATS

SWEEP = {
    "name": "overview-1", "study": "overview", "host": "here", "pid": 7, "state": "running",
    "cells": 3, "stored": 1, "done": 1, "failed": 1,
    "began": "2025-01-31T12:00:00.000Z", "updated": "2025-01-31T12:04:10.000Z",
    "seconds_left": 12.5,
    "running": [{"label": "a cell", "node": "here", "seconds": 3.0}],
    "nodes": [
        {"name": "here", "cpus": 2.0, "gpus": 0.0, "alive": True, "running": 1, "finished": 1}
    ],
    "failures": [["a cell", "diverged", "the loss was nan"]],
}  # fmt: skip


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small store: results of four tasks with traces, and sweeps."""
    from sample_results import document_trace, put, sound_trace

    folder = tmp_path_factory.mktemp("good") / "store"
    store = Store.open(folder, create=True)
    for seed in (1, 2):
        for attention, score in (("none", "none"), ("soft", "concat")):
            cell = Cell("speech", "synthetic", attention, score, seed=seed)
            errors = [float(n % 3 == seed) for n in range(30)]
            put(store, cell, errors, headline="per", higher=False, traces=[sound_trace()])
    put(
        store,
        Cell("summarization", "synthetic", "soft", "concat"),
        [0.5] * 20,
        headline="rouge_l",
        traces=[document_trace()],
    )
    return folder


@examples(12)
@given(st.data())
def test_stores(good: Path, data: st.DataObject) -> None:
    store = renewed(good, good.with_name("spoilt"))
    (store / "sweeps").mkdir()
    (store / "sweeps" / "overview-1.json").write_text(json.dumps(SWEEP))
    for _ in range(data.draw(st.integers(1, 2))):
        data.draw(spoilt(store))
    out = store.with_name("out")
    shutil.rmtree(out, ignore_errors=True)
    ask("status", str(store), *data.draw(st.sampled_from([[], ["--json"]])))
    ask("leaderboard", "submit", str(store), "--out", f"{out}/b.zip", "--rules", "practice")
    ask("leaderboard", "save-reference", str(store), "--out", f"{out}/r.json")
    ask("compare", str(good), str(store))
    for format in FORMATS:
        ask("export", str(store), "--to", format, "--out", f"{out}/{format}")


@examples(4)
@given(st.data())
def test_reports(good: Path, data: st.DataObject) -> None:
    store = renewed(good, good.with_name("spoilt"))
    for _ in range(data.draw(st.integers(1, 2))):
        data.draw(spoilt(store))
    place = data.draw(st.sampled_from(["--out", "--publish"]))
    ask("report", str(store), place, str(store.with_name(f"report{place}")))
    ask("compare", str(good), str(store), "--out", str(store.with_name("page")))


@examples(25)
@given(st.data())
def test_sweeps_of_a_store(good: Path, data: st.DataObject) -> None:
    store = good.with_name("sweeps")
    for name in ("trials", "sweeps"):
        (store / name).mkdir(parents=True, exist_ok=True)
    for path in (store / "sweeps").iterdir():
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    (store / "sweeps" / "overview-1.json").write_text(json.dumps(SWEEP))
    data.draw(spoilt(store))
    ask("status", str(store), *data.draw(st.sampled_from([[], ["--json"]])))


@examples(4)
@given(st.data())
def test_a_cell_that_is_stored(good: Path, no_training: None, data: st.DataObject) -> None:
    """The command that made the store, run again on what became of it."""
    store = renewed(good, good.with_name("spoilt"))
    data.draw(spoilt(store / "trials"))
    cell = ["--attention", "soft", "--seed", "1", "--budget", "laptop", "--store", str(store)]
    ask("run", "--task", "speech", *cell)
    ask("sweep", "overview", "--task", "speech", "--dry-run", "--limit", "2", *cell[-2:])
