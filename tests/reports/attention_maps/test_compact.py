"""Attention as compact data: codes of 8 bits, shared things once, gold only where there is some."""

from __future__ import annotations

import base64
import json
import zlib

import numpy as np
import pytest
from sample_results import document_trace, photo_trace, sound_trace

from reports.attention_maps.compact import example_data, quantised, script


def block_of(data: dict) -> bytes:
    return zlib.decompress(base64.b64decode(data["block"]))


def weights_of(data: dict, packed: dict, shape: tuple[int, int]) -> np.ndarray:
    """What the explorer's script makes of a map's bytes."""
    kind = np.int8 if packed.get("signed") else np.uint8
    codes = np.frombuffer(block_of(data), kind, shape[0] * shape[1], packed["at"])
    return codes.reshape(shape) * packed["step"]


def softmax(logits: np.ndarray) -> np.ndarray:
    weights = np.exp(logits)
    return weights / weights.sum(axis=1, keepdims=True)


LOGITS = np.random.default_rng(0).standard_normal((7, 30))


@pytest.mark.parametrize(
    ("weights", "kind"),
    [
        (softmax(3 * LOGITS), np.uint8),
        (np.eye(7), np.uint8),
        (4 * np.abs(LOGITS), np.uint8),  # unnormalised
        (LOGITS, np.int8),  # signed
        (-np.eye(3), np.int8),
        (1e-12 * softmax(LOGITS), np.uint8),
        (np.zeros((2, 3)), np.uint8),
        (np.zeros((0, 3)), np.uint8),
    ],
)
def test_weights_come_back_to_half_a_step(weights, kind):
    codes, step = quantised(weights)
    assert codes.dtype == kind and codes.shape == weights.shape
    np.testing.assert_allclose(codes * step, weights, rtol=0, atol=0.5 * step * (1 + 1e-5))
    assert step <= np.abs(weights).max(initial=0.0) / 126
    assert not codes[weights == 0].any()


def test_what_is_no_number_is_nothing():
    codes, step = quantised(np.array([[0.5, np.nan, np.inf, -np.inf]]))
    np.testing.assert_allclose(codes * step, [[0.5, 0, 0, 0]], atol=1e-4)


def test_every_map_and_head_comes_back():
    head = softmax(np.random.default_rng(1).standard_normal((2, 14)))
    traces = [
        ("soft + concat", document_trace("free", parts={"head 1": head})),
        ("soft + concat", document_trace("forced")),
        ("differential", document_trace("free", weights=head - 0.2)),
    ]
    data = example_data(traces, {"texts": []})
    assert [one["mechanism"] for one in data["maps"]] == [name for name, _ in traces]
    assert [one["mode"] for one in data["maps"]] == ["free", "forced", "free"]
    for (_, trace), found in zip(traces, data["maps"], strict=True):
        assert data["outputs"][found["output"]]["target"] == list(trace.target)
        for packed, weights in [
            (found["weights"], trace.weights),
            *zip(found["parts"].values(), trace.parts.values(), strict=True),
        ]:
            restored = weights_of(data, packed, weights.shape)
            np.testing.assert_allclose(restored, weights, atol=packed["step"])
    assert len(block_of(data)) == 4 * 2 * 14
    assert data["sources"] == [
        {"kind": "words", "units": list(traces[0][1].source), "segments": [(0, 5), (5, 13)]}
    ]


def test_files_are_a_small_part_of_the_traces():
    weights = softmax(4 * np.random.default_rng(2).standard_normal((20, 80)))
    trace = document_trace(
        source=tuple(f"word {s}" for s in range(80)),
        target=tuple(f"word {t}" for t in range(20)),
        weights=weights,
        gold=None,
    )
    traces = [(f"mechanism {n}", trace) for n in range(14)]
    size = len(script("test/1", example_data(traces)))
    assert size < 14 * 20 * 80 * 1.34 + 14 * 600 + 1500
    assert size < sum(len(json.dumps(one.to_json())) for _, one in traces) / 5


def test_gold_is_there_only_where_it_is_known():
    known = document_trace()
    for gold in (None, (), ((0, 99), (-1, 0), (7, 0))):
        data = example_data([("known", known), ("unknown", document_trace(gold=gold))])
        assert data["outputs"][0]["gold"] == [[7], [9]]
        assert "gold" not in data["outputs"][1]
    assert "boxes" not in data["outputs"][0]


def test_a_photo_is_there_once_with_boxes_by_word():
    large = photo_trace(grid=(12, 12))
    data = example_data([("a", photo_trace()), ("b", large), ("a", photo_trace("forced"))])
    assert data["picture"].startswith("data:image/jpeg;base64,/9j/")
    assert [one["grid"] for one in data["sources"]] == [[6, 6], [12, 12]]
    assert [one["source"] for one in data["maps"]] == [0, 1, 0]
    assert [one["output"] for one in data["maps"]] == [0, 1, 0]
    boxes = data["outputs"][0]["boxes"]
    assert boxes[1] == [(0.08, 0.25, 0.42, 0.6)] and boxes[3] == [] and len(boxes) == 8


def test_a_sound_is_there_once_with_its_times_and_spans():
    sound = {"rate": 8000, "samples": base64.b64encode(bytes(range(256))).decode()}
    heard = sound_trace(extra={**sound_trace().extra, "sound": sound})
    data = example_data([("a", heard), ("a", sound_trace("forced"))])
    assert data["sound"] == sound
    assert data["spans"][0] == ("s", 0.05, 0.17)
    (source,) = data["sources"]
    assert (source["kind"], source["step"], source["offset"]) == ("frames", 0.04, 0.015)
    picture = data["spectrogram"]
    levels = np.frombuffer(
        block_of(data), np.uint8, picture["bands"] * picture["columns"], picture["at"]
    )
    first = bytes.fromhex(heard.extra["picture"][0])
    assert levels[: picture["columns"]].tobytes() == first  # the lowest band first


def test_a_script_is_an_assignment_of_plain_json():
    nasty = document_trace(target=("</script>\u2028", "\ud800"))
    text = script("test/<1>", example_data([("a", nasty)]))
    name, _, rest = text.partition("]=")
    assert name == 'attentionData["test/<1>"'
    assert json.loads(rest.removesuffix(";\n"))["outputs"][0]["target"] == list(nasty.target)
    text.encode("utf-8")
