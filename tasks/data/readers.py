"""Rows of data files: TSV and JSON lines, read one by one, with errors that name the line; and all
that is wrong with a data set's files, counted by its kind."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any, Generic, TypeVar

from bench.errors import UsageError
from tasks.data.unicode import composed

CorpusT = TypeVar("CorpusT")

#: Told of a line that cannot be used; the line is passed over if it returns.
OnError = Callable[[UsageError], None]

_JSON_LINES = (".jsonl", ".ndjson", ".json")


def fail(error: UsageError) -> None:
    """Raise the error: for readers that accept no unusable line."""
    raise error


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
        """The value of a column as text, composed. Raises UsageError if it is missing or not
        text."""
        column = composed(column)
        if column not in self.values:
            raise UsageError(
                f"no column '{column}'",
                where=self.where,
                remedy=f"it has {', '.join(map(str, self.values)) or 'none'}",
            )
        value = self.values[column]
        if not isinstance(value, str | int | float) or isinstance(value, bool):
            raise UsageError(
                f"column '{column}': expected text, got {type(value).__name__}", where=self.where
            )
        return composed(str(value))


def read_rows(path: Path, on_error: OnError = fail) -> Iterator[Row]:
    """The rows of a file, in order: JSON lines by the name's ending, TSV otherwise.

    Raises UsageError: no such file, empty. To `on_error` go lines that are not UTF-8 or do not
    parse, and (TSV) lines with more or fewer fields than the header has.
    """
    if path.suffix.lower() in _JSON_LINES:
        return read_json_lines(path, on_error)
    return read_tsv(path, on_error)


def read_json_lines(path: Path, on_error: OnError = fail) -> Iterator[Row]:
    """One JSON object a line; blank lines are passed over. Raises as `read_rows` does."""
    for number, line in _filled(read_lines(path, on_error), path):
        try:
            values = parse_object(line, path, number)
        except UsageError as error:
            on_error(error)
        else:
            yield Row(path, number, values)


def parse_object(line: str, path: Path, number: int) -> dict[str, Any]:
    """The JSON object of one line, its keys composed. Raises UsageError naming file and line."""
    values = _parsed(line, path, number, "expected one JSON object on every line")
    if not isinstance(values, dict):
        raise UsageError(f"a JSON {type(values).__name__}, not an object", where=f"{path}:{number}")
    return {composed(key): value for key, value in values.items()}


def read_tsv(path: Path, on_error: OnError = fail) -> Iterator[Row]:
    """Tab-separated values under a header line; quotes are ordinary characters. Raises as
    `read_rows` does."""
    lines = read_lines(path, on_error)
    _, header = next(lines, (0, ""))
    if not header.strip():
        raise empty_file(path)
    columns = composed(header).split("\t")
    for number, line in _filled(lines, path):
        fields = line.split("\t")
        if len(fields) == len(columns):
            yield Row(path, number, dict(zip(columns, fields, strict=True)))
            continue
        on_error(
            UsageError(
                f"{len(fields)} fields where the header has {len(columns)}",
                where=f"{path}:{number}",
                remedy="columns are separated by single tabs",
            )
        )


def _filled(lines: Iterable[tuple[int, str]], path: Path) -> Iterator[tuple[int, str]]:
    """The lines that are not blank. Raises UsageError if all of them are."""
    found = False
    for number, line in lines:
        if line.strip():
            found = True
            yield number, line
    if not found:
        raise empty_file(path)


def read_lines(path: Path, on_error: OnError = fail) -> Iterator[tuple[int, str]]:
    """Numbered lines without their ends, a byte order mark removed; to `on_error` go those that
    are not UTF-8.

    Lines end where the file ends them (LF or CRLF), not at other characters that Unicode counts
    as line ends: those occur inside texts.
    """
    try:
        with path.open("rb") as file:
            for number, raw in enumerate(file, start=1):
                try:
                    line = decode_lines(raw, path, number).rstrip("\r\n")
                except UsageError as error:
                    on_error(error)
                else:
                    yield number, line
    except OSError as error:
        raise unreadable(path, error) from None


def decode_lines(raw: bytes, path: Path, number: int) -> str:
    """The text of a file's lines from the given number (from 1) on, a byte order mark removed.
    Raises UsageError naming the line that is not UTF-8."""
    try:
        return raw.decode("utf-8").removeprefix("\ufeff" if number == 1 else "")
    except UnicodeDecodeError as error:
        line = number + raw.count(b"\n", 0, error.start)
        position = error.start - raw.rfind(b"\n", 0, error.start)
        raise UsageError(
            f"not UTF-8 (byte 0x{raw[error.start]:02x} at position {position} of the line)",
            where=f"{path}:{line}",
            remedy="convert the file to UTF-8",
        ) from None


def read_json(path: Path) -> Any:
    """A whole JSON file. Raises UsageError: missing, empty, not UTF-8, not JSON (with the line)."""
    text = "\n".join(line for _, line in read_lines(path))
    if not text.strip():
        raise empty_file(path)
    return _parsed(text, path, 1, "the file may be truncated; get it again")


def _parsed(text: str, path: Path, first_line: int, remedy: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise UsageError(
            f"not JSON ({error.msg} at column {error.colno})",
            where=f"{path}:{first_line + error.lineno - 1}",
            remedy=remedy,
        ) from None


def required_root(data_root: Path | None, name: str, holds: str) -> Path:
    """The data root of a data set that needs one. Raises UsageError without it.

    Args:
        holds: what the folder is expected to hold, for the message.
    """
    if data_root is None:
        raise UsageError(
            f"data set '{name}' needs its files",
            where="--data-root",
            remedy=f"name the folder that holds {holds}",
        )
    if not data_root.is_dir():
        raise UsageError("no such folder", where=f"--data-root {data_root}")
    return data_root


def data_folder(data_root: Path | None, name: str, candidates: Sequence[str]) -> Path:
    """The first of these folders that is there. Raises UsageError if none is, or without a root."""
    root = required_root(data_root, name, f"{' or '.join(candidates)}/")
    for candidate in candidates:
        if (root / candidate).is_dir():
            return root / candidate
    raise UsageError(
        f"data set '{name}' is not there",
        where=str(root),
        remedy=f"expected a folder {' or '.join(candidates)} in it",
    )


def empty_file(path: Path) -> UsageError:
    return UsageError("the file is empty", where=str(path))


def unreadable(path: Path, error: OSError) -> UsageError:
    """Why a file cannot be read, as users say it."""
    if isinstance(error, FileNotFoundError):
        remedy = "check --data-root and the file's name"
        return UsageError("no such file", where=str(path), remedy=remedy)
    if isinstance(error, IsADirectoryError):
        return UsageError("is a folder, not a text file", where=str(path))
    return UsageError(f"cannot be read ({error.strerror or error})", where=str(path))


@dataclass(frozen=True)
class Problem:
    """Something wrong with a data set's files.

    Attributes:
        what: the sentence, without its full stop.
        where: file, or file:line.
        kind: plural noun that counts problems of the same sort ("captions without words").
        remedy: what would do.
    """

    what: str
    where: str
    kind: str
    remedy: str = ""

    @classmethod
    def of(cls, error: UsageError, kind: str) -> Problem:
        """The problem that an error tells of, counted among those of `kind`."""
        return cls(error.what, error.where, kind, error.remedy)

    def __str__(self) -> str:
        return str(UsageError(self.what, where=self.where, remedy=self.remedy))


@dataclass(frozen=True)
class Scan(Generic[CorpusT]):
    """What reading a data set's texts and headers gave: the corpus of what is usable (None where
    too little is), and everything that is wrong. Neither pictures nor sounds are decoded for it."""

    corpus: CorpusT | None
    problems: tuple[Problem, ...] = ()


def collect(problems: list[Problem], kind: str = "problems") -> OnError:
    """An `OnError` that adds every error to a list of problems."""
    return lambda error: problems.append(Problem.of(error, kind))


def summary(problems: Sequence[Problem]) -> UsageError:
    """One error for many problems: the first, and how many there are of its kind."""
    first = problems[0]
    alike = sum(problem.kind == first.kind for problem in problems)
    what = first.what if alike == 1 else f"{alike} {first.kind}, the first: {first.what}"
    return UsageError(what, where=first.where, remedy=first.remedy)


def interleaved(problems: Iterable[Problem]) -> list[str]:
    """A line for every problem: the first of each kind, then the second of each kind, ..., so that
    the first few lines show all that can be wrong. The same line is never said twice."""
    kinds: dict[str, list[str]] = {}
    for problem in problems:
        kinds.setdefault(problem.kind, []).append(str(problem))
    turns = chain.from_iterable(zip_longest(*kinds.values()))
    return list(dict.fromkeys(line for line in turns if line is not None))
