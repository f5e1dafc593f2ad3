"""Encoded texts on disk: memory-mapped token ids, gathered into padded batches.

An Arrow file holds, per text, the token ids and the word of every token, in blocks of `ROWS`
texts. Opening it reads next to nothing; a batch touches the pages of its own texts only, so a
corpus may be larger than memory. The lengths of all texts are the index that batching needs.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from tasks.cache import cached, digest, digest_texts
from tasks.text.tokenise import BOS, EOS, PAD, Tokeniser

ROWS = 1 << 16
# Raised when the same tokeniser and texts would give another file than before.
VERSION = 1

_SCHEMA = pa.schema([("tokens", pa.large_list(pa.int32())), ("words", pa.large_list(pa.int32()))])


@dataclass(frozen=True)
class Padded:
    """A batch of texts.

    Attributes:
        tokens: B,T int64, PAD after the end.
        lengths: B int64, tokens of each text, begin and end counted where they were asked for.
    """

    tokens: np.ndarray
    lengths: np.ndarray

    @property
    def mask(self) -> np.ndarray:
        """B,T bool, True where real."""
        return np.arange(self.tokens.shape[1]) < self.lengths[:, None]


@dataclass(frozen=True)
class _Block:
    offsets: np.ndarray  # rows+1
    tokens: np.ndarray  # int32, all texts of the block in a row
    words: np.ndarray


class EncodedTexts:
    """One side of a corpus as token ids, without begin and end.

    Attributes:
        lengths: N int64, tokens of each text.
        fingerprint: digest of the texts, their order and the tokeniser.
    """

    def __init__(self, path: Path, fingerprint: str) -> None:
        table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
        self._blocks = [
            _views(tokens, words)
            for tokens, words in zip(
                table.column("tokens").chunks, table.column("words").chunks, strict=True
            )
        ]
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
        out = np.full((len(indices), begin + width + end), PAD, dtype=np.int64)
        for number in np.unique(indices // ROWS):  # one block unless the corpus is large
            rows = np.flatnonzero(indices // ROWS == number)
            out[rows, begin : begin + width] = _gather(
                self._blocks[number], indices[rows] % ROWS, width
            )
        if begin:
            out[:, 0] = BOS
        if end:
            out[np.arange(len(indices)), begin + lengths] = EOS
        return Padded(out, lengths + begin + end)

    def _place(self, index: int) -> tuple[_Block, int, int]:
        block = self._blocks[index // ROWS]
        low, high = block.offsets[index % ROWS : index % ROWS + 2]
        return block, int(low), int(high)


def encode(texts: Sequence[str], tokeniser: Tokeniser, cache: Path) -> EncodedTexts:
    """Encode texts once and keep them in the cache; equal requests find them ready.

    Args:
        texts: read twice, never held as a whole.

    Raises:
        UsageError: the cache cannot be written.
    """
    key = digest("encoded", VERSION, tokeniser.fingerprint, digest_texts(texts))
    path = cached(
        cache / "encoded", key, lambda target: _write(target, texts, tokeniser), suffix=".arrow"
    )
    return EncodedTexts(path, key)


def _write(path: Path, texts: Iterable[str], tokeniser: Tokeniser) -> None:
    remaining = iter(texts)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, _SCHEMA) as writer:
        while block := list(itertools.islice(remaining, ROWS)):
            segmented = tokeniser.segment_batch(block)
            columns = [[one.ids for one in segmented], [one.words for one in segmented]]
            arrays = [pa.array(column, type=_SCHEMA[0].type) for column in columns]
            writer.write_batch(pa.record_batch(arrays, schema=_SCHEMA))


def _views(tokens: pa.LargeListArray, words: pa.LargeListArray) -> _Block:
    # Zero-copy: these arrays are the mapped file itself.
    return _Block(
        tokens.offsets.to_numpy(zero_copy_only=True),
        tokens.values.to_numpy(zero_copy_only=True),
        words.values.to_numpy(zero_copy_only=True),
    )


def _gather(block: _Block, rows: np.ndarray, width: int) -> np.ndarray:
    starts, ends = block.offsets[rows], block.offsets[rows + 1]  # B
    places = starts[:, None] + np.arange(width)  # B,T
    inside = places < ends[:, None]
    if width == 0:
        return np.zeros((len(rows), 0), dtype=np.int32)
    return np.where(inside, block.tokens[np.where(inside, places, 0)], PAD)
