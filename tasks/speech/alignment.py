"""Agreement of attention over time with the true spans of units.

The figures that all tasks share (`tasks.evaluation.alignment`; a span is a region, so its links are
possible ones) and those of speech: distances in milliseconds and monotonicity. In free decoding a
unit is judged where the edit-distance alignment pairs it with an equal unit of the reference.
Traces hold the weights with the true spans and the features as a picture.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.store.result import Alignment, AlignmentFigures, Mode, Trace
from tasks.evaluation.alignment import (
    Agreement,
    Case,
    Ragged,
    agreement_counts,
    blocks,
    diagonal_weights,
    places_in,
    run_sums,
    uniform_weights,
)
from tasks.evaluation.decode import Read, Written
from tasks.speech.audio import resample
from tasks.speech.datasets import Span, Utterance

#: Largest picture of an utterance's features that a trace carries: bands, columns.
MOST_BANDS, MOST_COLUMNS = 64, 200
#: Samples a second of the sound that a trace carries, and how many seconds of it at most.
SOUND_RATE, MOST_SECONDS = 8_000, 12
#: Features that many deviations from their mean are the ends of the picture's scale.
REACH = 2.5


@dataclass(frozen=True)
class TimeGrid:
    """When source positions are: position s has its centre at `offset + s * step` seconds.

    An encoder that makes one position of every `stride` frames has the step `stride` times the
    frame's; its front end knows where the first one's centre lies (`FrameFront.offset`).
    """

    step: float
    offset: float = 0.0

    def centres(self, size: int) -> np.ndarray:
        """S centres in seconds."""
        return self.offset + self.step * np.arange(size)

    def links(self, spans: Sequence[Span] | np.ndarray, size: int) -> np.ndarray:
        """L,2 pairs (unit, position) of all positions whose centre lies in a unit's span, and at
        least the one nearest to its middle."""
        centres = self.centres(size)
        bounds = np.asarray(spans, dtype=np.float64).reshape(-1, 2)
        inside = (centres >= bounds[:, :1]) & (centres < bounds[:, 1:])  # T,S
        nearest = np.abs(centres - bounds.mean(axis=1, keepdims=True)).argmin(axis=1)
        inside[np.arange(len(bounds)), nearest] = True
        return np.argwhere(inside)


def gold_weights(
    spans: Sequence[Sequence[Span] | None], units: int, lengths: Sequence[int], grid: TimeGrid
) -> np.ndarray:
    """The spans of B utterances' units as weights over encoded positions: B,T,S float32. The row of
    a unit is uniform over the positions in its span (`TimeGrid.links`); without spans rows are 0.

    Args:
        units: T, rows for each utterance.
        lengths: encoded positions of each utterance; the longest is S.
    """
    weights = np.zeros((len(spans), units, max(lengths)), dtype=np.float32)
    for rows, known, size in zip(weights, spans, lengths, strict=True):
        if known:
            unit, place = grid.links(known, size).T
            rows[unit, place] = 1.0
    return weights / np.maximum(weights.sum(axis=2, keepdims=True), 1.0)


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
class Gold:
    """Spans of an utterance's reference units (R,2), and their links to positions (L,2)."""

    spans: np.ndarray
    links: np.ndarray

    @classmethod
    def of(cls, spans: Sequence[Span], size: int, grid: TimeGrid) -> Gold:
        bounds = np.asarray(spans, dtype=np.float64).reshape(-1, 2)
        return cls(bounds, grid.links(bounds, size))


@dataclass(frozen=True, kw_only=True)
class SpanCase(Case):
    """One utterance to be judged.

    Attributes:
        spans: R,2, of the reference units.
        rows: J, those of `weights` that stand for a reference unit, in the order of these.
    """

    spans: np.ndarray
    rows: np.ndarray

    @classmethod
    def of(cls, weights: np.ndarray, gold: Gold, produced: np.ndarray | None = None) -> SpanCase:
        """Weights against the truth.

        Args:
            weights: T,S over the units as produced (or as read, when forced); rows sum to 1.
            produced: R, for each reference unit the row of `weights` that stands for it, or -1
                (`equal_pairs`). None: row t is reference unit t.
        """
        if produced is None:
            produced = np.arange(len(gold.spans))
            produced[len(weights) :] = -1
        judged = produced >= 0
        spans, rows = gold.spans[judged], produced[judged]
        return cls(weights, gold.links, produced, spans=spans, rows=rows)


