"""The interface of a tracker, several trackers as one, and what of a result all of them log.

Tracking is a convenience. The store holds the results; whatever goes wrong here is said in
`Tracker.problem` and never fails, stops or slows a trial.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from bench.store.result import Result, Trace


class Tracker(Protocol):
    """A tracker of one trial: `with open_trackers(...) as tracker:`, around all of it.

    Leaving the block without `finish` (an exception, a kill) marks the run as failed.
    """

    @property
    def problem(self) -> str | None:
        """Why tracking stopped or was not possible, in one line; None while all is well."""

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Log a point of the learning curve; a trial has a few dozen."""

    def finish(
        self,
        result: Result,
        predictions: Sequence[Mapping[str, Any]] = (),
        traces: Sequence[Trace] = (),
    ) -> None:
        """Log the result, done or failed, with predictions and traces. Called once, last."""

    def __enter__(self) -> Tracker: ...

    def __exit__(self, *error: object) -> None: ...


class NullTracker:
    """A tracker that ignores everything."""

    def __init__(self, problem: str | None = None) -> None:
        self.problem = problem

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Do nothing."""

    def finish(
        self,
        result: Result,
        predictions: Sequence[Mapping[str, Any]] = (),
        traces: Sequence[Trace] = (),
    ) -> None:
        """Do nothing."""

    def __enter__(self) -> NullTracker:
        return self

    def __exit__(self, *error: object) -> None:
        """Do nothing."""


class SeveralTrackers:
    """Several trackers of one trial, each of which hears everything."""

    def __init__(self, trackers: Sequence[Tracker]) -> None:
        self._trackers = trackers
        self._stack = ExitStack()

    @property
    def problem(self) -> str | None:
        return "; ".join(one.problem for one in self._trackers if one.problem) or None

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        for one in self._trackers:
            one.log(step, metrics)

    def finish(
        self,
        result: Result,
        predictions: Sequence[Mapping[str, Any]] = (),
        traces: Sequence[Trace] = (),
    ) -> None:
        for one in self._trackers:
            one.finish(result, predictions, traces)

    def __enter__(self) -> SeveralTrackers:
        for one in self._trackers:
            self._stack.enter_context(one)
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()


def figures_of(result: Result, test: str = "") -> dict[str, float]:
    """The numbers of a result by name: its metrics and headline figure (after the prefix `test`),
    `alignment/...` and `cost/...`."""
    figures = {f"{test}{name}": value for name, value in result.metrics.items()}
    if result.primary:
        figures[f"{test}primary"] = result.primary.value
        for bound in ("low", "high"):
            figures[f"{test}primary_{bound}"] = getattr(result.primary, bound)
    if result.alignment:
        judged = result.alignment.model_dump(exclude={"forced", "baselines"}, exclude_none=True)
        figures |= {f"alignment/{name}": value for name, value in judged.items()}
    cost = result.cost.model_dump(exclude_none=True)
    return figures | {f"cost/{name}": value for name, value in cost.items()}
