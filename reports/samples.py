"""Samples: a trained model's kept predictions as the figures of single examples, in arrays.

Statistics over examples are made of these (`reports.statistics`); they need no text.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.errors import UsageError

if TYPE_CHECKING:
    from bench.store.store import Store

Rows = Iterable[Mapping[str, Any]]


@dataclass(frozen=True)
class Sample:
    """One trained model on one test set; N examples in the order of their names.

    Attributes:
        test_set: digest of names and references. Samples may be paired where it is equal.
        scores: N figures per example.
        statistics: N,K sufficient statistics of the main metric; K may be 0.
        lengths: N source lengths.
        likelihoods: N,2, each reference's negative log-likelihood in nats and its number of units;
            nothing where they are not known.
    """

    test_set: str
    scores: np.ndarray
    statistics: np.ndarray
    lengths: np.ndarray
    likelihoods: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))

    def __len__(self) -> int:
        return len(self.scores)


#: What reads the examples of a result by its hash: samples by test set name, or why there are none.
SampleReader = Callable[[str], tuple[dict[str, Sample], str | None]]


def reader_of(source: Store | SampleReader | None) -> SampleReader:
    """What reads the examples of results that lie in a store, or in none."""
    return source if callable(source) else partial(read_samples, source)


def main_sample(store: Store, hash: str) -> Sample | None:
    """The sample of a result's main test set; None without usable predictions."""
    found, _ = read_samples(store, hash)
    return next(iter(found.values()), None)


def read_samples(store: Store | None, hash: str) -> tuple[dict[str, Sample], str | None]:
    """Return samples by test set name, and the reason why there are none where the kept predictions
    are unusable.

    A result without predictions, or of no store, gives no samples and no reason.
    """
    if store is None:
        return {}, None
    try:
        rows = store.predictions(hash)
    except KeyError:
        return {}, None
    except UsageError as error:
        return {}, str(error)
    try:
        return samples_of(rows), None
    except (KeyError, TypeError, ValueError) as error:
        return {}, f"predictions of {hash[:12]} are unusable ({type(error).__name__}: {error})"


def of_likelihoods(read: SampleReader) -> SampleReader:
    """A reader of the same samples with their likelihoods for statistics."""

    def read_likelihoods(hash: str) -> tuple[dict[str, Sample], str | None]:
        found, problem = read(hash)
        return {
            name: replace(one, statistics=one.likelihoods.reshape(len(one), -1))
            for name, one in found.items()
        }, problem

    return read_likelihoods


def samples_of(rows: Rows) -> dict[str, Sample]:
    """Group prediction rows into samples by test set name, in order of appearance.

    Raises KeyError, TypeError or ValueError for rows that are not predictions, and ValueError
    where two examples of a test set have one name.
    """
    by_subset: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        by_subset[str(row["subset"])].append(row)
    try:
        return {subset: _sample(subset, members) for subset, members in by_subset.items()}
    except OverflowError as error:
        raise ValueError(f"a number is out of range ({error})") from None


def _sample(subset: str, rows: list[Mapping[str, Any]]) -> Sample:
    rows = sorted(rows, key=lambda row: str(row["example"]))
    names = [str(row["example"]) for row in rows]
    if len(set(names)) < len(names):
        raise ValueError(f"two examples of {subset} have the same name")
    scores = np.array([row["score"] for row in rows], dtype=np.float64)
    statistics = np.array([row.get("statistics") or () for row in rows], dtype=np.float64)
    lengths = np.array([row.get("length", 0) for row in rows], dtype=np.int64)
    extras = [row.get("extra") or {} for row in rows]
    known = all("nll" in extra and "units" in extra for extra in extras)
    likelihoods = [(extra["nll"], extra["units"]) if known else () for extra in extras]
    return Sample(
        digest_of(zip(names, (row["references"] for row in rows), strict=True)),
        scores,
        statistics.reshape(len(rows), -1),
        lengths,
        np.array(likelihoods, dtype=np.float64).reshape(len(rows), -1),
    )


def digest_of(examples: Iterable[tuple[str, Iterable[str]]]) -> str:
    """The digest of a test set's names and right answers, in the order of the names."""
    told = ("\0".join([name, *map(str, references), ""]) for name, references in examples)
    return hashlib.sha256("".join(told).encode()).hexdigest()
