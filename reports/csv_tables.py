"""Tables as CSV text."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from reports.tables import Entry, Missing, Number, Row, Table

# A spreadsheet takes texts that begin so for formulas.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_text(table: Table) -> str:
    """Plain figures, unrounded, with interval ends and tie group in columns of their own where a
    column has them. Missing figures say why in words."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    keys = [column.key for column in table.columns]
    extra = table.has_spanning_column
    if extra:
        keys = [table.spanning_key, *keys]
    grid = [_csv_entries(row, table, extra) for row in table.rows]
    parts = [_csv_parts([line[place] for line in grid], table) for place in range(len(keys))]
    header = [f"{key}{part}" for key, own in zip(keys, parts, strict=True) for part in own]
    writer.writerow([table.corner, *header])
    for row, line in zip(table.rows, grid, strict=True):
        fields = [
            _csv_field(entry, part) for entry, own in zip(line, parts, strict=True) for part in own
        ]
        writer.writerow([_safe(row.label), *fields])
    return out.getvalue()


def _csv_entries(row: Row, table: Table, extra: bool) -> list[Entry]:
    """The entries of a row; `extra` is for the column of what spans all others."""
    if not extra:
        return [row.spanning] * len(table.columns) if row.spanning else list(row.entries)
    if row.spanning:
        unused = Missing("not applicable", f"{row.label} has no score function")
        return [row.spanning, *(unused for _ in table.columns)]
    return [Missing("not applicable", f"{row.label} needs a score function"), *row.entries]


def _csv_parts(entries: Sequence[Entry], table: Table) -> list[str]:
    numbers = [entry for entry in entries if isinstance(entry, Number)]
    parts = [""]
    if any(number.low is not None for number in numbers):
        parts += ["_low", "_high"]
    if any(number.group is not None for number in numbers):
        parts.append("_group")
    if table.tells:
        parts.append("_note")
    return parts


def _csv_field(entry: Entry, part: str) -> str:
    if not isinstance(entry, Number):
        return _safe(entry.text) if part == "" else ""
    if part == "_note":
        return _safe(entry.note)
    value = {
        "": entry.value,
        "_low": entry.low,
        "_high": entry.high,
        "_group": entry.group,
    }[part]
    return "" if value is None else repr(value)


def _safe(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text
