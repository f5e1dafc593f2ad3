"""The synthetic captioning set: scenes, wordings, boxes, splits."""

from __future__ import annotations

import hashlib
import itertools
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from bench.errors import UsageError
from tasks.base import DatasetOptions, datasets
from tasks.captioning.datasets import CaptionCorpus, Picture
from tasks.captioning.datasets.synthetic import SyntheticDataset, SyntheticOptions, generate
from tasks.captioning.metrics import normalised
from tasks.captioning.synthetic import (
    BACKGROUND,
    COLOURS,
    PLACES,
    SHAPES,
    WORDINGS,
    Named,
    Scene,
    Thing,
    canonical,
    captions,
    combinations,
)


def check(name: str, root: Path | None, options: DatasetOptions) -> list[str]:
    return datasets("captioning").get(name).check(options, root)


#: Captions and pictures as hard as the options make them.
RELATIONS = {"places": False, "sizes": True}


def load(**options: object) -> CaptionCorpus:
    sizes = {"train_size": 200, "validation_size": 30, "test_size": 40}
    return SyntheticDataset.load(SyntheticOptions.model_validate({**sizes, **options}))


def draw(pictures: list[Picture] | tuple[Picture, ...], size: int = 48) -> np.ndarray:
    return Scene.draw([picture.image for picture in pictures], size)  # type: ignore[misc]


def test_registered_with_gold_and_without_files() -> None:
    found = datasets("captioning").get("synthetic")
    assert found is SyntheticDataset and found.gold and not found.external
    assert (
        check("synthetic", None, SyntheticOptions(train_size=20, validation_size=5, test_size=5))
        == []
    )


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others() -> None:
    first, other = load(), load(data_seed=2)
    generate.cache_clear()
    again = load()
    assert again is not first
    assert first.fingerprint == again.fingerprint != other.fingerprint
    assert draw(first.train).tobytes() == draw(again.train).tobytes()
    assert draw(first.train).tobytes() != draw(other.train).tobytes()


def test_pixels_are_those_that_were_published() -> None:
    # Where this fails on purpose, raise `tasks.captioning.synthetic.VERSION`: caches go by it.
    pixels = draw(load(train_size=20, textures=True, noise=0.4, forms=6, **RELATIONS).train)
    digest = hashlib.sha256(pixels.tobytes()).hexdigest()
    assert pixels.dtype == np.uint8 and pixels.shape == (20, 48, 48, 3)
    assert digest.startswith("e5c1ec4bd8e992c5")


def test_the_test_sets_do_not_depend_on_the_number_of_training_pictures() -> None:
    assert load(train_size=10).tests == load(train_size=50).tests


def test_no_description_and_no_caption_is_in_two_splits() -> None:
    corpus = load(train_size=1500, validation_size=150, test_size=150)
    texts = {
        split: {text for picture in pictures for text in picture.references}
        for split, pictures in corpus.splits.items()
    }
    for one, other in itertools.combinations(texts, 2):
        assert not texts[one] & texts[other], (one, other)


def test_long_has_one_shape_more_than_anything_trained_on() -> None:
    corpus = load(objects=2)
    assert {picture.length for picture in corpus.train} == {1, 2}
    assert {picture.length for picture in corpus.tests["test"]} == {1, 2}
    assert {picture.length for picture in corpus.tests["long"]} == {3}
    longest = max(len(c.words) for picture in corpus.train for c in picture.captions)
    shortest = max(len(picture.captions[0].words) for picture in corpus.tests["long"])
    assert shortest > longest


def test_every_phrase_names_a_shape_and_lies_on_it() -> None:
    for picture in load(textures=True).train:
        assert isinstance(picture.image, Scene)
        boxes = {thing.box: thing for thing in picture.image.things}
        for caption in picture.captions:
            assert caption.text == normalised(caption.text)
            assert len(caption.phrases) == picture.length
            for phrase in caption.phrases:
                words = caption.words[phrase.start : phrase.end]
                thing = boxes[phrase.boxes[0]]
                assert words[0] == "a" and words[-2:] == (thing.colour, thing.shape)
                assert ("striped" in words) == thing.striped


