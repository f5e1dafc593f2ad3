from __future__ import annotations

import numpy as np
import pytest

from bench.store.trace import Trace
from bench.tracking.wandb import heatmap


def trace(rows: int, columns: int, gold: tuple[tuple[int, int], ...] | None = None) -> Trace:
    weights = np.zeros((rows, columns))
    weights[:, 0] = 1.0
    source, target = (tuple(f"u{n}" for n in range(count)) for count in (columns, rows))
    return Trace("0", "test", "free", "words", source, target, weights, gold=gold)


def test_weights_are_dark_where_they_are_large() -> None:
    pixels = heatmap(trace(4, 4))
    assert pixels.dtype == np.uint8
    assert pixels.shape[2] == 3
    # The first of four columns is black all the way down, the others are white.
    dark = (pixels.max(axis=2) < 30).mean(axis=0)
    inside = np.flatnonzero(dark > 0.5)
    assert inside.size > 0
    width = pixels.shape[1]
    assert inside.max() - inside.min() < width / 4
    assert inside.max() < width / 2


def test_gold_is_framed() -> None:
    def red(pixels: np.ndarray) -> int:
        r, g, b = pixels.astype(int).transpose(2, 0, 1)
        return int(((r - g > 100) & (r - b > 100)).sum())

    assert red(heatmap(trace(4, 4))) == 0
    assert red(heatmap(trace(4, 4, gold=((0, 0), (3, 3))))) > 20


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (3, 400), (2000, 2), (60, 60)])
def test_any_size_can_be_drawn(rows: int, columns: int) -> None:
    height, width, _ = heatmap(trace(rows, columns, gold=((0, 0),))).shape
    assert max(height, width) <= max(1300, rows, columns) + 30


def test_labels_stand_beside_the_weights() -> None:
    def ink(pixels: np.ndarray) -> int:
        return int((pixels < 128).sum())

    plain = Trace("0", "test", "free", "words", ("", ""), ("", ""), np.zeros((2, 2)))
    named = Trace(
        "0", "test", "free", "words", ("Größe", "дом"), ("size", "house"), np.zeros((2, 2))
    )
    assert ink(heatmap(plain)) == 0
    assert ink(heatmap(named)) > 100
