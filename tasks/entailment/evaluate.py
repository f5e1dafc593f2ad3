"""Scoring of entailment (accuracy, macro F1, confusion, with intervals over examples), and the test
of a trained model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch

from bench.hardware import Stopwatch
from bench.store.result import Alignment
from tasks.base import Evaluation
from tasks.data.batching import LabelledBatch, Matrices
from tasks.entailment.data import EntailmentData
from tasks.entailment.datasets import LABELS, PairExample
from tasks.evaluation.alignment import Case, agreement, weights_notes
from tasks.evaluation.bootstrap import Extremes, bootstrap, ratio
from tasks.evaluation.scoring import (
    Outputs,
    Prediction,
    Reference,
    Scorer,
    Scores,
    prefixed,
    score_outputs,
)
from tasks.evaluation.text import END, Attended, WordPair, alignment, traces
from tasks.training.classifier import ClassificationModule

CLASSES = len(LABELS)
#: Predictions have probabilities to four places.
ROUNDING = 2e-4
#: Alignment is the same whether a model reads freely or is made to: the hypothesis is given.
SAME_READING = "the hypothesis is given, so there is one reading: free equals forced"


class EntailmentScorer(Scorer[EntailmentData]):
    """Classes against labels."""

    def references(self, data: EntailmentData) -> Mapping[str, Sequence[Reference]]:
        return {
            subset: [
                Reference(
                    pair.id,
                    f"{pair.premise_text} | {pair.hypothesis_text}",
                    (str(pair.label),),
                    len(pair.premise),
                )
                for pair in split.pairs
            ]
            for subset, split in data.tests.items()
        }

    def score(self, data: EntailmentData, subset: str, outputs: Outputs) -> Scores:
        gold = data.tests[subset].labels
        # What is no label at all is wrong whatever the label: the next class after the right one.
        known: dict[str, int] = {label: place for place, label in enumerate(LABELS)}
        chosen = [
            known.get(text, (int(right) + 1) % CLASSES)
            for text, right in zip(outputs.texts, gold, strict=True)
        ]
        return score(gold, np.array(chosen, dtype=np.int64))

    def baselines(self, data: EntailmentData) -> Mapping[str, float]:
        return prefixed(
            {
                subset: {
                    f"baseline_{name.replace(' ', '_')}": accuracy
                    for name, accuracy in data.baselines[subset].items()
                }
                for subset in data.tests
            }
        )

    def contradictions(self, prediction: Prediction, scores: Scores, place: int) -> Iterator[str]:
        label = prediction.prediction
        if label not in LABELS:
            yield f"{label!r} is not a label"
            return
        stated = prediction.extra.get("probabilities")
        if not isinstance(stated, Mapping) or set(stated) != set(LABELS):
            yield "it has no probability for every label"
        elif not all(isinstance(value, int | float) for value in stated.values()):
            yield "its probabilities are not numbers"
        elif stated[label] < max(stated.values()) - ROUNDING:
            yield "its prediction is not the most probable label"


def score(gold: np.ndarray, predicted: np.ndarray) -> Scores:
    """The figures of N predicted classes against N gold ones.

    accuracy and macro_f1 (fractions) with `_low` and `_high` (95 %), f1_<label>, and the confusion
    matrix as counts confusion_<gold>_<predicted>.
    """
    statistics = accuracy_statistics(gold, predicted)
    accuracy = bootstrap(statistics, ratio)
    macro = bootstrap(confusion_statistics(gold, predicted), macro_f1, CONFUSION_EXTREMES)
    metrics: dict[str, float] = {}
    for name, interval in (("accuracy", accuracy), ("macro_f1", macro)):
        metrics[name] = interval.value
        metrics[f"{name}_low"], metrics[f"{name}_high"] = interval.low, interval.high
    counts = confusion(gold, predicted).reshape(-1)
    metrics |= {f"f1_{one}": value for one, value in zip(LABELS, f1(counts).tolist(), strict=True)}
    cells = zip(product(LABELS, LABELS), counts.tolist(), strict=True)
    metrics |= {f"confusion_{label}_{other}": float(count) for (label, other), count in cells}
    return Scores(
        name="accuracy",
        interval=accuracy,
        metrics=metrics,
        statistics=statistics,
        figure=ratio,
        examples=statistics[:, 0],
    )


def accuracy_statistics(gold: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """N,2: right or not, and 1; sums of rows give the accuracy by `ratio`."""
    assert gold.shape == predicted.shape, (gold.shape, predicted.shape)
    right = (gold == predicted).astype(np.float64)
    return np.stack([right, np.ones_like(right)], axis=1)


def confusion_statistics(gold: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """N,9: one-hot over (gold, predicted); sums of rows are confusion matrices, row by row."""
    return np.eye(CLASSES * CLASSES)[gold * CLASSES + predicted]


def confusion(gold: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """3,3 counts: rows are gold labels, columns predicted ones, in the order of `LABELS`."""
    counts = np.bincount(gold * CLASSES + predicted, minlength=CLASSES * CLASSES)
    return counts.reshape(CLASSES, CLASSES)


def f1(sums: np.ndarray) -> np.ndarray:
    """F1 of each label from confusion counts. ...,9 -> ...,3; 0 for a label that never occurs."""
    matrix = sums.reshape(*sums.shape[:-1], CLASSES, CLASSES)  # ...,gold,predicted
    hits = np.diagonal(matrix, axis1=-2, axis2=-1)  # ...,3
    of_both = matrix.sum(axis=-1) + matrix.sum(axis=-2)  # ...,3
    return np.divide(2 * hits, of_both, out=np.zeros_like(of_both, dtype=float), where=of_both > 0)


def macro_f1(sums: np.ndarray) -> np.ndarray:
    """Mean F1 over the labels. ...,9 -> ..."""
    return f1(sums).mean(axis=-1)


def _right(statistics: np.ndarray) -> np.ndarray:
    """Whether the class is the label, of one-hot confusions N,9 -> N."""
    return statistics[:, :: CLASSES + 1].sum(axis=1)


def _all_wrong_and_all_right(mean: np.ndarray) -> np.ndarray:
    """Confusions with the same labels, all taken for the next class and all right, 9 -> 2,9."""
    right = np.diag(mean.reshape(CLASSES, CLASSES).sum(axis=1))
    return np.stack([np.roll(right, 1, axis=1), right]).reshape(2, -1)


CONFUSION_EXTREMES = Extremes(_right, _all_wrong_and_all_right)


@dataclass(frozen=True)
class PairReading:
    """One pair as it was read.

    Attributes:
        index: place in its split.
        probabilities: K.
        weights: T,S over hypothesis words and premise words with the end, or None.
        parts: further T,S matrices by name, where they were asked for.
    """

    index: int
    probabilities: np.ndarray
    weights: np.ndarray | None
    parts: Mapping[str, np.ndarray]


def evaluate(module: ClassificationModule, data: EntailmentData) -> Evaluation:
    """Test on every test set; the first one gives the headline figure.

    Alignment is judged on the headline set, or on the first aligned set where that has no links.
    """
    watch = Stopwatch(module.device.type)
    splits = {**data.tests, **data.aligned}
    read: dict[str, list[PairReading]] = {name: [] for name in splits}
    for name, split in splits.items():
        for batch in split.in_order_of_length(data.settings.eval_batch_tokens):
            with watch:
                traced = module.settings.num_traces
                read[name] += read_pairs(module, batch.to(module.device), traced)
        read[name].sort(key=lambda one: one.index)
    outputs = {name: _outputs(read[name]) for name in data.tests}
    scores = score_outputs(EntailmentScorer(), data, outputs)
    looked = {name: attended(split.pairs, read[name]) for name, split in splits.items()}
    judged = (_alignment(looked[name]) for name in (next(iter(data.tests)), *data.aligned))
    found = next((one for one in judged if one is not None), None)
    return Evaluation(
        metrics=scores.metrics,
        primary=scores.primary,
        predictions=scores.predictions,
        traces=[
            trace
            for name, examples in looked.items()
            for one in examples[: module.settings.num_traces]
            for trace in traces(one, name)
            if trace.mode == "forced"
        ],
        by_length=scores.by_length,
        alignment=found,
        notes=[*([] if found is None else [SAME_READING]), *weights_notes(module.weights_kind)],
        decoded=sum(map(len, splits.values())),
        decode_seconds=watch.seconds,
    )


def read_pairs(
    module: ClassificationModule, batch: LabelledBatch, keep_parts: int
) -> Iterator[PairReading]:
    """Read the pairs of a batch.

    Args:
        keep_parts: heads and layers are kept for pairs with a smaller index than this.
    """
    reading = module.read(batch, need_weights=True)
    probabilities = torch.softmax(module.logits(reading, batch).float(), dim=1).cpu().numpy()  # B,K
    matrices = Matrices.of(reading.weights, reading.parts, module.weights_kind)
    words = reading.mask.sum(dim=1).tolist()
    sources = batch.source_mask.sum(dim=1).tolist()
    for row, index in enumerate(batch.index.tolist()):
        weights, parts = matrices.example(
            row, words[row], sources[row], with_parts=index < keep_parts
        )
        yield PairReading(index, probabilities[row], weights, parts)


def _outputs(read: Sequence[PairReading]) -> Outputs:
    return Outputs(
        texts=[LABELS[one.probabilities.argmax()] for one in read],
        extra=[
            {
                "probabilities": {
                    label: round(float(value), 4)
                    for label, value in zip(LABELS, one.probabilities, strict=True)
                }
            }
            for one in read
        ],
    )


def attended(pairs: Sequence[PairExample], read: Sequence[PairReading]) -> list[Attended]:
    """The weights of pairs; none where nothing attends. The one reading stands for both."""
    return [
        Attended(
            WordPair(
                pair.id,
                pair.premise_text,
                pair.hypothesis_text,
                pair.premise,
                pair.hypothesis,
                pair.links,
            ),
            source=(*pair.premise, END),
            written=pair.hypothesis,
            produced=np.arange(len(pair.hypothesis)),
            free=one.weights,
            forced=one.weights,
            free_parts=one.parts,
            forced_parts=one.parts,
        )
        for pair, one in zip(pairs, read, strict=True)
        if one.weights is not None
    ]


def _alignment(examples: Sequence[Attended]) -> Alignment | None:
    """None where nothing attends or there are no links."""
    found = alignment(examples, sure=True)
    if found is None:
        return None
    same = agreement(Case(_same_words(one), one.pair.links) for one in examples if one.pair.links)
    return found.model_copy(update={"baselines": {**found.baselines, "same word": same.figures()}})


def _same_words(one: Attended) -> np.ndarray:
    """T,S weights of a reader that only sees which words are the same: evenly on those, on the
    end where there are none."""
    same = np.array(one.written, dtype=object)[:, None] == np.array(one.source, dtype=object)
    same[:, -1] = ~same.any(axis=1)
    return same / same.sum(axis=1, keepdims=True)
