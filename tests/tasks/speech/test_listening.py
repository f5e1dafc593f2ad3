"""Agreement with spans and the traces of speech, on weights made by hand."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest

from bench.store.result import Trace
from tasks.evaluation.decode import Read, Written
from tasks.speech.alignment import (
    MOST_BANDS,
    MOST_COLUMNS,
    MOST_SECONDS,
    Listened,
    TimeGrid,
    agree,
    picture,
    sound,
    traces,
)
from tasks.speech.datasets import Utterance

GRID = TimeGrid(0.1)  # centres at 0, 0.1, ... 0.4 s
SPOKEN = Utterance("u-1", ("a", "b"), "a b", "ann", 0.5, spans=((0.05, 0.25), (0.25, 0.45)))


def heard(utterance: Utterance = SPOKEN) -> Listened:
    """The model wrote "x b": "b" with all weight on 0.3 s."""
    free = np.array([[1.0, 0, 0, 0, 0], [0, 0, 0, 1.0, 0]], dtype=np.float32)
    forced = np.array([[0, 0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5, 0]], dtype=np.float32)
    return Listened(
        utterance,
        ("x", "b"),
        np.array([-1, 1]),
        Written(0, np.array([9, 5]), -1.0, free, {"head 1": free}),
        Read(0, 2.0, 3, forced),
    )


def test_free_forced_and_baselines() -> None:
    agreed = agree([heard()], GRID)
    assert agreed is not None
    found, metrics = agreed
    assert (found.pointing_accuracy, found.mass_on_gold, found.coverage) == (1.0, 1.0, 0.5)
    assert found.forced is not None
    assert found.forced.mass_on_gold == pytest.approx(0.75)
    assert found.forced.coverage == 1.0
    assert set(found.baselines) == {"uniform", "diagonal"}
    assert found.baselines["uniform"].mass_on_gold == pytest.approx(0.4)
    assert metrics["centre_ms"] == pytest.approx(50)  # at 0.3 s, the middle is 0.35 s
    assert metrics["peak_ms"] == 0 and metrics["monotonicity"] == 1.0
    assert metrics["mass_on_span"] == 1.0
    assert metrics["uniform_centre_ms"] == pytest.approx(1000 * (0.05 + 0.15) / 2)


def test_nothing_is_said_where_nothing_is_known() -> None:
    unknown = Utterance("u-2", ("a", "b"), "a b", "ann", 0.5)
    assert agree([heard(unknown)], GRID) is None
    assert agree([], GRID) is None
    free, forced = traces(heard(unknown), "test", GRID, np.zeros((3, 20)))
    assert free.gold is None and forced.gold is None and free.extra["spans"] is None


def test_traces_carry_times_spans_and_a_picture() -> None:
    features = np.linspace(-3, 3, 40 * 20).reshape(40, 20)
    free, forced = traces(heard(), "test", GRID, features)
    assert (free.mode, forced.mode, free.kind, free.subset) == ("free", "forced", "frames", "test")
    assert free.source == ("0.00 s", "0.10 s", "0.20 s", "0.30 s", "0.40 s")
    assert free.target == ("x", "b") and forced.target == ("a", "b")
    assert forced.gold == ((0, 1), (0, 2), (1, 3), (1, 4))
    assert free.gold == ((1, 3), (1, 4))  # what was written in place of "a" is no "a"
    assert free.parts["head 1"].shape == (2, 5) and forced.parts == {}
    assert free.extra["spans"] == [[0.05, 0.25], [0.25, 0.45]]
    assert free.extra["units"] == ["a", "b"]
    assert (free.extra["step"], free.extra["seconds"]) == (0.1, 0.5)
    back = Trace.from_json(json.loads(json.dumps(free.to_json())))
    assert back.extra == free.extra and back.gold == free.gold


@pytest.mark.parametrize(("bands", "frames"), [(40, 20), (13, 700), (80, 200), (130, 201)])
def test_pictures_stay_small(bands: int, frames: int) -> None:
    rows = picture(np.random.default_rng(0).standard_normal((bands, frames)))
    levels = np.array([list(bytes.fromhex(row)) for row in rows])
    assert levels.shape[0] <= MOST_BANDS and levels.shape[1] == min(frames, MOST_COLUMNS)
    assert levels.shape[0] > MOST_BANDS // 2 or levels.shape[0] == bands


def test_a_picture_is_the_mean_of_the_frames_of_a_column() -> None:
    features = np.zeros((2, 2 * MOST_COLUMNS))
    features[0, 0], features[0, 1] = 2.5, -2.5  # cancel each other
    features[1, 2:4] = 2.5
    features[1, -2:] = -9.0
    low, high = (list(bytes.fromhex(row)) for row in picture(features))
    assert set(low) == {128}
    assert high[:3] == [128, 255, 128] and high[-1] == 0


def heard_again(found: dict) -> np.ndarray:
    """The samples of mu-law codes, by the formula of ITU-T G.711."""
    levels = np.frombuffer(base64.b64decode(found["samples"]), np.uint8) / 127.5 - 1
    return np.sign(levels) * (256 ** np.abs(levels) - 1) / 255


def test_a_sound_is_kept_at_telephone_quality() -> None:
    tone = np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000).astype(np.float32)
    loud = heard_again(sound(tone[::2], 8_000))
    np.testing.assert_allclose(loud, tone[::2], atol=0.025)
    quiet = sound(0.01 * tone, 16_000)
    assert quiet["rate"] == 8_000
    np.testing.assert_allclose(heard_again(quiet)[50:-50], tone[::2][50:-50], atol=0.03)
    assert sound(tone[:4000], 4_000)["rate"] == 4_000
    silent = heard_again(sound(np.zeros(10, np.float32), 8_000))
    assert np.abs(silent).max() < 0.001


def test_a_long_sound_is_cut() -> None:
    found = sound(np.ones(8_000 * (MOST_SECONDS + 3), np.float32), 8_000)
    assert len(heard_again(found)) == 8_000 * MOST_SECONDS


def test_the_first_trace_carries_the_sound() -> None:
    kept = {"rate": 8_000, "samples": "AAAA"}
    free, forced = traces(heard(), "test", GRID, np.zeros((3, 20)), kept)
    assert free.extra["sound"] == kept and "sound" not in forced.extra
    assert "sound" not in traces(heard(), "test", GRID, np.zeros((3, 20)))[0].extra
