"""The tables of the page on papers: a published column beside ours, and every two of its rows."""

from __future__ import annotations

import shlex
from collections import Counter
from typing import TYPE_CHECKING

from reports import formats
from reports.load import all_converged, slug
from reports.replication import JUDGED, OurResults, PairVerdict, PaperColumn, Replication
from reports.tables import (
    Column,
    Entry,
    Label,
    Missing,
    Number,
    Row,
    Table,
    estimate_entry,
    measured,
    metric_number,
)

if TYPE_CHECKING:
    from ablations.study import Published


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
    give one. A paper of which nothing was run has one row."""
    columns = tuple(
        Column(key, key, text=True) for key in ("column", "ours", "outcome", "in words")
    )
    rows = [
        _summary(replication, column, store)
        for replication in replications
        for column in (replication.columns if replication.run else replication.columns[:1])
    ]
    notes = (
        "Only orderings are compared: sizes, data and training differ from the papers'. “Held” "
        "and “not held” are differences beyond chance, after Holm's correction over the pairs of "
        "a column.",
    )
    return Table(
        "replications", "Did the papers' orderings hold?", "paper", columns, tuple(rows), notes
    )


def _summary(replication: Replication, column: PaperColumn, store: str) -> Row:
    setting, told, href = "", f"run it with: {command(replication, store)}", ""
    if column.outcome != "not run":
        setting, told = column.setting, sentence(column)
        href = f"replication.html#{slug(replication.study)}"
    name, outcome = Label(f"{column.dataset}, {column.metric}"), Label(column.outcome, href)
    return Row(replication.paper, (name, Label(setting), outcome, Label(told)))


def rows_table(replication: Replication, column: PaperColumn, place: int) -> Table:
    """Build the table of the paper's rows, best first, beside our results."""
    ours = column.ours
    metric = formats.metric_name(ours.metric) if ours else "ours"
    columns = (
        Column("published", f"{column.metric} in the paper", column.dataset),
        Column("ours", f"our {metric}", column.setting),
        Column("mechanism", "our mechanism", text=True),
    )
    rows = tuple(_row(row, ours) for row in column.rows)
    better = "higher" if column.higher_is_better else "lower"
    notes = [f"In the paper {better} is better. {sentence(column)}"]
    if any(row.certainty == "secondary" for row in column.rows):
        notes.append("Published figures were taken from secondary sources, not from the paper.")
    if ours and any(one and one.low is None for one in ours.estimates.values()):
        notes.append("A figure without an interval comes from a single seed.")
    title = f"{replication.paper}: {column.dataset}, {column.metric}"
    name = f"replication-{slug(replication.study)}-{place}"
    return Table(name, title, "row of the paper", columns, rows, tuple(notes))


def _row(row: Published, ours: OurResults | None) -> Row:
    decimals = f"{row.value:.2f}".rstrip("0").partition(".")[2]  # at most two
    published = Number(row.value, digits=len(decimals), note=row.certainty)
    estimate = ours.estimates.get(row.row) if ours else None
    if ours is None or estimate is None:
        return Row(row.row, (published, Missing("not run"), Label("")))
    entry = estimate_entry(estimate, ours.metric)
    converged = ours.converged.get(row.row)
    return Row(row.row, (published, entry, Label(ours.names[row.row])), converged=converged)


def pairs_table(replication: Replication, column: PaperColumn, place: int) -> Table:
    """Build the table of all pairs of rows, the better one of the paper first."""
    metric = column.ours.metric if column.ours else ""
    columns = (
        Column("worse", "and worse in the paper", text=True),
        Column("lead", "our lead the same way"),
        Column("p", "p (Holm)"),
        Column("verdict", "ordering", text=True),
    )
    rows = tuple(_pair(pair, metric, column.ours) for pair in column.pairs)
    title = f"Every two rows of {replication.paper}: {column.dataset}, {column.metric}"
    name = f"replication-{slug(replication.study)}-{place}-pairs"
    return Table(name, title, "better in the paper", columns, rows)


def _pair(pair: PairVerdict, metric: str, ours: OurResults | None) -> Row:
    lead: Entry = (
        Missing("not run" if pair.verdict == "not run" else "not applicable")
        if pair.lead is None
        else metric_number(pair.lead, metric, signed=True)
    )
    both = [ours.converged.get(row) for row in (pair.better, pair.worse)] if ours else []
    entries = (Label(pair.worse), lead, measured(pair.p, form="p"), Label(pair.verdict))
    return Row(pair.better, entries, converged=all_converged(both))


def sentence(column: PaperColumn) -> str:
    """Summarize a column in words: `The paper's ordering held in 4 of 6 pairs; 2 cannot be told
    apart.`"""
    if column.outcome == "not run":
        return "Fewer than two of these rows were run on the same examples, so nothing is compared."
    numbers: Counter[str] = Counter(pair.verdict for pair in column.pairs)
    if column.outcome == "equal in the paper":
        return "The paper has equal figures here, so there is no ordering to hold."
    if column.outcome == "one seed":
        same = sum(pair.verdict == "one seed" and (pair.lead or 0) > 0 for pair in column.pairs)
        return (
            f"One seed decides nothing; with it, figures lie the paper's way round in {same} of "
            f"{numbers['one seed']} pairs."
        )
    judged = sum(numbers[kind] for kind in JUDGED)
    told = [f"The paper's ordering held in {numbers['held']} of {judged} pairs"]
    others = {
        "not held": "the other way round in {}",
        "cannot be told apart": "{} cannot be told apart",
        "one seed": "{} of one seed",
        "equal in the paper": "{} equal in the paper",
        "other test examples": "{} tested on other examples",
        "not run": "{} not run",
    }
    told += [text.format(numbers[kind]) for kind, text in others.items() if numbers[kind]]
    return "; ".join(told) + "."
