"""How Ray Tune gets the cells of a sweep: in their order, and each at the same cost, however many
there are. Imports Ray.

Tune's own ways grow: a grid is copied whole for every trial of it (10,000 cells wait ten minutes
before the first one starts), and its scheduler looks at every trial that there ever was for the
next one to start.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from bench.store.cell import Cell


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


# Asynchronous successive halving (ASHA) among the candidates of one cell at a time. Imports Ray.
#
# Losses of different cells mean different things, so each cell has its own brackets.

#: What a search varies.
SEARCHED = ("learning_rate", "dropout")

#: Of the candidates that reach the first, third, ninth... validation, the best third goes on.
_REDUCTION = 3

_METRIC = "best_validation_loss"


class HalvingByKind(InOrder):
    """Trials start in their order; after validations, those behind their like are stopped."""

    def __init__(self) -> None:
        super().__init__()
        self._halvings: dict[str, AsyncHyperBandScheduler] = {}
        self._steps: dict[str, set[float]] = {}  # of validations, by trial

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        super().on_trial_add(tune_controller, trial)
        self._of(trial).on_trial_add(tune_controller, trial)

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        if _METRIC not in result:  # it has begun or is over
            return str(TrialScheduler.CONTINUE)
        # One that goes on from a checkpoint tells of its validations once more.
        steps = self._steps.setdefault(trial.trial_id, set())
        steps.add(result["step"])
        figures = {_METRIC: result[_METRIC], "validation": len(steps)}
        return str(self._of(trial).on_trial_result(tune_controller, trial, figures))

    def _of(self, trial: Any) -> AsyncHyperBandScheduler:
        name = candidates_of(Cell.from_json(trial.config["cell"]))
        if name not in self._halvings:
            self._halvings[name] = AsyncHyperBandScheduler(
                time_attr="validation",
                metric=_METRIC,
                mode="min",
                max_t=10**6,  # trials end by themselves
                grace_period=1,
                reduction_factor=_REDUCTION,
            )
        return self._halvings[name]


def candidates_of(cell: Cell) -> str:
    """A name that the candidates of one cell share."""
    options = {name: value for name, value in cell.options.items() if name not in SEARCHED}
    return replace(cell, options=options).hash
