"""The joint vocabulary of premises and hypotheses.

Whether a word of the hypothesis stands in the premise matters more than what it means, also for
words that training hardly has. Those share a few embeddings, picked by a hash of the word: the
same word is then the same on both sides, and two words are mostly different (Parikh 2016).
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from tasks.cache import digest
from tasks.entailment.corpus import PairExample
from tasks.text.tokenise import UNK, Segmented


@dataclass(frozen=True)
class Vocabulary:
    """Words and the ids after them for unknown words. Ids below `UNK` as in every tokeniser.

    Attributes:
        words: known words, most frequent first.
        unknown: number of ids that unknown words share.
    """

    words: tuple[str, ...]
    unknown: int

    @classmethod
    def of(cls, pairs: Iterable[PairExample], *, least_count: int, unknown: int) -> Vocabulary:
        """The words that these pairs have at least so often."""
        counts: Counter[str] = Counter()
        for pair in pairs:
            counts.update(pair.premise)
            counts.update(pair.hypothesis)
        known = [word for word, count in counts.items() if count >= least_count]
        return cls(tuple(sorted(known, key=lambda word: (-counts[word], word))), unknown)

    @property
    def size(self) -> int:
        """Number of ids, special ones included."""
        return UNK + self.unknown + len(self.words)

    @property
    def spellings(self) -> tuple[str | None, ...]:
        """The word of every id; None for special ids and those that unknown words share."""
        return (*([None] * (UNK + self.unknown)), *self.words)

    @cached_property
    def fingerprint(self) -> str:
        """Digest of all that decides how texts are encoded."""
        return digest("entailment vocabulary", self.words, self.unknown)

    def segment_batch(self, texts: Iterable[str]) -> list[Segmented]:
        """Ids of the words of texts, which are cut at blanks; every word is one token."""
        ids = [list(map(self._id, text.split(" "))) for text in texts]
        return [Segmented(row, list(range(len(row)))) for row in ids]

    def _id(self, word: str) -> int:
        known = self._ids.get(word)
        # CRC-32: Python's own hash of a text differs from process to process.
        return UNK + zlib.crc32(word.encode()) % self.unknown if known is None else known

    @cached_property
    def _ids(self) -> dict[str, int]:
        first = UNK + self.unknown
        return {word: number for number, word in enumerate(self.words, start=first)}
