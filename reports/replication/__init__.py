"""Replication: a paper's rows beside ours, and a verdict on the ordering of every two of them.

Sizes, data and training differ from the papers', so figures are not compared, only orderings.
An ordering of two rows holds where ours differ the same way beyond chance (Holm's correction over
the pairs of a column), does not hold where they differ the other way beyond chance, and is left
open otherwise.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np

from reports import formats
from reports.load import slug
from reports.statistics.significance import LEVEL, Estimate
from reports.tables import (
    Column,
    Entry,
    Label,
    Missing,
    Number,
    Row,
    Table,
    estimate_entry,
    metric_number,
)

OrderingVerdict = Literal[
    "held",
    "not held",
    "cannot be told apart",
    "equal in the paper",
    "other test examples",
    "not run",
]
Outcome = Literal[
    "held", "partly held", "not held", "cannot be told apart", "equal in the paper", "not run"
]


@dataclass(frozen=True)
class OurResults:
    """Our results for the rows of a published column.

    Attributes:
        metric: name of our figure.
        higher_is_better: of our figure.
        estimates: by row, None where nothing was run.
        names: by row, the mechanism that stands for it.
        adjusted: p of the difference of two rows, both ways round; absent or NaN where there is
            no telling.
        comparable: pairs of rows that were tested on the same examples, both ways round.
    """

    metric: str
    higher_is_better: bool
    estimates: Mapping[str, Estimate | None]
    names: Mapping[str, str]
    adjusted: Mapping[tuple[str, str], float]
    comparable: frozenset[tuple[str, str]]


@dataclass(frozen=True)
class PairVerdict:
    """The verdict on two rows of a paper, the better one first.

    Attributes:
        lead: how far ours is ahead the same way; negative the other way round. None where one
            was not run.
        p: of our difference, after Holm.
    """

    better: str
    worse: str
    verdict: OrderingVerdict
    lead: float | None = None
    p: float | None = None


@dataclass(frozen=True)
class PaperRow:
    """A row of a published table.

    Attributes:
        certainty: "seen" for figures read in the paper itself, "secondary" for others.
    """

    name: str
    value: float
    certainty: str = ""


@dataclass(frozen=True)
class PaperColumn:
    """A column of a published table beside ours.

    Attributes:
        dataset, metric: the paper's.
        setting: ours, for people; "" where nothing was run.
        rows: best first, as the paper has them.
    """

    dataset: str
    metric: str
    higher_is_better: bool
    setting: str
    rows: tuple[PaperRow, ...]
    ours: OurResults | None
    pairs: tuple[PairVerdict, ...]

    @property
    def outcome(self) -> Outcome:
        return outcome([pair.verdict for pair in self.pairs])


@dataclass(frozen=True)
class Replication:
    """A study named after a paper: its columns beside ours."""

    study: str
    title: str
    paper: str
    description: str
    columns: tuple[PaperColumn, ...]

    @property
    def run(self) -> bool:
        """Whether two rows of any column were run."""
        return any(column.outcome != "not run" for column in self.columns)


def verdicts(
    rows: Sequence[PaperRow], ours: OurResults | None, *, higher_is_better: bool
) -> tuple[PairVerdict, ...]:
    """Judge every two rows of a column.

    Args:
        higher_is_better: of the paper's figure.
    """
    return tuple(
        _verdict(*_better_first(one, other, higher_is_better), ours)
        for one, other in combinations(rows, 2)
    )


def outcome(found: Sequence[OrderingVerdict]) -> Outcome:
    """Summarize the verdicts of a column: one reversal gives "not held"; "held" needs every
    judged pair to hold."""
    judged = [one for one in found if one in ("held", "not held", "cannot be told apart")]
    if not judged:
        return "equal in the paper" if "equal in the paper" in found else "not run"
    if "not held" in judged:
        return "not held"
    if all(one == "held" for one in judged):
        return "held"
    return "partly held" if "held" in judged else "cannot be told apart"


def sentence(column: PaperColumn) -> str:
    """Summarize a column in words: `The paper's ordering held in 4 of 6 pairs; 2 cannot be told
    apart.`"""
    if column.outcome == "not run":
        return "Fewer than two of these rows were run on the same examples, so nothing is compared."
    kinds = [pair.verdict for pair in column.pairs]
    if column.outcome == "equal in the paper":
        return "The paper has equal figures here, so there is no ordering to hold."
    judged = [kind for kind in kinds if kind in ("held", "not held", "cannot be told apart")]
    told = [f"The paper's ordering held in {judged.count('held')} of {len(judged)} pairs"]
    for kind, text in (
        ("not held", "the other way round in {}"),
        ("cannot be told apart", "{} cannot be told apart"),
        ("equal in the paper", "{} equal in the paper"),
        ("other test examples", "{} tested on other examples"),
        ("not run", "{} not run"),
    ):
        if number := kinds.count(kind):  # type: ignore[arg-type]  # a str that is a OrderingVerdict
            told.append(text.format(number))
    return "; ".join(told) + "."


def _better_first(
    one: PaperRow, other: PaperRow, higher_is_better: bool
) -> tuple[PaperRow, PaperRow]:
    swapped = (other.value > one.value) if higher_is_better else (other.value < one.value)
    return (other, one) if swapped else (one, other)


def _verdict(better: PaperRow, worse: PaperRow, ours: OurResults | None) -> PairVerdict:
    first = ours.estimates.get(better.name) if ours else None
    second = ours.estimates.get(worse.name) if ours else None
    if ours is None or first is None or second is None:
        return PairVerdict(better.name, worse.name, "not run")
    lead = (first.value - second.value) * (1 if ours.higher_is_better else -1)
    pair = better.name, worse.name
    p = ours.adjusted.get(pair)
    known = p if p is not None and not np.isnan(p) else None
    if pair not in ours.comparable:
        return PairVerdict(*pair, "other test examples")
    if better.value == worse.value:
        return PairVerdict(*pair, "equal in the paper", lead, known)
    if known is None or known >= 1 - LEVEL:
        return PairVerdict(*pair, "cannot be told apart", lead, known)
    return PairVerdict(*pair, "held" if lead > 0 else "not held", lead, known)


def command(replication: Replication, store: str) -> str:
    """Return the command that runs a study into a store."""
    return f"attnbench sweep {replication.study} --store {shlex.quote(store)}"


def tables_of(replication: Replication) -> list[tuple[PaperColumn, Table, Table]]:
    """Return, for each column that was run, the table of its rows and that of its pairs."""
    return [
        (column, rows_table(replication, column, place), pairs_table(replication, column, place))
        for place, column in enumerate(replication.columns, start=1)
        if column.outcome != "not run"
    ]


def summary_table(replications: tuple[Replication, ...], store: str) -> Table:
    """Build the table with one row per published column: its outcome, or the command that would
    give one."""
    columns = tuple(
        Column(key, key, text=True) for key in ("column", "ours", "outcome", "in words")
    )
    rows = [
        _summary(replication, column, store)
        for replication in replications
        for column in _told(replication)
    ]
    notes = (
        "Only orderings are compared: sizes, data and training differ from the papers'. “Held” "
        "and “not held” are differences beyond chance, after Holm's correction over the pairs of "
        "a column.",
    )
    return Table(
        "replications", "Did the papers' orderings hold?", "paper", columns, tuple(rows), notes
    )


def _told(replication: Replication) -> tuple[PaperColumn, ...]:
    """Return the columns to list: all of them, or the first one where nothing of the paper was
    run."""
    return replication.columns if replication.run else replication.columns[:1]


def _summary(replication: Replication, column: PaperColumn, store: str) -> Row:
    name = f"{column.dataset}, {column.metric}"
    if column.outcome == "not run":
        told = f"run it with: {command(replication, store)}"
        entries: tuple[Entry, ...] = (Label(name), Label(""), Label("not run"), Label(told))
    else:
        href = f"replication.html#{slug(replication.study)}"
        outcome = Label(column.outcome, href)
        entries = (Label(name), Label(column.setting), outcome, Label(sentence(column)))
    return Row(replication.paper, entries)


def rows_table(replication: Replication, column: PaperColumn, place: int) -> Table:
    """Build the table of the paper's rows, best first, beside our results."""
    ours = column.ours
    metric = formats.metric_name(ours.metric) if ours else "ours"
    columns = (
        Column("published", f"{column.metric} in the paper", column.dataset),
        Column("ours", f"our {metric}", column.setting),
        Column("mechanism", "our mechanism", text=True),
    )
    rows = tuple(_row(row.name, row.value, row.certainty, ours) for row in column.rows)
    better = "higher" if column.higher_is_better else "lower"
    notes = [f"In the paper {better} is better. {sentence(column)}"]
    if any(row.certainty == "secondary" for row in column.rows):
        notes.append("Published figures were taken from secondary sources, not from the paper.")
    if ours and any(one and one.low is None for one in ours.estimates.values()):
        notes.append("A figure without an interval comes from a single seed: it decides nothing.")
    title = f"{replication.paper}: {column.dataset}, {column.metric}"
    name = f"replication-{slug(replication.study)}-{place}"
    return Table(name, title, "row of the paper", columns, rows, tuple(notes))


