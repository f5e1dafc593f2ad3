"""Evaluation of tasks that turn text into text: their scorer, what the model looked at word by
word (alignment with gold links, and traces), and the test of a trained model.

Weights over tokens are merged to weights over words, in which gold links are counted and people
read. The end of a source is a word of its own.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import numpy as np
from torch import Tensor

from bench.store.result import Alignment, AlignmentFigures, Mode, Trace
from tasks.base import Evaluation
from tasks.data.batching import Batch
from tasks.data.texts import Split, TextData
from tasks.data.tokenizer import Tokenizer, words
from tasks.data.unicode import composed
from tasks.evaluation.alignment import (
    Case,
    agreement,
    diagonal_weights,
    merge_pieces,
    uniform_weights,
    weights_notes,
)
from tasks.evaluation.decode import Decoding, LengthLimit, Read, Written, decode
from tasks.evaluation.scoring import (
    Outputs,
    Reference,
    Scorer,
    Scores,
    score_outputs,
    with_perplexity,
)
from tasks.evaluation.sequence_alignment import match_units
from tasks.settings import TextSettings
from tasks.training.sequence import GenerationModule

Example = TypeVar("Example")

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


class TextScorer(Scorer[TextData[Example]], Generic[Example]):
    """A task says how an example is seen as words, and how texts are scored."""

    @abstractmethod
    def word_pair(self, example: Example) -> WordPair:
        """An example as words."""

    @abstractmethod
    def score_texts(
        self, texts: Sequence[str], pairs: Sequence[WordPair], settings: TextSettings
    ) -> Scores:
        """The figures that texts and references give. Texts may be in any Unicode form."""

    def pairs(self, data: TextData[Example], subset: str) -> list[WordPair]:
        """The examples of a test set as words."""
        return list(map(self.word_pair, data.tests[subset].examples))

    def references(self, data: TextData[Example]) -> Mapping[str, Sequence[Reference]]:
        return {
            subset: [
                Reference(pair.id, pair.source_text, (pair.target_text,), len(pair.source))
                for pair in self.pairs(data, subset)
            ]
            for subset in data.tests
        }

    def score(self, data: TextData[Example], subset: str, outputs: Outputs) -> Scores:
        pairs = self.pairs(data, subset)
        scores = self.score_texts(outputs.texts, pairs, data.settings)
        units = int((data.tests[subset].target.lengths + 1).sum())
        repeated = repetition(outputs.texts, [pair.target_text for pair in pairs])
        metrics = {**scores.metrics, **repeated}
        return replace(scores, metrics=with_perplexity(metrics, outputs.nll, units))

    def baselines(self, data: TextData[Example]) -> Mapping[str, float]:
        return data.baselines()


def repetition(texts: Sequence[str], references: Sequence[str]) -> dict[str, float]:
    """How much texts repeat themselves: `repeated_trigrams`, the share of their trigrams of words
    that stand earlier in the same text (See 2017, figure 4); and the same of the references,
    `reference_repeated_trigrams`. 0 where no text has three words."""
    found = {}
    for prefix, several in (("", texts), ("reference_", references)):
        grams = [ngrams(words(composed(text)), 3) for text in several]
        count = sum(map(len, grams))
        repeated = count - sum(len(set(one)) for one in grams)
        found[f"{prefix}repeated_trigrams"] = repeated / count if count else 0.0
    return found


def ngrams(units: Sequence[str], order: int) -> list[tuple[str, ...]]:
    """All runs of so many units, in their order."""
    return list(zip(*(units[start:] for start in range(order)), strict=False))


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
        (pair, written, read, tokenizer.words(written.tokens, written.further))
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
    words, written_rows = spelt
    free, free_parts = _merged(written, written_rows, columns)
    forced, forced_parts = _merged(read, split.target.words(index), columns)
    source = (*pair.source, END)
    return Attended(pair, source, words, produced, free, forced, free_parts, forced_parts)


def _merged(
    seen: Written | Read, rows: np.ndarray, columns: np.ndarray
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Weights and parts over words.

    Args:
        rows, columns: the word of each token of the target and of the source.
    """
    assert seen.weights is not None
    parts = {name: merge_pieces(part, rows, columns) for name, part in seen.parts.items()}
    return merge_pieces(seen.weights, rows, columns), parts


