"""Ragged arrays on disk, memory-mapped and gathered into padded batches; texts encoded into them.

An Arrow file holds rows of differing length (tokens of texts, frames of utterances) in blocks.
Opening it reads next to nothing; a batch touches the pages of its own rows only, so a corpus may be
larger than memory. The lengths of all rows are the index that batching needs.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from tasks.data.cache import cached, digest, digest_texts
from tasks.data.vocabulary import BOS, EOS, PAD, Segmented

# Texts encoded and written at once.
ROWS = 1 << 16
# Raised when the same tokeniser and texts would give another file than before.
VERSION = 1


def write_blocks(
    path: Path,
    types: Mapping[str, pa.DataType],
    blocks: Iterable[Mapping[str, Sequence[Any]]],
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write a table block by block. All blocks but the last hold equally many rows."""
    schema = pa.schema(list(types.items()), metadata=metadata)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        for block in blocks:
            arrays = [pa.array(block[name], type=type) for name, type in types.items()]
            writer.write_batch(pa.record_batch(arrays, schema=schema))


def read_table(path: Path) -> pa.Table:
    """What `write_blocks` wrote, mapped into memory."""
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
        values = np.fromiter(itertools.chain.from_iterable(rows), np.int64)
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
            inside = np.arange(int(lengths[rows].max())) < lengths[rows, None]  # b,t
            if not inside.any():
                continue
            starts = offsets[places[rows], None]  # b,1
            # Where nothing is real, the first value is read and thrown away.
            found = values[np.where(inside, starts + np.arange(inside.shape[1]), 0)]
            real = inside.reshape(*inside.shape, *(1 for _ in vector))
            out[rows, : inside.shape[1]] = np.where(real, found, filling)
        return Padded(out, lengths)


# Texts as token ids.


class TextEncoder(Protocol):
    """Whatever cuts texts into token ids (`Tokenizer`, `Vocabulary`)."""

    @property
    def fingerprint(self) -> str:
        """Digest of all that decides how texts are encoded."""

    def segment_batch(self, texts: Iterable[str]) -> list[Segmented]:
        """Token ids with the word of each token."""


@dataclass(frozen=True)
class PaddedTexts(Padded):
    """A batch of texts: `values` are B,T int64 token ids, PAD after the end; `lengths` count begin
    and end where they were asked for.

    Attributes:
        segments: B,T int64, the segment of every token, 0 where padding; None where texts have no
            segments. The begin token counts to the first segment, the end token to the last.
    """

    segments: np.ndarray | None = None


@dataclass(frozen=True)
class EncodedTexts:
    """One side of a corpus as token ids, without begin and end.

    Attributes:
        ids: the tokens of each text.
        word_of: the word of every token, from 0; None where nobody asks for words.
        segment_of: the segment of every token; None where texts have no segments.
        fingerprint: digest of the texts, their order and the tokeniser.
    """

    ids: RaggedArray
    word_of: RaggedArray | None = None
    segment_of: RaggedArray | None = None
    fingerprint: str = ""

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def lengths(self) -> np.ndarray:
        """N int64, tokens of each text."""
        return self.ids.lengths

    def tokens(self, index: int) -> np.ndarray:
        """T token ids of one text."""
        return self.ids[index]

    def words(self, index: int) -> np.ndarray:
        """T, the word of each token of one text."""
        assert self.word_of is not None
        return self.word_of[index]

    def batch(self, indices: np.ndarray, *, begin: bool = False, end: bool = False) -> PaddedTexts:
        """Gather texts into one padded array.

        Args:
            indices: B places in the corpus.
            begin, end: whether BOS goes before each text and EOS after it.
        """
        found = self.ids.gather(indices, dtype=np.int64, filling=PAD)
        tokens = _framed(found.values, begin, end, PAD)
        every, last = np.arange(len(tokens)), begin + found.lengths
        if begin:
            tokens[:, 0] = BOS
        if end:
            tokens[every, last] = EOS
        segments = None
        if self.segment_of is not None:
            segments = _framed(
                self.segment_of.gather(indices, dtype=np.int64).values, begin, end, 0
            )
            if end:
                segments[every, last] = segments[every, np.maximum(last - 1, 0)]
        return PaddedTexts(tokens, found.lengths + begin + end, segments)


def _framed(values: np.ndarray, begin: bool, end: bool, filling: int) -> np.ndarray:
    """B,T with a further column at either end where one is wanted."""
    B, T = values.shape
    out = np.full((B, begin + T + end), filling, dtype=values.dtype)
    out[:, begin : begin + T] = values
    return out


def encode(
    texts: Sequence[str],
    encoder: TextEncoder,
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
    parts = ["encoded", VERSION, encoder.fingerprint, digest_texts(texts)]
    if segments is not None:
        parts.append(digest_texts(map(repr, segments)))
    key = digest(*parts)
    names = ["tokens", "words"] + ([] if segments is None else ["segments"])
    path = cached(
        cache / "encoded",
        key,
        lambda target: write_blocks(
            target,
            dict.fromkeys(names, pa.large_list(pa.int32())),
            _encoded_blocks(texts, encoder, segments or ()),
        ),
        suffix=".arrow",
    )
    table = read_table(path)
    columns = {name: RaggedArray.of_column(table.column(name)) for name in table.column_names}
    return EncodedTexts(columns["tokens"], columns["words"], columns.get("segments"), key)


def _encoded_blocks(
    texts: Iterable[str], encoder: TextEncoder, segments: Iterable[Sequence[int]]
) -> Iterator[dict[str, list[Any]]]:
    remaining, numbers = iter(texts), iter(segments)
    while block := list(itertools.islice(remaining, ROWS)):
        segmented = encoder.segment_batch(block)
        of_words = itertools.islice(numbers, len(block))
        yield {
            "tokens": [one.ids for one in segmented],
            "words": [one.words for one in segmented],
            "segments": list(map(_segments_of_tokens, of_words, segmented)),
        }


def _segments_of_tokens(of_words: Sequence[int], text: Segmented) -> np.ndarray:
    """T, the segment of every token, from those of the words."""
    return np.asarray(of_words, dtype=np.int32)[np.asarray(text.words, dtype=np.int64)]
