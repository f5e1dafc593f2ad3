"""Files of a report: tables as CSV, LaTeX and Markdown, all trials as Parquet, and the folder of
the user's choice that a command writes into.

The folder's manifest (`.attnbench-report.json`: SHA-256 by name) lists what was written, so that
the next report removes the pages that it no longer has. Whatever is not listed, or was changed
since, is the user's and stays.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from bench.errors import UsageError
from bench.store.result import AlignmentFigures, Cost, Result
from reports.data import fingerprint_of
from reports.latex_width import WIDEST_TEXT, column_width, fitting, heading_lines, text_width
from reports.tables import UNCONVERGED, Entry, Label, Missing, Number, Row, Table
from reports.tables.overview import PRIMARY, failure_text, metric_keys

#: Columns of a trial in the Parquet file.
_AXES = ("task", "dataset", "attention", "score", "budget")

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


def csv_text(table: Table) -> str:
    """Format a table as CSV: unrounded figures, with interval ends and tie group in columns of
    their own where a column has them. Missing figures give the reason in words."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    keys = [column.key for column in table.columns]
    if table.has_spanning_column:
        keys = [table.spanning_key, *keys]
    grid = [_entries(row, table, f"{row.label} needs a score function") for row in table.rows]
    parts = [_csv_parts([line[place] for line in grid], table) for place in range(len(keys))]
    header = [f"{key}{part}" for key, own in zip(keys, parts, strict=True) for part in own]
    # Whether its contender had converged, where rows tell.
    marked = any(row.converged is not None for row in table.rows)
    writer.writerow([table.corner, *(["converged"] if marked else []), *header])
    for row, line in zip(table.rows, grid, strict=True):
        fields = [
            _csv_field(entry, part) for entry, own in zip(line, parts, strict=True) for part in own
        ]
        told = [_yes_or_no(row.converged)] if marked else []
        writer.writerow([_safe(row.label), *told, *fields])
    return out.getvalue()


def _csv_parts(entries: Sequence[Entry], table: Table) -> list[str]:
    numbers = [entry for entry in entries if isinstance(entry, Number)]
    parts = [""]
    if any(number.low is not None for number in numbers):
        parts += ["_low", "_high"]
    if any(number.group is not None for number in numbers):
        parts.append("_group")
    if any(number.converged is not None for number in numbers):
        parts.append("_converged")
    if table.shows_notes:
        parts.append("_note")
    return parts


def _csv_field(entry: Entry, part: str) -> str:
    if not isinstance(entry, Number):
        return _safe(entry.text) if part == "" else ""
    if part == "_note":
        return _safe(entry.note)
    if part == "_converged":
        return _yes_or_no(entry.converged)
    value = getattr(entry, part.removeprefix("_") or "value")
    return "" if value is None else repr(value)


def _yes_or_no(converged: bool | None) -> str:
    return "" if converged is None else "yes" if converged else "no"


def _safe(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


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
    """Format some columns of a table; the last part has the notes of the whole."""
    width = len(part.columns)
    caption = f"{table.title} ({number} of {count})" if number else table.title
    label = f"tab:{table.name}" + (f"-{number}" if number > 1 else "")
    breaks = any(text_width(row.label) > WIDEST_TEXT for row in part.rows)
    first = f"p{{{WIDEST_TEXT:.0f}pt}}" if breaks else "l"
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{_latex(f'{caption}. {condition}' if condition else caption)}}}",
        rf"\label{{{label}}}",
        rf"\begin{{tabular}}{{{first}{_latex_columns(part)}}}",
        r"\toprule",
        *_latex_heads(part),
        r"\midrule",
    ]
    for row in part.rows:
        entries = [row.spanning] if row.spanning else row.entries
        cells = [_latex_entry(entry, shows_notes=part.shows_notes) for entry in entries]
        if row.spanning:
            cells = [rf"\multicolumn{{{width}}}{{c}}{{{cells[0]}}}"]
        named = _latex(row.label) + _latex_mark(row.converged)
        lines.append(" & ".join([named, *cells]) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}"]
    if number == count or not number:
        lines += _latex_notes(table)
    return "\n".join([*lines, r"\end{table}"]) + "\n"


