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
from tasks.evaluation.sequence_alignment import align_edits
from tasks.speech.corpus import Unit, join_units

#: The error rate of each kind of unit.
NAMES: dict[Unit, str] = {"phones": "per", "characters": "cer", "words": "wer"}

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
    pairs = align_edits(hypotheses, references)
    lengths = np.array(list(map(len, references)))
    aligned = np.array([int((partner >= 0).sum()) for partner in pairs])
    unlike = [
        sum(place >= 0 and units[place] != unit for place, unit in zip(row, wanted, strict=True))
        for row, units, wanted in zip(pairs, hypotheses, references, strict=True)
    ]
    return Edits(
        substitutions=np.array(unlike),
        insertions=np.array(list(map(len, hypotheses))) - aligned,
        deletions=lengths - aligned,
        lengths=lengths,
        pairs=tuple(pairs),
    )


def _words(sequences: Sequences) -> list[list[str]]:
    return [join_units(units, "characters").split() for units in sequences]
