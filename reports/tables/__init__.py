"""Tables as plain data, independent of their form.

A table is columns and rows of entries. An entry is a number, a text, or the reason why there is
no number; it is never blank and never zero for want of a figure. Pages, Markdown, LaTeX and CSV
are written from the same table.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal

import numpy as np
import pandas as pd

from reports import formats
from reports.load import BenchmarkSetting, Contender, Frame, slug
from reports.statistics import Analysis
from reports.statistics.significance import Estimate

#: Pages show so many rows of a table; its files have all.
ROWS = 80
#: Texts of up to so many characters stay on one line.
SHORT = 16
_ENOUGH_FOR_FENCES = 5
#: The mark of what had not converged, in tables, and what it means.
UNCONVERGED = "\N{DAGGER}"
LEGEND = (
    f"{UNCONVERGED} Not converged: the validation loss of one seed or more was still improving "
    "when training ended. Trained for longer it may do better, so its place is not final."
)

Absence = Literal["not applicable", "not run", "failed", "not measured"]
Better = Literal["", "higher", "lower"]
Form = Literal["plain", "percent", "p", "count", "seconds", "bytes", "rate"]
_WRITTEN: Mapping[Form, Callable[[float], str]] = {
    "percent": formats.percent,
    "p": formats.probability,
    "count": formats.count,
    "seconds": formats.seconds,
    "bytes": formats.size,
    "rate": lambda value: f"{formats.count(value)}/s",
}


@dataclass(frozen=True)
class Number:
    """A number with its format and what stands beside it.

    Attributes:
        low, high: its interval, where there is one.
        digits: decimals it is shown with.
        group: tie group; 1 is the best and all that cannot be told apart from it.
        shade: 0 (worst of its table) to 1 (best), None for no colour.
        note: what else a reader should know, in a few words.
        signed: a difference, written with its sign.
        href: a page of the site that says more.
        converged: whether the training of what it is a figure of had; None where the row says so,
            where it is not known, and where nothing was trained.
    """

    value: float
    low: float | None = None
    high: float | None = None
    digits: int = 3
    form: Form = "plain"
    group: int | None = None
    shade: float | None = None
    note: str = ""
    signed: bool = False
    href: str = ""
    converged: bool | None = None

    @property
    def text(self) -> str:
        if self.form == "plain":
            return (formats.signed if self.signed else formats.number)(self.value, self.digits)
        if self.form == "percent" and self.signed:
            return formats.points(self.value)
        return _WRITTEN[self.form](self.value)

    @property
    def interval(self) -> str:
        """The interval as text, `[40.1, 42.3]`, or "" where none is known."""
        if self.low is None or self.high is None:
            return ""
        if self.form == "percent":
            return formats.interval(100 * self.low, 100 * self.high, 1)
        return formats.interval(self.low, self.high, self.digits)


@dataclass(frozen=True)
class Missing:
    """The reason why there is no number."""

    kind: Absence
    reason: str = ""

    @property
    def text(self) -> str:
        return f"{self.kind}: {self.reason}" if self.reason else self.kind

    @property
    def short(self) -> str:
        """The kind alone, for narrow cells."""
        return "n/a" if self.kind == "not applicable" else self.kind


@dataclass(frozen=True)
class Label:
    """A text entry; `href` is a link inside the site."""

    text: str
    href: str = ""

    @property
    def is_short(self) -> bool:
        """Whether the text is one item (`5 of 5`, a name, an id) that should not be broken over
        lines."""
        return len(self.text) <= SHORT


Entry = Number | Missing | Label


@dataclass(frozen=True)
class Column:
    """A column: its key in CSV files, heading, explanation, heading over several columns, and
    whether it holds texts.

    Attributes:
        better: "higher" or "lower" where one of them is the better figure, else "".
        is_cost: whether its figures are costs, to be weighed against quality.
        form, digits, signed: how the numbers of a frame are written (`Number`).
        ends: the columns of a frame that have the ends of their intervals.
        absent: what stands where a frame has no value.
    """

    key: str
    label: str
    help: str = ""
    group: str = ""
    text: bool = False
    better: Better = ""
    is_cost: bool = False
    form: Form = "plain"
    digits: int = 3
    signed: bool = False
    ends: tuple[str, str] | None = None
    absent: Missing = Missing("not measured")

    def entry(self, row: Mapping[str, Any]) -> Entry:
        """The entry of a row of a frame, which has a figure, a text, an entry or nothing."""
        value = row[self.key]
        if isinstance(value, str):
            return Label(value)
        if isinstance(value, Entry):
            return value
        if pd.isna(value):
            return self.absent
        low, high = (row[end] for end in self.ends) if self.ends else (None, None)
        return Number(value, low, high, self.digits, self.form, signed=self.signed)


def metric_column(key: str, label: str, metric: str, **told: Any) -> Column:
    """A column of values of a metric, with its decimals and its unit."""
    return Column(key, label, form=form_of(metric), digits=formats.decimals(metric), **told)


@dataclass(frozen=True)
class Row:
    """A row: its heading and one entry per column.

    Attributes:
        detail: a second, quieter line of the heading.
        spanning: the single entry that stands for all columns, for rows to which the columns do
            not apply (an attention without a score).
        apart: whether it is set apart from the rows before it (baselines among mechanisms).
        href: a page of the site that says more.
        converged: whether the training of its contender had; None where each number says so,
            where it is not known, and where nothing was trained.
        axes: what it is a row of, by axis: attention, score, backbone, options.
    """

    label: str
    entries: tuple[Entry, ...] = ()
    detail: str = ""
    spanning: Entry | None = None
    apart: bool = False
    href: str = ""
    converged: bool | None = None
    axes: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Table:
    """A table with its title and the notes printed under it.

    Attributes:
        name: file name without suffix.
        corner: heading over the row headings.
        spanning_key: CSV column for entries that span all columns.
        shows_notes: the notes of its numbers belong to what it says, and are shown beside them.
    """

    name: str
    title: str
    corner: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    spanning_key: str = ""
    shows_notes: bool = False

    def __post_init__(self) -> None:
        for row in self.rows:
            assert row.spanning or len(row.entries) == len(self.columns), row.label

    @classmethod
    def of_frame(
        cls,
        head: tuple[str, str, str],
        columns: Sequence[Column],
        frame: pd.DataFrame,
        notes: Iterable[str] = (),
    ) -> Table:
        """A table of a frame, whose index has the headings of rows. Its columns `converged` and
        `apart`, where it has them, are those of `Row`."""
        records: Any = frame.to_dict("records")
        rows = tuple(
            Row(
                str(label),
                tuple(column.entry(one) for column in columns),
                apart=one.get("apart", False),
                converged=None if pd.isna(one.get("converged")) else one["converged"],
            )
            for label, one in zip(frame.index, records, strict=True)
        )
        return cls(*head, tuple(columns), rows, tuple(notes))

    @property
    def all_notes(self) -> tuple[str, ...]:
        """The notes, and the legend of the mark of what had not converged."""
        marked = any(
            False in (row.converged, *(getattr(one, "converged", None) for one in every))
            for row in self.rows
            for every in [(*row.entries, row.spanning)]
        )
        return (*self.notes, LEGEND) if marked else self.notes

    @property
    def shown(self) -> tuple[Row, ...]:
        """The rows that a page shows: the first ones, and all that are set apart."""
        first = [row for row in self.rows if not row.apart][:ROWS]
        return (*first, *(row for row in self.rows if row.apart))

    @property
    def grouped(self) -> bool:
        """Whether there is a line of headings over the headings."""
        return any(column.group for column in self.columns)

    def first_number(self, place: int) -> Number | None:
        """The first number of a column."""
        entries = (one.spanning or one.entries[place] for one in self.rows)
        return next((one for one in entries if isinstance(one, Number)), None)

    @property
    def has_spanning_column(self) -> bool:
        """Whether formats that cannot span columns need a column for spanning entries."""
        return bool(self.spanning_key) and any(row.spanning for row in self.rows)

    @property
    def groups(self) -> list[tuple[str, int]]:
        """The headings over the headings, each with the number of columns it spans."""
        runs = groupby(self.columns, key=lambda column: column.group)
        return [(name, len(list(members))) for name, members in runs]


def estimate_entry(estimate: Estimate | None, metric: str, **told: Any) -> Entry:
    """An estimate as an entry, with what it rests on as its note.

    Args:
        told: what a `Number` has besides (`group`, `shade`, another `note`).
    """
    if estimate is None:
        return Missing("not measured")
    told = {"note": basis_note(estimate), **told}
    return metric_number(estimate.value, metric, estimate.low, estimate.high, **told)


def metric_number(
    value: float, metric: str, low: float | None = None, high: float | None = None, **told: Any
) -> Number:
    """A value of a metric, with the decimals and the unit of that metric."""
    return Number(value, low, high, formats.decimals(metric), form_of(metric), **told)


def measured(value: float | None, **told: Any) -> Entry:
    """A number, or that it was not measured where there is none."""
    return Missing("not measured") if value is None else Number(value, **told)


def measured_metric(value: float | None, metric: str, *ends: float | None) -> Entry:
    """The same of a metric, and of the ends of its interval."""
    return Missing("not measured") if value is None else metric_number(value, metric, *ends)


def better_of(frame: Frame) -> Better:
    """The direction of a frame's main metric."""
    return "higher" if frame.higher_is_better else "lower"