def _latex_columns(part: Table) -> str:
    """The columns of a `tabular`; long texts break."""
    kinds = []
    for place in range(len(part.columns)):
        texts = [row.entries[place] for row in part.rows if not row.spanning]
        longest = max((text_width(one.text) for one in texts if isinstance(one, Label)), default=0)
        kinds.append(f"p{{{WIDEST_TEXT:.0f}pt}}" if longest > WIDEST_TEXT else "r")
    return "".join(kinds)


def _latex_notes(table: Table) -> list[str]:
    every = [entry for row in table.rows for entry in (*row.entries, row.spanning)]
    reasons = [one.text for one in every if isinstance(one, Missing) and one.reason]
    sentences = [f"{reason[:1].upper()}{reason[1:]}." for reason in dict.fromkeys(reasons)]
    notes = [*table.all_notes, *sentences]
    if any(isinstance(one, Number) and one.group == 1 for one in every):
        notes.append("Bold: the best and what cannot be told apart from it.")
    return [rf"\par\smallskip{{\footnotesize {' '.join(map(_latex, notes))}\par}}"] if notes else []


def _latex_heads(table: Table) -> list[str]:
    widths = [column_width(table, place) for place in range(len(table.columns))]
    labels = [
        _latex_heading(one.label, width) for one, width in zip(table.columns, widths, strict=True)
    ]
    heads = [" & ".join([_latex(table.corner), *labels]) + r" \\"]
    if not table.grouped:
        return heads
    cells, rules, start = [""], [], 2
    for name, span in table.groups:
        room = sum(widths[start - 2 : start - 2 + span])
        cells.append(rf"\multicolumn{{{span}}}{{c}}{{{_latex_heading(name, room)}}}")
        if name:
            rules.append(rf"\cmidrule(lr){{{start}-{start + span - 1}}}")
        start += span
    return [" & ".join(cells) + r" \\", "".join(rules), *heads]


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
            short = "n/a" if entry.kind == "not applicable" else entry.kind
            return rf"\textit{{{short}}}"
        case Label():
            return _latex(entry.text)


def _latex_mark(converged: bool | None) -> str:
    return rf"\textsuperscript{{{_latex(UNCONVERGED)}}}" if converged is False else ""


def _latex(text: str) -> str:
    return " ".join(text.split()).translate(_LATEX)


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
            short = "n/a" if entry.kind == "not applicable" else entry.kind
            if not entry.reason:
                return short
            place = reasons.setdefault(entry.text, len(reasons) + 1)
            return f"{short} ({place})"
        case Label():
            return escape_markdown(entry.text)


def _mark(converged: bool | None) -> str:
    return f" {UNCONVERGED}" if converged is False else ""


def escape_markdown(text: str) -> str:
    """Escape a text so that no Markdown reader takes any of it for markup."""
    flat = " ".join(text.split())
    escaped = re.sub(r"([\\`*_\[\]|#~$])", r"\\\1", flat)
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def parquet_bytes(results: Sequence[Result]) -> bytes:
    """Return a Parquet file with one row per trial: axes, main metric, alignment, cost, and
    every metric in a column `metric_<name>`; results are comparable where `data`, the fingerprint
    of the examples, is the same. Unknown values are null, never 0 or a text."""
    import pyarrow as pa
    from pyarrow import parquet

    metrics = metric_keys(results)
    rows = [_row(result, metrics) for result in results]
    schema = pa.schema(
        [
            *((name, pa.string()) for name in ("hash", *_AXES)),
            ("seed", pa.int64()),
            *((name, pa.string()) for name in ("options", "data")),
            *((name, pa.string()) for name in ("status", "failure", "main_metric")),
            *((name, pa.float64()) for name in PRIMARY),
            ("higher_is_better", pa.bool_()),
            ("converged", pa.bool_()),
            ("best_step", pa.int64()),
            *(
                (name, pa.float64())
                for name in (*AlignmentFigures.model_fields, *Cost.model_fields)
            ),
            *((f"metric_{name}", pa.float64()) for name in metrics),
        ]
    )
    file = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(rows, schema=schema), file, compression="zstd")
    return file.getvalue()


