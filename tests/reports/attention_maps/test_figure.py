"""Static figures of single maps, as papers show them."""

from __future__ import annotations

import re

import numpy as np
import pytest
from matplotlib.patches import Rectangle
from sample_results import document_trace, photo_trace, put, sound_trace

from bench.errors import UsageError
from bench.store.cell import Cell
from bench.store.store import Store
from reports.attention_maps.figure import draw_map, find_trace, save_map

TRACES = {"words": document_trace(), "photo": photo_trace(), "sound": sound_trace()}


def frames(axes) -> list[tuple[float, float]]:
    return [one.get_xy() for one in axes.patches if isinstance(one, Rectangle)]


def test_words_have_their_weights_units_and_gold():
    (axes,) = draw_map(TRACES["words"]).axes
    (image,) = axes.images
    np.testing.assert_array_equal(image.get_array(), TRACES["words"].weights)
    assert [one.get_text() for one in axes.get_yticklabels()] == ["bridge", "closed"]
    assert frames(axes) == [(6.5, -0.5), (8.5, 0.5)]
    assert len(axes.lines) == 1  # between two sentences


@pytest.mark.parametrize("trace", [document_trace(gold=None), document_trace(gold=())])
def test_no_gold_is_framed_where_there_is_none(trace):
    assert frames(draw_map(trace).axes[0]) == []
    assert frames(draw_map(TRACES["words"], gold=False).axes[0]) == []


def test_every_word_has_its_photo():
    figure = draw_map(TRACES["photo"])
    shown = [axes for axes in figure.axes if axes.images]
    assert [axes.get_title() for axes in shown] == list(TRACES["photo"].target)
    _, veil = shown[0].images
    opacity = veil.get_array()[..., 3]
    assert opacity.argmin() == TRACES["photo"].weights[0].argmax()
    assert opacity.min() == 0
    assert [len(frames(axes)) for axes in shown] == [1, 1, 1, 0, 0, 1, 1, 1]


def test_a_sound_has_its_spectrogram_above_rows_on_the_same_times():
    above, below = draw_map(TRACES["sound"]).axes
    assert above.images and [one.get_text() for one in above.texts] == list(TRACES["sound"].target)
    first, last = below.get_xlim()
    assert 0.015 + 0.04 * first == pytest.approx(0)
    assert 0.015 + 0.04 * last == pytest.approx(0.64)


@pytest.mark.parametrize("kind", TRACES)
@pytest.mark.parametrize("ending", ["svg", "pdf"])
def test_files_are_the_same_each_time(tmp_path, kind, ending):
    once, twice = tmp_path / f"a.{ending}", tmp_path / f"b.{ending}"
    save_map(TRACES[kind], once)
    save_map(TRACES[kind], twice)
    assert once.read_bytes() == twice.read_bytes()
    assert once.read_bytes().startswith({"svg": b"<?xml", "pdf": b"%PDF"}[ending])


def test_words_stay_text(tmp_path):
    trace = document_trace(target=("$x^2$", "<b>"))
    save_map(trace, tmp_path / "map.svg")
    words = re.findall(r"<text[^>]*>([^<]*)</text>", (tmp_path / "map.svg").read_text("utf-8"))
    assert {"$x^2$", "&lt;b&gt;", "bridge"} <= set(words)


def test_single_heads_are_drawn_by_name():
    head = np.full((2, 14), 1 / 14)
    trace = document_trace(parts={"layer 1 head 2": head})
    (image,) = draw_map(trace, part="layer 1 head 2").axes[0].images
    np.testing.assert_array_equal(image.get_array(), head)
    with pytest.raises(UsageError, match="unknown part 'layer 1 head 3'"):
        draw_map(trace, part="layer 1 head 3")


def test_a_trace_is_found_in_its_store(tmp_path):
    store = Store.open(tmp_path, create=True)
    cell = Cell("summarization", "synthetic", "soft", "concat")
    result = put(
        store,
        cell,
        [0.2, 0.4],
        headline="rouge_l",
        traces=[document_trace(), document_trace("forced")],
    )
    found = find_trace(store, result.hash, "test/report-1", mode="forced")
    assert (found.mode, found.example) == ("forced", "report-1")
    with pytest.raises(UsageError, match="unknown example 'test/report-2'"):
        find_trace(store, result.hash, "test/report-2")
    with pytest.raises(UsageError, match="no traces"):
        find_trace(store, "0" * 64, "test/report-1")