def form_of(metric: str) -> Form:
    """Return the form of a metric's values: "percent" for fractions, else "plain"."""
    return "percent" if formats.is_fraction(metric) else "plain"


def basis_note(estimate: Estimate) -> str:
    """Describe what an estimate rests on: `3 seeds, 500 examples`."""
    examples = f", {formats.plural(estimate.examples, 'example')}" if estimate.examples else ""
    return f"{formats.plural(estimate.seeds, 'seed')}{examples}"


def shades(values: Sequence[float | None], *, higher_is_better: bool) -> list[float | None]:
    """Scale values from 0 (worst) to 1 (best). Outliers beyond Tukey's fences take the end of
    the scale and leave the rest its contrast."""
    known = inner = np.array([value for value in values if value is not None])
    if len(known) >= _ENOUGH_FOR_FENCES:
        first, third = np.quantile(known, [0.25, 0.75])
        reach = 1.5 * (third - first)
        inner = known[(known >= first - reach) & (known <= third + reach)] if reach else known
    low, high = (inner.min(), inner.max()) if len(known) else (0.0, 0.0)
    if low == high:
        return [None if value is None else 1.0 for value in values]
    scale = (0.0, 1.0) if higher_is_better else (1.0, 0.0)
    return [
        None if value is None else float(np.interp(value, (low, high), scale)) for value in values
    ]


def mean_known(values: Sequence[float | None]) -> tuple[float | None, int]:
    """Return the mean of the values that are not None, and their number."""
    known = [value for value in values if value is not None]
    return (sum(known) / len(known) if known else None), len(known)


def task_page_name(task: str) -> str:
    """Return the file name of a task's page."""
    return f"{slug(task)}.html"


def cell_page_name(setting: BenchmarkSetting, contender: Contender) -> str:
    """Return the file name of a contender's page. Different names may share a slug, so a digest
    follows."""
    whole = f"{setting.slug} {contender.name}"
    digest = hashlib.sha256(whole.encode()).hexdigest()[:8]
    return f"cell-{slug(whole)[:80]}-{digest}.html"


def contender_href(analysis: Analysis, place: int) -> str:
    """Return the page of the contender at this place, or "" where it has none: only leading
    contenders have one."""
    if place not in analysis.leading:
        return ""
    return cell_page_name(analysis.frame.setting, analysis.frame.contenders[place])
