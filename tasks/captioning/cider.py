"""CIDEr-D (Vedantam et al. 2015), equal to pycocoevalcap's to the last bit, for all pictures at
once.

Texts are vectors of their n-grams, weighted by tf-idf; a caption's figure is the mean over n of 1
to 4 and over references of their clipped cosine, less where the lengths differ. Sums run in the
library's order, and powers and logarithms are Python's and numpy's of single numbers, as there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from tasks.text.ngrams import lookup, ngrams

ORDER = 4
SIGMA = 6.0


def cider(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> np.ndarray:
    """CIDEr-D of each picture, 0 to 10: N.

    Args:
        predictions: N texts, tokens joined by blanks.
        references: N times one text or more. Document frequencies are those of these pictures.
    """
    count, each = len(predictions), np.array(list(map(len, references)))
    texts = [text.split() for text in chain(predictions, chain.from_iterable(references))]
    owner = np.repeat(np.arange(count), each)  # M, the picture of each reference
    lengths = np.maximum(np.array(list(map(len, texts))) - 1, 0)  # counted in bigrams
    penalty = _each(_penalty, lengths[owner] - lengths[count:])  # M
    scores = np.zeros((count, ORDER))
    for column, (text, gram) in enumerate(ngrams(texts, ORDER)):
        vectors = _Vectors.of(text, gram, np.concatenate([np.arange(count), owner]), count)
        similar = vectors.cosines(owner) * penalty  # M
        scores[:, column] = np.bincount(owner, similar, minlength=count)
    figures: np.ndarray = scores.mean(axis=1) / each * 10.0
    return figures


@dataclass(frozen=True)
class _Vectors:
    """The n-grams of one n, each of each text once: E entries by text and, within it, by where
    they first occur.

    Attributes:
        text: E; the first N are predictions, the others references.
        gram: E, numbers of n-grams from 0 on.
        weights: E, tf-idf.
        norms: N+M, Euclidean.
        count: N.
    """

    text: np.ndarray
    gram: np.ndarray
    weights: np.ndarray
    norms: np.ndarray
    count: int

    @classmethod
    def of(cls, text: np.ndarray, gram: np.ndarray, picture: np.ndarray, count: int) -> _Vectors:
        """From n-grams in a row; `picture` is that of every text."""
        different, gram = np.unique(gram, return_inverse=True)
        size = max(len(different), 1)
        keys, first, times = np.unique(text * size + gram, return_index=True, return_counts=True)
        order = np.argsort(first)
        text, gram = np.divmod(keys[order], size)
        known = text >= count
        pairs = np.unique(picture[text[known]] * size + gram[known])
        pictures = np.bincount(pairs % size, minlength=size)
        idf = np.log(float(count)) - _each(lambda n: np.log(max(1.0, float(n))), pictures)
        weights = times[order].astype(np.float64) * idf[gram]
        squares = np.bincount(text, _each(_square, weights), minlength=len(picture))
        return cls(text, gram, weights, np.sqrt(squares), count)

    def cosines(self, owner: np.ndarray) -> np.ndarray:
        """M: of each reference and the prediction for its picture, weights clipped to its own."""
        mine = np.flatnonzero(self.text < self.count)
        theirs = np.flatnonzero(self.text >= self.count)
        size = int(self.gram.max(initial=0)) + 1
        keys = self.text[mine] * size + self.gram[mine]
        order = np.argsort(keys)
        reference = self.text[theirs] - self.count
        place, found = lookup(keys[order], owner[reference] * size + self.gram[theirs])
        mine, theirs, reference = mine[order[place[found]]], theirs[found], reference[found]
        inner = np.lexsort((mine, reference))  # the prediction's n-grams in their order
        weights = self.weights[theirs[inner]]
        products = np.minimum(self.weights[mine[inner]], weights) * weights
        sums = np.bincount(reference[inner], products, minlength=len(owner))
        scale = self.norms[owner] * self.norms[self.count :]
        return np.divide(sums, scale, out=sums.astype(np.float64), where=scale != 0)


def _penalty(delta: np.generic) -> float:
    return float(np.e ** (-(float(delta) ** 2) / (2 * SIGMA**2)))


def _square(value: np.generic) -> float:
    return float(pow(value, 2))


def _each(function: Callable[[np.generic], float], values: np.ndarray) -> np.ndarray:
    """A function of single numbers, called once for each different one."""
    different, place = np.unique(values, return_inverse=True)
    found: np.ndarray = np.array([function(value) for value in different], dtype=np.float64)[place]
    return found
