"""The page of two stores beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from reports.formats import clean
from reports.output_folder import write_files
from reports.pages import STYLE, TABLES, asset, style_sheet, template_environment
from reports.statistics.comparison import StoreComparison
from reports.tables.comparison import comparison_tables
from reports.writers import csv_text


def write_comparisons(comparisons: Sequence[StoreComparison], out: Path) -> list[Path]:
    """Write the comparisons as a page and as CSV; return the files. Raises UsageError where the
    folder cannot be written."""
    parts = [(one, comparison_tables(one, at)) for at, one in enumerate(comparisons, start=1)]
    page = template_environment().get_template("compare.html.j2").render(parts=parts)
    files = [(f"tables/{one.name}.csv", csv_text(one)) for _, own in parts for one in own]
    files += [("index.html", clean(page)), (STYLE, style_sheet()), (TABLES, asset(TABLES))]
    return write_files(out, files, "comparison")
