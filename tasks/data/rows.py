"""Rows of texts that stay on disk, and examples made of them as they are asked for."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Generic, TypeVar, overload

import numpy as np

from bench.errors import UsageError
from tasks.data.lines import TextLines
from tasks.data.readers import OnError, Row, fail, parse_object, read_json_lines

#: The columns of one example.
TextRow = tuple[str, ...]

Example = TypeVar("Example")


class TextRows(Sequence[TextRow]):
    """Rows of texts. Subclasses read one row, go through all, and count them."""

    @abstractmethod
    def row(self, index: int) -> TextRow:
        """The row at this place, counted from 0. Raises UsageError where it cannot be read."""

    @overload
    def __getitem__(self, index: int) -> TextRow: ...
    @overload
    def __getitem__(self, index: slice) -> list[TextRow]: ...
    def __getitem__(self, index: int | slice) -> TextRow | list[TextRow]:
        if isinstance(index, slice):
            return [self.row(place) for place in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        return self.row(index % len(self))


@dataclass(frozen=True, eq=False)
class ParallelLines(TextRows):
    """Line n of every file makes row n. Raises UsageError where the files differ in length."""

    files: tuple[TextLines, ...]

    def __post_init__(self) -> None:
        first, *others = self.files
        for other in others:
            if len(other) != len(first):
                raise UsageError(
                    f"{len(other)} lines, but {first.path.name} has {len(first)}",
                    where=str(other.path),
                )

    def __len__(self) -> int:
        return len(self.files[0])

    def row(self, index: int) -> TextRow:
        return tuple(lines[index] for lines in self.files)

    def __iter__(self) -> Iterator[TextRow]:
        return zip(*self.files, strict=True)


class JsonRows(TextRows):
    """Named fields of the objects of a file of JSON lines; blank lines are no rows.

    Args:
        on_error: told of lines that are no such objects; the rows must not be read if it returns.

    Raises UsageError where the file cannot be read.
    """

    def __init__(self, path: Path, columns: tuple[str, ...], on_error: OnError = fail) -> None:
        self.path, self.columns = path, columns
        self._lines = TextLines(path)
        # The line (from 0) of every row.
        self._numbers = np.fromiter(self._checked(on_error), np.int64)

    def _checked(self, on_error: OnError) -> Iterator[int]:
        for row in read_json_lines(self.path, on_error):
            try:
                self._texts(row)
            except UsageError as error:
                on_error(error)
                continue
            yield row.line - 1

    def __len__(self) -> int:
        return len(self._numbers)

    def row(self, index: int) -> TextRow:
        line = int(self._numbers[index])
        return self._texts(
            Row(self.path, line + 1, parse_object(self._lines[line], self.path, line + 1))
        )

    def __iter__(self) -> Iterator[TextRow]:
        return map(self._texts, read_json_lines(self.path))

    def _texts(self, row: Row) -> TextRow:
        return tuple(row.text(column) for column in self.columns)


@dataclass(frozen=True, eq=False)
class RowExamples(Sequence[Example], Generic[Example]):
    """Examples built from rows of texts as they are asked for.

    Attributes:
        split: name of the split; examples are called `<split>-<row>`, counted from 1.
        texts: all rows of the files.
        rows: N rows (from 0) that belong to the split.
        build: gives the example of a name, a row number and the row's texts.
    """

    split: str
    texts: Sequence[TextRow]
    rows: np.ndarray
    build: Callable[[str, int, TextRow], Example]

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, index: int) -> Example: ...
    @overload
    def __getitem__(self, index: slice) -> RowExamples[Example]: ...
    def __getitem__(self, index: int | slice) -> Example | RowExamples[Example]:
        if isinstance(index, slice):
            return self.select(self.rows[index])
        row = int(self.rows[index])
        return self._example(row, self.texts[row])

    def __iter__(self) -> Iterator[Example]:
        if np.any(np.diff(self.rows) <= 0):  # not in the files' order
            return (self[place] for place in range(len(self)))
        wanted = np.zeros(len(self.texts), dtype=bool)
        wanted[self.rows] = True
        rows = enumerate(islice(self.texts, int(self.rows.max(initial=-1)) + 1))
        return (self._example(row, texts) for row, texts in rows if wanted[row])

    def select(self, rows: np.ndarray, *, split: str | None = None) -> RowExamples[Example]:
        """Examples of other rows of the same files."""
        return replace(self, rows=rows, split=split or self.split)

    def _example(self, row: int, texts: TextRow) -> Example:
        return self.build(f"{self.split}-{row + 1}", row, texts)


def filled_rows(texts: Sequence[TextRow]) -> np.ndarray:
    """N, whether every text of a row has more than white space."""
    return np.fromiter((all(map(str.strip, row)) for row in texts), dtype=bool, count=len(texts))
