"""What captions are worth that know nothing of the picture, and what people's own are worth.

One of them is the best caption for all pictures at once: what a model is worth that sees nothing.
It is chosen among the training captions by its CIDEr on the validation pictures. These figures
depend on the data alone, so they are computed once and kept beside the prepared data.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from scipy import sparse

from tasks.captioning.datasets import CaptionCorpus
from tasks.captioning.metrics import SIGNATURE, score, shuffled
from tasks.data.cache import cached, digest

# Raised when the same corpus would give other figures than before.
VERSION = 1
ORDER = 4
SIGMA = 6.0
#: Candidates that are scored exactly, of those that promise most.
SHORTLIST = 100

NGrams = list[tuple[str, ...]]


def best_constant(candidates: Iterable[str], references: Sequence[Sequence[str]]) -> str:
    """The candidate with the highest mean CIDEr when given for every picture.

    Args:
        candidates: normalised captions.
        references: normalised captions of the pictures it is chosen on.
    """
    index = ReferenceIndex.of(references)
    different = sorted(set(candidates))
    assert different, "no candidate"
    promise = index.promise(different)
    shortlist = [different[place] for place in np.argsort(-promise, kind="stable")[:SHORTLIST]]
    return max(shortlist, key=index.cider)


@dataclass(frozen=True)
class ReferenceIndex:
    """The n-grams of all references, weighted as in CIDEr.

    Attributes:
        columns: n-gram to its column.
        orders: V, length of each column's n-gram minus one.
        idf: V, log of pictures over pictures whose references have the n-gram.
        unknown: idf of an n-gram no reference has.
        weights: R,V tf-idf of each reference, compressed by columns.
        norms: R,4 Euclidean norms by order.
        lengths: R bigrams of each reference: what CIDEr-D takes for its length.
        share: R, the share of each reference in the mean over pictures.
    """

    columns: dict[tuple[str, ...], int]
    orders: np.ndarray
    idf: np.ndarray
    unknown: float
    weights: sparse.csc_array
    norms: np.ndarray
    lengths: np.ndarray
    share: np.ndarray

    @classmethod
    def of(cls, references: Sequence[Sequence[str]]) -> ReferenceIndex:
        grams = [[_ngrams(text) for text in texts] for texts in references]
        flat = list(itertools.chain.from_iterable(grams))
        columns: dict[tuple[str, ...], int] = {}
        for one in flat:
            for gram in one:
                columns.setdefault(gram, len(columns))
        pictures = np.zeros(len(columns))
        for texts in grams:
            for gram in set(itertools.chain.from_iterable(texts)):
                pictures[columns[gram]] += 1
        unknown = float(np.log(len(references)))
        idf = unknown - np.log(pictures)
        orders = np.array([len(gram) - 1 for gram in columns])
        weights = _counts(flat, columns).multiply(idf).tocsr()
        return cls(
            columns=columns,
            orders=orders,
            idf=idf,
            unknown=unknown,
            weights=weights.tocsc(),
            norms=_norms(weights, orders),
            lengths=np.array([_bigrams(one) for one in flat]),
            share=np.concatenate(
                [np.full(len(texts), 1.0 / len(texts) / len(grams)) for texts in grams]
            ),
        )

    def promise(self, captions: Sequence[str]) -> np.ndarray:
        """An upper estimate of `cider` without clipping and length, for all captions at once."""
        grams = [_ngrams(text) for text in captions]
        weights = _counts(grams, self.columns).multiply(self.idf).tocsr()  # C,V
        total = np.zeros(len(captions))
        norms = _inverse(_norms(weights, self.orders))
        for order in range(ORDER):
            here = self.orders == order
            profile = self.weights[:, here].T @ (self.share * _inverse(self.norms[:, order]))
            total += norms[:, order] * (weights[:, here] @ profile)
        return total

    def cider(self, caption: str) -> float:
        """Mean CIDEr-D of one caption given for every picture."""
        grams = _ngrams(caption)
        counts = Counter(grams)
        penalty = np.exp(-((self.lengths - _bigrams(grams)) ** 2) / (2 * SIGMA**2))
        total = np.zeros(len(self.lengths))
        for order in range(1, ORDER + 1):
            here = [gram for gram in counts if len(gram) == order]
            known = [self.columns[gram] for gram in here if gram in self.columns]
            mine = self.idf[known] * [counts[gram] for gram in here if gram in self.columns]
            strange = self.unknown * np.array(
                [counts[gram] for gram in here if gram not in self.columns]
            )
            norm = np.sqrt((mine**2).sum() + (strange**2).sum())
            theirs = self.weights[:, known].toarray()  # R,known
            product = (np.minimum(theirs, mine) * theirs).sum(axis=1)
            total += product * _inverse(norm * self.norms[:, order - 1])
        return float((total * penalty) @ self.share * 10.0 / ORDER)


def _ngrams(text: str) -> NGrams:
    words = text.split()
    return [
        tuple(words[start : start + order])
        for order in range(1, ORDER + 1)
        for start in range(len(words) - order + 1)
    ]


def _bigrams(grams: NGrams) -> int:
    return sum(len(gram) == 2 for gram in grams)


def _counts(texts: Sequence[NGrams], columns: dict[tuple[str, ...], int]) -> sparse.csr_array:
    """Texts,V: how often each text has each n-gram that has a column."""
    places = [[columns[gram] for gram in grams if gram in columns] for grams in texts]
    flat = np.fromiter(itertools.chain.from_iterable(places), dtype=np.int64)
    rows = np.repeat(np.arange(len(texts)), [len(row) for row in places])
    shape = (len(texts), len(columns))
    return sparse.coo_array((np.ones(len(flat)), (rows, flat)), shape=shape).tocsr()


def _norms(weights: sparse.csr_array, orders: np.ndarray) -> np.ndarray:
    squares = weights.multiply(weights).tocsr()
    return np.sqrt(
        np.stack([squares[:, orders == order].sum(axis=1) for order in range(ORDER)], axis=1)
    )


def _inverse(values: np.ndarray) -> np.ndarray:
    return np.divide(1.0, values, out=np.zeros_like(values), where=values > 0)


@dataclass(frozen=True)
class CaptionBaselines:
    """Figures of one test set, by the names of `CaptionScores.metrics`.

    Attributes:
        caption: the constant caption, chosen on validation pictures.
        constant: that caption for every picture.
        shuffled: the first reference of each picture, given for another picture.
        human: the first reference of each picture against its others; empty where a picture has
            no other. A ceiling of a kind: it is judged by one reference fewer.
    """

    caption: str
    constant: dict[str, float]
    shuffled: dict[str, float]
    human: dict[str, float]


def baselines(corpus: CaptionCorpus, cache: Path) -> dict[str, CaptionBaselines]:
    """The baselines of every test set, by its name. Takes seconds for the first caller.

    Raises UsageError: the cache cannot be written.
    """
    key = digest("caption baselines", VERSION, SIGNATURE, corpus.fingerprint)
    path = cached(
        cache / "baselines",
        key,
        lambda temporary: _write(temporary, corpus),
        suffix=".json",
    )
    return {
        name: CaptionBaselines(**fields)
        for name, fields in json.loads(path.read_text("utf-8")).items()
    }


def _write(path: Path, corpus: CaptionCorpus) -> None:
    caption = best_constant(
        (text for picture in corpus.train for text in picture.references),
        [picture.references for picture in corpus.validation],
    )
    found = {name: asdict(_of(caption, corpus, name)) for name in corpus.tests}
    path.write_text(json.dumps(found), "utf-8")


def _of(caption: str, corpus: CaptionCorpus, subset: str) -> CaptionBaselines:
    references = [picture.references for picture in corpus.tests[subset]]
    first = [texts[0] for texts in references]
    others = [texts[1:] for texts in references]
    return CaptionBaselines(
        caption=caption,
        constant=score([caption] * len(references), references).metrics(),
        shuffled=score(shuffled(first), references).metrics(),
        human=score(first, others).metrics() if all(others) else {},
    )
