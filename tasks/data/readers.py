"""Rows of data files: tables (TSV, CSV) and JSON lines, read one by one. Every row is read as it is
meant, or named by file and line."""

from __future__ import annotations

import csv
import json
import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import UsageError, listed, unknown_name
from tasks.data.files import empty_file
from tasks.data.lines import TextLines, read_lines, unusable
from tasks.data.problems import OnError, fail
from tasks.data.unicode import composed

_JSON_LINES = (".jsonl", ".ndjson", ".json")
#: Names in use for the splits.
SPLITS = {
    # restval: of the splits of Karpathy and Fei-Fei (2015)
    **dict.fromkeys(("train", "training", "restval"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
# Names of further test sets.
_FURTHER = re.compile(r"test\w*(?:[-_. ]\w+)+|test\d+|long")
# A cell goes on for so many lines at most; a quotation mark that closes later was not meant to.
_CELL_LINES = 100


@dataclass(frozen=True)
class Row:
    """One record of a file: its values by column, whose names are composed, and where it stood."""

    path: Path
    line: int
    values: Mapping[str, Any]

    @property
    def where(self) -> str:
        return f"{self.path}:{self.line}"

    def text(self, column: str) -> str:
        """The value of a column as text. Raises UsageError if it is missing, not text, or text
        that cannot be used."""
        return composed(self.written(column))

    def written(self, column: str) -> str:
        """The same, letter by letter as the file has it: for names of files."""
        column = composed(column)
        if column not in self.values:
            raise no_column([column], self.values, self.where)
        value = self.values[column]
        if not isinstance(value, str):
            raise UsageError(
                f"column '{column}': expected text, got {type(value).__name__}", where=self.where
            )
        if reason := unusable(value):
            raise UsageError(f"column '{column}' {reason}", where=self.where)
        return value


def no_column(
    missing: Sequence[str], columns: Iterable[object], where: str, remedy: str = ""
) -> UsageError:
    """The error for columns that are missing, with those there are, and the one that was meant."""
    known = list(map(str, columns))
    near = [name for name in known if name.strip().lower() == missing[0].strip().lower()]
    meant = f"did you mean '{near[0]}'? " if near else ""
    return UsageError(
        " and ".join(f"no column '{name}'" for name in missing),
        where=where,
        remedy=f"{meant}it has {listed(known)}{remedy and f'; {remedy}'}",
    )


def split_name(name: str, where: str, *, further: bool = False) -> str:
    """The split that a file's own name for it means.

    Args:
        further: whether there may be further test sets ("test-noisy", "long").

    Raises UsageError: a name that is not in use, with the nearest one that is.
    """
    name = name.strip().lower()
    if name in SPLITS:
        return SPLITS[name]
    if further and _FURTHER.fullmatch(name):
        return name
    error = unknown_name("split", name, SPLITS)
    hint = "; further test sets are called test-NAME" if further else ""
    raise UsageError(error.what, where=where, remedy=f"{error.remedy}{hint}")


def read_rows(
    path: Path, on_error: OnError = fail, *, columns: Sequence[str] = (), remedy: str = ""
) -> Iterator[Row]:
    """The rows of a file, in order: JSON lines by the name's ending, a table otherwise.

    Args:
        on_error: told of lines that cannot be used (`tasks.data.lines`, not JSON, more or fewer
            fields than the header has, a quotation mark that is not closed).
        columns: must be there.
        remedy: what would do where one is not.

    Raises UsageError: no such file, empty, a column that is nowhere or stands twice.
    """
    read = read_json_lines if path.suffix.lower() in _JSON_LINES else read_table
    return read(path, on_error, columns=columns, remedy=remedy)


# JSON.


class Number(str):
    """A number of a JSON file, letter by letter as it is written there."""


class _Refused(ValueError):
    """Text that Python takes for JSON and that means nothing, or not one thing."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = {composed(key): value for key, value in pairs}
    if len(values) < len(pairs):
        keys = [composed(key) for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise _Refused(f"key '{twice}' stands twice in one object")
    return values


def _no_value(name: str) -> Any:
    raise _Refused(f"{name} is no value of JSON")


_JSON = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_no_value)
_JSON_ROWS = json.JSONDecoder(
    object_pairs_hook=_object, parse_constant=_no_value, parse_int=Number, parse_float=Number
)


def read_json_lines(
    path: Path, on_error: OnError = fail, *, columns: Sequence[str] = (), remedy: str = ""
) -> Iterator[Row]:
    """One JSON object a line; blank lines are passed over. Numbers are given as they are written.
    Args and Raises as for `read_rows`."""
    # Columns that some line has.
    known: set[str] = set()
    # Those that lines lack: what is wrong with the first of them, and how many there are.
    lacking: dict[tuple[str, ...], tuple[UsageError, int]] = {}
    first = True
    for number, line in TextLines(path).filled(on_error):
        if first and (line.lstrip().startswith("[") or line.strip() == "{"):
            raise UsageError(
                "one JSON document, not JSON lines",
                where=f"{path}:{number}",
                remedy="write an object a line, for a list by `jq -c '.[]'`",
            )
        first = False
        try:
            row = Row(path, number, parse_object(line, path, number))
        except UsageError as error:
            on_error(error)
            continue
        missing = [column for column in columns if column not in row.values]
        if missing:
            lacks = no_column(missing, row.values, row.where, remedy)
            if not all(column in known or _occurs(column, path) for column in missing):
                raise lacks  # one problem of the file, not one of each line
            known.update(missing)
            named, count = lacking.get(tuple(missing), (lacks, 0))
            lacking[tuple(missing)] = named, count + 1
        else:
            known.update(columns)
            yield row
    for named, count in lacking.values():
        more = "1 further line" if count == 2 else f"{count - 1:,} further lines"
        what = named.what if count == 1 else f"{named.what}, nor in {more}"
        on_error(UsageError(what, where=named.where, remedy=named.remedy))


def _occurs(column: str, path: Path) -> bool:
    """Whether any line of a file of JSON lines has a column."""
    for number, line in TextLines(path).filled(lambda error: None):
        try:
            if column in parse_object(line, path, number):
                return True
        except UsageError:
            continue
    return False


def parse_object(line: str, path: Path, number: int) -> dict[str, Any]:
    """The JSON object of one line. Raises UsageError naming file and line."""
    remedy = "expected one JSON object on every line"
    values = _parsed(_JSON_ROWS, line, path, number, remedy)
    if not isinstance(values, dict):
        kind = "number" if isinstance(values, Number) else type(values).__name__
        raise UsageError(f"a JSON {kind}, not an object", where=f"{path}:{number}")
    return values


def read_json(path: Path) -> Any:
    """A whole JSON file. Raises UsageError: missing, empty, not UTF-8, not JSON (with the line)."""
    text = "\n".join(line for _, line in read_lines(path))
    if not text.strip():
        raise empty_file(path)
    return _parsed(_JSON, text, path, 1, "the file may be truncated; get it again")


def _parsed(decoder: json.JSONDecoder, text: str, path: Path, first_line: int, remedy: str) -> Any:
    where = f"{path}:{first_line}"
    try:
        return decoder.decode(text)
    except json.JSONDecodeError as error:
        raise UsageError(
            f"not JSON ({error.msg} at column {error.colno})",
            where=f"{path}:{first_line + error.lineno - 1}",
            remedy=remedy,
        ) from None
    except _Refused as error:
        raise UsageError(f"not JSON ({error})", where=where) from None
    except ValueError:
        raise UsageError("not JSON (a number of thousands of digits)", where=where) from None
    except RecursionError:
        raise UsageError("not JSON (brackets nested without end)", where=where) from None


# Tables.


def read_table(
    path: Path, on_error: OnError = fail, *, columns: Sequence[str] = (), remedy: str = ""
) -> Iterator[Row]:
    """The rows of a table under a header. Args and Raises as for `read_rows`.

    Fields are separated by tabs, or by commas where the name ends in `.csv`; by what does occur in
    the header where the expected one does not (tab, comma, semicolon). Quotation marks around a
    field quote it as spreadsheets do; where tabs separate, only if the file shows that a
    spreadsheet wrote it (`_quotes`): texts may begin and end with marks of their own.
    """
    lines = TextLines(path)
    start = lines.next_filled(0)
    if start is None or lines.next_filled(start + 1) is None:
        raise empty_file(path)
    header, where = lines[start], f"{path}:{start + 1}"
    separator = _separator(path, header)
    quoting = separator != "\t" or _quotes(lines, header)
    try:
        names = _fields(header, separator) if quoting else header.split(separator)
    except csv.Error as error:
        raise _bad_fields(error, where) from None
    names = [composed(name).strip() for name in names]
    if twice := next((name for name in names if name and names.count(name) > 1), ""):
        raise UsageError(f"two columns are called '{twice}'", where=where, remedy="rename one")
    if missing := [column for column in columns if composed(column) not in names]:
        raise no_column(missing, names, where, remedy)
    below = ((number, line) for number, line in lines.numbered(on_error) if number > start + 1)
    for number, fields in _records(below, separator, len(names), quoting):
        where = f"{path}:{number}"
        if isinstance(fields, csv.Error):
            on_error(_bad_fields(fields, where))
        elif len(fields) < len(names) or any(map(str.strip, fields[len(names) :])):
            kind = {"\t": "single tabs", ",": "commas", ";": "semicolons"}[separator]
            on_error(
                UsageError(
                    f"{len(fields)} fields where the header has {len(names)}",
                    where=where,
                    remedy=f"columns are separated by {kind}",
                )
            )
        else:
            yield Row(path, number, dict(zip(names, fields, strict=False)))


def _separator(path: Path, header: str) -> str:
    expected = "," if path.suffix.lower() == ".csv" else "\t"
    return next((mark for mark in (expected, *"\t,;") if mark in header), expected)


def _quotes(lines: TextLines, header: str) -> bool:
    """Whether the fields of a tab-separated file are quoted as spreadsheets do: where the header's
    are, a quoted field holds doubled marks or a tab, or those with commas are quoted and no
    others."""
    if any(map(_quoted, header.split("\t"))):
        return True
    if not lines.hold('"'):
        return False
    width, commas = len(header.split("\t")), 0
    for _, line in lines.numbered(lambda error: None):
        if not (line.startswith('"') or '\t"' in line):
            continue
        fields = line.split("\t")
        quoted = [field[1:-1] for field in fields if _quoted(field)]
        if any('""' in field for field in quoted):
            return True
        commas += sum("," in field for field in quoted)
        if len(fields) > width:
            found = _try(line, "\t")
            if not isinstance(found, csv.Error) and len(found) == width:
                return True
    return commas > 1 and all(
        _quoted(field) == ("," in field)
        for _, line in lines.numbered(lambda error: None)
        for field in line.split("\t")
    )


def _quoted(field: str) -> bool:
    """Whether all of a field is in quotation marks, those inside doubled."""
    return (
        len(field) > 2 and field[0] == field[-1] == '"' and '"' not in field[1:-1].replace('""', "")
    )


def _fields(line: str, separator: str) -> list[str]:
    """The fields of a line whose quotation marks quote. Raises csv.Error."""
    return next(csv.reader([line], delimiter=separator, strict=True), [])


def _records(
    lines: Iterator[tuple[int, str]], separator: str, width: int, quoting: bool
) -> Iterator[tuple[int, list[str] | csv.Error]]:
    """The fields of each record and its first line's number, or what is wrong with them.

    A quoted field may go on in further lines, but not over one that could be a row of its own:
    there the mark that opened it is taken for the fault, and the lines after it are read.
    """
    if not quoting:
        yield from ((number, line.split(separator)) for number, line in lines if line.strip())
        return
    ahead: deque[tuple[int, str]] = deque()
    while start := ahead.popleft() if ahead else next(lines, None):
        number, record = start
        if not record.strip():
            continue
        first = found = _try(record, separator)
        taken = 0
        while _open(found) and taken < _CELL_LINES:
            if taken == len(ahead):
                if (following := next(lines, None)) is None:
                    break
                ahead.append(following)
            beyond = _try(ahead[taken][1], separator)
            if not isinstance(beyond, csv.Error) and len(beyond) >= width:
                break
            record = f"{record}\n{ahead[taken][1]}"
            found = _try(record, separator)
            taken += 1
        if isinstance(found, csv.Error):
            yield number, first
            continue
        for _ in range(taken):
            ahead.popleft()
        yield number, found


def _try(record: str, separator: str) -> list[str] | csv.Error:
    try:
        return _fields(record, separator)
    except csv.Error as error:
        return error


def _open(found: list[str] | csv.Error) -> bool:
    return isinstance(found, csv.Error) and "unexpected end" in str(found)


def _bad_fields(error: csv.Error, where: str) -> UsageError:
    if "limit" in str(error):
        what = f"a field of more than {csv.field_size_limit():,} characters"
        return UsageError(what, where=where, remedy="is a quotation mark missing?")
    what = "is opened and not closed" if _open(error) else "closes before the field ends"
    remedy = "double the marks inside a quoted field, or leave all of the row's out"
    return UsageError(f"a quotation mark {what}", where=where, remedy=remedy)