def written_trace(
    pair: WordPair, written: Written, split: Split[Any], tokenizer: Tokenizer, subset: str
) -> Trace | None:
    """The trace of an output to which there is no reference; None where nothing attends.

    Args:
        tokenizer: that of the targets.
    """
    if written.weights is None:
        return None
    columns = np.append(split.source.words(written.index), len(pair.source))
    words, rows = tokenizer.words(written.tokens, written.further)
    weights, parts = _merged(written, rows, columns)
    source = (*pair.source, END)
    return Trace(
        pair.id, subset, "free", "words", source, words, weights, parts, extra=_segments(pair)
    )


def _segments(pair: WordPair) -> dict[str, Any]:
    return {"segments": list(pair.segments)} if pair.segments else {}


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
    extra = _segments(one.pair)
    carried = None
    if links is not None:
        carried = tuple((int(one.produced[t]), s) for t, s in links if one.produced[t] >= 0)

    def trace(
        mode: Mode,
        words: tuple[str, ...],
        weights: np.ndarray,
        parts: Mapping[str, np.ndarray],
        links: tuple[tuple[int, int], ...] | None,
    ) -> Trace:
        pair, source = one.pair, one.source
        return Trace(pair.id, subset, mode, "words", source, words, weights, parts, links, extra)

    yield trace("free", one.written, one.free, one.free_parts, carried)
    yield trace("forced", one.pair.target, one.forced, one.forced_parts, links)


def evaluate_texts(
    scorer: TextScorer[Example], module: GenerationModule, data: TextData[Example]
) -> Evaluation:
    """Test on every test set; the first one gives the headline figure and the alignment."""
    decoded = {subset: _decode(module, data, subset) for subset in data.tests}
    outputs = {subset: _outputs(one, data) for subset, one in decoded.items()}
    scores = score_outputs(scorer, data, outputs)
    looked = {
        subset: attended(scorer.pairs(data, subset), one, data.tests[subset], data.target_tokenizer)
        for subset, one in decoded.items()
    }
    return Evaluation(
        metrics=scores.metrics,
        primary=scores.primary,
        predictions=scores.predictions,
        traces=[
            trace
            for subset, examples in looked.items()
            for example in examples[: module.settings.num_traces]
            for trace in traces(example, subset)
        ],
        by_length=scores.by_length,
        alignment=alignment(next(iter(looked.values())), sure=data.sure),
        signatures=scores.signatures,
        notes=(*scores.notes, *weights_notes(module.decoder.weights_kind)),
        decoded=sum(map(len, data.tests.values())),
        decode_seconds=sum(one.seconds for one in decoded.values()),
    )


def length_limit(longest: int) -> LengthLimit:
    """Outputs of at most `longest` units and of so many more than the source has."""

    def limit(batch: Batch) -> Tensor:
        return (batch.source_mask.sum(dim=1) * 2 + 10).clamp(max=longest)

    return limit


def _decode(module: GenerationModule, data: TextData[Example], subset: str) -> Decoding:
    return decode(
        module,
        data.tests[subset].in_order_of_length(data.settings.eval_batch_tokens),
        length_limit(module.settings.max_length),
        keep_parts=module.settings.num_traces,
        device=module.device.type,
    )


def _outputs(decoding: Decoding, data: TextData[Example]) -> Outputs:
    return Outputs(
        texts=[data.target_tokenizer.decode(one.tokens, one.further) for one in decoding.written],
        nll=[one.nll for one in decoding.read],
        extra=[
            {"nll": round(read.nll, 4), "units": read.units, "log_prob": round(written.score, 4)}
            for written, read in zip(decoding.written, decoding.read, strict=True)
        ],
    )
