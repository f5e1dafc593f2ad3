"""Overlap of splits: how many held-out examples are in training or validation data, too.

Short, common sentences stand legitimately in several splits of a corpus, so an overlap is counted
and told, and refused nowhere.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

#: What every note on an overlap begins with: reports show these notes beside the figures.
OVERLAP = "overlap: "

ExampleT = TypeVar("ExampleT")


@dataclass(frozen=True)
class Overlap:
    """Examples of a held-out split that another split holds, too.

    Attributes:
        size: number of examples of the held-out split.
        whole: how many of them the other split holds, input and output.
        inputs: how many of them have an input that the other split holds, whatever the output.
    """

    held_out: str
    other: str
    size: int
    whole: int
    inputs: int

    def __str__(self) -> str:
        return (
            f"{OVERLAP}{self.whole:,} of {self.size:,} examples of {self.held_out} are also in "
            f"{self.other} (inputs alone: {self.inputs:,})"
        )


def count_overlaps(
    splits: Mapping[str, Sequence[ExampleT]], texts_of: Callable[[ExampleT], tuple[str, str]]
) -> Iterator[Overlap]:
    """Yield the overlaps of validation with training, and of each test set with both.

    Two texts are the same if they are so in Unicode's canonical composition (NFC), whatever the
    white space between words. Of all examples only 64-bit hashes are held, of training only those
    that are found again.

    Args:
        splits: every split, in the order training, validation, test sets.
        texts_of: gives the texts of an example's input and output.
    """
    (training, train), *held_out = splits.items()
    keys = {name: [_keys(*texts_of(one)) for one in examples] for name, examples in held_out}
    inputs = {key for own in keys.values() for key, _ in own}
    seen = {training: _seen(train, inputs, texts_of)}
    for name, own in keys.items():
        for other, known in seen.items():
            if found := sum(key in known for key, _ in own):
                yield Overlap(name, other, len(own), sum(whole in known for _, whole in own), found)
        if len(seen) == 1:  # validation; test sets may share examples with one another
            seen[name] = {key for both in own for key in both}


def _seen(
    examples: Sequence[ExampleT],
    inputs: set[int],
    texts_of: Callable[[ExampleT], tuple[str, str]],
) -> set[int]:
    """The keys of those examples whose input is among the given ones."""
    found: set[int] = set()
    for source, target in map(texts_of, examples):
        if hash(_folded(source)) in inputs:
            found.update(_keys(source, target))
    return found


def _keys(source: str, target: str) -> tuple[int, int]:
    """Hashes of an example's input, and of input and output together."""
    key = hash(_folded(source))
    return key, hash((key, _folded(target)))


def _folded(text: str) -> str:
    text = unicodedata.normalize("NFC", text)
    if text.isprintable() and "  " not in text:  # the one white space that is printable
        return text.strip(" ")
    return " ".join(text.split())
