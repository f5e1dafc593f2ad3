"""Pictures of attention over photos, sounds and sentences."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image
from sample_results import document_trace, photo_trace, sound_trace

from reports.attention_maps import attention_map, heat_map, row_description, segments_of, svg
from reports.attention_maps.audio import sound_description, sound_map
from reports.attention_maps.drawing import (
    Box,
    Drawing,
    Group,
    Lines,
    Picture,
    Shape,
    Text,
    pictures,
)
from reports.attention_maps.image import ink, photo, photo_description, photo_map, spectrogram, veil
from reports.figures.static import drawing_files


def alpha(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("LA"))[..., 1].astype(float) / 255


def flat(shapes) -> list[Shape]:
    return [
        one
        for shape in shapes
        for one in ([shape, *flat(shape.shapes)] if isinstance(shape, Group) else [shape])
    ]


def rows(drawing: Drawing) -> list[Group]:
    return [
        one
        for one in flat(drawing.shapes)
        if isinstance(one, Group) and one.attributes.get("class") == "row"
    ]


def test_a_veil_lies_where_nothing_is_looked_at():
    found = alpha(veil(np.array([[0.0, 0.5], [0.25, 0.25]])))
    assert found[0, 1] == 0
    assert found[0, 0] == pytest.approx(0.82, abs=0.01)
    assert found[1, 0] == found[1, 1] == pytest.approx(0.41, abs=0.01)


def test_even_weights_veil_nothing():
    assert alpha(veil(np.full((3, 4), 1 / 12))).max() == 0


def test_ink_is_proportional_to_the_weight():
    np.testing.assert_allclose(alpha(ink(np.array([[0.1, 0.4]]), 0.4)), [[0.25, 1]], atol=0.01)


def test_every_word_has_its_photo_with_its_box():
    trace = photo_trace()
    drawing = photo_map(trace, "t")
    words = rows(drawing)
    assert [word.attributes["data-word"] for word in words] == list(trace.target)
    for t, word in enumerate(words):
        shown, cover = pictures(word.shapes)
        assert (shown.x, shown.y, shown.width) == (cover.x, cover.y, cover.width)
        expected = alpha(veil(trace.weights[t].reshape(6, 6)))
        np.testing.assert_array_equal(alpha(cover.data), expected)
        boxes = [one for one in word.shapes if isinstance(one, Box) and one.role == "gold-line"]
        assert len(boxes) == (t not in (3, 4))
    (box,) = [one for one in words[0].shapes if getattr(one, "role", "") == "gold-line"]
    assert box.x == pytest.approx(0.08 * shown.width)
    assert box.width == pytest.approx(0.34 * shown.width)


def test_a_page_holds_a_photo_once():
    drawings = [photo_map(photo_trace(mode), "t") for mode in ("free", "forced")]
    (key,) = {one.key for drawing in drawings for one in pictures(drawing.shapes) if one.shared}
    assert svg.definitions(drawings).count(f'id="{key}"') == 1
    for drawing in drawings:
        assert svg.inline(drawing).count(f'href="#{key}"') == 9
        assert svg.document(drawing).count(f'id="{key}"') == 1


def test_words_say_how_much_lies_in_their_box():
    trace = photo_trace()
    gold = [s for t, s in trace.gold if t == 2]
    share = f"{100 * trace.weights[2][gold].sum():.0f} % of its weight lies in its box"
    assert share in photo_description(trace, 2)
    assert "box" not in photo_description(trace, 3)
    place = int(trace.weights[3].argmax())
    assert f"row {place // 6 + 1}, column {place % 6 + 1}" in photo_description(trace, 3)


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
    extra = {**photo_trace().extra, "picture": picture}
    assert photo(extra) is None
    drawing = attention_map(photo_trace(extra=extra), "t")
    assert not list(pictures(drawing.shapes))
    assert len(rows(drawing)) == 8


@pytest.mark.parametrize("grid", [[6, 7], [0, 6], ["6", 6], None, [36]])
def test_a_grid_that_does_not_fit_is_drawn_as_a_matrix(grid):
    extra = {**photo_trace().extra, "grid": grid}
    assert not list(pictures(attention_map(photo_trace(extra=extra), "t").shapes))


def test_phrases_that_are_none_are_left_out():
    phrases = [{"start": 0}, {"start": 0, "end": 2, "boxes": [[0, "x", 1, 1]]}, 3]
    extra = {**photo_trace().extra, "phrases": phrases}
    assert not [
        s
        for s in flat(photo_map(photo_trace(extra=extra), "t").shapes)
        if getattr(s, "role", "") == "gold-line"
    ]


def test_sound_lies_above_its_weights_on_one_axis():
    trace = sound_trace()
    drawing = sound_map(trace, "t")
    sound, weights = pictures(drawing.shapes)
    scale = sound.width / 0.64
    assert sound.y < weights.y
    # The first position's centre is at 0.015 s, and 0.04 s lie between two.
    assert weights.x == pytest.approx(sound.x + (0.015 - 0.02) * scale)
    assert weights.width == pytest.approx(16 * 0.04 * scale)
    found = alpha(weights.data)
    np.testing.assert_allclose(found, trace.weights / trace.weights.max(), atol=0.01)
    even = sound_trace(weights=np.full((5, 16), 1 / 16))
    _, pale = pictures(sound_map(even, "t").shapes)
    assert alpha(pale.data).max() == pytest.approx(0.25, abs=0.01)
    labels = [one.text for one in flat(drawing.shapes) if isinstance(one, Text)]
    assert {"s", "iy", "p", "aa", "t"} <= set(labels)


def test_true_spans_stand_where_they_are():
    trace = sound_trace()
    drawing = sound_map(trace, "t")
    sound, _ = pictures(drawing.shapes)
    scale = sound.width / 0.64
    spans = [one for one in drawing.shapes if isinstance(one, Box) and one.role == "cell-high"]
    assert [one.title for one in spans] == ["s", "iy", "p", "aa", "t"]
    assert spans[3].x == pytest.approx(sound.x + 0.36 * scale)
    assert spans[3].width == pytest.approx(0.16 * scale)
    for row in rows(drawing):
        (frame,) = [one for one in row.shapes if isinstance(one, Box) and one.role == "gold"]
        assert frame.outline


def test_low_bands_lie_below():
    levels = ["00" * 4, "ff" * 4]  # quiet in the lowest band, loud above
    extra = {**sound_trace().extra, "picture": levels}
    sound, _ = pictures(sound_map(sound_trace(extra=extra), "t").shapes)
    with Image.open(io.BytesIO(sound.data)) as image:
        pixels = np.asarray(image)
    assert (pixels[0] == 0).all() and (pixels[1] == 255).all()  # loud is dark


@pytest.mark.parametrize("rows", [None, [], ["zz"], ["00", "0000"], "00", [3]])
def test_what_is_no_spectrogram_is_left_out(rows):
    assert spectrogram(rows) is None
    extra = {**sound_trace().extra, "picture": rows}
    assert len(list(pictures(sound_map(sound_trace(extra=extra), "t").shapes))) == 1


@pytest.mark.parametrize(
    "change", [{"step": 0}, {"seconds": float("nan")}, {"offset": None}, {"seconds": 1e9}]
)
def test_without_times_sound_is_drawn_as_a_matrix(change):
    drawing = attention_map(sound_trace(extra={**sound_trace().extra, **change}), "t")
    assert not list(pictures(drawing.shapes))
    assert len(rows(drawing)) == 5


def test_units_say_when_they_listened():
    trace = sound_trace()
    told = sound_description(trace, 3)
    inside = 100 * trace.weights[3][[s for t, s in trace.gold if t == 3]].sum()
    assert told.startswith("aa: most at 0.4")
    assert f"{inside:.0f} % of its weight lies in its span" in told
    assert "span" not in sound_description(sound_trace(gold=None), 3)


def test_sentences_are_marked_in_documents():
    trace = document_trace()
    assert segments_of(trace) == [(0, 5), (5, 13)]
    drawing = heat_map(trace, "t")
    labels = [one.text for one in drawing.shapes if isinstance(one, Text)]
    assert {"sentence 1", "sentence 2"} <= set(labels)
    (border,) = [one for one in drawing.shapes if isinstance(one, Lines) and one.role == "muted"]
    fifth = next(one for one in drawing.shapes if isinstance(one, Text) and one.text == "the")
    assert len(border.segments) == 1
    assert border.segments[0][0][0] < fifth.x < border.segments[0][0][0] + 15
    share = 100 * trace.weights[0][5:13].sum()
    assert row_description(trace, 0).endswith(f"; sentence 2 has {share:.0f} %")


@pytest.mark.parametrize("segments", [None, [], [0] * 13, [0] * 99, "abc"])
def test_without_several_sentences_nothing_is_marked(segments):
    trace = document_trace(extra={"segments": segments})
    assert segments_of(trace) == []
    assert "sentence" not in row_description(trace, 0)


@pytest.mark.parametrize("trace", [photo_trace(), sound_trace()])
def test_maps_are_written_in_light_colours(trace):
    document = svg.document(attention_map(trace, "x"))
    files = dict(drawing_files("map", document, ("svg", "pdf", "png")))
    assert "var(--ink)" in document and "var(--ink)" not in files["map.svg"]
    assert files["map.pdf"].startswith(b"%PDF-")
    assert files["map.png"].startswith(b"\x89PNG")


def test_a_bitmap_is_announced_as_what_it_is():
    drawing = Drawing(9, 9, (Picture(0, 0, 9, 9, ink(np.ones((1, 1)), 1.0)),), "t")
    assert 'href="data:image/png;base64,' in svg.inline(drawing)
