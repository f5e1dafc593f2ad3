"""What the tables of a frame share: their rows are contenders, best first."""

from __future__ import annotations

from collections.abc import Sequence

from reports import formats
from reports.analysis import Analysis
from reports.links import link
from reports.matrix import failure_entry
from reports.tables import Entry, Form, Missing, Number, Row, mean_known

CONTENDER = "attention + score"


def contender_row(analysis: Analysis, place: int, entries: Sequence[Entry]) -> Row:
    """A contender's row, linked to its page; where all its trials failed, one entry says so."""
    contender = analysis.frame.contenders[place]
    if contender.done or not contender.failed:
        return Row(contender.name, tuple(entries), href=link(analysis, place))
    return Row(contender.name, (), spanning=failure_entry(contender))


def mean_entry(values: Sequence[float | None], *, digits: int = 3, form: Form = "plain") -> Entry:
    """The mean over seeds of what is known, saying so where that is not all."""
    mean, known = mean_known(values)
    if mean is None:
        return Missing("not measured")
    note = "" if known == len(values) else f"{known} of {formats.plural(len(values), 'seed')}"
    return Number(mean, digits=digits, form=form, note=note)
