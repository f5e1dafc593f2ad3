"""Baselines without attention that embarrass neural models: the figures to pass.

- majority: the most frequent label of the training pairs.
- hypothesis only: what the hypothesis alone gives away (Gururangan et al. 2018, Poliak et al.
  2018), a linear model on its words and pairs of neighbouring words.
- overlap: a linear model on how the words of both sentences match.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from tasks.entailment.corpus import LABELS, EntailmentCorpus, PairExample
from tasks.entailment.metrics import gold_classes
from tasks.entailment.softmax_regression import FeatureSpace, fit, predict

# Words that deny. Kept apart since one of them turns the label of two alike sentences.
_NEGATIONS = frozenset(
    ["no", "not", "n't", "never", "nobody", "none", "nothing", "without", "neither", "nor"]
)
_PENALTIES = (1e-4, 3e-4, 1e-3, 3e-3)
# Features of fewer training examples are noise, and cost time.
_AT_LEAST = 3
# Controls learn from at most this many training pairs: a few seconds on SNLI, too.
_LEARN_FROM = 50_000

Extractor = Callable[[PairExample], dict[str, float]]


@dataclass(frozen=True)
class Control:
    """What a baseline predicts.

    Attributes:
        name: "majority", "hypothesis only" or "overlap".
        predictions: by test set, N int64 class indices.
    """

    name: str
    predictions: Mapping[str, np.ndarray]


def controls(corpus: EntailmentCorpus) -> tuple[Control, ...]:
    """All baselines on all test sets. Deterministic, a few seconds."""
    train = gold_classes(corpus.train)
    common = int(np.bincount(train, minlength=len(LABELS)).argmax())
    always = {name: np.full(len(pairs), common) for name, pairs in corpus.tests.items()}
    return (
        Control("majority", always),
        Control("hypothesis only", _linear(corpus, hypothesis_features)),
        Control("overlap", _linear(corpus, overlap_features)),
    )


def hypothesis_features(pair: PairExample) -> dict[str, float]:
    """Words and neighbouring words of the hypothesis."""
    pairs = map("_".join, _neighbours(pair.hypothesis))
    return dict.fromkeys((*pair.hypothesis, *pairs), 1.0)


def overlap_features(pair: PairExample) -> dict[str, float]:
    """How the words of both sentences match, and which words do not."""
    premise, hypothesis = set(pair.premise), set(pair.hypothesis)
    both = premise & hypothesis
    dense = {
        "hypothesis covered": len(both) / len(hypothesis),
        "premise covered": len(both) / len(premise),
        "words shared": len(both) / len(premise | hypothesis),
        "neighbours covered": _covered(_neighbours(pair.hypothesis), _neighbours(pair.premise)),
        "premise neighbours covered": _covered(
            _neighbours(pair.premise), _neighbours(pair.hypothesis)
        ),
        "premise longer": max(len(pair.premise) - len(pair.hypothesis), 0),
        "hypothesis longer": max(len(pair.hypothesis) - len(pair.premise), 0),
        "unmatched in hypothesis": len(hypothesis - both),
        "unmatched in premise": len(premise - both),
        "all matched": float(hypothesis <= premise),
    }
    denied = bool(premise & _NEGATIONS), bool(hypothesis & _NEGATIONS)
    if denied[0] != denied[1]:
        side = "premise" if denied[0] else "hypothesis"
        dense[f"only the {side} denies"] = 1.0
        dense[f"only the {side} denies, covered"] = dense["hypothesis covered"]
    features = {name: float(value) for name, value in dense.items() if value}
    # Squares bend the line where half a match and a full one mean different things.
    features |= {f"{name}, squared": value**2 for name, value in features.items() if value != 1.0}
    features |= {f"hypothesis has {word}": 1.0 for word in hypothesis - both}
    features |= {f"premise has {word}": 1.0 for word in premise - both}
    return features


def _linear(corpus: EntailmentCorpus, extract: Extractor) -> dict[str, np.ndarray]:
    """Predictions of a linear model; its penalty is the best on the validation pairs."""
    train = corpus.train[:_LEARN_FROM]
    learnt = [extract(pair) for pair in train]
    space = FeatureSpace.of(learnt, at_least=_AT_LEAST)
    features, classes = space.matrix(learnt), gold_classes(train)
    held, gold = _matrix(space, extract, corpus.validation), gold_classes(corpus.validation)
    fitted = [fit(features, classes, len(LABELS), penalty) for penalty in _PENALTIES]
    right = [float((predict(held, weights) == gold).mean()) for weights in fitted]
    weights = fitted[int(np.argmax(right))]
    return {
        name: predict(_matrix(space, extract, pairs), weights)
        for name, pairs in corpus.tests.items()
    }


def _matrix(space: FeatureSpace, extract: Extractor, pairs: Sequence[PairExample]) -> object:
    return space.matrix(map(extract, pairs))


def _neighbours(words: Sequence[str]) -> set[tuple[str, str]]:
    return set(pairwise(words))


def _covered(these: set[tuple[str, str]], those: set[tuple[str, str]]) -> float:
    return len(these & those) / len(these) if these else 0.0
