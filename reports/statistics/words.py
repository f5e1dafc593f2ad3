"""Which words a mechanism gets right: precision and recall by how frequent a word is.

Mechanisms with the same BLEU may differ in rare words, which a pointer or a sharp attention finds
and others miss (compare-mt, Neubig 2019). Words fall into buckets by their frequency; within a
bucket, a word of an output counts as right as often as the reference has it too. With several
references an output is held against each of them and counts are summed. Frequencies are those of
training where they are given, else those in the references of the test set itself, which a store
keeps."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from tasks.evaluation.bootstrap import RESAMPLES, draw_counts, percentiles

#: A bucket begins at each of these frequencies.
EDGES = (0, 1, 2, 5, 10, 50, 100, 1000)
_WORD = re.compile(r"\w+|[^\w\s]")


def words_of(text: str) -> list[str]:
    """Split a text into words and single punctuation marks."""
    return _WORD.findall(text)


def word_frequencies(references: pd.Series) -> Counter[str]:
    """Count the words of references: a series of lists of texts, one an example."""
    return Counter(word for texts in references for text in texts for word in words_of(text))


def words_by_frequency(
    examples: pd.DataFrame,
    frequencies: Mapping[str, int] | None = None,
    edges: Sequence[int] = EDGES,
) -> pd.DataFrame:
    """Return how well each mechanism writes words of each frequency.

    Args:
        examples: columns `contender`, `seed`, `example`, `references` (lists of texts) and
            `prediction` (a text), of one test set.
        frequencies: of words in training; by default those in the references.
        edges: where buckets begin, ascending.

    Returns one row a mechanism and bucket that has words:

        contender
        bucket           "1", "2-4", "1000 or more"
        from_frequency   where the bucket begins
        words            words of the references, of one seed
        precision        share of its written words that the reference has
        recall           share of the reference's words that it wrote
        f1               harmonic mean of both
        low, high        95 % interval of f1 over examples (draws are shared by all mechanisms, so
                         that differences are paired); seeds are pooled
    """
    unique = examples.drop_duplicates("example").set_index("example")["references"]
    known = frequencies if frequencies is not None else word_frequencies(unique)
    starts = np.asarray(edges)
    place = {name: at for at, name in enumerate(unique.index)}
    columns = ["contender", "bucket", "from_frequency", "words", "precision", "recall", "f1"]
    if not place:
        return pd.DataFrame(columns=[*columns, "low", "high"])
    counts = np.concatenate(list(draw_counts(len(place), RESAMPLES, seed=0))).astype(float)  # R,N
    rows = []
    for name, own in examples.groupby("contender", sort=False):
        sums = np.zeros((len(place), len(starts), 3))  # N,buckets,(right, written, wanted)
        for example, texts, written in zip(
            own["example"], own["references"], own["prediction"], strict=True
        ):
            sums[place[example]] += _matches(written, texts, known, starts)
        drawn = _f1(np.einsum("rn,nbk->rbk", counts, sums))  # R,buckets
        for bucket, total in enumerate(sums.sum(axis=0)):
            if not total[1:].any():
                continue
            right, wrote, wanted = (float(one) for one in total)
            low, high = percentiles(drawn[:, bucket])
            rows.append(
                (
                    *(name, _bucket(edges, bucket), int(starts[bucket])),
                    round(wanted / own["seed"].nunique()),
                    right / wrote if wrote else 0.0,
                    right / wanted if wanted else 0.0,
                    *(float(_f1(total)), low, high),
                )
            )
    return pd.DataFrame(rows, columns=[*columns, "low", "high"])


def _matches(
    written: str, references: Sequence[str], known: Mapping[str, int], starts: np.ndarray
) -> np.ndarray:
    """Right, written and wanted words by bucket, summed over references: buckets,3."""
    found = np.zeros((len(starts), 3))
    output = Counter(words_of(written))
    for reference in references:
        wanted = Counter(words_of(reference))
        for word in output.keys() | wanted.keys():
            bucket = int(np.searchsorted(starts, known.get(word, 0), side="right")) - 1
            found[max(bucket, 0)] += min(output[word], wanted[word]), output[word], wanted[word]
    return found


def _f1(sums: np.ndarray) -> np.ndarray:
    """...,3 -> ...; 0 where there are no words."""
    total = sums[..., 1] + sums[..., 2]
    return np.divide(2 * sums[..., 0], total, out=np.zeros(total.shape), where=total > 0)


def _bucket(edges: Sequence[int], at: int) -> str:
    if at == len(edges) - 1:
        return f"{edges[at]} or more"
    last = edges[at + 1] - 1
    return str(edges[at]) if last == edges[at] else f"{edges[at]}-{last}"
