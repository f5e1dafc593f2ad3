"""What every translation data set gives: pairs of sentences, and links where they are known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from tasks.data.cache import digest, digest_texts
from tasks.data.tokenizer import words

#: Pairs (target word, source word), counted from 0.
Links = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Pair:
    """A sentence and its translation, as plain text.

    Attributes:
        id: name within its split ("test-17", a line number, ...).
        links: which words belong together; None where nothing is known.
    """

    id: str
    source_text: str
    target_text: str
    links: Links | None = None

    @property
    def source(self) -> tuple[str, ...]:
        """The words that links count, punctuation being words too."""
        return words(self.source_text)

    @property
    def target(self) -> tuple[str, ...]:
        return words(self.target_text)


@dataclass(frozen=True)
class Corpus:
    """A translation data set.

    Attributes:
        tests: test sets by name; the first one gives the headline figure.
        sure: whether links are between words that translate each other; otherwise they join all
            words of phrases that belong together, and are possible links only.
        notes: what a reader of the results must know (pairs dropped, links not found, ...).
    """

    name: str
    source_language: str
    target_language: str
    train: Sequence[Pair]
    validation: Sequence[Pair]
    tests: Mapping[str, Sequence[Pair]]
    sure: bool = True
    notes: tuple[str, ...] = ()

    def limited(self, train: int = 0, test: int = 0) -> Corpus:
        """The first `train` training pairs and the first `test` of every test set; 0 is all."""
        return replace(
            self,
            train=self.train[:train] if train else self.train,
            tests={name: pairs[:test] if test else pairs for name, pairs in self.tests.items()},
        )

    @cached_property
    def fingerprint(self) -> str:
        """Digest of every pair, its links and the order; hexadecimal."""
        splits = {"train": self.train, "validation": self.validation, **self.tests}
        return digest(
            "corpus",
            list(splits),
            [digest_texts(_fields(pairs)) for pairs in splits.values()],
            self.sure,
        )


def _fields(pairs: Sequence[Pair]) -> Iterator[str]:
    for pair in pairs:
        yield pair.source_text
        yield pair.target_text
        yield repr(pair.links)
