"""Where the models listened: weights against the true spans, and the traces that pictures need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bench.result import Alignment
from bench.trace import Mode, Trace
from tasks.decoding import Read, Written
from tasks.speech.corpus import Utterance
from tasks.speech.spans import Gold, SpanCase, SpanFigures, TimeGrid, controls, figures

#: Largest picture of an utterance's features that a trace carries: bands, columns.
MOST_BANDS, MOST_COLUMNS = 64, 200
#: Features that many deviations from their mean are the ends of the picture's scale.
REACH = 2.5


@dataclass(frozen=True)
class Listened:
    """Weights over positions in time of one utterance, written freely and read forced.

    Attributes:
        produced: R, for each reference unit the written unit that stands for it, or -1.
        free, forced: T,S over the units written, and over the reference's.
        free_parts, forced_parts: further such matrices by name.
    """

    utterance: Utterance
    written: tuple[str, ...]
    produced: np.ndarray
    free: np.ndarray
    forced: np.ndarray
    free_parts: dict[str, np.ndarray] = field(default_factory=dict)
    forced_parts: dict[str, np.ndarray] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        utterance: Utterance,
        units: tuple[str, ...],
        produced: np.ndarray,
        written: Written,
        read: Read,
    ) -> Listened | None:
        """None where the model has no weights."""
        if written.weights is None or read.weights is None:
            return None
        return cls(
            utterance,
            units,
            produced,
            written.weights,
            read.weights,
            dict(written.parts),
            dict(read.parts),
        )


@dataclass(frozen=True)
class Agreed:
    """Agreement with the spans of one test set: free, forced, and of weights that know nothing."""

    free: SpanFigures
    forced: SpanFigures
    controls: dict[str, SpanFigures]

    @property
    def alignment(self) -> Alignment:
        return Alignment(
            **self.free.figures.model_dump(),
            forced=self.forced.figures,
            controls={name: one.figures for name, one in self.controls.items()},
        )

    @property
    def metrics(self) -> dict[str, float]:
        """What speech adds to the figures that all tasks have: distances in milliseconds,
        monotonicity, and the distances of the controls."""
        mass = self.free.figures.mass_on_gold
        found = {**self.free.extra} if mass is None else {**self.free.extra, "mass_on_span": mass}
        for name, control in self.controls.items():
            found[f"{name}_centre_ms"] = control.extra["centre_ms"]
        return found


def agree(listened: Sequence[Listened], grid: TimeGrid) -> Agreed | None:
    """Compare with the true spans; None where there are none, or no weights."""
    known = [one for one in listened if one.utterance.spans]
    if not known:
        return None
    sizes = [one.forced.shape[1] for one in known]
    gold = [
        Gold.of(one.utterance.spans or (), size, grid)
        for one, size in zip(known, sizes, strict=True)
    ]
    pairs = list(zip(known, gold, strict=True))
    return Agreed(
        free=figures((SpanCase.of(one.free, truth, one.produced) for one, truth in pairs), grid),
        forced=figures((SpanCase.of(one.forced, truth) for one, truth in pairs), grid),
        controls=controls(sizes, gold, grid),
    )


def traces(one: Listened, subset: str, grid: TimeGrid, features: np.ndarray) -> list[Trace]:
    """The traces of one utterance, free and forced.

    Positions are labelled with the time of their centre. `extra` holds the seconds between
    positions and the first one's centre, the duration, the true spans with the units of the
    reference, and the features as a picture (`picture`).

    Args:
        features: F,S of the utterance, bands by frames.
    """
    size = one.forced.shape[1]
    spans, reference = one.utterance.spans, one.utterance.units
    links = None if spans is None else tuple((t, s) for t, s in grid.links(spans, size).tolist())
    carried = None
    if links is not None:
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

    def trace(
        mode: Mode,
        target: tuple[str, ...],
        weights: np.ndarray,
        parts: dict[str, np.ndarray],
        gold: tuple[tuple[int, int], ...] | None,
    ) -> Trace:
        return Trace(
            example=one.utterance.id,
            subset=subset,
            mode=mode,
            kind="frames",
            source=source,
            target=target,
            weights=weights,
            parts=parts,
            gold=gold,
            extra=extra,
        )

    return [
        trace("free", one.written, one.free, one.free_parts, carried),
        trace("forced", reference, one.forced, one.forced_parts, links),
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