def _timing_counts(cases: Sequence[SpanCase], weights: Ragged, grid: TimeGrid) -> np.ndarray:
    """N,5 of every utterance: units judged; distances in seconds, summed over these, from the
    weights' centre of mass to the middle of the span, and from the largest weight to the span (0
    inside); steps from one produced unit to the next, and those whose largest weight does not go
    back."""
    judged = np.array([len(one.rows) for one in cases])
    owner = np.repeat(np.arange(len(cases)), judged)  # J, of all utterances
    rows = weights.first_rows[owner] + np.concatenate([one.rows for one in cases])  # J
    spans = np.concatenate([one.spans for one in cases])  # J,2
    # A product for each utterance: the order of its sums is the library's business.
    moments = [one.weights[one.rows] @ grid.centres(one.weights.shape[1]) for one in cases]
    mass = np.concatenate(moments) / np.maximum(weights.row_sums[rows], 1e-12)
    counts = [
        judged,
        run_sums(np.abs(mass - (spans[:, 0] + spans[:, 1]) / 2), judged),
        run_sums(_peak_errors(weights, rows, spans, grid), judged),
        *_steps(weights),
    ]
    return np.stack(counts, axis=1)


def _peak_errors(
    weights: Ragged, rows: np.ndarray, spans: np.ndarray, grid: TimeGrid
) -> np.ndarray:
    """J: distances from the largest weight of each row to its span. Where several weights are the
    largest, their mean: what a random choice would get."""
    widths = weights.row_widths[rows]
    cells = np.repeat(weights.row_starts[rows], widths) + places_in(widths)
    centres = grid.centres(int(widths.max(initial=0)))[places_in(widths)]
    low, high = np.repeat(spans, widths, axis=0).T
    outside = np.maximum(np.maximum(low - centres, 0), np.maximum(centres - high, 0))
    sums = run_sums(outside * weights.largest[cells], widths)
    return sums / np.maximum(weights.ties[rows], 1)


def _steps(weights: Ragged) -> tuple[np.ndarray, np.ndarray]:
    """N steps from one unit to the next, and N of those that do not go back. Rows without a single
    largest weight point nowhere and are left out."""
    single = weights.ties == 1
    owner, size = weights.owner[single], len(weights.rows)
    places = weights.columns[weights.largest & weights.along(single)]
    forward = (np.diff(places) >= 0) & (np.diff(owner) == 0)
    steps = np.maximum(np.bincount(owner, minlength=size) - 1, 0)
    return steps, np.bincount(owner[1:][forward], minlength=size)


def equal_pairs(produced: Sequence[str], reference: Sequence[str], pairs: np.ndarray) -> np.ndarray:
    """The pairs of equal units in an edit-distance alignment: R rows of `produced`, or -1.

    Args:
        pairs: R, as in `tasks.evaluation.sequence_alignment.Edits.pairs`.
    """
    equal = [
        place >= 0 and produced[place] == unit for place, unit in zip(pairs, reference, strict=True)
    ]
    return np.where(equal, pairs, -1)


def figures(cases: Iterable[SpanCase], grid: TimeGrid) -> SpanFigures:
    """Micro averages over utterances: every unit weighs the same."""
    agreements, timings = [np.zeros((0, 6))], [np.zeros((0, 5))]
    for block in blocks(cases):
        weights = Ragged.of([one.weights for one in block])
        agreements.append(agreement_counts(block, weights, sure=False))
        timings.append(_timing_counts(block, weights, grid))
    judged, centre_error, peak_error, steps, forward = np.concatenate(timings).sum(axis=0).tolist()
    extra = {}
    if judged:
        extra["centre_ms"] = 1000 * centre_error / judged
        extra["peak_ms"] = 1000 * peak_error / judged
    if steps:
        extra["monotonicity"] = forward / steps
    agreement = Agreement(*np.concatenate(agreements).sum(axis=0).tolist())
    return SpanFigures(agreement.figures(), extra)


def baselines(
    lengths: Sequence[int], gold: Sequence[Gold], grid: TimeGrid
) -> dict[str, SpanFigures]:
    """The figures of weights that know nothing.

    Args:
        lengths: source positions of each utterance.
        gold: spans and links of each.
    """
    found = {}
    for name, make in {"uniform": uniform_weights, "diagonal": diagonal_weights}.items():
        pairs = zip(lengths, gold, strict=True)
        cases = (SpanCase.of(make(len(one.spans), size), one) for size, one in pairs)
        found[name] = figures(cases, grid)
    return found


@dataclass(frozen=True)
class Listened:
    """One utterance, written freely and read forced, by a model that has weights.

    Attributes:
        units: those written.
        produced: R, for each reference unit the written unit that stands for it, or -1.
        written, read: with weights T,S over the units written, and over the reference's.
    """

    utterance: Utterance
    units: tuple[str, ...]
    produced: np.ndarray
    written: Written
    read: Read

    @property
    def free(self) -> np.ndarray:
        assert self.written.weights is not None
        return self.written.weights

    @property
    def forced(self) -> np.ndarray:
        assert self.read.weights is not None
        return self.read.weights


