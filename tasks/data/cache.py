"""Prepared data on disk: files named by what they were made from, shared by all trials.

A file's name is the digest of everything its contents depend on, so a file that is there is right
and is never changed. Writing is atomic (a temporary file, then a rename), and a lock lets one
process build while others that want the same file wait for it; the lock goes when its holder
dies, so a killed trial blocks nobody.

Rows of differing length (tokens of texts, frames of utterances) lie in blocks of an Arrow file,
memory-mapped and gathered into padded batches. Opening it reads next to nothing; a batch touches
the pages of its own rows only, so a corpus may be larger than memory. The lengths of all rows are
the index that batching needs.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.errors import UsageError
from bench.store.files import draft_of, remove_dead_drafts
from tasks.data.files import require_regular

if TYPE_CHECKING:  # imported where it is used, since listing and checking data need digests only
    import pyarrow as pa


def digest(*parts: Any) -> str:
    """SHA-256 of plain JSON data, 64 hexadecimal digits. The order of dict keys is irrelevant."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def digest_texts(texts: Iterable[str]) -> str:
    """SHA-256 over a sequence of texts: their contents, borders and order."""
    total = hashlib.sha256()
    for text in texts:
        encoded = text.encode()
        total.update(b"%d:" % len(encoded))
        total.update(encoded)
    return total.hexdigest()


#: Digests of files that this process has read, by their path and what the file system says of them.
_DIGESTS: dict[tuple[str | int, ...], str] = {}
# Files that changed less than so many nanoseconds ago may change once more unnoticed, since the
# clock of a file system ticks.
_UNSETTLED = 1_000_000_000


def file_digest(path: Path) -> str:
    """BLAKE2b of a file's bytes, 40 hexadecimal digits. Each file is read once per process; a
    program that sets a file's size and time to what they were cannot set its ctime.

    Raises UsageError naming a file that cannot be read.
    """
    require_regular(path)
    try:
        status = path.stat()
        times = (status.st_mtime_ns, status.st_ctime_ns)
        key = (os.fspath(path), status.st_dev, status.st_ino, status.st_size, *times)
        found = _DIGESTS.get(key)
        if found is None:
            with path.open("rb") as file:
                found = hashlib.file_digest(file, _short_blake2b).hexdigest()
            if time.time_ns() - max(times) > _UNSETTLED:
                _DIGESTS[key] = found
    except OSError as error:
        raise UsageError(
            f"cannot be read ({error.strerror})", where=str(path), remedy="replace or remove it"
        ) from None
    return found


def _short_blake2b() -> hashlib.blake2b:
    return hashlib.blake2b(digest_size=20)


def cached(
    folder: Path, fingerprint: str, build: Callable[[Path], object], *, suffix: str = ""
) -> Path:
    """The file `folder/<fingerprint><suffix>`, built first if it is not there.

    Args:
        folder: made if needed.
        fingerprint: digest of everything the contents depend on.
        build: writes the contents to the path it is given.

    Raises:
        UsageError: the folder cannot be written.
    """
    path = folder / f"{fingerprint}{suffix}"
    if path.exists():
        return path
    from filelock import FileLock  # here, since it brings asyncio

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f".{fingerprint}.lock"):
            if not path.exists():
                _write(path, build)
    except OSError as error:
        raise UsageError(
            f"cannot write prepared data ({error.strerror or error})",
            where=str(folder),
            remedy="choose a cache folder that can be written, or free disk space",
        ) from error
    return path


def cached_json(folder: Path, fingerprint: str, build: Callable[[], Any]) -> Any:
    """The JSON data of `folder/<fingerprint>.json`, built first if it is not there. Args and Raises
    as for `cached`, but `build` returns the data."""
    path = cached(
        folder,
        fingerprint,
        lambda temporary: temporary.write_text(json.dumps(build()), "utf-8"),
        suffix=".json",
    )
    return json.loads(path.read_text("utf-8"))


