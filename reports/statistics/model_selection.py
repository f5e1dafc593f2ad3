"""Model selection: the contender that represents an attention with several scores or options.

The one with the best validation figure, never the one that did best on the test set: the larger of
several test figures is too large by what luck gave it (Cawley and Talbot 2010).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.store.result import Result
from reports.load import Frame
from reports.tables import mean_known

#: What decides where the main metric itself is not measured on validation data; less is better.
VALIDATION_LOSS = "validation_loss"


@dataclass(frozen=True)
class Selection:
    """The selected contender, and the figure that decided.

    Attributes:
        place: in the frame.
        figure: key of the training curve, None where nothing of the kind was recorded.
    """

    place: int
    figure: str | None


def select_by_validation(frame: Frame, places: Sequence[int]) -> Selection:
    """Select the contender with the best validation figure, mean over seeds, at the end of training
    (the last parameters are the ones tested).

    Args:
        places: contenders of the frame that have finished; at least one.

    The validation counterpart of the main metric decides where all of them have it, else the
    validation loss. One without a figure is not chosen as long as another has one; where none
    has, the test figure decides, and `Selection.figure` is None.
    """
    assert places, "nothing to choose from"
    counterpart = f"validation_{frame.main_metric}"
    own = {place: _mean(frame.contenders[place].done, counterpart) for place in places}
    if all(value is not None for value in own.values()):
        return _best(own, counterpart, frame.sign)
    losses = {place: _mean(frame.contenders[place].done, VALIDATION_LOSS) for place in places}
    if any(value is not None for value in losses.values()):
        return _best(losses, VALIDATION_LOSS, -1)
    tested = {place: mean_known(frame.contenders[place].values)[0] for place in places}
    return _best(tested, None, frame.sign)


def _best(values: dict[int, float | None], figure: str | None, sign: int) -> Selection:
    """Return the contender with the best value; ties go to the first."""
    known = {place: sign * value for place, value in values.items() if value is not None}
    return Selection(max(known, key=lambda place: known[place]), figure)


def _mean(results: Sequence[Result], key: str) -> float | None:
    """Mean of `key` at the last point of each curve, or None if any seed lacks it."""
    ends = [result.curve[-1].get(key) if result.curve else None for result in results]
    return None if None in ends else mean_known(ends)[0]
