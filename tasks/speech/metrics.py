"""Error rates of phones, characters and words, with intervals, and what the errors are.

An error rate is the edit distance to the reference over the reference's length (Levenshtein
1966), summed over the test set. The corpus figure is torchmetrics'; per utterance the distances
are computed here, for all utterances at once, because intervals and curves need them; sums of
these give the same figure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torchmetrics.functional.text import char_error_rate, word_error_rate

from tasks.evaluation.bootstrap import Interval, bootstrap, ratio
from tasks.speech.datasets import Unit, join_units

#: The error rate of each kind of unit.
NAMES: dict[Unit, str] = {"phones": "per", "characters": "cer", "words": "wer"}
# Entries of distance tables held at once (4 bytes each).
BLOCK = 4_000_000

Sequences = Sequence[Sequence[str]]


@dataclass(frozen=True)
class Edits:
    """How N hypotheses differ from their references, along one alignment each with as few edits as
    can be and, of those, the most equal units.

    Attributes:
        substitutions, insertions, deletions: N counts.
        lengths: N reference lengths.
        pairs: per utterance, for each reference unit the unit of the hypothesis that it is
            aligned with, or -1 (deleted). Aligned units may differ (substituted).
    """

    substitutions: np.ndarray
    insertions: np.ndarray
    deletions: np.ndarray
    lengths: np.ndarray
    pairs: tuple[np.ndarray, ...]

    @property
    def errors(self) -> np.ndarray:
        """N edit distances."""
        return self.substitutions + self.insertions + self.deletions

    @property
    def statistics(self) -> np.ndarray:
        """N,2: errors and reference length, what `tasks.evaluation.bootstrap.ratio` takes."""
        return np.stack([self.errors, self.lengths], axis=1).astype(np.float64)


@dataclass(frozen=True)
class Scores:
    """Figures of one test set, all fractions of the reference units.

    Attributes:
        name: "per", "cer" or "wer".
        rate: the headline figure; its value is torchmetrics'.
        metrics: all figures by name: the rate, substitutions, insertions, deletions, the share
            of utterances without any error, and for characters the word error rate as well.
        edits: per utterance.
    """

    name: str
    rate: Interval
    metrics: dict[str, float]
    edits: Edits


def score(hypotheses: Sequences, references: Sequences, unit: Unit) -> Scores:
    """Score units written against the references' units. References are never empty."""
    assert len(hypotheses) == len(references) > 0
    edits = edit(hypotheses, references)
    name = NAMES[unit]
    rate = bootstrap(edits.statistics, ratio)
    total = float(edits.lengths.sum())
    metrics = {
        name: corpus_rate(hypotheses, references, unit),
        "substitutions": float(edits.substitutions.sum()) / total,
        "insertions": float(edits.insertions.sum()) / total,
        "deletions": float(edits.deletions.sum()) / total,
        "exact": float((edits.errors == 0).mean()),
    }
    if unit == "characters":
        metrics["wer"] = corpus_rate(_words(hypotheses), _words(references), "words")
    return Scores(name, Interval(metrics[name], rate.low, rate.high), metrics, edits)


def corpus_rate(hypotheses: Sequences, references: Sequences, unit: Unit) -> float:
    """The error rate of a whole test set, by torchmetrics."""
    texts = [[join_units(units, unit) for units in side] for side in (hypotheses, references)]
    metric = char_error_rate if unit == "characters" else word_error_rate
    return float(metric(*texts))


def edit(hypotheses: Sequences, references: Sequences) -> Edits:
    """Align every hypothesis with its reference at the smallest number of edits."""
    ids: dict[str, int] = {}
    coded = [
        [np.array([ids.setdefault(unit, len(ids)) for unit in units], np.int32) for units in side]
        for side in (references, hypotheses)
    ]
    sizes = np.array([[len(units) for units in side] for side in coded])  # 2,N
    order = np.argsort((sizes[0] + 1) * (sizes[1] + 1), kind="stable")
    pairs: list[np.ndarray] = [np.zeros(0, np.int64)] * len(order)
    substitutions = np.zeros(len(order), np.int64)
    for batch in np.split(order, _borders(sizes[:, order])):
        found, wrong = _align(*([side[index] for index in batch] for side in coded))
        substitutions[batch] = wrong
        for index, pair in zip(batch, found, strict=True):
            pairs[index] = pair
    aligned = np.array([int((pair >= 0).sum()) for pair in pairs])
    return Edits(substitutions, sizes[1] - aligned, sizes[0] - aligned, sizes[0], tuple(pairs))


