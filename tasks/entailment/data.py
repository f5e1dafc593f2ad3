"""Entailment data made ready: encoded once, cached by fingerprint, batched by length."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, chain
from pathlib import Path

import numpy as np
import torch

from tasks.base import Paths, TaskData
from tasks.data.batching import BucketBatches, LabelledBatch, Stream, StreamModule, sorted_batches
from tasks.data.texts import EncodedTexts, Texts, encode
from tasks.data.vocabulary import Vocabulary
from tasks.entailment.baselines import baseline_figures
from tasks.entailment.datasets import EntailmentCorpus, PairExample
from tasks.entailment.settings import EntailmentSettings
from tasks.evaluation.alignment import gold_weights, require_gold

#: Words that end a clause.
_CLAUSE_ENDS = frozenset(",;:.，；：。、،؛۔।")


@dataclass(frozen=True)
class Split:
    """Pairs with their tokens, which are their words. Both sides end with EOS.

    Attributes:
        labels: N int64, -1 where there is none.
        gold: whether batches hold the pairs' links as weights.
    """

    pairs: Sequence[PairExample]
    premises: EncodedTexts
    hypotheses: EncodedTexts
    labels: np.ndarray
    gold: bool = False

    def __len__(self) -> int:
        return len(self.pairs)

    def batch(self, indices: np.ndarray) -> LabelledBatch:
        """The pairs at these places, padded."""
        premises = self.premises.batch(indices, end=True)
        hypotheses = self.hypotheses.batch(indices, end=True)
        segments = premises.segments
        return LabelledBatch(
            index=torch.from_numpy(np.ascontiguousarray(indices)),
            source=torch.from_numpy(premises.values),
            source_mask=torch.from_numpy(premises.mask),
            text=torch.from_numpy(hypotheses.values),
            labels=torch.from_numpy(self.labels[indices]),
            segments=None if segments is None else torch.from_numpy(segments),
            units=int(self.hypotheses.lengths[indices].sum()),
            gold=torch.from_numpy(self._gold(indices)) if self.gold else None,
        )

    def _gold(self, indices: np.ndarray) -> np.ndarray:
        """B,T+1,S float32: the gold weights of hypothesis words and the end over the premise."""
        links = [self.pairs[index].links for index in indices.tolist()]
        hypotheses, premises = self.hypotheses, self.premises
        return gold_weights(links, hypotheses.word_batch(indices), premises.word_batch(indices))

    def in_order_of_length(self, units: int) -> Stream:
        """All pairs once, shortest premises first, `units` padded premise words a batch."""
        return Stream(self.batch, sorted_batches(self.premises.lengths + 1, units))


@dataclass(frozen=True)
class EntailmentData(TaskData):
    """Everything a trial needs of its corpus.

    Attributes:
        aligned: sets whose gold links are judged, and whose labels are not.
        cache: folder for what all trials share.
    """

    corpus: EntailmentCorpus
    vocabulary: Vocabulary
    train: Split
    validation: Split
    tests: Mapping[str, Split]
    aligned: Mapping[str, Split]
    cache: Path
    settings: EntailmentSettings

    @property
    def preparation(self) -> str:  # type: ignore[override]
        return self.vocabulary.fingerprint

    @cached_property
    def baselines(self) -> Mapping[str, Mapping[str, float]]:
        """Accuracy of the baselines (`baseline_figures`). They take seconds for the first caller,
        and only testing asks for them."""
        return baseline_figures(self.corpus, self.cache)

    @property
    def length_ratio(self) -> float:
        """Mean premise length over mean hypothesis length, end tokens counted."""
        train = self.train
        return float((train.premises.lengths + 1).mean() / (train.hypotheses.lengths + 1).mean())

    def datamodule(self, seed: int) -> StreamModule:
        train = BucketBatches(
            lengths=self.train.hypotheses.lengths + 1,
            batch_tokens=self.settings.batch_tokens,
            seed=seed,
            ties=self.train.premises.lengths,
        )
        return StreamModule(
            Stream(self.train.batch, train),
            self.validation.in_order_of_length(self.settings.eval_batch_tokens),
        )


def prepare(corpus: EntailmentCorpus, settings: EntailmentSettings, paths: Paths) -> EntailmentData:
    """Count the training words, encode every split.

    Raises UsageError where the cache cannot be written.
    """
    gold = settings.gold_attention != "none"
    if gold:
        require_gold(any(pair.links for pair in corpus.train))
    if settings.word_vectors == "fixed":
        # Vectors by spelling need no training, so words that only testing brings have theirs, too.
        vocabulary = Vocabulary.count(_sides(chain(corpus.examples(), *corpus.aligned.values())))
    else:
        vocabulary = Vocabulary.count(
            _sides(corpus.train),
            least_count=settings.least_count,
            unknown=settings.unknown_embeddings,
        )

    def split(pairs: Sequence[PairExample]) -> Split:
        clauses = Clauses(pairs) if settings.segments == "clauses" else None
        return Split(
            pairs,
            encode(Texts(pairs, "premise_text"), vocabulary, paths.cache, segments=clauses),
            encode(Texts(pairs, "hypothesis_text"), vocabulary, paths.cache),
            np.array([-1 if p.label is None else p.class_index for p in pairs], dtype=np.int64),
            gold,
        )

    return EntailmentData(
        corpus=corpus,
        vocabulary=vocabulary,
        train=split(corpus.train),
        validation=split(corpus.validation),
        tests={name: split(pairs) for name, pairs in corpus.tests.items()},
        aligned={name: split(pairs) for name, pairs in corpus.aligned.items()},
        cache=paths.cache,
        settings=settings,
    )


def _sides(pairs: Iterable[PairExample]) -> Iterator[tuple[str, ...]]:
    """The words of both sides, which share a vocabulary."""
    return chain.from_iterable((pair.premise, pair.hypothesis) for pair in pairs)


@dataclass(frozen=True)
class Clauses:
    """For every pair the clause that each premise word belongs to, counted from 0; a comma or
    full stop ends its clause. Made as it is gone through."""

    pairs: Sequence[PairExample]

    def __iter__(self) -> Iterator[list[int]]:
        return (
            list(accumulate((word in _CLAUSE_ENDS for word in pair.premise[:-1]), initial=0))
            for pair in self.pairs
        )
