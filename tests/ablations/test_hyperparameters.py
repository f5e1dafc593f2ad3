"""Settings are searched for on validation data, before the cells run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fake_trials import fake_result
from marked_processes import Marked

from ablations.hyperparameters import Search, read_searches, winner
from ablations.search_space import DEFAULT_SPACE, TUNING_SEED, Space
from ablations.searchers import random_candidates
from ablations.trial import run_trial
from ablations.trial_interface import TrialHooks, TrialOptions, failed_result, stopped_result
from bench.cli import main as cli
from bench.store.cell import Cell
from bench.store.result import Result
from bench.store.store import Store
from tasks.plan import make_cell, resolve

CELL = make_cell("translation", "soft", budget="smoke", seed=3)
START = "2026-01-01T00:00:00.000Z"


def tried(cell: Cell, loss: float, steps: float = 12.0) -> Result:
    result = fake_result(cell)
    return result.model_copy(update={"metrics": {"validation_loss": loss, "steps": steps}})


def candidates(cell: Cell, count: int, space: Space = DEFAULT_SPACE) -> list[Cell]:
    return random_candidates(cell, space, count).cells


def tuned(search: Search, cells: Sequence[Cell]) -> tuple[Cell, ...]:
    """The cells with the settings of their winners."""
    return tuple(search.plan_cells(cells, cells, None, begun=True).cells)


def test_candidates_are_of_the_cells_data() -> None:
    of_files = replace(CELL, data="a" * 64)
    assert {one.data for one in candidates(of_files, 3)} == {"a" * 64}
    assert {one.data for one in candidates(CELL, 3)} == {""}


@pytest.mark.parametrize("backbone", ["recurrent", "convolutional", "transformer"])
def test_candidates_are_of_the_cells_backbone(backbone: str) -> None:
    cell = make_cell("translation", "soft", backbone=backbone, budget="smoke")
    found = candidates(cell, 3)
    assert found[0] == cell.with_seed(TUNING_SEED)
    assert {one.backbone for one in found} == {cell.backbone}


def test_candidates_differ_in_settings_alone() -> None:
    found = candidates(CELL, 6)
    assert len(found) == 6
    assert found[0] == CELL.with_seed(TUNING_SEED), "the budget's own settings are among them"
    base = resolve(CELL).settings.learning_rate
    for cell in found:
        settings = resolve(cell).settings
        assert base / 4.1 < settings.learning_rate < base * 4.1
        assert 0 <= settings.dropout <= 0.4
        assert set(cell.options) <= {"learning_rate", "dropout"}
        assert cell.seed == TUNING_SEED
    assert candidates(CELL.with_seed(9), 6) == found, "seeds share a search"
    assert candidates(CELL, 3) == found[:3], "more candidates keep those that there are"


def test_every_mechanism_gets_the_same_candidates() -> None:
    other = make_cell("translation", "global", budget="smoke")
    settings = [[resolve(c).settings for c in candidates(cell, 5)] for cell in (CELL, other)]
    for mine, theirs in zip(*settings, strict=True):
        assert (mine.learning_rate, mine.dropout) == (theirs.learning_rate, theirs.dropout)


def test_what_a_study_sets_itself_is_not_searched() -> None:
    cell = make_cell("translation", "soft", budget="smoke", options={"dropout": 0.35})
    assert {resolve(found).settings.dropout for found in candidates(cell, 5)} == {0.35}
    assert len({resolve(found).settings.learning_rate for found in candidates(cell, 5)}) == 5


def test_the_lowest_loss_wins_among_those_that_ran_through() -> None:
    cells = candidates(CELL, 4)
    failed = failed_result(cells[3], "diverged", "nan", started=START)
    behind = {"step": 6.0, "validation_loss": 0.5}
    early = stopped_result(cells[0], TrialOptions(None, None, ""), behind, started=START)
    results = [early, tried(cells[1], 2.0), tried(cells[2], 1.0), failed]
    best = winner(results)
    assert best is not None and best.cell == cells[2]
    assert winner([failed]) is None
    shorter = tried(cells[1], 0.9, steps=6.0)  # it ended by its own settings, not behind others
    assert winner([*results, shorter]) == shorter
    later = {"step": 9.0, "validation_loss": 0.7}
    later_stop = stopped_result(cells[3], TrialOptions(None, None, ""), later, started=START)
    assert winner([early, later_stop, failed]) == later_stop


def test_cells_run_with_the_settings_of_their_winner(tmp_path: Path) -> None:
    search = Search(str(tmp_path / "search"), 3)
    other = make_cell("translation", "global", budget="smoke")
    cells = [CELL, CELL.with_seed(4), other]
    plan = search.plan(cells, create=True)
    assert len(plan.to_run) == 6, "two mechanisms, three candidates each"
    store = Store.open(search.address)
    for number, cell in enumerate(candidates(CELL, 3)):
        store.put(tried(cell, 3.0 - number))
    assert len(search.plan(cells, create=True).to_run) == 3
    won = candidates(CELL, 3)[2]
    assert tuned(search, cells) == (won.with_seed(3), won.with_seed(4), other)


def test_candidates_tried_with_settings_of_another_budget_do_not_win(tmp_path: Path) -> None:
    store, search = Store.open(tmp_path, create=True), Search(str(tmp_path), 2)
    first, second = candidates(CELL, 2)
    for cell, loss, steps in ((first, 2.0, None), (second, 1.0, 9999)):
        stated = resolve(cell).stated_settings
        settings = stated if steps is None else {**stated, "max_steps": steps}
        store.put(tried(cell, loss).model_copy(update={"settings": settings}))
    assert tuned(search, [CELL]) == (CELL,), "the first one has the budget's own settings"
    store.put(tried(second, 1.0).model_copy(update={"settings": resolve(second).stated_settings}))
    [settled] = tuned(search, [CELL])
    assert settled.options == second.options


def test_the_seed_of_candidates_is_nobody_elses(tmp_path: Path) -> None:
    search, cells = Search(str(tmp_path), 3), [CELL, CELL.with_seed(0)]
    with pytest.raises(ValueError, match="seed 0 is that of the candidates"):
        search.plan(cells, create=False)
    with pytest.raises(ValueError, match="seed 0 is that of the candidates"):
        search.due(cells, None, 1)


@pytest.fixture
def two_mechanisms(tmp_path: Path) -> SimpleNamespace:
    """Two seeds of two mechanisms, a search of three candidates, and stores without results."""
    other = make_cell("translation", "global", budget="smoke")
    search = Search(str(tmp_path / "search"), 3)
    return SimpleNamespace(
        search=search,
        cells=[CELL, CELL.with_seed(4), other.with_seed(3), other.with_seed(4)],
        candidates=Store.open(search.address, create=True),
        store=Store.open(tmp_path / "store", create=True),
    )


def searched(made: SimpleNamespace, cell: Cell, failing: int = 0) -> None:
    """Tries all candidates of a cell, of which the first ones fail."""
    for number, found in enumerate(candidates(cell, 3)):
        result = failed_result(found, "diverged", "nan", started=START)
        made.candidates.put(result if number < failing else tried(found, 3.0 - number))


def test_a_limited_search_is_of_the_cells_that_follow(two_mechanisms: SimpleNamespace) -> None:
    """Every run of the command takes the next cells, until none is left."""
    made, seen, rounds = two_mechanisms, [], 0
    search, cells, store = made.search, made.cells, made.store
    while due := search.due(cells, store, 1):
        (cell,) = due
        assert cell in cells and cell not in seen, "as the study has it, and each once"
        to_try = search.plan(due, create=True).to_run
        assert set(to_try) <= set(candidates(cell, 3))
        searched(made, cell)
        plan = search.plan_cells(cells, due, store, begun=True)
        assert plan.to_run == tuned(search, due)
        assert (len(plan.cells), len(plan.stored)) == (4, rounds)
        store.put(fake_result(plan.to_run[0]))
        seen.append(cell)
        rounds += 1
    assert rounds == 4
    assert search.due(cells, store, None) == tuple(cells), "without a limit they are all looked at"


def test_a_limit_does_not_wait_for_candidates_that_fail(two_mechanisms: SimpleNamespace) -> None:
    made = two_mechanisms
    (first,) = made.search.due(made.cells, made.store, 1)
    searched(made, first, failing=3)
    plan = made.search.plan_cells(made.cells, [first], made.store, begun=True)
    assert plan.to_run == (first,), "with the settings that it has anyway"
    made.store.put(fake_result(first))
    assert first not in made.search.due(made.cells, made.store, 4)


def test_a_result_without_a_search_is_not_the_one_that_is_asked_for(
    two_mechanisms: SimpleNamespace,
) -> None:
    made = two_mechanisms
    made.store.put(fake_result(CELL))
    assert CELL in made.search.due(made.cells, made.store, 4)
    searched(made, CELL)
    made.store.put(fake_result(*tuned(made.search, [CELL])))
    assert CELL not in made.search.due(made.cells, made.store, 4)


@pytest.mark.parametrize(
    ("failing", "said"),
    [
        (0, "searched for each mechanism: 3 candidates"),
        (2, "searched for each mechanism: 3 candidates"),
        (3, "soft+concat: none of the 3 candidates for learning rate and dropout finished"),
    ],
)
def test_records_note_what_became_of_the_search(
    two_mechanisms: SimpleNamespace, failing: int, said: str
) -> None:
    made = two_mechanisms
    searched(made, CELL, failing)
    searched(made, made.cells[2])
    context = made.search.with_notes(TrialOptions(None, None, ""), made.cells)
    first, second, *others = tuned(made.search, made.cells)
    for cell in (first, second):
        (note,) = context.notes_of(cell)
        assert said in note
    assert {context.notes_of(cell) for cell in others} == {(made.search.note_of(CELL),)}


def test_nothing_is_noted_where_nothing_was_searched_for(tmp_path: Path) -> None:
    options = {"dropout": 0.35, "learning_rate": 0.01}
    cell = make_cell("translation", "soft", budget="smoke", options=options)
    search = Search(str(tmp_path), 3)
    (only,) = candidates(cell, 3)
    Store.open(tmp_path, create=True).put(tried(only, 1.0))
    context = search.with_notes(TrialOptions(None, None, ""), [cell])
    assert tuned(search, [cell]) == (cell,) and context.notes_of(cell) == ()


def test_a_search_whose_store_is_gone_is_not_taken_for_one_without_winners(tmp_path: Path) -> None:
    search = Search(str(tmp_path / "gone"), 3)
    assert search.due([CELL], None, 1) == (CELL,)
    assert search.plan_cells([CELL], [CELL], None, begun=False).to_run == (CELL,)
    with pytest.raises(ValueError, match="no store there"):
        search.plan_cells([CELL], [CELL], None, begun=True)
    with pytest.raises(ValueError, match="no store there"):
        search.with_notes(TrialOptions(None, None, ""), [CELL])


def test_candidates_never_see_test_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def look(*arguments: Any) -> None:
        raise AssertionError("test data were used")

    monkeypatch.setattr(resolve(CELL).task, "evaluate", look)
    points: list[Any] = []
    own = {CELL.hash: ("of this cell",)}
    context = TrialOptions(None, None, str(tmp_path), tests=False, notes=("all",), own_notes=own)
    result = run_trial(CELL, context, TrialHooks(report=points.append))
    assert result.status == "done", result.failure
    assert set(result.metrics) == {"validation_loss", "steps"}
    assert result.primary is not None and not result.primary.higher_is_better
    assert "of this cell" in result.provenance.notes and "all" not in result.provenance.notes
    assert [point["step"] for point in points] == [6.0, 12.0]
    losses = [point["validation_loss"] for point in points]
    assert points[1]["best_validation_loss"] == min(losses)
    assert result.metrics["validation_loss"] == losses[-1]


def reports(scheduler: Any, cell: Cell, name: str, losses: list[float]) -> list[str]:
    """What ASHA says to a trial with these losses, until it is stopped."""
    trial = SimpleNamespace(trial_id=name, config={"cell": cell.to_json()})
    scheduler.on_trial_add(None, trial)
    assert scheduler.on_trial_result(None, trial, {"node": "here"}) == "CONTINUE"
    said = []
    for step, loss in enumerate(losses):
        figures = {"step": float(step), "validation_loss": loss, "best_validation_loss": loss}
        said.append(scheduler.on_trial_result(None, trial, figures))
        if said[-1] == "STOP":
            break
    return said


def test_asha_compares_candidates_of_one_cell_only() -> None:
    halving = pytest.importorskip("ablations.tune").HalvingByKind
    first, second, third, fourth = candidates(CELL, 4)
    other = candidates(make_cell("translation", "global", budget="smoke"), 1)[0]
    mine = {cell.hash: "soft" for cell in (first, second, third, fourth)}
    halving = halving({**mine, other.hash: "global"})
    assert reports(halving, first, "a", [1.0, 1.0]) == ["CONTINUE"] * 2
    assert reports(halving, second, "b", [2.0, 1.0]) == ["STOP"]
    assert reports(halving, third, "c", [3.0, 1.0]) == ["STOP"]
    assert reports(halving, fourth, "d", [0.5, 0.5]) == ["CONTINUE"] * 2
    assert reports(halving, other, "e", [9.0, 9.0]) == ["CONTINUE"] * 2


def test_asha_counts_no_validation_twice() -> None:
    """One that goes on from a checkpoint tells of those before once more."""
    first, second = candidates(CELL, 2)
    groups = {first.hash: "soft", second.hash: "soft"}
    halving: Any = pytest.importorskip("ablations.tune").HalvingByKind(groups)
    assert reports(halving, first, "a", [1.0, 1.0, 1.0]) == ["CONTINUE"] * 3
    assert reports(halving, second, "b", [0.5, 0.5]) == ["CONTINUE"] * 2
    assert reports(halving, second, "b", [0.5, 0.5, 9.0]) == ["CONTINUE", "CONTINUE", "STOP"]


def test_what_is_stopped_early_is_a_result_and_not_run_again(tmp_path: Path) -> None:
    figures = {"step": 6.0, "validation_loss": 2.5, "best_validation_loss": 2.4}
    context = TrialOptions(str(tmp_path), None, "")
    result = stopped_result(CELL, context, figures, started=START)
    assert result.status == "done"
    assert (result.metrics["validation_loss"], result.metrics["steps"]) == (2.5, 6.0)
    assert result.provenance.notes == ("stopped early after step 6",)


@pytest.mark.timeout(900)
def test_a_search_from_end_to_end(tmp_path: Path) -> None:
    study, path = tmp_path / "one.yaml", tmp_path / "store"
    study.write_text(
        "tasks: [translation]\nbudget: smoke\nseeds: 2\n"
        "blocks: [{attentions: [soft], options: {max_steps: 12, test_limit: 8}}]\n"
    )
    arguments = ["sweep", str(study), "--store", str(path), "--wandb", "off"]
    arguments += ["--tune", "5", "--scheduler", "asha"]
    command = Marked("-m", ["bench.cli.main", *arguments], tmp_path / "run")
    try:
        assert command.wait(600) == 0, command.stderr
        assert command.alive() == []
    finally:
        command.kill()
    assert "one: search: 5 cells, 5 to run" in command.stdout
    assert "one: 2 cells, 2 to run" in command.stdout
    found, store = Store.open(path / "search"), Store.open(path)
    results = list(store.results())
    best = winner(found.results())
    assert len(found.hashes()) == 5 and best is not None
    assert {result.cell.with_seed(TUNING_SEED) for result in results} == {best.cell}
    assert sorted(result.cell.seed for result in results) == [1, 2]
    for result in results:
        assert "bleu" in result.metrics
        (note,) = [note for note in result.provenance.notes if "searched" in note]
        assert "5 candidates, seed 0" in note and "ASHA" in note
    for result in found.results():
        assert set(result.metrics) == {"validation_loss", "steps"}
        assert found.predictions(result.hash) == []


@pytest.mark.timeout(900)
def test_a_search_of_two_mechanisms_is_resumed(tmp_path: Path) -> None:
    """With Optuna, whose first round is the random search; its second has one candidate each."""
    searcher, first, count = "optuna", 8, 5
    pytest.importorskip("optuna")
    study, path = tmp_path / "two.yaml", tmp_path / "store"
    study.write_text(
        "tasks: [translation]\nbudget: smoke\noptions: {max_steps: 4, test_limit: 4}\n"
        "search: {learning_rate: {doublings: 2}, rnn_type: [gru, lstm]}\n"
        "blocks:\n  - attentions: [soft]\n"
        "  - {attentions: [none], search: {batch_tokens: {integers: [100, 300]}}}\n"
    )
    arguments = ["sweep", str(study), "--store", str(path), "--wandb", "off"]
    arguments += ["--tune", str(count), "--searcher", searcher]

    def run(name: str) -> str:
        command = Marked("-m", ["bench.cli.main", *arguments], tmp_path / name)
        try:
            assert command.wait(600) == 0, command.stderr
            assert command.alive() == []
        finally:
            command.kill()
        return command.stdout

    printed = run("run")
    assert f"two: search: {first} cells, {first} to run" in printed
    assert "two: 2 cells, 2 to run" in printed
    store = Store.open(path / "search")
    none, soft = sorted(read_searches(store), key=lambda one: one.cell.attention)
    assert (soft.cell.attention, soft.searcher, soft.count) == ("soft", searcher, count)
    assert list(soft.space) == ["learning_rate", "rnn_type"]
    assert list(none.space) == ["learning_rate", "rnn_type", "batch_tokens"]
    assert (soft.study, soft.cores, soft.gpus) == ("two", 1, 0)
    tried = {record.hash for one in (soft, none) for record in one.candidates}
    assert tried == set(store.hashes()) and len(tried) == 2 * count
    for record in (soft, none):
        for one in record.candidates:
            settings = resolve(store.get(one.hash).cell).settings
            assert {name: getattr(settings, name) for name in one.settings} == one.settings

    lost = soft.candidates[1].hash
    (path / "search" / "trials" / f"{lost}.json").unlink()
    before = {hash: store.get(hash) for hash in store.hashes()}
    printed = run("again")
    assert "to run; results in" in printed and " 1 to run" in printed
    assert "two: 2 cells, 0 to run" in printed, "the same winners"
    assert set(store.hashes()) == tried
    assert {hash: store.get(hash) for hash in before} == before

    assert cli.main(["report", str(path), "--out", str(tmp_path / "report")]) == 0
    page = (tmp_path / "report" / "tuning.html").read_text("utf-8")
    assert f"2 mechanisms, each given {count} candidates ({searcher})" in page
    assert page.count(">winner</td>") == 2
