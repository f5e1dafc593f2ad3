"""Columns of Parquet files as rows of texts, decoded as they are asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bench.errors import UsageError
from tasks.data.rows import TextRow, TextRows

# Rows decoded together when a file is gone through.
_BATCH = 1024


@dataclass(frozen=True, eq=False)
class ParquetRows(TextRows):
    """The rows of Parquet files, one after the other; an empty text where a value is missing.

    Going through them decodes a few at a time. A single row costs the decoding of its row group.
    """

    files: tuple[Path, ...]
    columns: tuple[str, ...]

    def __post_init__(self) -> None:
        for path, opened in zip(self.files, self._opened, strict=True):
            present = _column_names(opened.schema_arrow)
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
        for path, opened in zip(self.files, self._opened, strict=True):
            with _decoding(path):
                for batch in opened.iter_batches(_BATCH, columns=list(self.columns)):
                    yield from self._rows(batch)

    def _rows(self, batch: Any) -> Iterator[TextRow]:
        values = [_values(batch, column) for column in self.columns]
        for row in zip(*values, strict=True):
            yield tuple("" if value is None else str(value) for value in row)

    @cached_property
    def _opened(self) -> list[pq.ParquetFile]:
        return [_open(path) for path in self.files]

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


def _column_names(schema: pa.Schema) -> list[str]:
    """All columns; those of the fields of a structure are written `structure.field`."""
    names = []
    for field in schema:
        nested = field.type if pa.types.is_struct(field.type) else ()
        names += [f"{field.name}.{inner.name}" for inner in nested] or [field.name]
    return names


def _values(batch: Any, column: str) -> list[Any]:
    name, *inner = column.split(".")
    found = batch.column(name)
    values: list[Any] = (pc.struct_field(found, inner) if inner else found).to_pylist()
    return values


def _open(path: Path) -> pq.ParquetFile:
    with _decoding(path):
        return pq.ParquetFile(path, memory_map=True)


@contextmanager
def _decoding(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise UsageError(
            f"no readable Parquet file ({str(error).splitlines()[0]})",
            where=str(path),
            remedy="delete it and download it again",
        ) from None
