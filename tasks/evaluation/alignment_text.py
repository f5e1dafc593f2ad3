"""What a model of text looked at, word by word: alignment with gold links, and traces.

Weights over tokens are merged to weights over words, in which gold links are counted and people
read. The end of a source is a word of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.store.result import Alignment, AlignmentFigures, Mode, Trace
from tasks.data.text_pairs import Split
from tasks.data.tokenizer import Tokenizer
from tasks.evaluation.alignment import (
    Case,
    agreement,
    diagonal_weights,
    merge_pieces,
    uniform_weights,
)
from tasks.evaluation.decode import Decoding, Read, Written
from tasks.evaluation.sequence_alignment import match_units

END = "</s>"


@dataclass(frozen=True)
class WordPair:
    """A test example as testing sees it.

    Attributes:
        source, target: the words of both sides, as links count them.
        links: pairs (target word, source word); None where nothing is known.
        segments: the segment (sentence) of every source word, from 0; empty for a single one.
    """

    id: str
    source_text: str
    target_text: str
    source: tuple[str, ...]
    target: tuple[str, ...]
    links: tuple[tuple[int, int], ...] | None = None
    segments: tuple[int, ...] = ()


@dataclass(frozen=True)
class Attended:
    """Weights over words of one example, written freely and read forced.

    Attributes:
        source: S words, the end among them.
        written: the T words of the output.
        produced: for each word of the reference the written word that stands for it, or -1.
        free: T,S. `forced`: the same for the words of the reference.
        free_parts, forced_parts: of single heads and layers, by name.
    """

    pair: WordPair
    source: tuple[str, ...]
    written: tuple[str, ...]
    produced: np.ndarray
    free: np.ndarray
    forced: np.ndarray
    free_parts: Mapping[str, np.ndarray]
    forced_parts: Mapping[str, np.ndarray]


def attended(
    pairs: Sequence[WordPair], decoding: Decoding, split: Split[Any], tokenizer: Tokenizer
) -> list[Attended]:
    """Weights over words, for every example that has any.

    Args:
        tokenizer: that of the targets.
    """
    rows = [
        (pair, written, read, tokenizer.words(written.tokens))
        for pair, written, read in zip(pairs, decoding.written, decoding.read, strict=True)
        if written.weights is not None and read.weights is not None
    ]
    produced = match_units([spelt[0] for *_, spelt in rows], [pair.target for pair, *_ in rows])
    return [
        _over_words(*row, stands_for, split) for row, stands_for in zip(rows, produced, strict=True)
    ]


def _over_words(
    pair: WordPair,
    written: Written,
    read: Read,
    spelt: tuple[tuple[str, ...], np.ndarray],
    produced: np.ndarray,
    split: Split[Any],
) -> Attended:
    index = written.index
    columns = np.append(split.source.words(index), len(pair.source))  # the end is the last word
    reference_rows = split.target.words(index)
    words, written_rows = spelt

    def free(weights: np.ndarray | None) -> np.ndarray:
        assert weights is not None
        return merge_pieces(weights, written_rows, columns)

    def forced(weights: np.ndarray | None) -> np.ndarray:
        assert weights is not None
        return merge_pieces(weights, reference_rows, columns)

    return Attended(
        pair=pair,
        source=(*pair.source, END),
        written=words,
        produced=produced,
        free=free(written.weights),
        forced=forced(read.weights),
        free_parts={name: free(part) for name, part in written.parts.items()},
        forced_parts={name: forced(part) for name, part in read.parts.items()},
    )


def alignment(examples: Sequence[Attended], *, sure: bool) -> Alignment | None:
    """Agreement with gold links, and that of weights that know nothing; None without links."""
    linked = [(one, one.pair.links) for one in examples if one.pair.links]
    if not linked:
        return None

    def baseline(make: Callable[[int, int], np.ndarray]) -> AlignmentFigures:
        cases = (Case(make(len(one.pair.target), len(one.source)), links) for one, links in linked)
        return agreement(cases, sure=sure).figures()

    free = agreement((Case(one.free, links, one.produced) for one, links in linked), sure=sure)
    forced = agreement((Case(one.forced, links) for one, links in linked), sure=sure)
    return Alignment(
        **free.figures().model_dump(),
        forced=forced.figures(),
        baselines={"uniform": baseline(uniform_weights), "diagonal": baseline(diagonal_weights)},
    )


def traces(one: Attended, subset: str) -> Iterator[Trace]:
    """The traces of one example: free and forced. `extra` has the segments of the source words,
    where there are several."""
    links = one.pair.links
    extra = {"segments": list(one.pair.segments)} if one.pair.segments else {}
    carried = None
    if links is not None:
        carried = tuple((int(one.produced[t]), s) for t, s in links if one.produced[t] >= 0)

    def trace(
        mode: Mode,
        target: tuple[str, ...],
        weights: np.ndarray,
        parts: Mapping[str, np.ndarray],
        gold: tuple[tuple[int, int], ...] | None,
    ) -> Trace:
        return Trace(
            one.pair.id, subset, mode, "words", one.source, target, weights, parts, gold, extra
        )

    yield trace("free", one.written, one.free, one.free_parts, carried)
    yield trace("forced", one.pair.target, one.forced, one.forced_parts, links)
