"""What a tracker is: the interface through which a trial tells how it goes.

Tracking is a convenience. The store holds the results; whatever goes wrong here is said in
`Tracker.problem` and never fails, stops or slows a trial.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from bench.store.result import Result
    from bench.store.trace import Trace

Mode = Literal["online", "offline", "off"]


@dataclass(frozen=True)
class Decision:
    """How trials are tracked, and why, in words for the user."""

    mode: Mode
    reason: str


class Tracker(Protocol):
    """Follows one trial: `with open_tracker(...) as tracker:`, around all of it.

    Leaving the block without `finish` (an exception, a kill) marks the run as failed.
    """

    #: Why tracking stopped or was not possible, in one line; None while all is well.
    problem: str | None

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """A point of the learning curve; a few dozen a trial."""

    def finish(
        self,
        result: Result,
        predictions: Sequence[Mapping[str, Any]] = (),
        traces: Sequence[Trace] = (),
    ) -> None:
        """The result, done or failed, and what it looked like. Called once, last."""

    def __enter__(self) -> Tracker: ...

    def __exit__(self, *error: object) -> None: ...


class NullTracker:
    """Listens to nothing."""

    def __init__(self, problem: str | None = None) -> None:
        self.problem = problem

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Nothing happens."""

    def finish(
        self,
        result: Result,
        predictions: Sequence[Mapping[str, Any]] = (),
        traces: Sequence[Trace] = (),
    ) -> None:
        """Nothing happens."""

    def __enter__(self) -> NullTracker:
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing happens."""
