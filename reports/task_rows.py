"""What the tables of a frame share: their rows are contenders, best first."""

from __future__ import annotations

from collections.abc import Sequence

from reports import formats
from reports.analysis import Analysis
from reports.frames import Contender
from reports.matrix import failure_entry
from reports.tables import Entry, Form, Missing, Number, Row, mean_known

CONTENDER = "attention + score"


def contender_row(contender: Contender, entries: Sequence[Entry]) -> Row:
    """A contender's row; where all its trials failed, one entry says so."""
    if contender.done or not contender.failed:
        return Row(contender.name, tuple(entries))
    return Row(contender.name, (), spanning=failure_entry(contender))


def by_merit(analysis: Analysis) -> list[int]:
    """Places of the contenders, best headline figure first, those without one last."""
    sign = -1 if analysis.frame.higher_is_better else 1
    estimates = analysis.headline.estimates
    return sorted(
        range(len(estimates)),
        key=lambda place: (
            (0, sign * one.value) if (one := estimates[place]) is not None else (1, 0.0)
        ),
    )


def mean_entry(values: Sequence[float | None], *, digits: int = 3, form: Form = "plain") -> Entry:
    """The mean over seeds of what is known, saying so where that is not all."""
    mean, known = mean_known(values)
    if mean is None:
        return Missing("not measured")
    note = "" if known == len(values) else f"{known} of {formats.plural(len(values), 'seed')}"
    return Number(mean, digits=digits, form=form, note=note)