def agree(
    listened: Sequence[Listened], grid: TimeGrid
) -> tuple[Alignment, dict[str, float]] | None:
    """Compare with the true spans; None where there are none, or no weights.

    Returns:
        The agreement, and the metrics that speech adds to it: distances in milliseconds,
        monotonicity, and the distances of the baselines.
    """
    known = [one for one in listened if one.utterance.spans]
    if not known:
        return None
    sizes = [one.forced.shape[1] for one in known]
    spans = (one.utterance.spans or () for one in known)
    gold = [Gold.of(some, size, grid) for some, size in zip(spans, sizes, strict=True)]
    pairs = list(zip(known, gold, strict=True))
    free = figures((SpanCase.of(one.free, truth, one.produced) for one, truth in pairs), grid)
    forced = figures((SpanCase.of(one.forced, truth) for one, truth in pairs), grid)
    ignorant = baselines(sizes, gold, grid)
    metrics = dict(free.extra)
    if free.figures.mass_on_gold is not None:
        metrics["mass_on_span"] = free.figures.mass_on_gold
    for name, one in ignorant.items():
        metrics[f"{name}_centre_ms"] = one.extra["centre_ms"]
    alignment = Alignment(
        **free.figures.model_dump(),
        forced=forced.figures,
        baselines={name: one.figures for name, one in ignorant.items()},
    )
    return alignment, metrics


def traces(
    one: Listened,
    subset: str,
    grid: TimeGrid,
    features: np.ndarray,
    heard: dict[str, Any] | None = None,
) -> list[Trace]:
    """The traces of one utterance, free and forced.

    Positions are labelled with the time of their centre. `extra` holds the seconds between
    positions and the first one's centre, the duration, the true spans with the units of the
    reference, and the features as a picture (`picture`); that of the first trace also the sound.

    Args:
        features: F,S of the utterance, bands by frames.
        heard: the sound as JSON data (`sound`), None where it is not to be carried.
    """
    size = one.forced.shape[1]
    spans, reference = one.utterance.spans, one.utterance.units
    links = carried = None
    if spans is not None:
        links = tuple((t, s) for t, s in grid.links(spans, size).tolist())
        carried = tuple((int(one.produced[t]), s) for t, s in links if one.produced[t] >= 0)
    extra: dict[str, Any] = {
        "step": grid.step,
        "offset": grid.offset,
        "seconds": one.utterance.seconds,
        "units": list(reference),
        "spans": None if spans is None else [[round(t, 4) for t in span] for span in spans],
        "picture": picture(features),
    }
    source = tuple(f"{centre:.2f} s" for centre in grid.centres(size))
    with_sound = extra if heard is None else {**extra, "sound": heard}
    rows: list[tuple[Mode, tuple[str, ...], Written | Read, Any, dict[str, Any]]] = [
        ("free", one.units, one.written, carried, with_sound),
        ("forced", reference, one.read, links, extra),
    ]
    return [
        Trace(
            example=one.utterance.id,
            subset=subset,
            mode=mode,
            kind="frames",
            source=source,
            target=target,
            weights=seen.weights,
            parts=seen.parts,
            gold=gold,
            extra=own,
        )
        for mode, target, seen, gold, own in rows
        if seen.weights is not None
    ]


def picture(features: np.ndarray) -> list[str]:
    """Features F,S as rows of grey levels, the lowest band first: two hexadecimal digits a column
    (`bytes.fromhex`), columns evenly spaced over the utterance, means where frames share one."""
    bands, frames = features.shape
    rows = features[:: -(-bands // MOST_BANDS)]
    width = min(frames, MOST_COLUMNS)
    borders = np.arange(width) * frames // width
    sums = np.add.reduceat(rows, borders, axis=1)  # f,width
    means = sums / np.diff(np.append(borders, frames))
    levels = np.rint((np.clip(means / REACH, -1, 1) + 1) * 127.5).astype(np.uint8)
    return [row.tobytes().hex() for row in levels]


def sound(samples: np.ndarray, rate: int) -> dict[str, Any]:
    """A sound for people to listen to, as JSON data: `rate`, samples a second, and `samples`,
    base64 of 8-bit mu-law codes (the curve of ITU-T G.711 without steps: silence lies between 127
    and 128), as loud as they can be. It has telephone quality; a longer sound is cut.

    Args:
        samples: n samples, mono, float32; `rate` of them a second.
    """
    samples = samples[: MOST_SECONDS * rate]
    if rate > SOUND_RATE:
        samples, rate = resample(samples, rate, SOUND_RATE), SOUND_RATE
    levels = samples / max(float(np.abs(samples).max(initial=0.0)), 1e-9)
    companded = np.sign(levels) * np.log1p(255 * np.abs(levels)) / np.log(256)
    codes = np.rint((companded + 1) * 127.5).astype(np.uint8)
    return {"rate": rate, "samples": base64.b64encode(codes.tobytes()).decode("ascii")}