def test_relations_hold_in_the_picture() -> None:
    for picture in load(references=5, **RELATIONS).tests["long"]:
        for caption in picture.captions:
            for before, after in itertools.pairwise(caption.phrases):
                words = caption.words[before.end : after.start]
                (first,), (second,) = before.boxes, after.boxes
                right = second.left + second.right - first.left - first.right
                down = second.top + second.bottom - first.top - first.bottom
                if "left" in words:
                    assert right > 0
                elif "right" in words:
                    assert right < 0
                elif {"above", "over"} & set(words):
                    assert down > 0
                else:
                    assert down < 0 and {"below", "under"} & set(words)


def test_the_first_caption_reads_like_a_page() -> None:
    for picture in load(**RELATIONS).train:
        caption = picture.captions[0]
        assert not {"below", "under", "right"} & set(caption.words)


def test_places_hold_in_the_picture() -> None:
    names = list(itertools.chain.from_iterable(PLACES))
    for picture in load(references=5).tests["long"]:
        for caption in picture.captions:
            said = [word for word in caption.words if word in names]
            assert len(said) == len(caption.phrases) == 4
            for word, phrase in zip(said, caption.phrases, strict=True):
                box = phrase.boxes[0]
                column, row = (box.left + box.right) / 2, (box.top + box.bottom) / 2
                assert PLACES[int(3 * row)][int(3 * column)] == word


def test_sizes_are_said_only_where_they_vary() -> None:
    sized = {"large", "small", "big", "little"}
    plain, varied = load().train, load(sizes=True).train
    assert not any(sized & set(p.captions[0].words) for p in plain)
    assert all(sized & set(p.captions[0].words) for p in varied)


@pytest.mark.parametrize("forms", [1, 4, 6])
def test_number_of_forms(forms: int) -> None:
    words = {word for picture in load(forms=forms).train for word in picture.captions[0].words}
    assert len(words & set(SHAPES)) == forms


def test_wordings_of_a_description() -> None:
    description = (
        Named(True, False, "red", "circle", 0, 0),
        Named(False, True, "blue", "square", 0, 2),
        Named(True, False, "green", "star", 1, 1),
    )
    things = tuple(
        Thing(one.shape, one.colour, one.striped, x, y, 0.1)
        for one, x, y in zip(description, (0.2, 0.8, 0.5), (0.2, 0.2, 0.5), strict=True)
    )
    found = captions(description, Scene(things, 0.0, 0), len(WORDINGS))
    assert [caption.text for caption in found] == [
        "a large red circle left of a small striped blue square above a large green star",
        "there is a big red circle left of a little striped blue square above a big green star",
        "a large red circle to the left of a small striped blue square over a large green star",
        "a large green star below a small striped blue square right of a large red circle",
        "a large green star under a small striped blue square to the right of a large red circle",
    ]
    assert canonical(description) == found[0].text
    placed = captions(description, Scene(things, 0.0, 0), len(WORDINGS), places=True)
    first, second, third = (
        f"a {size} {words}"
        for size, words in [
            ("large", "red circle"),
            ("small", "striped blue square"),
            ("large", "green star"),
        ]
    )
    assert [caption.text for caption in placed] == [
        f"{first} northwest {second} northeast {third} centre",
        "there is a big red circle northwest a little striped blue square northeast "
        "a big green star centre",
        f"{first} in the northwest {second} in the northeast {third} in the centre",
        f"{third} centre {second} northeast {first} northwest",
        f"{third} at the centre {second} at the northeast {first} at the northwest",
    ]
    assert canonical(description, places=True) == placed[0].text
    alone = captions(description[:1], Scene(things[:1], 0.0, 0), len(WORDINGS))
    assert [one.text for one in alone] == ["a large red circle", "there is a big red circle"]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("turn", [0.0, 0.12, -0.3])