def _row(name: str, value: float, certainty: str, ours: OurResults | None) -> Row:
    published = Number(value, digits=_digits(value), note=certainty)
    estimate = ours.estimates.get(name) if ours else None
    if ours is None or estimate is None:
        return Row(name, (published, Missing("not run"), Label("")))
    return Row(name, (published, estimate_entry(estimate, ours.metric), Label(ours.names[name])))


def _digits(value: float) -> int:
    """Return the number of published decimals, at most two."""
    text = f"{value:.2f}".rstrip("0")
    return len(text) - text.index(".") - 1


def pairs_table(replication: Replication, column: PaperColumn, place: int) -> Table:
    """Build the table of all pairs of rows, the better one of the paper first."""
    metric = column.ours.metric if column.ours else ""
    columns = (
        Column("worse", "and worse in the paper", text=True),
        Column("lead", "our lead the same way"),
        Column("p", "p (Holm)"),
        Column("verdict", "ordering", text=True),
    )
    rows = tuple(_pair(pair, metric) for pair in column.pairs)
    title = f"Every two rows of {replication.paper}: {column.dataset}, {column.metric}"
    name = f"replication-{slug(replication.study)}-{place}-pairs"
    return Table(name, title, "better in the paper", columns, rows)


def _pair(pair: PairVerdict, metric: str) -> Row:
    lead: Entry = Missing("not run" if pair.verdict == "not run" else "not applicable")
    p: Entry = Missing("not measured")
    if pair.lead is not None:
        lead = metric_number(pair.lead, metric, signed=True)
    if pair.p is not None:
        p = Number(pair.p, form="p")
    return Row(pair.better, (Label(pair.worse), lead, p, Label(pair.verdict)))