def _row(result: Result, metrics: Sequence[str]) -> dict[str, object]:
    primary = result.primary
    return {
        "hash": result.hash,
        **{name: getattr(result.cell, name) for name in (*_AXES, "seed")},
        "options": json.dumps(dict(result.cell.options), sort_keys=True),
        "data": fingerprint_of(result) or None,
        "status": result.status,
        "failure": failure_text(result) or None,
        "main_metric": primary.name if primary else None,
        **{name: getattr(primary, name, None) for name in (*PRIMARY, "higher_is_better")},
        "converged": result.converged,
        "best_step": result.best_step,
        **{name: getattr(result.alignment, name, None) for name in AlignmentFigures.model_fields},
        **{name: getattr(result.cost, name) for name in Cost.model_fields},
        **{f"metric_{name}": result.metrics.get(name) for name in metrics},
    }


#: Digests by name. Several of one name while a report is being written: either may be there.
Written = Mapping[str, frozenset[str]]


def write_files(out: Path, files: Iterable[tuple[str, str | bytes]], what: str) -> list[Path]:
    """Write files below a folder, which is made if needed. Files of the same names are replaced;
    files that an earlier call for the same `what` wrote and this one does not are removed.

    Nothing is touched before all contents are made. Each file is replaced whole, the first page
    last, and only then are old files removed: where writing ends half way, every page that is
    linked is there, and the next call removes what is left over.

    Args:
        files: path below the folder, with forward slashes, and content; text becomes UTF-8.
        what: "report", for the message and for the name of the list.

    Raises UsageError where the folder cannot be written.
    """
    contents = {
        name: content.encode("utf-8") if isinstance(content, str) else content
        for name, content in files
    }
    new = {name: frozenset([_digest(content)]) for name, content in contents.items()}
    manifest = out / f".attnbench-{what}.json"
    old = _listed(manifest)
    try:
        either = {
            name: old.get(name, frozenset()) | new.get(name, frozenset()) for name in (*old, *new)
        }
        _replace(manifest, _listing(either))
        for name in sorted(contents, key=lambda one: (one == "index.html", one)):
            _replace(out / name, contents[name])
        for name in old.keys() - new.keys():
            _remove(out, name, old[name])
        _replace(manifest, _listing(new))
    except OSError as error:
        raise UsageError(
            f"the {what} cannot be written ({(error.strerror or str(error)).lower()})",
            where=str(out),
            remedy="choose another folder with --out",
        ) from None
    return [out / name for name in contents]


def _replace(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(".attnbench-draft")  # one name, so that nothing killed leaves many
    try:
        draft.write_bytes(content)
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def _remove(out: Path, name: str, digests: frozenset[str]) -> None:
    """Remove a file if its content is unchanged since it was written, and the folders below
    `out` that are then empty."""
    path = out / name
    if path.is_symlink() or not path.is_file() or _digest(path.read_bytes()) not in digests:
        return
    path.unlink()
    for folder in path.relative_to(out).parents[:-1]:
        with contextlib.suppress(OSError):  # not empty
            (out / folder).rmdir()


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _listing(written: Written) -> bytes:
    return json.dumps({name: sorted(written[name]) for name in sorted(written)}, indent=0).encode()


def _listed(manifest: Path) -> Written:
    """Read a manifest; an unreadable one counts as empty."""
    try:
        found = json.loads(manifest.read_bytes())
    except (OSError, ValueError):
        return {}
    # It may come from elsewhere: only entries that name a file below the folder count.
    return {
        name: frozenset(map(str, digests))
        for name, digests in (found.items() if isinstance(found, dict) else ())
        if isinstance(digests, list)
        and not (path := PurePosixPath(name)).is_absolute()
        and ".." not in path.parts
    }
