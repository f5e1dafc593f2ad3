"""Sample results of the tasks other than translation: photos, sounds, pairs of sentences and
documents, each with baselines and traces as its task keeps them."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from PIL import Image

from bench.store.cell import Cell
from bench.store.result import Alignment, AlignmentFigures, Cost, Primary, Provenance, Result, Trace
from bench.store.store import Store
from tasks.speech.alignment import picture, sound

LABELS = ("entailment", "neutral", "contradiction")
PROVENANCE = Provenance(package_version="0.1.0", started="2025-01-31", finished="2025-01-31")


def softmax(logits: np.ndarray) -> np.ndarray:
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def photo_trace(mode: str = "free", grid: tuple[int, int] = (6, 6), **changes: Any) -> Trace:
    """A red square on the left, a blue one on the right, and a caption that names both."""
    rng = np.random.default_rng(5)
    pixels = np.full((48, 48, 3), 225, dtype=np.uint8)
    pixels[12:28, 4:20] = (190, 30, 30)
    pixels[22:42, 28:44] = (30, 60, 190)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=85)
    words = ("a", "red", "square", "left", "of", "a", "blue", "square")
    rows, columns = grid
    logits = rng.standard_normal((len(words), rows * columns))
    left = [r * columns + c for r in range(2, 4) for c in range(1, 3)]
    right = [r * columns + c for r in range(3, 5) for c in range(4, 6)]
    gold = []
    for t in range(len(words)):
        cells = left if t < 3 else right if t > 4 else []
        logits[t, cells] += 3
        gold += [(t, s) for s in cells]
    fields: dict[str, Any] = {
        "example": "scene-1",
        "subset": "test",
        "mode": mode,
        "kind": "grid",
        "source": tuple(f"{r + 1}.{c + 1}" for r in range(rows) for c in range(columns)),
        "target": words,
        "weights": softmax(logits),
        "gold": tuple(gold),
        "extra": {
            "grid": list(grid),
            "picture": base64.b64encode(file.getvalue()).decode("ascii"),
            "aspect": 1.0,
            "phrases": [
                {"start": 0, "end": 3, "boxes": [[0.08, 0.25, 0.42, 0.6]]},
                {"start": 5, "end": 8, "boxes": [[0.58, 0.45, 0.92, 0.9]]},
            ],
        },
    }
    return Trace(**{**fields, **changes})


def sound_trace(mode: str = "free", **changes: Any) -> Trace:
    """Five phones in a little over half a second, heard in order."""
    rng = np.random.default_rng(6)
    units, step, offset = ("s", "iy", "p", "aa", "t"), 0.04, 0.015
    borders = np.array([0.05, 0.17, 0.3, 0.36, 0.52, 0.6])
    size = 16
    centres = offset + step * np.arange(size)
    middles = (borders[:-1] + borders[1:]) / 2
    weights = softmax(-((centres - middles[:, None]) ** 2) / (2 * 0.04**2))
    gold = [
        (t, int(s))
        for t in range(len(units))
        for s in np.flatnonzero((centres >= borders[t]) & (centres < borders[t + 1]))
    ]
    fields: dict[str, Any] = {
        "example": "utterance-1",
        "subset": "test",
        "mode": mode,
        "kind": "frames",
        "source": tuple(f"{centre:.2f} s" for centre in centres),
        "target": units,
        "weights": weights,
        "gold": tuple(gold),
        "extra": {
            "step": step,
            "offset": offset,
            "seconds": 0.64,
            "units": list(units),
            "spans": [[float(a), float(b)] for a, b in pairwise(borders)],
            "picture": picture(rng.standard_normal((20, 64))),
            "sound": sound(np.sin(np.arange(5120) * 440 * 2 * np.pi / 8000), 8000),
        },
    }
    return Trace(**{**fields, **changes})


def document_trace(mode: str = "free", **changes: Any) -> Trace:
    """Two sentences, and a headline that takes words from the second."""
    source = (
        "rain",
        "fell",
        "all",
        "day",
        ".",
        "the",
        "old",
        "bridge",
        "was",
        "closed",
        "at",
        "night",
        ".",
    )
    target = ("bridge", "closed")
    weights = np.full((2, len(source) + 1), 0.02)
    weights[0, 7], weights[1, 9] = 0.7, 0.6
    weights /= weights.sum(axis=1, keepdims=True)
    fields: dict[str, Any] = {
        "example": "report-1",
        "subset": "test",
        "mode": mode,
        "kind": "words",
        "source": (*source, "</s>"),
        "target": target,
        "weights": weights,
        "gold": ((0, 7), (1, 9)),
        "extra": {"segments": [0] * 5 + [1] * 8},
    }
    return Trace(**{**fields, **changes})


def put(
    store: Store,
    cell: Cell,
    scores: Sequence[float],
    *,
    headline: str,
    higher: bool = True,
    metrics: dict[str, float] | None = None,
    traces: Sequence[Trace] = (),
    extra: Sequence[dict[str, Any]] = (),
    provenance: Provenance = PROVENANCE,
    converged: bool | None = None,
) -> Result:
    """One finished trial whose headline is the mean of its examples' scores.

    The score of an error rate is 1 less the rate, as speech keeps it; its statistics are errors
    and lengths.
    """
    values = np.asarray(scores, dtype=float)
    figure = float(values.mean())
    result = Result(
        hash=cell.hash,
        cell_json=cell.to_json(),
        status="done",
        metrics={headline: figure, **(metrics or {})},
        primary=Primary(
            name=headline,
            value=figure,
            low=figure - 0.03,
            high=figure + 0.03,
            higher_is_better=higher,
        ),
        alignment=Alignment(
            aer=0.3,
            mass_on_gold=0.6,
            pointing_accuracy=0.7,
            coverage=0.9,
            baselines={
                "uniform": AlignmentFigures(aer=0.9, mass_on_gold=0.1, pointing_accuracy=0.1)
            },
        )
        if traces
        else None,
        cost=Cost(parameters=1000, train_seconds=1.0),
        converged=converged,
        provenance=provenance,
    )
    rows = [
        {
            "example": f"{place:03d}",
            "subset": "test",
            "source": "a | b",
            "references": ["c"],
            "prediction": "c",
            "length": 4 + place % 20,
            "score": float(value) if higher else 1 - float(value),
            "statistics": [float(value), 1.0],
            "extra": extra[place] if extra else {},
        }
        for place, value in enumerate(values)
    ]
    store.put(result, rows, [trace.to_json() for trace in traces])
    return result


def put_entailment(store: Store) -> dict[str, Result]:
    """Three mechanisms on 200 pairs: a good one, one as good, and the control `none`."""
    rng = np.random.default_rng(3)
    hard = rng.random(200)
    found = {}
    for attention, score, rate in (
        ("none", "none", 0.45),
        ("soft", "concat", 0.8),
        ("global", "dot", 0.79),
    ):
        right = (hard < rate) ^ (rng.random(200) < 0.02)
        counts = rng.multinomial(60, [0.7, 0.2, 0.1], size=3).astype(float)
        metrics = {
            "accuracy_low": 0.0,
            "accuracy_high": 1.0,
            "macro_f1": rate,
            "baseline_majority": 0.34,
            "baseline_hypothesis_only": 0.36,
            "baseline_overlap": 0.6,
            **{
                f"confusion_{gold}_{given}": counts[i, j]
                for i, gold in enumerate(LABELS)
                for j, given in enumerate(LABELS)
            },
        }
        cell = Cell("entailment", "synthetic", attention, score)
        found[attention] = put(
            store, cell, right.astype(float), headline="accuracy", metrics=metrics
        )
    return found


def put_traced_tasks(store: Store) -> None:
    """Two mechanisms on each of speech, captioning and summarization, with traces."""
    rng = np.random.default_rng(4)
    for attention, score, rate in (("none", "none", 0.6), ("soft", "concat", 0.3)):
        attends = attention != "none"
        errors = (rng.random(60) < rate).astype(float)
        put(
            store,
            Cell("speech", "synthetic", attention, score),
            errors,
            headline="per",
            higher=False,
            metrics={"uniform_centre_ms": 180.0, "centre_ms": 25.0},
            traces=[sound_trace("free"), sound_trace("forced")] if attends else (),
        )
        put(
            store,
            Cell("captioning", "synthetic", attention, score),
            rng.random(60) * 2 * (1 - rate),
            headline="cider",
            metrics={
                "bleu_4": 20.0,
                "baseline_constant_cider": 0.3,
                "baseline_constant_bleu_4": 12.0,
                "baseline_human_cider": 5.6,
            },
            traces=[photo_trace("free"), photo_trace("forced")] if attends else (),
        )
        put(
            store,
            Cell("summarization", "synthetic", attention, score),
            rng.random(60) * (1 - rate),
            headline="rouge_l",
            metrics={"baseline_lead_rouge_l": 0.2, "copy_rate": 0.5, "reference_copy_rate": 0.6},
            traces=[document_trace("free"), document_trace("forced")] if attends else (),
        )
