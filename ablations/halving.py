"""Asynchronous successive halving (ASHA) among the candidates of one cell at a time. Imports Ray.

Losses of different cells mean different things, so each cell has its own brackets.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ray.tune.schedulers import AsyncHyperBandScheduler, TrialScheduler

from ablations.handing import InOrder
from bench.cell import Cell

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
