"""Figures of captions that know nothing of the picture, and of people's own.

One of them is the best caption for all pictures at once: what a model is worth that sees nothing.
It is chosen among the training captions by its CIDEr on the validation pictures. These figures
depend on the data alone, so they are computed once and kept beside the prepared data.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from scipy import sparse

from tasks.captioning.datasets import CaptionCorpus
from tasks.captioning.metrics import SIGNATURE, score, shuffled
from tasks.data.cache import cached, digest

# Raised when the same corpus would give other figures than before.
VERSION = 2
ORDER = 4
SIGMA = 6.0
#: Candidates that are scored exactly, of those that promise most.
SHORTLIST = 100


def best_constant(candidates: Iterable[str], references: Sequence[Sequence[str]]) -> str:
    """The candidate with the highest mean CIDEr when given for every picture.

    Args:
        candidates: normalised captions.
        references: normalised captions of the pictures it is chosen on.
    """
    different = sorted(set(candidates))
    assert different, "no candidate"
    index = ConstantCider.of(different, references)
    shortlist = np.argsort(-index.promise(), kind="stable")[:SHORTLIST]
    return different[max(shortlist, key=index.cider)]


@dataclass(frozen=True)
class ConstantCider:
    """CIDEr-D of C candidates, each given for every picture, by n-grams in V columns.

    Attributes:
        counts: C,V how often each candidate has each n-gram.
        idf: V, log of pictures over pictures whose references have the n-gram.
        orders: V, length of each column's n-gram minus one.
        weights: R,V tf-idf of each reference, compressed by columns.
        norms: R,4 Euclidean norms by order.
        lengths: R bigrams of each reference: what CIDEr-D takes for its length.
        share: R, the share of each reference in the mean over pictures.
    """

    counts: sparse.csr_array
    idf: np.ndarray
    orders: np.ndarray
    weights: sparse.csc_array
    norms: np.ndarray
    lengths: np.ndarray
    share: np.ndarray

    @classmethod
    def of(cls, candidates: Sequence[str], references: Sequence[Sequence[str]]) -> ConstantCider:
        """Count the n-grams of all captions; some reference or candidate must have a word."""
        from sklearn.feature_extraction.text import CountVectorizer

        vectorizer = CountVectorizer(
            ngram_range=(1, ORDER),
            tokenizer=str.split,
            token_pattern=None,
            lowercase=False,
            dtype=np.float64,
        )
        flat = [text for texts in references for text in texts]
        counts = sparse.csr_array(vectorizer.fit_transform([*flat, *candidates]))
        theirs = counts[: len(flat)]  # R,V
        sizes = list(map(len, references))
        owner = np.repeat(np.arange(len(sizes)), sizes)
        pictures = sparse.csr_array((np.ones(len(flat)), (owner, np.arange(len(flat))))) @ theirs
        idf = np.log(len(sizes)) - np.log(np.maximum((pictures > 0).sum(axis=0), 1.0))
        orders = np.array([gram.count(" ") for gram in vectorizer.get_feature_names_out()])
        weights = theirs.multiply(idf).tocsr()
        return cls(
            counts=counts[len(flat) :],
            idf=idf,
            orders=orders,
            weights=weights.tocsc(),
            norms=_norms(weights, orders),
            lengths=theirs[:, orders == 1].sum(axis=1),
            share=np.repeat(1.0 / np.array(sizes) / len(sizes), sizes),
        )

    def promise(self) -> np.ndarray:
        """C upper estimates of `cider`, without clipping and length."""
        mine = self.counts.multiply(self.idf).tocsr()  # C,V
        norms = _inverse(_norms(mine, self.orders))
        total = np.zeros(mine.shape[0])
        for order in range(ORDER):
            here = self.orders == order
            profile = self.weights[:, here].T @ (self.share * _inverse(self.norms[:, order]))
            total += norms[:, order] * (mine[:, here] @ profile)
        return total

    def cider(self, candidate: int) -> float:
        """Mean CIDEr-D of a candidate given for every picture."""
        row = self.counts[[candidate]]
        used, counts = row.indices, row.data
        penalty = np.exp(
            -((self.lengths - counts[self.orders[used] == 1].sum()) ** 2) / (2 * SIGMA**2)
        )
        total = np.zeros(len(self.lengths))
        for order in range(ORDER):
            here = self.orders[used] == order
            mine = counts[here] * self.idf[used[here]]
            theirs = self.weights[:, used[here]].toarray()  # R,n
            product = (np.minimum(theirs, mine) * theirs).sum(axis=1)
            total += product * _inverse(np.sqrt((mine**2).sum()) * self.norms[:, order])
        return float((total * penalty) @ self.share * 10.0 / ORDER)


def _norms(weights: sparse.csr_array, orders: np.ndarray) -> np.ndarray:
    """N,4: Euclidean norms of rows N,V by order."""
    squares = weights.multiply(weights).tocsr()
    return np.stack(
        [np.sqrt(squares[:, orders == order].sum(axis=1)) for order in range(ORDER)], axis=1
    )


def _inverse(values: np.ndarray) -> np.ndarray:
    """1 / values, 0 where they are 0."""
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
    path = cached(cache / "baselines", key, lambda target: _write(target, corpus), suffix=".json")
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
