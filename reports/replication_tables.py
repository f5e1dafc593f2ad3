"""Replications as tables: a paper's rows beside ours, and the verdict on every two of them."""

from __future__ import annotations

import shlex

from reports import formats
from reports.frames import slug
from reports.replication import Column as PaperColumn
from reports.replication import Ours, PairVerdict, Replication, sentence
from reports.tables import Column, Entry, Label, Missing, Number, Row, Table, estimated, form_of


def command(replication: Replication, store: str) -> str:
    """How to run a study into a store."""
    return f"attnbench sweep {replication.study} --store {shlex.quote(store)}"


def tables_of(replication: Replication) -> list[tuple[PaperColumn, Table, Table]]:
    """For each column that was run: the rows, and the pairs."""
    return [
        (column, rows_table(replication, column, place), pairs_table(replication, column, place))
        for place, column in enumerate(replication.columns, start=1)
        if column.outcome != "not run"
    ]


def summary_table(replications: tuple[Replication, ...], store: str) -> Table:
    """One row a column of a paper, with its outcome or how to get one."""
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
    """The columns to be told of: of a paper of which nothing was run, the first says how."""
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
    """The paper's rows, best first, with ours beside them."""
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


def _row(name: str, value: float, certainty: str, ours: Ours | None) -> Row:
    published = Number(value, digits=_digits(value), note=certainty)
    estimate = ours.estimates.get(name) if ours else None
    if ours is None or estimate is None:
        return Row(name, (published, Missing("not run"), Label("")))
    return Row(name, (published, estimated(estimate, ours.metric), Label(ours.names[name])))


def _digits(value: float) -> int:
    """As many decimals as were published, two at most."""
    text = f"{value:.2f}".rstrip("0")
    return len(text) - text.index(".") - 1


def pairs_table(replication: Replication, column: PaperColumn, place: int) -> Table:
    """Every two rows, the better one of the paper first."""
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
        digits, form = formats.decimals(metric), form_of(metric)
        lead = Number(pair.lead, digits=digits, form=form, signed=True)
    if pair.p is not None:
        p = Number(pair.p, form="p")
    return Row(pair.better, (Label(pair.worse), lead, p, Label(pair.verdict)))
