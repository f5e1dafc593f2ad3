from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from fake_trials import fake_cell, fake_result

from ablations.cell_times import family, longest_first, mean_seconds, neighbourhood
from ablations.cluster import Resources
from ablations.sweep import (
    SweepPlan,
    SweepSummary,
    describe_failures,
    describe_other_data,
    describe_outdated_settings,
    describe_unusable,
    plan_sweep,
)
from ablations.trial_interface import (
    Outcome,
    TrialOptions,
    failed_result,
    finished_result,
    stored_result,
)
from bench.errors import UsageError
from bench.store.cell import Cell
from bench.store.result import SplitIdentity
from bench.store.store import Store
from tasks.plan import make_cell, resolve

CELLS = [fake_cell(number) for number in range(6)]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path, create=True)


def test_everything_is_to_be_run_at_first(store: Store) -> None:
    for where in (None, store):
        plan = plan_sweep(CELLS, where)
        assert (plan.cells, plan.stored, plan.to_run) == (tuple(CELLS), (), tuple(CELLS))
        assert str(plan) == "6 cells, 6 to run"


def test_finished_cells_are_skipped_and_failed_ones_are_not(store: Store) -> None:
    store.put(fake_result(CELLS[0]))
    store.put(fake_result(fake_cell(99)))  # of another study
    store.put(failed_result(CELLS[1], "diverged", "nan", started="2025-01-01T00:00:00Z"))
    (Path(store.address) / "trials" / f"{CELLS[2].hash}.json").write_text("{")
    plan = plan_sweep(CELLS, store)
    assert plan.stored == (CELLS[0],)
    assert set(plan.to_run) == set(CELLS[1:])
    assert str(plan) == "6 cells, 5 to run"


def test_results_of_other_data_do_not_count_and_are_told(store: Store) -> None:
    here, there = "a" * 64, "b" * 64
    old = SplitIdentity(examples=5, fingerprint="x", contents="x")
    for cell in CELLS[:3]:
        was = replace(cell, data=there)
        splits = {"train": old, "test": old}
        store.put(fake_result(was, data_fingerprint=there, splits=splits))
    cells = [replace(cell, data=here) for cell in CELLS]
    store.put(fake_result(cells[0], data_fingerprint=here))
    plan = plan_sweep(cells, store)
    assert plan.stored == (cells[0],) and str(plan) == "6 cells, 5 to run"
    new = old.model_copy(update={"contents": "y", "fingerprint": "y"})
    [line] = describe_other_data(plan, {here: {"train": old, "test": new}})
    assert line == (
        "2 cells are stored for other data, so that they run again: translation/synthetic is "
        "aaaaaaaa here and bbbbbbbb there (other test examples)"
    )
    assert describe_other_data(plan_sweep(cells[:1], store), {}) == []
    assert describe_other_data(plan_sweep(CELLS, store), {}) == []  # generated
    [line] = describe_other_data(plan_sweep(cells[:2], store, limit=1), {})
    assert line.startswith("1 cell is stored for other data, so that it runs again")


def test_results_with_settings_of_another_budget_do_not_count_and_are_told(store: Store) -> None:
    cell = make_cell("translation", "soft", budget="smoke")
    settings = resolve(cell).stated_settings
    steps = settings["max_steps"]
    store.put(fake_result(cell).model_copy(update={"settings": settings}))
    assert plan_sweep([cell], store).stored == (cell,)
    assert describe_outdated_settings(plan_sweep([cell], store)) == []
    assert finished_result(cell, store) == stored_result(cell, options_of(store))
    old = fake_result(cell).model_copy(update={"settings": {**settings, "max_steps": 9999}})
    store.put(old)
    plan = plan_sweep([cell], store)
    assert plan.to_run == (cell,)
    assert describe_outdated_settings(plan) == [
        "1 cell is stored with settings that the budget had before, so that it runs again: "
        f"{cell.label} with max_steps=9999, not {steps}"
    ]
    assert finished_result(cell, store) is None is stored_result(cell, options_of(store))


def options_of(store: Store) -> TrialOptions:
    return TrialOptions(store.address, None, "")


def test_figures_of_other_data_than_the_cells_are_no_result() -> None:
    with pytest.raises(ValueError, match="figures of data bbbb"):
        fake_result(replace(CELLS[0], data="a" * 64), data_fingerprint="b" * 64)


