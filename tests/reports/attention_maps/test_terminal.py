from __future__ import annotations

import io

import numpy as np
import pytest

from bench.store.result import Trace
from reports.attention_maps.terminal import SHADES, print_output, shade
from tasks.processor import ModelOutput


def trace(
    kind: str, source: int, target: tuple[str, ...], weights: np.ndarray, **extra: object
) -> Trace:
    units = tuple(f"s{number}" for number in range(source))
    return Trace("own", "own", "free", kind, units, target, weights, extra=extra)  # type: ignore[arg-type]


def printed(found: Trace | None, text: str = "x") -> list[str]:
    file = io.StringIO()
    print_output(ModelOutput(text, found, {"log_prob": -1.0}, ("a [b] note",)), file)
    return file.getvalue().splitlines()


@pytest.mark.parametrize(
    ("weight", "mark"), [(0, " "), (0.01, "░"), (0.2, "▒"), (0.5, "▓"), (1, "█")]
)
def test_shades_follow_weights(weight: float, mark: str) -> None:
    assert shade(weight, 3).plain == 3 * mark
    assert mark in SHADES


def test_words_stand_at_both_sides() -> None:
    weights = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    lines = printed(trace("words", 3, ("the", "dog"), weights), "the dog")
    assert lines[:3] == ["the dog", "log_prob -1", "note: a [b] note"]
    head = lines.index(next(line for line in lines[3:] if line.split() == ["the", "dog"]))
    assert [line.split() for line in lines[head + 1 : head + 4]] == [
        ["s0", "███"],
        ["s1"],
        ["s2", "███"],
    ]
    assert lines[head + 3].index("█") > lines[head + 1].index("█")


def test_wide_maps_go_on_below_and_long_ones_lose_the_lightest() -> None:
    target = tuple(f"word{number}" for number in range(30))
    weights = np.full((30, 200), 0.001)
    weights[:, 150] = 0.8
    lines = printed(trace("words", 200, target, weights))
    assert all(len(line) <= 100 for line in lines)
    assert all(any(word in line.split() for line in lines) for word in target)
    assert any(line.startswith("s150 ") for line in lines)
    assert "140 source words with less weight are left out" in lines[-1]


def test_pictures_have_a_map_for_each_word() -> None:
    weights = np.zeros((1, 6))
    weights[0, 5] = 0.4
    lines = printed(trace("grid", 6, ("dog",), weights, grid=[2, 3]))
    assert any(line.strip() == "██" and line.startswith("    ") for line in lines)
    assert "2 x 3 cells" in lines[-1]


def test_recordings_have_a_line_for_each_unit() -> None:
    weights = np.zeros((2, 300))
    weights[0, 0] = weights[1, 299] = 1.0
    lines = printed(trace("frames", 300, ("a", "b"), weights, seconds=1.5))
    first, second = (
        next(line for line in lines if line.startswith(name)) for name in ("a |", "b |")
    )
    assert first.index("█") == 3
    assert second.rindex("█") == len(second) - 2
    assert lines[-1].split() == ["0", "s", "1.50", "s"]


def test_models_without_attention_say_so() -> None:
    assert "no attention" in printed(None)[-1]
    assert printed(None, "")[0] == "(nothing)"
