"""Where attention listened, against the true spans of time.

The figures that all tasks share (`tasks.alignment`; a span is a region, so its links are possible
ones) and those of speech: distances in milliseconds and monotonicity. In free decoding a unit is
judged where the edit-distance alignment pairs it with an equal unit of the reference.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

import numpy as np

from bench.result import AlignmentFigures
from tasks.alignment import Agreement, agreement, diagonal_weights, total, uniform_weights
from tasks.speech.corpus import Span


@dataclass(frozen=True)
class TimeGrid:
    """When source positions are: position s has its centre at `offset + s * step` seconds.

    An encoder that makes one position of every `stride` frames has the step `stride` times the
    frame's; `of_encoder` says where the first one's centre lies.
    """

    step: float
    offset: float = 0.0

    @classmethod
    def of_encoder(cls, frame_seconds: float, stride: int) -> TimeGrid:
        """Positions that each stand for `stride` frames in a row, from frame 0 on."""
        return cls(frame_seconds * stride, frame_seconds * (stride - 1) / 2)

    def centres(self, size: int) -> np.ndarray:
        """S centres in seconds."""
        return self.offset + self.step * np.arange(size)

    def links(self, spans: Sequence[Span], size: int) -> list[tuple[int, int]]:
        """Pairs (unit, position) of all positions whose centre lies in a unit's span, and at
        least the one nearest to its middle."""
        centres = self.centres(size)
        bounds = np.asarray(spans, dtype=np.float64).reshape(-1, 2)
        inside = (centres >= bounds[:, :1]) & (centres < bounds[:, 1:])  # T,S
        nearest = np.abs(centres - bounds.mean(axis=1, keepdims=True)).argmin(axis=1)
        inside[np.arange(len(bounds)), nearest] = True
        units, positions = np.nonzero(inside)
        return list(zip(units.tolist(), positions.tolist(), strict=True))


@dataclass(frozen=True)
class Timing:
    """Sums over the units judged, of one utterance or several added up.

    Attributes:
        judged: units.
        centre_error: distances from the weights' centre of mass to the middle of the span, in
            seconds.
        peak_error: distances from the largest weight to the span, 0 inside, in seconds.
        steps, forward: steps from one produced unit to the next, and those whose largest weight
            does not go back.
    """

    judged: float = 0.0
    centre_error: float = 0.0
    peak_error: float = 0.0
    steps: float = 0.0
    forward: float = 0.0


@dataclass(frozen=True)
class SpanFigures:
    """Alignment with true spans.

    Attributes:
        figures: what every task reports.
        extra: centre_ms, peak_ms (means over units) and monotonicity (a fraction of steps); a
            figure that does not exist is left out.
    """

    figures: AlignmentFigures
    extra: dict[str, float]


@dataclass(frozen=True)
class Judged:
    """Both counts of one utterance."""

    agreement: Agreement
    timing: Timing


def judge(
    weights: np.ndarray,
    spans: Sequence[Span],
    grid: TimeGrid,
    *,
    produced: np.ndarray | None = None,
) -> Judged:
    """Compare the weights of one utterance with the spans of its reference units.

    Args:
        weights: T,S over the units as produced (or as read, when forced); rows sum to 1.
        spans: of the R reference units.
        produced: R, for each reference unit the row of `weights` that stands for it, or -1
            (`equal_pairs`). None: row t is reference unit t.
    """
    if produced is None:
        produced = np.arange(len(spans))
        produced[len(weights) :] = -1
    units = np.flatnonzero(produced >= 0)
    links = grid.links(spans, weights.shape[1])
    return Judged(
        agreement(weights, links, sure=False, produced=produced),
        _timing(weights, produced[units], np.asarray(spans).reshape(-1, 2)[units], grid),
    )


def _timing(weights: np.ndarray, rows: np.ndarray, spans: np.ndarray, grid: TimeGrid) -> Timing:
    centres = grid.centres(weights.shape[1])
    used = weights[rows]  # J,S
    mass = used @ centres / np.maximum(used.sum(axis=1), 1e-12)
    low, high = spans[:, 0], spans[:, 1]
    before = np.maximum(low[:, None] - centres, 0)  # J,S
    outside = np.maximum(before, np.maximum(centres - high[:, None], 0))
    largest = used == used.max(axis=1, keepdims=True, initial=0.0)
    # Where several weights are the largest, their mean: what a random choice would get.
    peak = (outside * largest).sum(axis=1) / np.maximum(largest.sum(axis=1), 1)
    steps, forward = _steps(weights)
    return Timing(
        judged=len(rows),
        centre_error=float(np.abs(mass - (low + high) / 2).sum()),
        peak_error=float(peak.sum()),
        steps=steps,
        forward=forward,
    )


def _steps(weights: np.ndarray) -> tuple[float, float]:
    """Steps from one unit to the next, and those that do not go back. Rows without a single
    largest weight point nowhere and are left out."""
    largest = weights == weights.max(axis=1, keepdims=True, initial=0.0)
    places = largest.argmax(axis=1)[largest.sum(axis=1) == 1] if weights.size else np.zeros(0)
    return float(max(len(places) - 1, 0)), float((np.diff(places) >= 0).sum())


def equal_pairs(produced: Sequence[str], reference: Sequence[str], pairs: np.ndarray) -> np.ndarray:
    """Of an edit-distance alignment the pairs of equal units: R rows of `produced`, or -1.

    Args:
        pairs: R, as in `tasks.speech.metrics.Edits.pairs`.
    """
    equal = [
        place >= 0 and produced[place] == unit for place, unit in zip(pairs, reference, strict=True)
    ]
    return np.where(equal, pairs, -1)


def figures(judged: Iterable[Judged]) -> SpanFigures:
    """Micro averages over utterances: every unit weighs the same."""
    everything = list(judged)
    rows = [[getattr(one.timing, f.name) for f in fields(Timing)] for one in everything]
    timing = Timing(*np.sum(rows, axis=0).tolist()) if rows else Timing()
    extra = {}
    if timing.judged:
        extra["centre_ms"] = 1000 * timing.centre_error / timing.judged
        extra["peak_ms"] = 1000 * timing.peak_error / timing.judged
    if timing.steps:
        extra["monotonicity"] = timing.forward / timing.steps
    return SpanFigures(total(one.agreement for one in everything).figures(), extra)


def controls(
    lengths: Sequence[int], spans: Sequence[Sequence[Span]], grid: TimeGrid
) -> dict[str, SpanFigures]:
    """The same figures for weights that know nothing.

    Args:
        lengths: source positions of each utterance.
        spans: of each utterance's reference units.
    """
    kinds = {"uniform": uniform_weights, "diagonal": diagonal_weights}
    return {
        name: figures(
            judge(weights(len(one), size), one, grid)
            for size, one in zip(lengths, spans, strict=True)
        )
        for name, weights in kinds.items()
    }
