"""Multinomial logistic regression on sparse features: the engine of the controls."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

#: Feature values of one example by the feature's name.
Features = Mapping[str, float]


@dataclass(frozen=True)
class FeatureSpace:
    """Columns by feature name, and what each is divided by."""

    columns: Mapping[str, int]
    scale: np.ndarray

    @classmethod
    def of(cls, examples: Sequence[Features], *, at_least: int) -> FeatureSpace:
        """The features that occur in so many training examples, scaled to be at most 1."""
        counts: dict[str, int] = {}
        largest: dict[str, float] = {}
        for example in examples:
            for name, value in example.items():
                counts[name] = counts.get(name, 0) + 1
                largest[name] = max(largest.get(name, 0.0), abs(value))
        kept = sorted(name for name, count in counts.items() if count >= at_least)
        scale = np.array([largest[name] or 1.0 for name in kept], dtype=np.float64)
        return cls({name: column for column, name in enumerate(kept)}, scale)

    def matrix(self, examples: Iterable[Features]) -> Any:
        """N,F sparse matrix of the examples, with a last column of ones; features that are not
        columns are left out."""
        from scipy import sparse

        rows, columns, values = [], [], []
        number = -1
        for number, example in enumerate(examples):
            for name, value in example.items():
                column = self.columns.get(name)
                if column is not None:
                    rows.append(number)
                    columns.append(column)
                    values.append(value / self.scale[column])
        shape = (number + 1, len(self.columns))
        features = sparse.csr_matrix((values, (rows, columns)), shape=shape)
        return sparse.hstack([features, np.ones((number + 1, 1))], format="csr")


def fit(features: Any, classes: np.ndarray, count: int, penalty: float) -> np.ndarray:
    """Weights F,C that minimise the mean cross-entropy plus penalty/2 times their squares.

    Convex and started from zero: the same data give the same weights.

    Args:
        features: N,F sparse; the last column is the bias, which is not penalised.
        classes: N int64.
        count: C, number of classes.
        penalty: > 0.
    """
    from scipy.optimize import minimize
    from scipy.special import log_softmax

    rows, columns = features.shape
    wanted = np.eye(count)[classes]  # N,C
    penalised = np.ones((columns, 1))
    penalised[-1] = 0.0

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights = flat.reshape(columns, count)
        log_probabilities = log_softmax(features @ weights, axis=1)  # N,C
        shrunk = penalty * penalised * weights
        value = -(wanted * log_probabilities).sum() / rows + 0.5 * (shrunk * weights).sum()
        gradient = features.T @ (np.exp(log_probabilities) - wanted) / rows + shrunk  # F,C
        return value, gradient.ravel()

    found = minimize(
        loss, np.zeros(columns * count), jac=True, method="L-BFGS-B", options={"maxiter": 300}
    )
    return found.x.reshape(columns, count)


def predict(features: Any, weights: np.ndarray) -> np.ndarray:
    """The most probable class of every row. N,F and F,C -> N int64."""
    return np.asarray(features @ weights).argmax(axis=1)
