"""`run` and `sweep` from Python."""

from __future__ import annotations

import pytest

from ablations import api
from ablations.api import Resources, Study, run, sweep
from ablations.sweep import SweepPlan, SweepSummary
from bench.errors import UsageError
from bench.store.claims import claim
from bench.store.store import Store
from tasks.plan import make_cell

PAIR = ("translation", "soft", "dot")


def test_a_cell_runs_once_and_is_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    store = tmp_path / "store"
    options = {"max_steps": 2}
    first = run(*PAIR, budget="smoke", options=options, store=store)
    assert first.status == "done" and first.cell.options == options
    assert Store.open(store).get(first.hash) == first
    monkeypatch.setattr(api, "run_claimed", lambda *args, **more: pytest.fail("it is stored"))
    assert run(*PAIR, budget="smoke", options=options, store=Store.open(store)) == first
    ran = []
    monkeypatch.setattr(
        api, "run_claimed", lambda cell, trial, *, again: ran.append((cell.hash, again)) or first
    )
    run(*PAIR, budget="smoke", options=options, store=store, again=True)
    assert ran == [(first.hash, True)]


def test_a_cell_that_another_process_runs_is_left_to_it(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    store = Store.open(tmp_path / "store", create=True)
    cell = make_cell(*PAIR, budget="smoke")
    with claim(store, cell.hash, "another"), pytest.raises(ValueError, match="the cell is being"):
        run(*PAIR, budget="smoke", store=store)
    assert not store.statuses([cell.hash])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"budget": "smok"}, "did you mean 'smoke'"),
        ({"options": {"max_stepps": 2}}, "max_stepps"),
        ({"data_root": "nowhere"}, "no such folder"),
        ({"device": "abacus"}, "no device 'abacus'"),
        ({"threads": 0}, "threads: must be ≥ 1"),
    ],
)
def test_what_cannot_be_used_is_one_line(changes, message):
    with pytest.raises(ValueError, match=message) as caught:
        run(*PAIR, **changes)
    assert isinstance(caught.value, UsageError) and "\n" not in str(caught.value)


STUDY = Study(name="mine", tasks=["translation"], attentions=["none", "soft"], budget="smoke")


@pytest.fixture
def swept(monkeypatch):
    """The plan and options that a sweep would have been run with."""
    calls: list[tuple[object, ...]] = []

    def note(*arguments: object) -> SweepSummary:
        calls.append(arguments)
        return SweepSummary(SweepPlan((), (), ()))

    monkeypatch.setattr(api, "run_sweep", note)
    return calls


def test_a_study_made_here_is_swept(tmp_path, swept, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sweep(STUDY, seeds=2, attentions=["soft"], options={"max_steps": 3}, limit=1)
    sweep(STUDY, tmp_path / "other", resources=Resources(cpus_per_trial=2))
    (plan, options, resources, _), (second, _, given, _) = swept
    assert [cell.seed for cell in plan.cells] == [1, 2] and len(plan.to_run) == 1
    assert {(one.attention, one.options["max_steps"]) for one in plan.cells} == {("soft", 3)}
    assert options.store_address.endswith("runs/mine") and options.study == "mine"
    assert resources == Resources()
    assert [cell.attention for cell in second.cells] == ["none", "soft"]
    assert given.cpus_per_trial == 2


def test_a_study_that_is_listed_runs_in_its_order(tmp_path, swept):
    sweep("real", tmp_path / "store", tasks=["entailment"], datasets=["synthetic"], seeds=2)
    seeds = [cell.seed for cell in swept[0][0].to_run]
    assert seeds == sorted(seeds) and {1, 2} == set(seeds)
    assert swept[0][0].to_run[0].attention == "none", "first in the study"


def test_a_study_by_name(tmp_path, swept):
    sweep("overview", tmp_path / "store", tasks=["speech"], attentions=["soft"])
    assert {cell.task for cell in swept[0][0].cells} == {"speech"}


@pytest.mark.parametrize(
    ("study", "changes", "message"),
    [
        ("overvew", {}, "did you mean 'overview'"),
        (STUDY, {"seeds": 0}, "seeds: must be ≥ 1"),
        (STUDY, {"limit": 0}, "limit: must be ≥ 1"),
        (STUDY, {"tasks": ["speach"]}, "did you mean 'speech'"),
        (Study(attentions=["soft"]), {}, "needs a store"),
    ],
)
def test_a_study_that_cannot_be_used_is_one_line(study, changes, message, swept):
    with pytest.raises(ValueError, match=message):
        sweep(study, **changes)
    assert not swept
