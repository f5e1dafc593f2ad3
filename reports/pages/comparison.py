"""Comparisons of stores as a page and as CSV."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from reports import formats
from reports.compare import Comparison, Difference
from reports.figures.svg import clean
from reports.load import Setting
from reports.output_folder import write_files
from reports.pages.site import environment
from reports.tables import Column, Entry, Label, Missing, Number, Row, Table, form_of
from reports.writers import csv_text


def write(comparisons: Sequence[Comparison], out: Path) -> list[Path]:
    """Write everything; returns the files. Raises UsageError where the folder cannot be written."""
    parts = [(one, tables(one, place)) for place, one in enumerate(comparisons, start=1)]
    page = environment().get_template("compare.html.j2").render(parts=parts)
    files = [(f"tables/{one.name}.csv", csv_text(one)) for _, own in parts for one in own]
    return write_files(out, [("index.html", clean(page)), *files], "comparison")


def tables(comparison: Comparison, number: int) -> list[Table]:
    """A table for each setting that both stores have; `number` keeps names of several apart."""
    settings = dict.fromkeys(one.setting for one in comparison.differences)
    return [
        _table(setting, [one for one in comparison.differences if one.setting == setting], number)
        for setting in settings
    ]


def _table(setting: Setting, differences: Sequence[Difference], number: int) -> Table:
    first = differences[0]
    better = "higher" if first.higher_is_better else "lower"
    return Table(
        f"compare-{number}-{setting.slug}",
        f"{setting.task.capitalize()}, {setting.label}: {formats.metric_name(first.metric)}",
        "attention + score",
        (
            Column("before", "before"),
            Column("after", "after"),
            Column("difference", "after − before"),
            Column("p", "p", "two-sided, after Holm's correction over all comparisons"),
            Column("verdict", "verdict", text=True),
            Column("seeds", "seeds"),
        ),
        tuple(Row(one.contender, _entries(one)) for one in differences),
        (f"{formats.title(first.metric)}, {better} is better; means over the seeds of both.",),
    )


def _entries(one: Difference) -> tuple[Entry, ...]:
    digits, form = formats.decimals(one.metric), form_of(one.metric)
    verdict = f"{one.verdict} ({one.reason})" if one.reason else one.verdict
    return (
        Number(one.before, digits=digits, form=form),
        Number(one.after, digits=digits, form=form),
        Number(one.after - one.before, one.low, one.high, digits, form, signed=True),
        Missing("not measured") if one.p is None else Number(one.p, form="p"),
        Label(verdict),
        Number(len(one.seeds), form="count"),
    )