def test_boxes_are_tight(shape: str, turn: float) -> None:
    size = 240
    thing = Thing(shape, "red", False, 0.45, 0.55, 0.2, turn)
    pixels = Scene.draw([Scene((thing,), 0.0, 0)], size)[0].astype(int)
    painted = np.abs(pixels - round(BACKGROUND * 255)).max(axis=-1) > 60
    rows, columns = np.flatnonzero(painted.any(axis=1)), np.flatnonzero(painted.any(axis=0))
    found = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]) / size
    box = thing.box
    # Sharp tips are thinner than a pixel at their ends.
    np.testing.assert_allclose(found, [box.left, box.top, box.right, box.bottom], atol=4 / size)


def test_colours_are_painted_and_stripes_are_darker() -> None:
    plain, striped = (Thing("square", "blue", dark, 0.5, 0.5, 0.4) for dark in (False, True))
    pixels = Scene.draw([Scene((plain,), 0.0, 0), Scene((striped,), 0.0, 0)], 96)
    inside = pixels[:, 24:72, 24:72].astype(float)
    expected = np.array(COLOURS["blue"]) * 255
    np.testing.assert_allclose(inside[0], np.broadcast_to(expected, inside[0].shape), atol=1)
    assert inside[1].max() > 0.95 * expected.max() and inside[1, ..., 2].min() < 0.4 * expected[2]
    assert 0.5 < inside[1].mean() / inside[0].mean() < 0.85


def test_a_picture_does_not_depend_on_its_neighbours() -> None:
    pictures = load().train
    together = draw(pictures)
    for number in (0, 63, 64, 150):
        assert (draw(pictures[number : number + 1])[0] == together[number]).all()


def test_noise_and_size_are_knobs() -> None:
    plain, noisy = load(noise=0.0).train[:20], load(noise=1.0).train[:20]
    corner = draw(plain)[:, 0, :, :]
    assert len(np.unique(draw(noisy))) > len(np.unique(corner))
    assert plain[0].references == noisy[0].references
    assert draw(plain, 32).shape == (20, 32, 32, 3)
    assert load(size=32).size == 32


def test_without_textures_nothing_is_striped() -> None:
    assert not any("striped" in p.captions[0].words for p in load(textures=False).train)
    assert any("striped" in p.captions[0].words for p in load(textures=True).train)


@pytest.mark.parametrize("references", [1, 2, 5])
def test_number_of_references(references: int) -> None:
    pictures = load(references=references).train
    assert {len(p.captions) for p in pictures if p.length > 1} == {references}


def test_held_out_pairs_are_only_in_novel() -> None:
    corpus = load(held_out=4, forms=6)
    novel = set(combinations()[:4])

    def has(picture: Picture) -> bool:
        assert isinstance(picture.image, Scene)
        return any((thing.colour, thing.shape) in novel for thing in picture.image.things)

    for split, pictures in corpus.splits.items():
        assert {has(picture) for picture in pictures} == {split == "novel"}
    assert len(corpus.tests["novel"]) == 40
    seen = {word for picture in corpus.train for word in picture.captions[0].words}
    assert seen.issuperset(COLOURS) and seen.issuperset(SHAPES)


def test_limits() -> None:
    corpus = load()
    limited = corpus.limited(train=7, test=3)
    assert len(limited.train) == 7
    assert [len(part) for part in limited.tests.values()] == [3, 3]
    assert limited.validation == corpus.validation
    assert limited.fingerprint != corpus.fingerprint
    assert corpus.limited() == corpus


def test_options_are_checked() -> None:
    with pytest.raises(ValidationError):
        load(objects=0)
    with pytest.raises(ValidationError):
        load(colours=3)


def test_too_few_descriptions_for_a_split_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.captioning.datasets.synthetic.home", lambda *_: "train")
    with pytest.raises(UsageError, match=r"synthetic, test split: found only 0 of 40 scenes"):
        load(data_seed=7)
