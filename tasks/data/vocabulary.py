"""Ids of symbols: the special ones that every task shares, and vocabularies of whole symbols.

Symbols are whatever a text is a sequence of: words, characters, phones. `tasks.data.tokenizer`
learns subwords besides; its ids begin with the same special ones.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

from tasks.data.cache import digest

PAD, BOS, EOS, UNK = 0, 1, 2, 3
SPECIALS = ("<pad>", "<s>", "</s>", "<unk>")


@dataclass(frozen=True)
class Segmented:
    """One text as tokens.

    Attributes:
        ids: T token ids, without begin and end.
        words: T, the index of the word each token belongs to (from 0, never falling).
    """

    ids: list[int]
    words: list[int]


@dataclass(frozen=True)
class Vocabulary:
    """Symbols with ids: 0 pad, 1 begin, 2 end, then the ids of unknown symbols, then the known.

    Where source and target share a vocabulary, it matters whether two unknown symbols are the same,
    more than what they mean. With several ids for them, one is picked by a hash of the symbol: the
    same symbol is then the same on both sides, and two symbols are mostly different (Parikh 2016).

    Attributes:
        symbols: known symbols, each of them once.
        unknown: number of ids that unknown symbols share.
    """

    symbols: tuple[str, ...]
    unknown: int = 1

    def __post_init__(self) -> None:
        assert self.unknown > 0 and len(set(self.symbols)) == len(self.symbols)

    @classmethod
    def count(
        cls, texts: Iterable[Iterable[str]], *, least_count: int = 1, unknown: int = 1
    ) -> Vocabulary:
        """The symbols that these texts have at least so often, the most frequent first."""
        counts = Counter(chain.from_iterable(texts))
        known = [symbol for symbol, count in counts.items() if count >= least_count]
        return cls(tuple(sorted(known, key=lambda symbol: (-counts[symbol], symbol))), unknown)

    @property
    def size(self) -> int:
        """Number of ids, special ones included."""
        return UNK + self.unknown + len(self.symbols)

    @property
    def spellings(self) -> tuple[str | None, ...]:
        """The symbol of every id; None for special ids and those that unknown symbols share."""
        return (*([None] * (UNK + self.unknown)), *self.symbols)

    @cached_property
    def fingerprint(self) -> str:
        """Digest of all that decides how texts are encoded."""
        return digest("vocabulary", self.symbols, self.unknown)

    def encode(self, symbols: Iterable[str]) -> list[int]:
        """The id of every symbol."""
        ids, unknown = self._ids, self.unknown
        # CRC-32: Python's own hash of a text differs from process to process.
        return [
            ids[one] if one in ids else UNK + zlib.crc32(one.encode()) % unknown for one in symbols
        ]

    def decode(self, ids: Iterable[int]) -> tuple[str, ...]:
        """The symbols of ids; padding, begin and end vanish, unknown ones show as <unk>."""
        first = UNK + self.unknown
        return tuple(
            SPECIALS[UNK] if one < first else self.symbols[one - first] for one in ids if one >= UNK
        )

    def segment_batch(self, texts: Iterable[str]) -> list[Segmented]:
        """Ids of the words of texts, which are cut at blanks; every word is one token."""
        rows = [self.encode(text.split(" ")) for text in texts]
        return [Segmented(row, list(range(len(row)))) for row in rows]

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {one: number for number, one in enumerate(self.symbols, start=UNK + self.unknown)}
