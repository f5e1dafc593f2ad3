"""How wide a table is on paper, estimated, and its parts that are no wider than a page.

Widths are those of Computer Modern at 10 pt, by kinds of characters and rather too wide than too
narrow; a text block of LaTeX's `article` is 345 pt wide.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from reports.tables import Entry, Label, Missing, Number, Row, Table

#: Width of the text of a page of `article` at 10 pt, in points.
TEXT_WIDTH = 345.0
#: Texts wider than this are set in several lines.
WIDEST_TEXT = 130.0
#: A heading may be so wide where its column is narrower.
_LEAST_HEADING = 55.0
#: `\\scriptsize` beside the normal size, and bold beside upright.
_SMALL, _BOLD = 0.8, 1.16
_BETWEEN = 12.0  # twice \tabcolsep
_NARROW, _WIDE = frozenset("ijlft.,:;'!|[]()I "), frozenset("mwMW%@—")


def text_width(text: str, *, small: bool = False, bold: bool = False) -> float:
    """The width of a text in one line, in points."""
    width = sum(
        3.9 if one in _NARROW else 8.4 if one in _WIDE else 7.5 if one.isupper() else 5.3
        for one in text
    )
    return width * (_SMALL if small else 1.0) * (_BOLD if bold else 1.0)


def entry_width(entry: Entry, *, shows_notes: bool) -> float:
    """The width of an entry as LaTeX gets it: the figure, with its interval and note small."""
    if isinstance(entry, Number):
        told = [entry.interval, entry.note if shows_notes else ""]
        small = sum(3.4 + text_width(part, small=True) for part in told if part)
        mark = 5.0 if entry.converged is False else 0.0
        return text_width(entry.text, bold=entry.group == 1) + small + mark
    if isinstance(entry, Missing):
        return text_width(entry.short)
    return text_width(entry.text)


def column_width(table: Table, place: int) -> float:
    """The width of a column, in points: of its entries, or of its heading in several lines."""
    entries = [row.entries[place] for row in table.rows if not row.spanning]
    widths = [entry_width(one, shows_notes=table.shows_notes) for one in entries]
    own = max(widths, default=0.0)
    if any(isinstance(one, Label) for one in entries):  # which break
        own = min(own, WIDEST_TEXT)
    column = table.columns[place]
    heads = heading_lines(column.label, own)
    if sum(one.group == column.group for one in table.columns) == 1:
        heads += heading_lines(column.group, own)
    return max([own, *map(text_width, heads)])


def label_width(table: Table) -> float:
    """The width of the headings of rows, in points."""
    texts = [table.corner, *(row.label for row in table.rows)]
    return min(max(map(text_width, texts)) + 5.0, WIDEST_TEXT)


def heading_lines(text: str, room: float) -> list[str]:
    """The lines of a heading over a column of this width, broken at blanks."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and text_width(longer) <= max(room, _LEAST_HEADING):
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def table_width(table: Table) -> float:
    """The estimated width of a whole table, in points."""
    columns = [column_width(table, place) for place in range(len(table.columns))]
    return label_width(table) + sum(columns) + _BETWEEN * (len(columns) + 1)


def fitting(table: Table, room: float = TEXT_WIDTH) -> list[Table]:
    """Split a table by columns so that each part is no wider than this, where one column is not
    wider alone; columns under one heading stay together where they can. Rows, title and notes are
    those of the whole in every part."""
    if table_width(table) <= room:
        return [table]
    widths = [column_width(table, place) + _BETWEEN for place in range(len(table.columns))]
    free = room - label_width(table) - _BETWEEN
    parts: list[list[int]] = []
    for places in _units(table, widths, free):
        taken = sum(widths[place] for place in (*parts[-1], *places)) if parts else 0.0
        if parts and taken <= free:
            parts[-1] += places
        else:
            parts.append(list(places))
    return [_part(table, places) for places in parts] if len(parts) > 1 else [table]


def _units(table: Table, widths: Sequence[float], free: float) -> Iterator[Sequence[int]]:
    """What is not to be split: columns under one heading, if they fit, else single columns."""
    start = 0
    for name, span in table.groups:
        places = range(start, start + span)
        start += span
        if name and sum(widths[place] for place in places) <= free:
            yield places
        else:
            yield from ([place] for place in places)


def _part(table: Table, places: Sequence[int]) -> Table:
    def narrowed(row: Row) -> Row:
        return replace(row, entries=tuple(row.entries[place] for place in places if row.entries))

    columns = tuple(table.columns[place] for place in places)
    return replace(table, columns=columns, rows=tuple(map(narrowed, table.rows)))