def _borders(sizes: np.ndarray) -> list[int]:
    """Where to cut utterances, sorted by table size, so that padded tables stay within `BLOCK`."""
    borders, start = [], 0
    for place in range(1, sizes.shape[1]):
        width = sizes[:, start : place + 1].max(axis=1) + 1
        if (place + 1 - start) * width.prod() > BLOCK:
            borders.append(place)
            start = place
    return borders


def _align(
    references: list[np.ndarray], hypotheses: list[np.ndarray]
) -> tuple[list[np.ndarray], np.ndarray]:
    """Partner of every reference unit (-1: none), and the number of unlike pairs, per utterance."""
    ref, R = _padded(references, -1)  # B,R
    hyp, H = _padded(hypotheses, -2)  # B,H
    table = _costs(ref, hyp)  # B,R+1,H+1
    edit_cost = _edit_cost(ref, hyp)
    rows, columns = R.copy(), H.copy()  # B: where each backtrace stands
    partner = np.full(ref.shape, -1, np.int64)
    wrong = np.zeros(len(ref), np.int64)
    while (open_ := (rows > 0) & (columns > 0)).any():
        at = np.flatnonzero(open_)
        r, h = rows[at], columns[at]
        here, unlike = table[at, r, h], ref[at, r - 1] != hyp[at, h - 1]
        # Pairs first, then deletions: ties are broken alike in every utterance.
        paired = here == table[at, r - 1, h - 1] + unlike * (edit_cost + 1)
        deleted = ~paired & (here == table[at, r - 1, h] + edit_cost)
        partner[at[paired], r[paired] - 1] = h[paired] - 1
        wrong[at[paired]] += unlike[paired]
        rows[at] -= paired | deleted
        columns[at] -= ~deleted
    return [row[:size] for row, size in zip(partner, R, strict=True)], wrong


def _edit_cost(ref: np.ndarray, hyp: np.ndarray) -> int:
    """The cost of an edit, such that no number of substitutions outweighs one: of alignments with
    equally few edits, the one with the fewest substitutions pairs the most equal units."""
    return ref.shape[1] + hyp.shape[1] + 1


def _costs(ref: np.ndarray, hyp: np.ndarray) -> np.ndarray:
    """B,R+1,H+1 smallest costs between all prefixes, a row of all tables at a time.

    Within a row an insertion depends on the entry before; the chain of them is a running minimum
    of the entries less the insertions up to their place.
    """
    (B, R), H = ref.shape, hyp.shape[1]
    edit_cost = _edit_cost(ref, hyp)
    place = np.arange(H + 1, dtype=np.int32) * np.int32(edit_cost)
    table = np.empty((B, R + 1, H + 1), np.int32)
    table[:, 0] = place
    for row in range(R):
        above = table[:, row]  # B,H+1
        best = above + np.int32(edit_cost)
        unlike = (hyp != ref[:, row, None]) * np.int32(edit_cost + 1)
        np.minimum(best[:, 1:], above[:, :-1] + unlike, out=best[:, 1:])
        table[:, row + 1] = np.minimum.accumulate(best - place, axis=1) + place
    return table


def _padded(sequences: list[np.ndarray], fill: int) -> tuple[np.ndarray, np.ndarray]:
    sizes = np.array([len(one) for one in sequences], np.int64)
    out = np.full((len(sequences), int(sizes.max(initial=0))), fill, np.int32)
    out[np.arange(out.shape[1]) < sizes[:, None]] = np.concatenate(sequences)
    return out, sizes


def _words(sequences: Sequences) -> list[list[str]]:
    return [join_units(units, "characters").split() for units in sequences]
