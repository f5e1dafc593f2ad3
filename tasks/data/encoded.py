"""Encoded texts on disk: memory-mapped token ids, gathered into padded batches.

An Arrow file holds, per text, the token ids, the word of every token and, where texts come in
segments (sentences of a document), the segment of every token, in blocks of `ROWS` texts. Opening
it reads next to nothing; a batch touches the pages of its own texts only, so a corpus may be larger
than memory. The lengths of all texts are the index that batching needs.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from tasks.data.cache import cached, digest, digest_texts
from tasks.data.tokenizer import BOS, EOS, PAD, Segmented

ROWS = 1 << 16
# Raised when the same tokeniser and texts would give another file than before.
VERSION = 1

_COLUMN = pa.large_list(pa.int32())


class Encoder(Protocol):
    """Whatever cuts texts into token ids (`Tokeniser`, a task's own vocabulary)."""

    @property
    def fingerprint(self) -> str:
        """Digest of all that decides how texts are encoded."""

    def segment_batch(self, texts: Iterable[str]) -> list[Segmented]:
        """Token ids with the word of each token."""


@dataclass(frozen=True)
class Padded:
    """A batch of texts.

    Attributes:
        tokens: B,T int64, PAD after the end.
        lengths: B int64, tokens of each text, begin and end counted where they were asked for.
        segments: B,T int64, the segment of every token, 0 where padding; None where texts have no
            segments. The begin token counts to the first segment, the end token to the last.
    """

    tokens: np.ndarray
    lengths: np.ndarray
    segments: np.ndarray | None = None

    @property
    def mask(self) -> np.ndarray:
        """B,T bool, True where real."""
        return np.arange(self.tokens.shape[1]) < self.lengths[:, None]


@dataclass(frozen=True)
class _Block:
    offsets: np.ndarray  # rows+1
    tokens: np.ndarray  # int32, all texts of the block in a row
    words: np.ndarray
    segments: np.ndarray | None


class EncodedTexts:
    """One side of a corpus as token ids, without begin and end.

    Attributes:
        lengths: N int64, tokens of each text.
        fingerprint: digest of the texts, their order and the tokeniser.
    """

    def __init__(self, path: Path, fingerprint: str) -> None:
        table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
        self._blocks = [_views(batch) for batch in table.to_batches()]
        self._segmented = "segments" in table.column_names
        self.fingerprint = fingerprint
        self.lengths = np.concatenate(
            [np.zeros(0, np.int64), *(np.diff(block.offsets) for block in self._blocks)]
        )

    def __len__(self) -> int:
        return len(self.lengths)

    def tokens(self, index: int) -> np.ndarray:
        """T token ids of one text."""
        block, low, high = self._place(index)
        return block.tokens[low:high]

    def words(self, index: int) -> np.ndarray:
        """T, the word of each token of one text."""
        block, low, high = self._place(index)
        return block.words[low:high]

    def batch(self, indices: np.ndarray, *, begin: bool = False, end: bool = False) -> Padded:
        """Gather texts into one padded array.

        Args:
            indices: B places in the corpus.
            begin, end: whether BOS goes before each text and EOS after it.
        """
        indices = np.asarray(indices, dtype=np.int64)
        lengths = self.lengths[indices]
        width = int(lengths.max(initial=0))
        shape = (len(indices), begin + width + end)
        out = np.full(shape, PAD, dtype=np.int64)
        segments = np.zeros(shape, dtype=np.int64) if self._segmented else None
        for number in np.unique(indices // ROWS):  # one block unless the corpus is large
            rows = np.flatnonzero(indices // ROWS == number)
            block, local = self._blocks[number], indices[rows] % ROWS
            inside = slice(begin, begin + width)
            out[rows, inside] = _gather(block.tokens, block.offsets, local, width, PAD)
            if segments is not None and block.segments is not None:
                segments[rows, inside] = _gather(block.segments, block.offsets, local, width, 0)
        every, last = np.arange(len(indices)), begin + lengths
        if begin:
            out[:, 0] = BOS
        if end:
            out[every, last] = EOS
            if segments is not None:
                segments[every, last] = segments[every, np.maximum(last - 1, 0)]
        return Padded(out, lengths + begin + end, segments)

    def _place(self, index: int) -> tuple[_Block, int, int]:
        block = self._blocks[index // ROWS]
        low, high = block.offsets[index % ROWS : index % ROWS + 2]
        return block, int(low), int(high)


def encode(
    texts: Sequence[str],
    tokeniser: Encoder,
    cache: Path,
    *,
    segments: Iterable[Sequence[int]] | None = None,
) -> EncodedTexts:
    """Encode texts once and keep them in the cache; equal requests find them ready.

    Args:
        texts: read twice, never held as a whole.
        segments: for every text the segment of each of its words, from 0 and never falling; gone
            through twice.

    Raises:
        UsageError: the cache cannot be written.
    """
    parts = ["encoded", VERSION, tokeniser.fingerprint, digest_texts(texts)]
    if segments is not None:
        parts.append(digest_texts(map(repr, segments)))
    key = digest(*parts)
    path = cached(
        cache / "encoded",
        key,
        lambda target: _write(target, texts, tokeniser, segments),
        suffix=".arrow",
    )
    return EncodedTexts(path, key)


def _write(
    path: Path,
    texts: Iterable[str],
    tokeniser: Encoder,
    segments: Iterable[Sequence[int]] | None,
) -> None:
    names = ["tokens", "words"] + ([] if segments is None else ["segments"])
    schema = pa.schema([(name, _COLUMN) for name in names])
    remaining, numbers = iter(texts), iter(segments or ())
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        while block := list(itertools.islice(remaining, ROWS)):
            segmented = tokeniser.segment_batch(block)
            columns: list[list[Any]] = [
                [one.ids for one in segmented],
                [one.words for one in segmented],
            ]
            if segments is not None:
                of_words = itertools.islice(numbers, len(block))
                columns.append(list(map(_of_tokens, of_words, segmented)))
            arrays = [pa.array(column, type=_COLUMN) for column in columns]
            writer.write_batch(pa.record_batch(arrays, schema=schema))


def _of_tokens(of_words: Sequence[int], text: Segmented) -> np.ndarray:
    """T, the segment of every token."""
    return np.asarray(of_words, dtype=np.int32)[np.asarray(text.words, dtype=np.int64)]


def _views(batch: pa.RecordBatch) -> _Block:
    # Zero-copy: these arrays are the mapped file itself.
    values = {
        name: batch.column(name).values.to_numpy(zero_copy_only=True) for name in batch.schema.names
    }
    offsets = batch.column("tokens").offsets.to_numpy(zero_copy_only=True)
    return _Block(offsets, values["tokens"], values["words"], values.get("segments"))


def _gather(
    values: np.ndarray, offsets: np.ndarray, rows: np.ndarray, width: int, filling: int
) -> np.ndarray:
    """Rows of a ragged array, padded: B,T."""
    starts, ends = offsets[rows], offsets[rows + 1]  # B
    places = starts[:, None] + np.arange(width)  # B,T
    inside = places < ends[:, None]
    if width == 0:
        return np.zeros((len(rows), 0), dtype=np.int32)
    return np.where(inside, values[np.where(inside, places, 0)], filling)
