"""Tables as LaTeX; where one is wider than a page, its columns are split over several.

Widths are estimated: those of Computer Modern at 10 pt, by kinds of characters and rather too wide
than too narrow; a text block of LaTeX's `article` is 345 pt wide.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pandas as pd

from reports.tables import UNCONVERGED, Entry, Label, Missing, Number, Row, Table

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
# In place of cells that another one spans.
_SPANNED = "\N{NULL}"
_LATEX = str.maketrans(
    {character: rf"\{character}" for character in "&%$#_{}"}
    | {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        "\N{MINUS SIGN}": "$-$",
        "“": "``",
        "”": "''",
        "…": r"\ldots{}",
        UNCONVERGED: r"\dag{}",
    }
)


def latex_text(table: Table, condition: str = "") -> str:
    """Format a table as LaTeX `table` environments with booktabs rules; they need only
    `\\usepackage{booktabs}`. Where it is wider than a page, its columns are split over several.

    Group 1 is bold, intervals are small, notes stand below.

    Args:
        condition: what holds for all rows, for the caption.
    """
    parts = fitting(table)
    blocks = [
        _latex_part(part, table, condition, number if len(parts) > 1 else 0, len(parts))
        for number, part in enumerate(parts, start=1)
    ]
    return "\n".join(["% \\usepackage{booktabs}", *blocks])


def _latex_part(part: Table, table: Table, condition: str, number: int, count: int) -> str:
    """Format some columns of a table; the last part has the notes of the whole.

    Args:
        number: of the part, from 1, or 0 where it is the whole table.
        count: of the parts.
    """
    spare = [] if part.columns else [("", "")]  # for rows of a table without columns
    width = len(part.columns) + len(spare)
    grid = []
    for row in part.rows:
        cells = [_latex_entry(one, shows_notes=part.shows_notes) for one in row.entries]
        cells += [""] * (width - len(cells))
        if row.spanning:
            told = _latex_entry(row.spanning, shows_notes=part.shows_notes)
            cells = [rf"\multicolumn{{{width}}}{{c}}{{{told}}}", *[_SPANNED] * (width - 1)]
        grid.append([_latex(row.label) + _latex_mark(row.converged), *cells])
    columns = pd.MultiIndex.from_tuples([("", _latex(part.corner)), *_latex_heads(part), *spare])
    frame = pd.DataFrame(grid, columns=columns if part.grouped else columns.droplevel(0))
    title = f"{table.title} ({number} of {count})" if number else table.title
    text = frame.style.hide(axis="index").to_latex(
        hrules=True,
        position_float="centering",
        caption=_latex(f"{title}. {condition}" if condition else title),
        label=f"tab:{table.name}" + (f"-{number}" if number > 1 else ""),
        column_format=_latex_columns(part),
        multicol_align="c",
    )
    text = text.replace(f" & {_SPANNED}", "")
    if part.grouped:
        text = re.sub(
            r"(\\toprule\n.*\n)", lambda head: f"{head[0]}{_rules(part)}\n", text, count=1
        )
    notes = _latex_notes(table) if number in (0, count) else []
    below = rf"\par\smallskip{{\footnotesize {' '.join(map(_latex, notes))}\par}}" if notes else ""
    end = r"\end{table}"
    return text.replace(end, f"{below}\n{end}" if below else end)


def _latex_columns(part: Table) -> str:
    """The columns of a `tabular`, that of the headings of rows first; long texts break."""
    broken = f"p{{{WIDEST_TEXT:.0f}pt}}"
    first = any(text_width(row.label) > WIDEST_TEXT for row in part.rows)
    kinds = [broken if first else "l"]
    for place in range(len(part.columns)):
        texts = [row.entries[place] for row in part.rows if not row.spanning]
        longest = max((text_width(one.text) for one in texts if isinstance(one, Label)), default=0)
        kinds.append(broken if longest > WIDEST_TEXT else "r")
    return "".join(kinds if part.columns else [*kinds, "r"])


def _latex_heads(part: Table) -> list[tuple[str, str]]:
    """The heading over each column's group, and its own, broken to the width below them."""
    widths = [column_width(part, place) for place in range(len(part.columns))]
    heads: list[tuple[str, str]] = []
    for name, span in part.groups:
        places = range(len(heads), len(heads) + span)
        over = _latex_heading(name, sum(widths[place] for place in places))
        heads += [
            (over, _latex_heading(part.columns[place].label, widths[place])) for place in places
        ]
    return heads


def _rules(part: Table) -> str:
    """Lines under the headings that span columns."""
    ends = itertools.accumulate((span for _, span in part.groups), initial=1)
    return "".join(
        rf"\cmidrule(lr){{{end + 1}-{end + span}}}"
        for (name, span), end in zip(part.groups, ends, strict=False)
        if name
    )


def _latex_notes(table: Table) -> list[str]:
    every = [entry for row in table.rows for entry in (*row.entries, row.spanning)]
    reasons = [one.text for one in every if isinstance(one, Missing) and one.reason]
    notes = [*table.all_notes]
    notes += [f"{reason[:1].upper()}{reason[1:]}." for reason in dict.fromkeys(reasons)]
    if any(isinstance(one, Number) and one.group == 1 for one in every):
        notes.append("Bold: the best and what cannot be told apart from it.")
    return notes


def _latex_heading(text: str, room: float) -> str:
    lines = [_latex(line) for line in heading_lines(text, room)]
    joined = r" \\ ".join(lines)
    return rf"\shortstack{{{joined}}}" if len(lines) > 1 else _latex(text)


def _latex_entry(entry: Entry, *, shows_notes: bool) -> str:
    match entry:
        case Number():
            text = _latex(entry.text)
            text = rf"\textbf{{{text}}}" if entry.group == 1 else text
            text += _latex_mark(entry.converged)
            told = [entry.interval, entry.note if shows_notes else ""]
            small = " ".join(_latex(part) for part in told if part)
            return rf"{text} {{\scriptsize {small}}}" if small else text
        case Missing():
            return rf"\textit{{{entry.short}}}"
        case Label():
            return _latex(entry.text)


def _latex_mark(converged: bool | None) -> str:
    return rf"\textsuperscript{{{_latex(UNCONVERGED)}}}" if converged is False else ""


def _latex(text: str) -> str:
    return " ".join(text.split()).translate(_LATEX)


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
