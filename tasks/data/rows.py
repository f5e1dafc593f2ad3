"""Rows of texts that stay on disk, and examples made of them as they are asked for. The columns of
Parquet files are decoded a few rows at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar, overload

import numpy as np

from bench.errors import UsageError, blank
from tasks.data.lines import TextLines, TextRow, TextRows
from tasks.data.problems import OnError, fail
from tasks.data.readers import Row, no_column, parse_object, read_json_lines
from tasks.data.unicode import composed

if TYPE_CHECKING:  # pyarrow takes most of a second, and only Parquet files need it
    import pyarrow as pa
    import pyarrow.parquet as pq

# Rows decoded together when a Parquet file is gone through.
_BATCH = 1024

Example = TypeVar("Example")


@dataclass(frozen=True, eq=False)
class ParallelLines(TextRows[TextRow]):
    """Line n of every file makes row n. Raises UsageError where
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
        return tuple(lines[index] for lines in self.files)

    def __iter__(self) -> Iterator[TextRow]:
        return zip(*self.files, strict=True)


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
        for row in read_json_lines(self.path, on_error, columns=self.columns):
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
        return map(self._texts, read_json_lines(self.path, columns=self.columns))

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
            schema = opened.schema_arrow.empty_table().flatten().schema
            for column in self.columns:
                if column not in schema.names:
                    raise no_column([column], schema.names, str(path))
                if schema.names.count(column) > 1:
                    raise UsageError(f"two columns are called '{column}'", where=str(path))
                if not _text_or_number(schema.field(column).type):
                    what = f"column '{column}': expected text, got {schema.field(column).type}"
                    raise UsageError(what, where=str(path))

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


def _text_or_number(kind: pa.DataType) -> bool:
    """Whether values of an Arrow type are texts, or whole numbers (classes)."""
    from pyarrow import types

    if types.is_dictionary(kind):
        kind = kind.value_type
    return bool(
        types.is_string(kind)
        or types.is_large_string(kind)
        or types.is_string_view(kind)
        or types.is_integer(kind)
        or types.is_null(kind)
    )


@contextmanager
def _decoding(path: Path) -> Iterator[None]:
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
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
    """N, whether something can be seen of every text of a row."""
    return np.fromiter((not any(map(blank, row)) for row in texts), dtype=bool, count=len(texts))
