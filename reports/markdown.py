"""Tables as GitHub Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence

from reports.tables import Entry, Label, Missing, Number, Table


def markdown_text(table: Table) -> str:
    """A GitHub table with its notes; reasons of missing figures are numbered below it."""
    reasons: dict[str, int] = {}
    spans = table.has_spanning_column
    heads = [
        f"{column.group}: {column.label}" if table.grouped else column.label
        for column in table.columns
    ]
    if spans:
        heads = [table.spanning_key, *heads]
    lines = [
        _line([table.corner, *(escaped(head) for head in heads)]),
        _line(["---", *("---:" for _ in heads)]),
    ]
    for row in table.rows:
        entries = list(row.entries)
        if spans:
            blank = Missing("not applicable")
            entries = (
                [row.spanning, *(blank for _ in table.columns)]
                if row.spanning
                else [blank, *entries]
            )
        cells = [_markdown_entry(entry, reasons) for entry in entries]
        lines.append(_line([escaped(row.label), *cells]))
    lines.append("")
    lines += [f"- {escaped(note)}" for note in table.notes]
    lines += [f"- ({place}) {escaped(reason)}" for reason, place in reasons.items()]
    return "\n".join(lines).rstrip() + "\n"


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
