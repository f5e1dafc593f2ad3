"""What becomes of a trial: its result in the store, and what a worker tells the driver of it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from bench.store.cell import Cell
from bench.store.provenance import provenance
from bench.store.result import Failure, Primary, Result

if TYPE_CHECKING:
    from ablations.context import TrialContext

_log = logging.getLogger(__name__)

#: Kinds of failure that the sweep itself names; trials add theirs.
WORKER_DIED = "worker died"
OUT_OF_MEMORY = "out of memory"
NOT_STORED = "not stored"
TIMED_OUT = "timed out"


@dataclass(frozen=True)
class Outcome:
    """One finished trial in brief.

    Attributes:
        hash: of the cell.
        status: of the result; "interrupted" where a stop was asked for and there is none.
        figure: headline figure by name, as in ("BLEU", 31.2); None for a failure.
        failure: kind and message; None for a finished trial.
        seconds: of the whole trial; 0 for one that another sweep had stored meanwhile.
        stored: whether the store holds the result.
        problem: what went wrong beside the trial (with its tracking), in a line, or None.
    """

    hash: str
    status: Literal["done", "failed", "interrupted"]
    figure: tuple[str, float] | None = None
    failure: tuple[str, str] | None = None
    seconds: float = 0.0
    stored: bool = True
    problem: str | None = None

    @classmethod
    def of(cls, result: Result, seconds: float = 0.0, *, stored: bool = True) -> Outcome:
        """The outcome that a result amounts to."""
        primary, failure = result.primary, result.failure
        return cls(
            hash=result.hash,
            status=result.status,
            figure=None if primary is None else (primary.name, primary.value),
            failure=None if failure is None else (failure.kind, failure.message),
            seconds=seconds,
            stored=stored,
        )

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Outcome:
        names = ("hash", "status", "figure", "failure", "seconds", "stored", "problem")
        fields = {name: data[name] for name in names}  # Ray's reports hold more
        for name in ("figure", "failure"):
            fields[name] = tuple(fields[name]) if fields[name] else None
        return cls(**fields)


def validated(validation_loss: float, steps: float) -> dict[str, Any]:
    """The figures of a candidate of a search, as fields of its `Result`: no test data are used."""
    return {
        "metrics": {"validation_loss": validation_loss, "steps": steps},
        "primary": Primary(
            name="validation loss",
            value=validation_loss,
            low=validation_loss,
            high=validation_loss,
            higher_is_better=False,
        ),
    }


def stopped_early(
    cell: Cell, context: TrialContext, figures: Mapping[str, float], *, started: str
) -> Result:
    """The result of a candidate that a scheduler has stopped.

    Args:
        figures: what it reported last (`TrialContext.report`).
    """
    return Result(
        hash=cell.hash,
        cell=cell.to_json(),
        status="done",
        **validated(figures["validation_loss"], figures["step"]),
        provenance=provenance(
            started=started,
            device=context.device,
            threads=context.threads,
            study=context.study,
            notes=[f"stopped early after step {figures['step']:g}"],
        ),
    )


def failed_trial(
    cell: Cell, context: TrialContext, kind: str, message: str, *, started: str
) -> Result:
    """The `failed_result` of a trial in these surroundings."""
    return failed_result(
        cell,
        kind,
        message,
        started=started,
        device=context.device,
        threads=context.threads,
        study=context.study,
    )


def failed_result(
    cell: Cell,
    kind: str,
    message: str,
    *,
    started: str,
    device: str = "cpu",
    threads: int = 1,
    study: str | None = None,
) -> Result:
    """The record of a trial that came to nothing.

    Args:
        kind: short and countable ("diverged", an exception's class name).
        message: anything; it is made one line.
        started: `bench.store.provenance.utc_now()` of its beginning.
    """
    return Result(
        hash=cell.hash,
        cell=cell.to_json(),
        status="failed",
        failure=Failure(kind=kind, message=" ".join(message.split())),
        provenance=provenance(started=started, device=device, threads=threads, study=study),
    )


def held_result(cell: Cell, context: TrialContext) -> Result | None:
    """What the store holds of a cell that makes its trial needless, or None."""
    store = context.store()
    if store is None:
        return None
    try:
        result = store.get(cell.hash)
    except (KeyError, ValueError, OSError):  # none, or unusable: the trial writes it anew
        return None
    if result.status == "done":
        return result
    # Its process ended a moment ago, after it had stored this (`time_limit` does so on purpose):
    # once more would come to the same.
    mine = context.sweep is not None and result.provenance.started >= context.sweep_began
    return result if mine else None


def store_quietly(result: Result, context: TrialContext) -> bool:
    """Whether the result is in the store now; says why not in the log."""
    try:
        store = context.store()
        if store is None:
            return False
        store.put(result)
    except (ValueError, OSError) as error:
        _log.error("%s cannot be stored: %s", result.hash[:12], error)
        return False
    return True