def test_records_that_cannot_be_used_are_told(store: Store) -> None:
    assert not describe_unusable(plan_sweep(CELLS, store))
    folder = Path(store.address) / "trials"
    for number, cell in enumerate(CELLS[:2], start=1):
        (folder / f"{cell.hash}.json").write_text('{"schema": 0}')
        plan = plan_sweep(CELLS, store)
        assert cell in plan.to_run and len(plan.unusable) == number
        [line] = describe_unusable(plan)
        assert "of schema 0; this version reads schema 1" in line
        assert line.startswith("a record cannot" if number == 1 else "2 records cannot")


def test_the_same_cell_twice_is_one_cell() -> None:
    assert str(plan_sweep([*CELLS, *CELLS], None)) == "6 cells, 6 to run"


def test_a_limit_counts_what_is_run(store: Store) -> None:
    store.put(fake_result(CELLS[0]))
    plan = plan_sweep(CELLS, store, limit=2)
    assert str(plan) == "6 cells, 2 to run"
    assert CELLS[0] not in plan.to_run


def test_the_order_knows_what_cells_took(store: Store) -> None:
    store.put(fake_result(fake_cell(10, sleep=0.5)))
    seen = {}

    def order(cells: object, seconds: object) -> list[object]:
        seen.update(seconds)  # type: ignore[call-overload]
        return list(reversed(cells))  # type: ignore[call-overload]

    plan = plan_sweep(CELLS, store, order=order)  # type: ignore[arg-type]
    cell = fake_cell(1, sleep=0.5)
    assert seen == dict.fromkeys((cell.kind, family(cell), neighbourhood(cell)), 0.5)
    assert plan.to_run == tuple(reversed(CELLS))


def test_summaries() -> None:
    plan = SweepPlan(tuple(CELLS), (), tuple(CELLS))
    done = Outcome(CELLS[0].hash, "done", figure=("BLEU", 1.0))
    failed = Outcome(CELLS[1].hash, "failed", failure=("diverged", "nan"), stored=False)
    assert SweepSummary(plan, (done,)).exit_status == 0
    assert SweepSummary(plan, (done,), 130).exit_status == 130
    both = SweepSummary(plan, (done, failed))
    assert both.exit_status == 1
    assert describe_failures(both) == [
        f"{CELLS[1].label}: diverged: nan (this could not be stored)"
    ]


@pytest.mark.parametrize(
    ("fields", "option"),
    [
        ({"cpus_per_trial": 0}, "--cpus-per-trial"),
        ({"cpus_per_trial": -1}, "--cpus-per-trial"),
        ({"gpus_per_trial": -0.5}, "--gpus-per-trial"),
    ],
)
def test_resources_that_make_no_sense_are_refused(fields: dict[str, float], option: str) -> None:
    with pytest.raises(UsageError, match=option):
        Resources(**fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(("cpus", "threads"), [(1, 1), (0.5, 1), (2.7, 2)])
def test_threads_are_the_whole_cpus(cpus: float, threads: int) -> None:
    assert Resources(cpus_per_trial=cpus).threads == threads


def cell(attention: str, score: str, seed: int = 1, **options: object) -> Cell:
    return Cell("translation", "synthetic", attention, score, seed=seed, options=options)  # type: ignore[arg-type]


def test_without_times_the_order_is_guessed() -> None:
    quick = [cell("global", "dot"), cell("local-m", "general"), cell("none", "none")]
    stepwise = [
        cell("soft", "concat"),
        cell("global", "location-aware"),
        cell("global", "dot", input_feeding=True),
    ]
    slow = [cell("self", "scaled-dot"), cell("multi-step", "dot")]
    assert longest_first([*quick, *stepwise, *slow], {}) == [*slow, *stepwise, *quick]


def test_relatives_stand_in_for_cells_without_times() -> None:
    seconds = mean_seconds([(cell("self", "dot"), 8.0), (cell("self", "general"), 10.0)])
    assert seconds[family(cell("self", "concat", seed=3))] == 9.0
    unknown, related, same = cell("none", "none"), cell("self", "concat"), cell("self", "general")
    assert longest_first([related, same, unknown], seconds) == [unknown, same, related]


def test_measured_times_count_more_than_guesses() -> None:
    cells = [cell("soft", "dot", seed=2), cell("none", "none", seed=2), cell("global", "dot")]
    seconds = {cell("soft", "dot").kind: 3.0, cell("none", "none").kind: 9.0}
    ordered = longest_first(cells, seconds)
    assert [c.attention for c in ordered] == ["global", "none", "soft"]


def test_seeds_share_a_kind_and_nothing_else_does() -> None:
    assert cell("soft", "dot", seed=1).kind == cell("soft", "dot", seed=2).kind
    assert cell("soft", "dot").kind != cell("soft", "concat").kind
