"""Baselines without attention that embarrass neural models: the figures to pass.

- majority: the most frequent label of the training pairs.
- hypothesis only: what the hypothesis alone gives away (Gururangan et al. 2018, Poliak et al.
  2018), a linear model on its words and pairs of neighbouring words.
- overlap: a linear model on how the words of both sentences match.

The linear models are scikit-learn's multinomial logistic regression.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.data.cache import cached_json, digest
from tasks.entailment.datasets import LABELS, EntailmentCorpus, PairExample, gold_classes

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import Pipeline

# Raised when the same corpus would give other figures than before.
VERSION = 2
# Words that deny. Kept apart since one of them turns the label of two alike sentences.
_NEGATIONS = frozenset(
    ["no", "not", "n't", "never", "nobody", "none", "nothing", "without", "neither", "nor"]
)
_PENALTIES = (1e-4, 3e-4, 1e-3, 3e-3)
# Features of fewer training examples are noise, and cost time.
_AT_LEAST = 3
# Baselines learn from at most this many training pairs: a few seconds on SNLI, too.
_LEARN_FROM = 50_000

#: Feature values of a pair by the feature's name.
Features = dict[str, float]


@dataclass(frozen=True)
class Baseline:
    """What a baseline predicts.

    Attributes:
        name: "majority", "hypothesis only" or "overlap".
        predictions: by test set, N int64 class indices.
    """

    name: str
    predictions: Mapping[str, np.ndarray]


def baselines(corpus: EntailmentCorpus) -> tuple[Baseline, ...]:
    """All baselines on all test sets. Deterministic, a few seconds."""
    return (
        Baseline("majority", _majority(corpus)),
        Baseline("hypothesis only", _linear(corpus, hypothesis_features)),
        Baseline("overlap", _linear(corpus, overlap_features)),
    )


def hypothesis_features(pair: PairExample) -> Features:
    """Words and neighbouring words of the hypothesis."""
    pairs = map("_".join, _neighbours(pair.hypothesis))
    return dict.fromkeys((*pair.hypothesis, *pairs), 1.0)


def overlap_features(pair: PairExample) -> Features:
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


def vectorizer(examples: Sequence[Features]) -> Pipeline | None:
    """A fitted transformer of N examples to a sparse matrix N,F, or None if there is no column.

    The columns are the features that occur in at least 3 of these training examples, divided by
    their largest absolute value. All other features of later examples are left out.
    """
    from sklearn.feature_extraction import DictVectorizer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MaxAbsScaler

    columns = DictVectorizer()
    columns.restrict(columns.fit_transform(examples).getnnz(axis=0) >= _AT_LEAST)
    if not columns.feature_names_:
        return None
    return make_pipeline(columns, MaxAbsScaler().fit(columns.transform(examples)))


def regression(features: Any, classes: np.ndarray, penalty: float) -> LogisticRegression:
    """The weights F,C that minimise the mean cross-entropy plus penalty/2 times their squares; the
    bias is not penalised.

    Convex and started from zero: the same data give the same weights.

    Args:
        features: N,F sparse.
        classes: N int64, at least two different ones.
        penalty: > 0.
    """
    from sklearn.linear_model import LogisticRegression

    # scikit-learn minimises C times the summed cross-entropy plus half the squares.
    inverse = 1 / (penalty * len(classes))
    model = LogisticRegression(C=inverse, solver="newton-cg", tol=1e-6, max_iter=1000)
    return model.fit(features, classes)


def _majority(corpus: EntailmentCorpus) -> dict[str, np.ndarray]:
    common = int(np.bincount(gold_classes(corpus.train), minlength=len(LABELS)).argmax())
    return {name: np.full(len(pairs), common) for name, pairs in corpus.tests.items()}


def _linear(
    corpus: EntailmentCorpus, extract: Callable[[PairExample], Features]
) -> dict[str, np.ndarray]:
    """Predictions of a linear model; its penalty is the best on the validation pairs."""
    train = corpus.train[:_LEARN_FROM]
    learnt, classes = [extract(pair) for pair in train], gold_classes(train)
    space = vectorizer(learnt)
    if space is None or len(np.unique(classes)) == 1:  # nothing to tell pairs apart by
        return _majority(corpus)

    def matrix(pairs: Sequence[PairExample]) -> Any:
        return space.transform(map(extract, pairs))

    features = space.transform(learnt)
    held, gold = matrix(corpus.validation), gold_classes(corpus.validation)
    models = [regression(features, classes, penalty) for penalty in _PENALTIES]
    best = max(models, key=lambda model: float((model.predict(held) == gold).mean()))
    return {name: best.predict(matrix(pairs)) for name, pairs in corpus.tests.items()}


def _neighbours(words: Sequence[str]) -> set[tuple[str, str]]:
    return set(pairwise(words))


def _covered(these: set[tuple[str, str]], those: set[tuple[str, str]]) -> float:
    return len(these & those) / len(these) if these else 0.0


def baseline_figures(corpus: EntailmentCorpus, cache: Path) -> Mapping[str, Mapping[str, float]]:
    """Accuracy of every baseline, by test set and by the baseline's name; computed once per corpus
    and kept in the cache.

    Raises UsageError: the cache cannot be written.
    """
    key = digest("entailment baselines", VERSION, corpus.fingerprint)
    found: dict[str, dict[str, float]] = cached_json(
        cache / "baselines", key, lambda: _accuracies(corpus)
    )
    return found


def _accuracies(corpus: EntailmentCorpus) -> dict[str, dict[str, float]]:
    systems = baselines(corpus)
    return {
        subset: {
            one.name: float((gold_classes(pairs) == one.predictions[subset]).mean())
            for one in systems
        }
        for subset, pairs in corpus.tests.items()
    }
