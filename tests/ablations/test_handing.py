from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from fake_trials import fake_cell

handing = pytest.importorskip("ablations.tune")


class Trial(SimpleNamespace):
    def is_finished(self) -> bool:
        return self.status in ("TERMINATED", "ERROR")

    def __hash__(self) -> int:
        return id(self)


def test_every_cell_is_handed_out_once_in_order() -> None:
    cells = [fake_cell(number, width=number) for number in (3, 1, 2)]
    given = handing.GivenCells(cells)
    found = [given.suggest(str(number)) for number in range(3)]
    assert found == [{"cell": cell.to_json()} for cell in cells]
    assert given.suggest("late") == handing.Searcher.FINISHED


def test_trials_start_in_order_and_again_after_the_death_of_their_process() -> None:
    scheduler: Any = handing.InOrder()
    first, second, third = (Trial(name=name, status="PENDING") for name in "abc")
    for trial in (first, second, third):
        scheduler.on_trial_add(None, trial)
    assert scheduler.choose_trial_to_run(None) is first
    first.status = "RUNNING"
    assert scheduler.choose_trial_to_run(None) is second
    second.status = "TERMINATED"
    assert scheduler.choose_trial_to_run(None) is third
    third.status = "RUNNING"
    assert scheduler.choose_trial_to_run(None) is None
    first.status = "PENDING"  # its process died
    scheduler.on_trial_add(None, first)
    assert scheduler.choose_trial_to_run(None) is first
    assert scheduler._open == [first, third], "what has ended is not looked at again"
