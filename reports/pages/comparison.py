"""The page of two stores beside each other (`reports.statistics.comparison`)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from reports import formats
from reports.load import BenchmarkSetting
from reports.output_folder import write_files
from reports.pages import STYLE, TABLES, asset, style_sheet, template_environment
from reports.statistics.comparison import CellDifference, StoreComparison
from reports.tables import (
    Column,
    Entry,
    Label,
    Number,
    Row,
    Table,
    measured,
    metric_number,
)
from reports.writers import csv_text


def write_comparisons(comparisons: Sequence[StoreComparison], out: Path) -> list[Path]:
    """Write the comparisons as a page and as CSV; return the files. Raises UsageError where the
    folder cannot be written."""
    parts = [(one, tables(one, place)) for place, one in enumerate(comparisons, start=1)]
    page = template_environment().get_template("compare.html.j2").render(parts=parts)
    files = [(f"tables/{one.name}.csv", csv_text(one)) for _, own in parts for one in own]
    files += [("index.html", formats.clean(page)), (STYLE, style_sheet())]
    files.append((TABLES, asset(TABLES)))
    return write_files(out, files, "comparison")


def tables(comparison: StoreComparison, number: int) -> list[Table]:
    """Build a table for each setting that both stores have; `number` makes the names of several
    comparisons distinct."""
    by_setting: dict[BenchmarkSetting, list[CellDifference]] = {}
    for one in comparison.differences:
        by_setting.setdefault(one.setting, []).append(one)
    return [_table(setting, own, number) for setting, own in by_setting.items()]


def _table(setting: BenchmarkSetting, differences: Sequence[CellDifference], number: int) -> Table:
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
        tuple(Row(one.contender, _entries(one), converged=one.converged) for one in differences),
        (
            f"{formats.title(first.metric)}, {better} is better; means over the seeds of both.",
            *([first.shared] if first.shared else []),
        ),
    )


def _entries(one: CellDifference) -> tuple[Entry, ...]:
    verdict = f"{one.told} ({one.reason})" if one.reason else one.told
    return (
        metric_number(one.before, one.metric),
        metric_number(one.after, one.metric),
        metric_number(one.after - one.before, one.metric, one.low, one.high, signed=True),
        measured(one.p, form="p"),
        Label(verdict),
        Number(len(one.seeds), form="count"),
    )
