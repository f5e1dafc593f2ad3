"""Attention traces: the weights of one example, with its units and the gold alignment.

One typed object serves pictures and figures. Weights belong to a single example, without padding;
nothing here knows a task.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

Mode = Literal["free", "forced"]
SourceKind = Literal["words", "frames", "grid"]


@dataclass(frozen=True)
class Trace:
    """Attention trace of one example.

    Attributes:
        example: identifier of the example in its test set.
        subset: name of the test set ("test", "long", ...).
        mode: "free" for the decoder's own output, "forced" for the reference read by it.
        kind: kind of source positions: words, frames of sound, cells of a picture grid.
        source: the S source units (words, or a label per frame or cell).
        target: the T target units in the order they were produced.
        weights: T,S; each row sums to 1. Means over heads and layers where there are several.
        parts: further T,S matrices by name, e.g. "layer 1 head 2".
        gold: pairs (t, s) that belong together, None where nothing is known.
        extra: further data for a picture of this trace (grid shape, boxes, seconds a frame,
            a path relative to the data root, ...); JSON data.
    """

    example: str
    subset: str
    mode: Mode
    kind: SourceKind
    source: tuple[str, ...]
    target: tuple[str, ...]
    weights: np.ndarray
    parts: Mapping[str, np.ndarray] = field(default_factory=dict)
    gold: tuple[tuple[int, int], ...] | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shape = (len(self.target), len(self.source))
        for name, matrix in [("weights", self.weights), *self.parts.items()]:
            assert matrix.shape == shape, f"{name} is {matrix.shape}, units are {shape}"

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON data, with weights rounded to 4 decimals (a picture shows fewer)."""
        return {
            "example": self.example,
            "subset": self.subset,
            "mode": self.mode,
            "kind": self.kind,
            "source": list(self.source),
            "target": list(self.target),
            "weights": _rounded(self.weights),
            "parts": {name: _rounded(matrix) for name, matrix in self.parts.items()},
            "gold": None if self.gold is None else [list(pair) for pair in self.gold],
            "extra": dict(self.extra),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Trace:
        shape = (len(data["target"]), len(data["source"]))
        gold = data["gold"]
        return cls(
            example=data["example"],
            subset=data["subset"],
            mode=data["mode"],
            kind=data["kind"],
            source=tuple(data["source"]),
            target=tuple(data["target"]),
            weights=np.asarray(data["weights"], dtype=np.float32).reshape(shape),
            parts={
                name: np.asarray(matrix, dtype=np.float32).reshape(shape)
                for name, matrix in data["parts"].items()
            },
            gold=None if gold is None else tuple((t, s) for t, s in gold),
            extra=data["extra"],
        )


def _rounded(matrix: np.ndarray) -> list[list[float]]:
    return [[round(float(weight), 4) for weight in row] for row in matrix]
