"""Tables as GitHub Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence

from reports.tables import Entry, Label, Missing, Number, Row, Table


def markdown_text(table: Table) -> str:
    """A GitHub table with its notes; reasons of missing figures are numbered below it."""
    reasons: dict[str, int] = {}
    spans = table.has_spanning_column
    heads = [
        f"{column.group}: {column.label}" if column.group else column.label
        for column in table.columns
    ]
    if spans:
        heads = [table.spanning_key, *heads]
    lines = [
        _line([table.corner, *(escaped(head) for head in heads)]),
        _line(["---", *("---:" for _ in heads)]),
    ]
    for row in table.rows:
        cells = [
            _markdown_entry(entry, reasons, tells=table.tells) for entry in _entries(row, table)
        ]
        lines.append(_line([escaped(row.label), *cells]))
    lines.append("")
    lines += [f"- {escaped(note)}" for note in table.notes]
    lines += [f"- ({place}) {escaped(reason)}" for reason, place in reasons.items()]
    return "\n".join(lines).rstrip() + "\n"


def _entries(row: Row, table: Table) -> list[Entry]:
    """The entries of a row, one a column; Markdown cannot span columns."""
    if not table.has_spanning_column:
        return [row.spanning] * len(table.columns) if row.spanning else list(row.entries)
    if row.spanning:
        blank = Missing("not applicable", f"{row.label} has no score function")
        return [row.spanning, *(blank for _ in table.columns)]
    return [Missing("not applicable", "this needs a score function"), *row.entries]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _markdown_entry(entry: Entry, reasons: dict[str, int], *, tells: bool) -> str:
    match entry:
        case Number():
            text = f"**{entry.text}**" if entry.group == 1 else entry.text
            note = f"({escaped(entry.note)})" if tells and entry.note else ""
            return " ".join(part for part in (text, entry.interval, note) if part)
        case Missing():
            short = "n/a" if entry.kind == "not applicable" else entry.kind
            if not entry.reason:
                return short
            place = reasons.setdefault(entry.text, len(reasons) + 1)
            return f"{short} ({place})"
        case Label():
            return escaped(entry.text)


def escaped(text: str) -> str:
    """Text that no Markdown reader takes for markup."""
    flat = " ".join(text.split())
    escaped = re.sub(r"([\\`*_\[\]|#~$])", r"\\\1", flat)
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
