"""Target units as token ids: the symbols of a corpus behind the four special ids."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from tasks.text.tokenise import BOS, EOS, PAD, SPECIALS, UNK


class Symbols:
    """A vocabulary with ids 0 pad, 1 begin, 2 end, 3 unknown, and the given symbols from 4 on."""

    def __init__(self, symbols: Sequence[str]) -> None:
        self._names = [*SPECIALS, *symbols]
        self._ids = {name: number for number, name in enumerate(self._names)}
        assert len(self._ids) == len(self._names), "a symbol stands twice, or is a special one"

    @property
    def size(self) -> int:
        """Number of token ids, special ones included."""
        return len(self._names)

    def encode(self, rows: Sequence[Sequence[str]]) -> Targets:
        """Token ids of every row; symbols that are not known become UNK."""
        lengths = np.array([len(row) for row in rows], dtype=np.int64)
        ids = self._ids
        flat = np.array([ids.get(unit, UNK) for row in rows for unit in row], dtype=np.int64)
        return Targets(flat, np.concatenate([[0], np.cumsum(lengths)]))

    def decode(self, row: Iterable[int]) -> tuple[str, ...]:
        """The symbols of token ids; padding, begin and end vanish, UNK shows as <unk>."""
        return tuple(self._names[number] for number in row if number >= UNK)


class Targets:
    """Token ids of N sequences, without begin and end.

    Args:
        ids: of all sequences, one after the other.
        offsets: N+1, where each begins.
    """

    def __init__(self, ids: np.ndarray, offsets: np.ndarray) -> None:
        self._ids, self._offsets = ids, offsets
        self.lengths: np.ndarray = np.diff(offsets)

    def __len__(self) -> int:
        return len(self.lengths)

    def framed(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What a decoder reads and what it is to write: BOS and the targets, the targets and EOS.
        Both B,T+1 int64, PAD after the end."""
        lengths = self.lengths[indices]
        places = np.arange(int(lengths.max(initial=0)))
        real = places < lengths[:, None]  # B,T
        ids = np.full((len(indices), len(places) + 1), PAD, dtype=np.int64)
        at = self._offsets[indices, None] + places
        ids[:, :-1][real] = self._ids[at[real]]
        inputs = np.concatenate([np.full((len(ids), 1), BOS), ids[:, :-1]], axis=1)
        ids[np.arange(len(ids)), lengths] = EOS
        return inputs, ids
