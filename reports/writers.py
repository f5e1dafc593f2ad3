"""Tables as CSV and Markdown, and for terminals (as LaTeX: `reports.latex`)."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from textwrap import fill
from typing import Any

import pandas as pd

from reports.formats import yes_or_no
from reports.tables import UNCONVERGED, Entry, Label, Missing, Number, Row, Table

# A spreadsheet takes texts that begin so for formulas.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def _entries(row: Row, table: Table, unspanned: str) -> list[Entry]:
    """Return one entry per column, for formats whose cells cannot span columns.

    Args:
        unspanned: why a row without a spanning entry has none in the column for those.
    """
    if not table.has_spanning_column:
        return [row.spanning] * len(table.columns) if row.spanning else list(row.entries)
    if row.spanning:
        blank = Missing("not applicable", f"{row.label} has no score function")
        return [row.spanning, *(blank for _ in table.columns)]
    return [Missing("not applicable", unspanned), *row.entries]


def csv_frame(table: Table) -> pd.DataFrame:
    """Return a table as a frame: unrounded figures, with interval ends and tie group in columns of
    their own where a column has them. Missing figures give the reason in words."""
    keys = [column.key for column in table.columns]
    if table.has_spanning_column:
        keys = [table.spanning_key, *keys]
    grid = [_entries(row, table, f"{row.label} needs a score function") for row in table.rows]
    found: list[tuple[str, list[Any]]] = [(table.corner, [row.label for row in table.rows])]
    if any(row.converged is not None for row in table.rows):
        found.append(("converged", [yes_or_no(row.converged) for row in table.rows]))
    for place, key in enumerate(keys):
        entries = [line[place] for line in grid]
        values = [one.value if isinstance(one, Number) else one.text for one in entries]
        found.append((key, values))
        for part in _parts(entries, table):
            beside = [getattr(one, part, None) for one in entries]
            told = [yes_or_no(one) for one in beside] if part == "converged" else beside
            found.append((f"{key}_{part}", told))
    return _objects([name for name, _ in found], [values for _, values in found])


def _parts(entries: Sequence[Entry], table: Table) -> Iterator[str]:
    """Names of what any number of a column has beside its value."""
    numbers = [entry for entry in entries if isinstance(entry, Number)]
    for part, others in (("low", ["high"]), ("group", []), ("converged", [])):
        if any(getattr(number, part) is not None for number in numbers):
            yield from (part, *others)
    if table.shows_notes:
        yield "note"


def csv_text(table: Table | pd.DataFrame) -> str:
    """Format a table, or a frame, as CSV in which no text is a formula for spreadsheets."""
    frame = csv_frame(table) if isinstance(table, Table) else table
    columns = [[_safe(value) for value in frame.iloc[:, at]] for at in range(frame.shape[1])]
    return _objects(list(map(str, frame)), columns).to_csv(index=False, lineterminator="\n")


def _objects(names: Sequence[str], columns: Sequence[Sequence[object]]) -> pd.DataFrame:
    """Return a frame that keeps every value as it is, whole numbers beside missing ones too."""
    return pd.DataFrame(dict(enumerate(columns)), dtype=object).set_axis(
        pd.Index(names), axis="columns"
    )


def _safe(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def markdown_text(table: Table) -> str:
    """Format a table as GitHub Markdown with its notes; reasons of missing figures are numbered
    below it."""
    reasons: dict[str, int] = {}
    heads = [
        f"{column.group}: {column.label}" if column.group else column.label
        for column in table.columns
    ]
    if table.has_spanning_column:
        heads = [table.spanning_key, *heads]
    lines = [
        _line([table.corner, *(escape_markdown(head) for head in heads)]),
        _line(["---", *("---:" for _ in heads)]),
    ]
    for row in table.rows:
        cells = [
            _markdown_entry(entry, reasons, shows_notes=table.shows_notes)
            for entry in _entries(row, table, "this needs a score function")
        ]
        lines.append(_line([escape_markdown(row.label) + _mark(row.converged), *cells]))
    lines.append("")
    lines += [f"- {escape_markdown(note)}" for note in table.all_notes]
    lines += [f"- ({place}) {escape_markdown(reason)}" for reason, place in reasons.items()]
    return "\n".join(lines).rstrip() + "\n"


def terminal_text(table: Table) -> str:
    """Format a table for a terminal, with the notes below it."""
    from rich.console import Console
    from rich.table import Table as Grid

    grid = Grid(table.corner, title=table.title, title_justify="left", box=None, pad_edge=False)
    for column in table.columns:
        grid.add_column(column.label, justify="left" if column.text else "right", no_wrap=True)
    for row in table.rows:
        cells = [_terminal_entry(entry) for entry in row.entries]
        grid.add_row(row.label + _mark(row.converged), *cells)
    console = Console(file=io.StringIO(), width=1000, markup=False, emoji=False, highlight=False)
    with console.capture() as written:
        console.print(grid)
    return "\n".join(
        [*map(str.rstrip, written.get().splitlines()), *map(fill, table.all_notes), ""]
    )


def _terminal_entry(entry: Entry) -> str:
    return f"{entry.text} {entry.interval}" if isinstance(entry, Number) else entry.text


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _markdown_entry(entry: Entry, reasons: dict[str, int], *, shows_notes: bool) -> str:
    match entry:
        case Number():
            text = f"**{entry.text}**" if entry.group == 1 else entry.text
            text += _mark(entry.converged)
            note = f"({escape_markdown(entry.note)})" if shows_notes and entry.note else ""
            return " ".join(part for part in (text, entry.interval, note) if part)
        case Missing():
            if not entry.reason:
                return entry.short
            place = reasons.setdefault(entry.text, len(reasons) + 1)
            return f"{entry.short} ({place})"
        case Label():
            return escape_markdown(entry.text)


def _mark(converged: bool | None) -> str:
    return f" {UNCONVERGED}" if converged is False else ""


def escape_markdown(text: str) -> str:
    """Escape a text so that no Markdown reader takes any of it for markup."""
    flat = " ".join(text.split())
    escaped = re.sub(r"([\\`*_\[\]|#~$])", r"\\\1", flat)
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
