"""Rows of texts that stay on disk, and examples made of them as they are asked for.

Text files are mapped into memory rather than read; the columns of Parquet files are decoded a few
rows at a time.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar, overload

import numpy as np

from bench.errors import UsageError
from tasks.data.readers import (
    OnError,
    Row,
    decode_lines,
    fail,
    parse_object,
    read_json_lines,
    unreadable,
)
from tasks.data.unicode import composed

if TYPE_CHECKING:  # pyarrow takes most of a second, and only Parquet files need it
    import pyarrow as pa
    import pyarrow.parquet as pq

# Bytes looked at together when a text file is searched for line ends or checked.
CHUNK = 1 << 25
# Rows decoded together when a Parquet file is gone through.
_BATCH = 1024

#: The columns of one example.
TextRow = tuple[str, ...]

Example = TypeVar("Example")
RowT = TypeVar("RowT", str, TextRow)


class TextRows(Sequence[RowT]):
    """Texts, or rows of them. Subclasses read one row, go through all, and count them."""

    @abstractmethod
    def row(self, index: int) -> RowT:
        """The row at this place, counted from 0. Raises UsageError where it cannot be read."""

    @overload
    def __getitem__(self, index: int) -> RowT: ...
    @overload
    def __getitem__(self, index: slice) -> list[RowT]: ...
    def __getitem__(self, index: int | slice) -> RowT | list[RowT]:
        if isinstance(index, slice):
            return [self.row(place) for place in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        return self.row(index % len(self))


class TextLines(TextRows[str]):
    """The lines of a UTF-8 file, without their ends. Only line ends are split at, so lines with
    unusual separators inside stay whole; a byte order mark is dropped.

    Raises:
        UsageError: the file is missing, a folder, unreadable or empty. Bytes that are not UTF-8
            are found by `check`, or where the line is asked for.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._bytes = np.memmap(path, dtype=np.uint8, mode="r")
        except OSError as error:
            raise unreadable(path, error) from None
        except ValueError:  # nothing to map
            raise UsageError(
                "the file is empty", where=str(path), remedy="one sentence a line is expected"
            ) from None
        self._starts = self._line_starts()

    def _line_starts(self) -> np.ndarray:
        """Where lines start, and at last where the file ends as if with a line end. N+1"""
        ends = [
            np.flatnonzero(self._bytes[low : low + CHUNK] == ord("\n")) + low
            for low in range(0, len(self._bytes), CHUNK)
        ]
        starts = np.concatenate([[0], *ends]).astype(np.int64)
        starts[1:] += 1
        if starts[-1] < len(self._bytes):
            starts = np.append(starts, len(self._bytes) + 1)
        return starts

    def __len__(self) -> int:
        return len(self._starts) - 1

    def row(self, index: int) -> str:
        return self._decode(index, index + 1)[0]

    def __iter__(self) -> Iterator[str]:
        low = 0
        while low < len(self):
            high = int(np.searchsorted(self._starts, self._starts[low] + CHUNK, side="right")) - 1
            high = min(max(high, low + 1), len(self))
            yield from self._decode(low, high)
            low = high

    def check(self) -> None:
        """Decode everything. Raises UsageError naming the first line that is not UTF-8."""
        deque(self, maxlen=0)

    def _decode(self, low: int, high: int) -> list[str]:
        data = self._bytes[self._starts[low] : self._starts[high] - 1].tobytes()
        text = decode_lines(data, self.path, low + 1)
        return [line.removesuffix("\r") for line in text.split("\n")]


@dataclass(frozen=True, eq=False)
class ParallelLines(TextRows[TextRow]):
    """Line n of every file makes row n, composed (`tasks.data.unicode`). Raises UsageError where
    the files differ in length."""

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
        return tuple(composed(lines[index]) for lines in self.files)

    def __iter__(self) -> Iterator[TextRow]:
        return zip(*(map(composed, lines) for lines in self.files), strict=True)


class JsonRows(TextRows[TextRow]):
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
            else:
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
class ParquetRows(TextRows[TextRow]):
    """The rows of Parquet files, one after the other; an empty text where a value is missing.

    Going through them decodes a few at a time. A single row costs the decoding of its row group.
    """

    files: tuple[Path, ...]
    columns: tuple[str, ...]

    def __post_init__(self) -> None:
        for path, opened in zip(self.files, self._opened, strict=True):
            # Those of the fields of a structure are called `structure.field`.
            present = opened.schema_arrow.empty_table().flatten().column_names
            for column in self.columns:
                if column not in present:
                    raise UsageError(
                        f"no column '{column}'",
                        where=str(path),
                        remedy=f"it has {', '.join(present)}",
                    )

    def __len__(self) -> int:
        return int(self._ends[-1])

    def row(self, index: int) -> TextRow:
        place = int(np.searchsorted(self._ends, index, side="right"))
        file, group = self._groups[place]
        begin = int(self._ends[place - 1]) if place else 0
        with _decoding(self.files[file]):
            table = self._opened[file].read_row_group(group, columns=list(self.columns))
        return next(self._rows(table.slice(index - begin, 1)))

    def __iter__(self) -> Iterator[TextRow]:
        import pyarrow as pa

        for path, opened in zip(self.files, self._opened, strict=True):
            with _decoding(path):
                for batch in opened.iter_batches(_BATCH, columns=list(self.columns)):
                    yield from self._rows(pa.Table.from_batches([batch]))

    def _rows(self, table: pa.Table) -> Iterator[TextRow]:
        flat = table.flatten()
        for row in zip(*(flat[column].to_pylist() for column in self.columns), strict=True):
            yield tuple("" if value is None else composed(str(value)) for value in row)

    @cached_property
    def _opened(self) -> list[pq.ParquetFile]:
        import pyarrow.parquet as pq

        opened = []
        for path in self.files:
            with _decoding(path):
                opened.append(pq.ParquetFile(path, memory_map=True))
        return opened

    @cached_property
    def _groups(self) -> list[tuple[int, int]]:
        """File and number of every row group."""
        return [
            (file, group)
            for file, opened in enumerate(self._opened)
            for group in range(opened.num_row_groups)
        ]

    @cached_property
    def _ends(self) -> np.ndarray:
        """Rows up to the end of every row group."""
        counts = [
            self._opened[file].metadata.row_group(group).num_rows for file, group in self._groups
        ]
        return np.cumsum(counts)


@contextmanager
def _decoding(path: Path) -> Iterator[None]:
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise UsageError(
            f"no readable Parquet file ({str(error).splitlines()[0]})",
            where=str(path),
            remedy="delete it and download it again",
        ) from None


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