def _write(path: Path, build: Callable[[Path], object]) -> None:
    remove_dead_drafts(path.parent)
    temporary = draft_of(path, path.suffix)
    try:
        build(temporary)
        # Without this a power cut could leave the name on an empty file.
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_blocks(
    path: Path,
    types: Mapping[str, pa.DataType],
    blocks: Iterable[Mapping[str, Sequence[Any]]],
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write a table block by block. All blocks but the last hold equally many rows."""
    import pyarrow as pa

    schema = pa.schema(list(types.items()), metadata=metadata)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        for block in blocks:
            arrays = [pa.array(block[name], type=type) for name, type in types.items()]
            writer.write_batch(pa.record_batch(arrays, schema=schema))


def read_table(path: Path) -> pa.Table:
    """What `write_blocks` wrote, mapped into memory."""
    import pyarrow as pa

    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()


@dataclass(frozen=True)
class Padded:
    """A batch of rows.

    Attributes:
        values: B,T or B,T,D, with the filling after each row's end.
        lengths: B int64.
    """

    values: np.ndarray
    lengths: np.ndarray

    @property
    def mask(self) -> np.ndarray:
        """B,T bool, True where real."""
        return np.arange(self.values.shape[1]) < self.lengths[:, None]


class RaggedArray:
    """N rows of differing length, of numbers or of vectors of one size.

    Args:
        blocks: offsets rows+1, and the values of all rows of the block one after the other: n, or
            n,D. All blocks but the last hold equally many rows.

    Attributes:
        lengths: N int64.
    """

    def __init__(self, blocks: Sequence[tuple[np.ndarray, np.ndarray]]) -> None:
        self._blocks = blocks
        self._rows = max(len(blocks[0][0]) - 1, 1) if blocks else 1
        none = np.zeros(0, np.int64)
        self.lengths = np.concatenate([none, *(np.diff(offsets) for offsets, _ in blocks)])

    @classmethod
    def of(cls, rows: Sequence[Sequence[int]]) -> RaggedArray:
        """Rows of whole numbers, in memory."""
        values = np.fromiter(chain.from_iterable(rows), np.int64)
        return cls([(np.cumsum([0, *map(len, rows)]), values)])

    @classmethod
    def of_column(cls, column: pa.ChunkedArray, size: int | None = None) -> RaggedArray:
        """Lists of numbers, or of vectors of `size` numbers each. Nothing is copied: the values are
        the mapped file itself."""
        blocks = []
        for chunk in column.chunks:
            offsets = chunk.offsets.to_numpy(zero_copy_only=True)
            values = chunk.values.to_numpy(zero_copy_only=True)
            blocks.append(
                (offsets, values) if size is None else (offsets // size, values.reshape(-1, size))
            )
        return cls(blocks)

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, index: int) -> np.ndarray:
        """The values of one row: T, or T,D."""
        offsets, values = self._blocks[index // self._rows]
        low, high = offsets[index % self._rows : index % self._rows + 2]
        row: np.ndarray = values[int(low) : int(high)]
        return row

    def gather(self, indices: np.ndarray, *, dtype: type, filling: int = 0) -> Padded:
        """The rows at B places, padded to the longest of them."""
        indices = np.asarray(indices, dtype=np.int64)
        lengths = self.lengths[indices]
        width = int(lengths.max(initial=0))
        vector = self._blocks[0][1].shape[1:] if self._blocks else ()
        out = np.full((len(indices), width, *vector), filling, dtype=dtype)
        numbers, places = np.divmod(indices, self._rows)
        for number in np.unique(numbers):  # one block unless the corpus is large
            rows = np.flatnonzero(numbers == number)
            offsets, values = self._blocks[number]
            inside = np.arange(width) < lengths[rows, None]  # b,t
            b, t = np.nonzero(inside)
            out[rows[b], t] = values[offsets[places[rows]][b] + t]
        return Padded(out, lengths)
