"""Testing an entailment model: accuracy, by-length curve, alignments, predictions, traces."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch

from bench.hardware import Stopwatch
from bench.store.result import Alignment, Primary
from bench.store.trace import Trace
from tasks.base import Evaluation, Prediction
from tasks.data.batching import LabelledBatch, Matrices
from tasks.entailment.data import EntailmentData, Split
from tasks.entailment.datasets import LABELS, PairExample
from tasks.entailment.metrics import accuracy_statistics, by_length, figures
from tasks.evaluation.alignment import Case, agreement, diagonal_weights, uniform_weights
from tasks.training.classifier import ClassificationModule

END = "</s>"
#: Alignment is the same whether a model reads freely or is made to: the hypothesis is given.
SAME_READING = "the hypothesis is given, so there is one reading: free equals forced"


@dataclass(frozen=True)
class _Read:
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


@dataclass(frozen=True)
class _Tested:
    """One set of pairs as it was read, in its order."""

    subset: str
    split: Split
    read: list[_Read]
    seconds: float

    @property
    def predicted(self) -> np.ndarray:
        """N int64 classes."""
        return np.array([one.probabilities.argmax() for one in self.read], dtype=np.int64)


def evaluate(module: ClassificationModule, data: EntailmentData) -> Evaluation:
    """Test on every test set; the first one gives the headline figure.

    Alignment is judged on the headline set, or on the first aligned set where that has no links.
    """
    tested = [_test(module, data, name, split) for name, split in data.tests.items()]
    aligned = [_test(module, data, name, split) for name, split in data.aligned.items()]
    first = tested[0]
    metrics: dict[str, float] = {}
    for one in tested:
        prefix = "" if one is first else f"{one.subset}_"
        metrics |= {f"{prefix}{name}": value for name, value in _figures(one, data).items()}
    judged = (_alignment(one) for one in (first, *aligned))
    alignment = next((found for found in judged if found is not None), None)
    return Evaluation(
        metrics=metrics,
        primary=Primary(
            name="accuracy",
            value=metrics["accuracy"],
            low=metrics["accuracy_low"],
            high=metrics["accuracy_high"],
            higher_is_better=True,
        ),
        predictions=[row for one in tested for row in _predictions(one)],
        traces=[
            trace for one in (*tested, *aligned) for trace in _traces(one, module.settings.traces)
        ],
        by_length=[
            length_bin
            for one in tested
            for length_bin in by_length(
                one.subset, one.split.pairs, one.split.labels, one.predicted
            )
        ],
        alignment=alignment,
        notes=[] if alignment is None else [SAME_READING],
        decoded=sum(len(one.split) for one in (*tested, *aligned)),
        decode_seconds=sum(one.seconds for one in (*tested, *aligned)),
    )


def _test(module: ClassificationModule, data: EntailmentData, subset: str, split: Split) -> _Tested:
    watch = Stopwatch(module.device.type)
    read: list[_Read] = []
    for batch in split.in_order_of_length(data.settings.eval_units):
        with watch:
            read += _read(module, batch.to(module.device))
    read.sort(key=lambda one: one.index)
    return _Tested(subset, split, read, watch.seconds)


def _read(module: ClassificationModule, batch: LabelledBatch) -> Iterator[_Read]:
    reading = module.read(batch, need_weights=True)
    probabilities = torch.softmax(module.logits(reading, batch).float(), dim=1).cpu().numpy()  # B,K
    matrices = Matrices.of(reading.weights, reading.parts)
    words = reading.mask.sum(dim=1).tolist()
    sources = batch.source_mask.sum(dim=1).tolist()
    for row, index in enumerate(batch.index.tolist()):
        weights, parts = matrices.example(
            row, words[row], sources[row], with_parts=index < module.settings.traces
        )
        yield _Read(index, probabilities[row], weights, parts)


def _figures(tested: _Tested, data: EntailmentData) -> dict[str, float]:
    controls = {
        f"control_{name.replace(' ', '_')}": accuracy
        for name, accuracy in data.controls[tested.subset].items()
    }
    return {**figures(tested.split.labels, tested.predicted), **controls}


def _predictions(tested: _Tested) -> list[Prediction]:
    predicted = tested.predicted
    statistics = accuracy_statistics(tested.split.labels, predicted)
    return [
        Prediction(
            example=pair.id,
            subset=tested.subset,
            source=f"{' '.join(pair.premise)} | {' '.join(pair.hypothesis)}",
            references=(str(pair.label),),
            prediction=LABELS[predicted[row]],
            length=len(pair.premise),
            score=float(statistics[row, 0]),
            statistics=tuple(statistics[row].tolist()),
            extra={
                "probabilities": {
                    label: round(float(value), 4)
                    for label, value in zip(LABELS, read.probabilities, strict=True)
                }
            },
        )
        for row, (pair, read) in enumerate(zip(tested.split.pairs, tested.read, strict=True))
    ]


def _alignment(tested: _Tested) -> Alignment | None:
    """None where nothing attends or there are no links."""
    linked = [
        (pair, read.weights)
        for pair, read in zip(tested.split.pairs, tested.read, strict=True)
        if pair.links and read.weights is not None
    ]
    if not linked:
        return None
    found = agreement(Case(weights, pair.links or ()) for pair, weights in linked).figures()
    controls = {
        "uniform": lambda pair: uniform_weights(len(pair.hypothesis), len(pair.premise) + 1),
        "diagonal": lambda pair: diagonal_weights(len(pair.hypothesis), len(pair.premise) + 1),
        "same word": _same_words,
    }
    return Alignment(
        **found.model_dump(),
        forced=found,
        controls={
            name: agreement(Case(make(pair), pair.links or ()) for pair, _ in linked).figures()
            for name, make in controls.items()
        },
    )


def _same_words(pair: PairExample) -> np.ndarray:
    """T,S weights of a reader that only sees which words are the same: evenly on those, on the
    end where there are none."""
    premise = np.array([*pair.premise, END], dtype=object)
    same = np.array(pair.hypothesis, dtype=object)[:, None] == premise
    same[:, -1] = ~same.any(axis=1)
    return same / same.sum(axis=1, keepdims=True)


def _traces(tested: _Tested, count: int) -> list[Trace]:
    return [
        Trace(
            example=pair.id,
            subset=tested.subset,
            mode="forced",
            kind="words",
            source=(*pair.premise, END),
            target=pair.hypothesis,
            weights=read.weights,
            parts=read.parts,
            gold=pair.links,
        )
        for pair, read in zip(tested.split.pairs[:count], tested.read, strict=False)
        if read.weights is not None
    ]
