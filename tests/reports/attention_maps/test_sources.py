"""What traces know of their source; whatever is malformed counts as not known."""

from __future__ import annotations

import base64

import numpy as np
import pytest
from sample_results import document_trace, photo_trace, sound_trace

from reports.attention_maps.compact import example_data
from reports.attention_maps.sources import (
    boxes_of,
    photo,
    segments_of,
    sound_of,
    spans_of,
    spectrogram,
    times_of,
)


def with_extra(trace, **changes):
    return {**trace.extra, **changes}


@pytest.mark.parametrize(
    "picture",
    [
        None,
        7,
        "",
        "no base64!",
        base64.b64encode(b"<svg onload=alert(1)>").decode(),
        base64.b64encode(b"\xff\xd8\xff\xe0 not really").decode(),
        "A" * 200_000,
    ],
)
def test_what_is_no_photo_is_never_shown(picture):
    trace = photo_trace(extra=with_extra(photo_trace(), picture=picture))
    assert photo(trace) is None
    data = example_data([("a", trace)])
    assert "picture" not in data and data["sources"][0]["kind"] == "words"


@pytest.mark.parametrize("grid", [[6, 7], [0, 6], ["6", 6], None, [36]])
def test_a_grid_that_does_not_fit_is_shown_as_a_matrix(grid):
    trace = photo_trace(extra=with_extra(photo_trace(), grid=grid))
    assert example_data([("a", trace)])["sources"][0]["kind"] == "words"


@pytest.mark.parametrize(
    "phrase",
    [
        {"start": 0},
        3,
        {"start": 0, "end": 2, "boxes": [[0, "x", 1, 1]]},
        {"start": 0, "end": 2, "boxes": [[0, float("nan"), 1, 1]]},
        {"start": -3, "end": 0, "boxes": [[0, 0, 1, 1]]},
    ],
)
def test_phrases_that_are_none_are_left_out(phrase):
    assert boxes_of(photo_trace(extra=with_extra(photo_trace(), phrases=[phrase]))) is None


def test_boxes_stay_within_the_photo():
    phrase = {"start": 7, "end": 99, "boxes": [[-1, 0.2, 3, 0.1]]}
    found = boxes_of(photo_trace(extra=with_extra(photo_trace(), phrases=[phrase])))
    assert found[7] == [(0.0, 0.2, 1.0, 0.2)]


@pytest.mark.parametrize("rows", [None, [], ["zz"], ["00", "0000"], "00", [3]])
def test_what_is_no_spectrogram_is_left_out(rows):
    trace = sound_trace(extra=with_extra(sound_trace(), picture=rows))
    assert spectrogram(trace) is None
    assert "spectrogram" not in example_data([("a", trace)])


@pytest.mark.parametrize(
    "change", [{"step": 0}, {"seconds": float("nan")}, {"offset": None}, {"seconds": 1e9}]
)
def test_without_times_sound_is_shown_as_a_matrix(change):
    trace = sound_trace(extra=with_extra(sound_trace(), **change))
    assert times_of(trace) is None
    assert example_data([("a", trace)])["sources"][0]["kind"] == "words"


@pytest.mark.parametrize("spans", [None, 3, [[0, 1]], [[0, "x"]] * 5, [[0, 1, 2]] * 5])
def test_what_are_no_spans_is_left_out(spans):
    assert spans_of(sound_trace(extra=with_extra(sound_trace(), spans=spans))) == []


@pytest.mark.parametrize(
    "sound",
    [
        None,
        "AAAA",
        {"rate": 8000},
        {"rate": "8000", "samples": "AAAA"},
        {"rate": 1, "samples": "AAAA"},
        {"rate": 8000, "samples": ""},
        {"rate": 8000, "samples": "no base64!"},
        {"rate": 8000, "samples": "A" * 900_000},
    ],
)
def test_what_is_no_sound_is_not_played(sound):
    trace = sound_trace(extra=with_extra(sound_trace(), sound=sound))
    assert sound_of(trace) is None


@pytest.mark.parametrize("segments", [None, [], [0] * 13, [0] * 99, "abc"])
def test_without_several_sentences_nothing_is_marked(segments):
    assert segments_of(document_trace(extra={"segments": segments})) == []


def test_sentences_have_bounds():
    assert segments_of(document_trace()) == [(0, 5), (5, 13)]
    assert np.all(np.diff(segments_of(document_trace())) > 0)
