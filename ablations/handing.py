"""How Ray Tune gets the cells of a sweep: in their order, and each at the same cost, however many
there are. Imports Ray.

Tune's own ways grow: a grid is copied whole for every trial of it (10,000 cells wait ten minutes
before the first one starts), and its scheduler looks at every trial that there ever was for the
next one to start.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher

from bench.cell import Cell


class GivenCells(Searcher):
    """Configurations `{"cell": Cell.to_json()}`, one for each cell."""

    def __init__(self, cells: Sequence[Cell]) -> None:
        super().__init__()
        self._left = deque(cells)

    def set_search_properties(self, *arguments: Any, **more: Any) -> bool:
        return True  # nothing is optimised

    def suggest(self, trial_id: str) -> Any:
        if not self._left:
            return Searcher.FINISHED
        return {"cell": self._left.popleft().to_json()}

    def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
        """Nothing is learnt from results."""

    def save(self, checkpoint_path: str) -> None:
        Path(checkpoint_path).touch()  # Tune wants a file; the store is what sweeps resume from


class InOrder(FIFOScheduler):
    """Starts trials in the order in which they came."""

    def __init__(self) -> None:
        super().__init__()
        self._open: list[Trial] = []  # and some that have ended since the last look

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        if trial not in self._open:  # one whose process died is added again
            self._open.append(trial)

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        self._open = [trial for trial in self._open if not trial.is_finished()]
        return next((trial for trial in self._open if trial.status == Trial.PENDING), None)
