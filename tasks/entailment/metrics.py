"""Accuracy, macro F1 and confusion of three-way predictions, with intervals over examples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bench.store.result import LengthBin
from tasks.entailment.datasets import LABELS, PairExample
from tasks.evaluation import bootstrap as intervals
from tasks.evaluation.bootstrap import Interval

CLASSES = len(LABELS)


def gold_classes(pairs: Sequence[PairExample]) -> np.ndarray:
    """N int64 class indices in the order of `LABELS`."""
    return np.fromiter((pair.class_index for pair in pairs), dtype=np.int64, count=len(pairs))


def correctness(gold: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """1.0 where right, 0.0 where wrong. N, N -> N."""
    assert gold.shape == predicted.shape, (gold.shape, predicted.shape)
    return (gold == predicted).astype(np.float64)


def accuracy_statistics(gold: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """N,2: right or not, and 1; sums of rows give the accuracy by `intervals.ratio`."""
    right = correctness(gold, predicted)
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


def accuracy_interval(gold: np.ndarray, predicted: np.ndarray) -> Interval:
    """Accuracy, a fraction, with its bootstrap interval."""
    return intervals.bootstrap(accuracy_statistics(gold, predicted), intervals.ratio)


def macro_f1_interval(gold: np.ndarray, predicted: np.ndarray) -> Interval:
    """Macro F1, a fraction, with its bootstrap interval."""
    return intervals.bootstrap(confusion_statistics(gold, predicted), macro_f1)


def figures(gold: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """All figures of one test set by name.

    accuracy and macro_f1 with `_low` and `_high` (95 %), f1_<label>, and the confusion matrix as
    counts confusion_<gold>_<predicted>.
    """
    found: dict[str, float] = {}
    for name, interval in (
        ("accuracy", accuracy_interval(gold, predicted)),
        ("macro_f1", macro_f1_interval(gold, predicted)),
    ):
        found[name] = interval.value
        found[f"{name}_low"], found[f"{name}_high"] = interval.low, interval.high
    counts = confusion(gold, predicted)
    for label, value in zip(LABELS, f1(counts.reshape(-1)), strict=True):
        found[f"f1_{label}"] = float(value)
    for row, label in enumerate(LABELS):
        for column, other in enumerate(LABELS):
            found[f"confusion_{label}_{other}"] = float(counts[row, column])
    return found


def by_length(
    subset: str, pairs: Sequence[PairExample], gold: np.ndarray, predicted: np.ndarray
) -> list[LengthBin]:
    """Accuracy by length of the premise in words."""
    lengths = np.fromiter((len(pair.premise) for pair in pairs), dtype=np.int64)
    return intervals.by_length(
        subset, lengths, accuracy_statistics(gold, predicted), intervals.ratio
    )
