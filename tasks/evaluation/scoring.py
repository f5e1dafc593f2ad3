"""The one path from a model's outputs to figures.

A trial scores what its model has just written, the leaderboard scores the outputs that a bundle
holds, and both call `score_outputs`. A task says in its `Scorer` what its test examples are and
how outputs are compared with them; no model is needed for any of it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np

from bench.store.result import LengthBin, Primary
from tasks.evaluation.bootstrap import Figure, Interval, by_length, perplexity

Data = TypeVar("Data")
T = TypeVar("T")


@dataclass(frozen=True)
class Reference:
    """A test example as the data set has it; fields as in `Prediction`."""

    example: str
    source: str
    references: tuple[str, ...]
    length: int


@dataclass(frozen=True)
class Prediction:
    """One test example and what became of it (a line of `<hash>.predictions.jsonl`).

    Attributes:
        example, subset: which example of which test set.
        source: the input as text (a file name for pictures and sound).
        references: the right answers as text.
        prediction: the output as text.
        length: source length in the units of the by-length curve.
        score: a figure per example, higher is better (sentence chrF, 1/0 for right/wrong, ...).
        statistics: sufficient statistics of the headline figure, so that it can be resampled
            without scoring texts again (BLEU's counts, errors and reference length, ...).
        extra: whatever else the task keeps (label probabilities, ...); JSON data.
    """

    example: str
    subset: str
    source: str
    references: tuple[str, ...]
    prediction: str
    length: int
    score: float
    statistics: tuple[float, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Outputs:
    """What a model gave for the N examples of a test set, in their order.

    Attributes:
        texts: N.
        nll: N, the negative log-likelihood of each reference in nats; empty where it is unknown.
        extra: N, what predictions keep of the model besides; empty for nothing.
    """

    texts: Sequence[str]
    nll: Sequence[float] = ()
    extra: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True)
class Scores:
    """The outputs for one test set of N examples, scored.

    Attributes:
        name, interval: the headline figure.
        metrics: all figures by name, the headline figure among them.
        statistics: N,K, from whose sums `figure` makes the headline figure.
        examples: N, a figure per example, higher is better.
        extra: N, what predictions keep of an output besides; empty for nothing.
        signatures: how figures were computed, by figure.
        notes: why a figure is missing.
    """

    name: str
    interval: Interval
    metrics: Mapping[str, float]
    statistics: np.ndarray
    figure: Figure
    examples: np.ndarray
    extra: Sequence[Mapping[str, Any]] = ()
    signatures: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


class Scorer(ABC, Generic[Data]):
    """How the outputs of one task are scored.

    Attributes:
        higher_is_better: whether more of the headline figure is better.
        model_metrics: figures that nobody can compute without the model (its weights, its
            likelihoods), by name without the test set's prefix.
    """

    higher_is_better: ClassVar[bool] = True
    model_metrics: ClassVar[frozenset[str]] = frozenset()

    @abstractmethod
    def references(self, data: Data) -> Mapping[str, Sequence[Reference]]:
        """The test examples by test set; the first one gives the headline figure."""

    @abstractmethod
    def score(self, data: Data, subset: str, outputs: Outputs) -> Scores:
        """The figures of one test set."""

    def baselines(self, data: Data) -> Mapping[str, float]:
        """Figures that the data alone give, by name with the test set's prefix (`prefixed`)."""
        return {}

    def contradictions(self, prediction: Prediction, scores: Scores, place: int) -> Iterator[str]:
        """What a stored prediction says of itself that its output does not bear out.

        Args:
            scores: those of its test set.
            place: of the prediction in it.
        """
        return iter(())


@dataclass(frozen=True)
class TrialScores:
    """All figures of a trial that follow from its outputs and its data.

    Attributes:
        metrics: by name, with the prefixes of the test sets.
        primary: of the first test set.
        signatures: of the first test set, and of any other that was scored in another way, with
            its prefix.
        subsets: the scores by test set.
    """

    metrics: Mapping[str, float]
    primary: Primary
    by_length: tuple[LengthBin, ...]
    predictions: tuple[Prediction, ...]
    signatures: Mapping[str, str]
    notes: tuple[str, ...]
    subsets: Mapping[str, Scores]


def score_outputs(scorer: Scorer[Data], data: Data, outputs: Mapping[str, Outputs]) -> TrialScores:
    """All figures of a trial that follow from its outputs and its data.

    Args:
        outputs: by test set, in the order of the data.
    """
    references = scorer.references(data)
    subsets = {name: scorer.score(data, name, one) for name, one in outputs.items()}
    bins: list[LengthBin] = []
    predictions: list[Prediction] = []
    for name, scores in subsets.items():
        lengths = np.array([one.length for one in references[name]], dtype=np.int64)
        bins += by_length(name, lengths, scores.statistics, scores.figure)
        predictions += _predictions(name, references[name], outputs[name], scores)
    first = next(iter(subsets.values()))
    metrics = prefixed({name: one.metrics for name, one in subsets.items()})
    return TrialScores(
        metrics={**metrics, **scorer.baselines(data)},
        primary=Primary(
            name=first.name,
            **vars(first.interval),
            higher_is_better=scorer.higher_is_better,
        ),
        by_length=tuple(bins),
        predictions=tuple(predictions),
        signatures={
            name: text
            for name, text in prefixed(
                {name: one.signatures for name, one in subsets.items()}
            ).items()
            if name in first.signatures or text not in first.signatures.values()
        },
        notes=tuple(dict.fromkeys(note for one in subsets.values() for note in one.notes)),
        subsets=subsets,
    )


def prefixed(metrics: Mapping[str, Mapping[str, T]]) -> dict[str, T]:
    """Metrics (or signatures) by test set as those of a trial: all but the first test set's have
    its name in front."""
    first = next(iter(metrics), None)
    return {
        name if subset == first else f"{subset}_{name}": value
        for subset, found in metrics.items()
        for name, value in found.items()
    }


def with_perplexity(
    metrics: Mapping[str, float], nll: Sequence[float], units: int
) -> dict[str, float]:
    """Metrics with the perplexity of the references, where their likelihoods are known.

    Args:
        nll: N negative log-likelihoods in nats, or none.
        units: of all references together, ends counted.
    """
    if not nll:
        return dict(metrics)
    return {**metrics, "perplexity": float(perplexity(np.array([sum(nll), units])))}


def _predictions(
    subset: str, references: Sequence[Reference], outputs: Outputs, scores: Scores
) -> Iterator[Prediction]:
    nothing: Sequence[Mapping[str, Any]] = [{}] * len(references)
    rows = zip(
        references,
        outputs.texts,
        scores.examples.tolist(),
        scores.statistics.tolist(),
        scores.extra or nothing,
        outputs.extra or nothing,
        strict=True,
    )
    for reference, text, score, statistics, of_output, of_model in rows:
        yield Prediction(
            **vars(reference),
            subset=subset,
            prediction=text,
            score=score,
            statistics=tuple(statistics),
            extra={**of_output, **of_model},
        )
