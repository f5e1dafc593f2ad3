"""Optuna asks for candidates in rounds that follow from the results before them."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_trials import fake_result

from ablations.hyperparameters import Search, winner
from ablations.search_space import Range, Space
from ablations.searchers import ROUND, Candidates, optuna_candidates, random_candidates
from ablations.trial_interface import TrialOptions, failed_result, stopped_result
from bench.cli import main as cli
from bench.store.cell import Cell
from bench.store.result import Result
from bench.store.store import Store
from tasks.plan import make_cell

CELL = make_cell("translation", "soft", budget="smoke")
START = "2026-01-01T00:00:00.000Z"
SPACE: Space = {
    "learning_rate": Range(log_uniform=(1e-4, 1e-1)),
    "dropout": Range(uniform=(0, 0.5)),
}


def tried(cell: Cell, loss: float) -> Result:
    figures = {"validation_loss": loss, "steps": 12.0}
    return fake_result(cell).model_copy(update={"metrics": figures})


def bowl(cell: Cell) -> float:
    """A loss whose best learning rate is 0.02 and whose best dropout is 0.1."""
    rate, dropout = cell.options.get("learning_rate", 2e-3), cell.options.get("dropout", 0.1)
    assert isinstance(rate, float) and isinstance(dropout, float)
    return 1 + math.log(rate / 0.02) ** 2 + 10 * (dropout - 0.1) ** 2


def searched(count: int, loss: Callable[[Cell], float] = bowl, cell: Cell = CELL) -> Candidates:
    """A whole search, round after round."""
    results: dict[str, Result] = {}
    while True:
        found = optuna_candidates(cell, SPACE, count, results)
        left = [one for one in found.cells if one.hash not in results]
        if not left:
            assert found.complete
            return found
        assert len(left) <= ROUND
        results |= {one.hash: tried(one, loss(one)) for one in left}


@pytest.fixture(autouse=True)
def _optuna() -> None:
    pytest.importorskip("optuna")


def test_the_first_round_is_that_of_the_random_search() -> None:
    found = optuna_candidates(CELL, SPACE, 10, {})
    assert found.cells == random_candidates(CELL, SPACE, ROUND).cells
    assert not found.complete
    assert optuna_candidates(CELL, SPACE, ROUND, {}).complete


def test_candidates_follow_from_the_results_alone() -> None:
    whole = searched(14)
    assert len({one.hash for one in whole.cells}) == 14
    assert searched(14).cells == whole.cells
    assert searched(10).cells == whole.cells[:10], "more candidates keep those that there are"
    other = searched(14, loss=lambda cell: -bowl(cell))
    assert other.cells[:ROUND] == whole.cells[:ROUND]
    assert other.cells[ROUND:] != whole.cells[ROUND:], "they depend on what was told"


def test_a_round_waits_for_the_one_before() -> None:
    first = optuna_candidates(CELL, SPACE, 10, {})
    results = {one.hash: tried(one, bowl(one)) for one in first.cells[:-1]}
    assert optuna_candidates(CELL, SPACE, 10, results) == first
    last = first.cells[-1]
    results[last.hash] = failed_result(last, "diverged", "nan", started=START)
    then = optuna_candidates(CELL, SPACE, 10, results)
    assert then.cells[:ROUND] == first.cells and len(then.known) == 2 * ROUND
    assert then.settled == ROUND, "a failure that later ones know of stands"


def test_every_mechanism_is_asked_for_apart() -> None:
    other = make_cell("translation", "global", budget="smoke")
    mine, theirs = searched(8), searched(8, loss=lambda cell: -bowl(cell), cell=other)
    assert len(mine.known) == len(theirs.known) == 8
    values = [[one.values for one in found.known] for found in (mine, theirs)]
    assert values[0][1:ROUND] == values[1][1:ROUND]
    assert values[0][ROUND:] != values[1][ROUND:]


def test_optuna_finds_more_than_chance() -> None:
    best = min(map(bowl, searched(24).cells))
    chance = sorted(map(bowl, random_candidates(CELL, SPACE, 24).cells))
    assert best < chance[0]


def test_those_stopped_early_are_told_as_pruned() -> None:
    first = optuna_candidates(CELL, SPACE, 8, {})
    results = {one.hash: tried(one, bowl(one)) for one in first.cells}
    stopped = first.cells[1]
    figures = {"step": 6.0, "validation_loss": 0.1}  # were it told as finished, it were the best
    options = TrialOptions(None, None, "")
    results[stopped.hash] = stopped_result(stopped, options, figures, started=START)
    pruned = optuna_candidates(CELL, SPACE, 8, results).cells
    results[stopped.hash] = tried(stopped, 0.1)
    assert optuna_candidates(CELL, SPACE, 8, results).cells != pruned


def test_small_spaces_come_to_an_end() -> None:
    space: Space = {"dropout": (0.0, 0.2, 0.3)}
    results: dict[str, Result] = {}
    for _ in range(5):
        found = optuna_candidates(CELL, space, 12, results)
        results |= {one.hash: tried(one, 1.0) for one in found.cells}
    assert found.complete and len(found.known) == 4


def test_own_settings_outside_of_the_space_are_a_candidate_too() -> None:
    space: Space = {"learning_rate": Range(log_uniform=(0.5, 1.0))}
    found = optuna_candidates(CELL, space, 8, {})
    results = {one.hash: tried(one, 1.0) for one in found.cells}
    assert len(optuna_candidates(CELL, space, 8, results).known) == 8


def test_a_search_goes_on_in_rounds(tmp_path: Path) -> None:
    search = Search(str(tmp_path / "search"), 6, searcher="optuna")
    other = make_cell("translation", "global", budget="smoke")
    cells = [CELL, CELL.with_seed(2), other]
    store = Store.open(search.address, create=True)
    sizes = []
    for plan in search.rounds(cells):
        sizes.append(len(plan.to_run))
        assert search.due(cells, None, 5), "nobody is done before the search is over"
        for cell in plan.to_run:
            store.put(tried(cell, bowl(cell)))
    assert sizes == [8, 4]
    assert [len(plan.to_run) for plan in search.rounds(cells)] == [0]
    best = winner(one for one in store.results() if one.cell.attention == "soft")
    assert best is not None
    planned = search.plan_cells(cells, cells, None, begun=True).cells
    assert planned[:2] == (best.cell.with_seed(1), best.cell.with_seed(2))


def test_failures_do_not_keep_a_search_going(tmp_path: Path) -> None:
    for searcher, rounds in (("random", 1), ("optuna", 2)):
        search = Search(str(tmp_path / searcher), 6, searcher=searcher)  # type: ignore[arg-type]
        store = Store.open(search.address, create=True)
        seen = 0
        for plan in search.rounds([CELL]):
            seen += 1
            for cell in plan.to_run:
                store.put(failed_result(cell, "diverged", "nan", started=START))
        assert seen == rounds
        assert len(store.hashes()) == 6


def test_without_optuna_one_line_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from ablations.searchers import require_optuna

    require_optuna.cache_clear()
    monkeypatch.setitem(sys.modules, "optuna", None)
    monkeypatch.chdir(tmp_path)
    command = ["sweep", "--tune", "2", "--searcher", "optuna", "--dry-run"]
    assert cli.main(command) == 2
    printed = capsys.readouterr()
    said = "--searcher optuna: Optuna is not installed; pip install 'attention-bench[optuna]'"
    assert printed.err == f"attnbench: error: {said}\n"
