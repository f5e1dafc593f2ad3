"""Flickr8k and Flickr30k Entities: the published layout; the real files where they are."""

from __future__ import annotations

import os
import shutil
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from bench.errors import UsageError
from tasks.base import DatasetOptions, datasets
from tasks.captioning.datasets import Box, CaptionCorpus, Phrase
from tasks.captioning.datasets.flickr8k import (
    LISTS,
    TOKENS,
    Entities,
    Flickr8k,
    Flickr8kOptions,
    place,
)
from tasks.captioning.pixels import pixels


def check(name: str, root: Path | None, options: DatasetOptions) -> list[str]:
    return datasets("captioning").get(name).check(options, root)


DATA = Path(os.environ.get("ATTNBENCH_DATA") or Path(__file__).parents[5] / "shared" / "data")

NAMES = {"train": ["1_a.jpg", "2_b.jpg"], "validation": ["3_c.jpg"], "test": ["4_d.jpg"]}
CAPTIONS = ["A dog's bowl .", "The girl sits on a blond-haired pony", "Two men"]
SENTENCES = """\
[/EN#7/people The girl] sits on [/EN#8/animals a blond-haired pony] .
[/EN#9/people Two men]
[/EN#8/animals A dog] 's [/EN#5/other bowl] in [/EN#0/notvisual the air] .
"""
ANNOTATION = """\
<annotation><size><width>200</width><height>100</height><depth>3</depth></size>
<object><name>7</name><name>9</name>
<bndbox><xmin>1</xmin><ymin>11</ymin><xmax>50</xmax><ymax>100</ymax></bndbox></object>
<object><name>8</name>
<bndbox><xmin>101</xmin><ymin>1</ymin><xmax>200</xmax><ymax>50</ymax></bndbox></object>
<object><name>9</name>
<bndbox><xmin>51</xmin><ymin>1</ymin><xmax>100</xmax><ymax>50</ymax></bndbox></object>
<object><name>5</name><scene>1</scene><nobndbox>1</nobndbox></object>
</annotation>
"""
GIRL = Box(0.0, 0.1, 0.25, 1.0)
PONY = Box(0.5, 0.0, 1.0, 0.5)
MAN = Box(0.25, 0.0, 0.5, 0.5)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "flickr8k"
    (folder / "Flicker8k_Dataset").mkdir(parents=True)
    lines = []
    for number, name in enumerate(name for names in NAMES.values() for name in names):
        Image.new("RGB", (20, 20), (40 * number, 0, 0)).save(folder / "Flicker8k_Dataset" / name)
        lines += [f"{name}#{place}\t{text}" for place, text in enumerate(CAPTIONS)]
    (folder / TOKENS).write_text("\n".join(reversed(lines)) + "\n", "utf-8")
    for split, names in NAMES.items():
        (folder / LISTS[split]).write_text("\n".join(names) + "\n")
    return tmp_path


def annotate(root: Path, *, packed: bool) -> None:
    folder = root / "flickr8k"
    files = {"Sentences/4.txt": SENTENCES, "Annotations/4.xml": ANNOTATION}
    if packed:
        with zipfile.ZipFile(folder / "annotations.zip", "w") as archive:
            for name, text in files.items():
                archive.writestr(name, text)
        return
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)


def load(root: Path, **options: object) -> CaptionCorpus:
    return Flickr8k.load(Flickr8kOptions.model_validate(options), root)


def test_splits_captions_and_order(root: Path) -> None:
    corpus = load(root, size=24)
    found = {split: [p.id for p in part] for split, part in corpus.splits.items()}
    assert found == NAMES and corpus.notes == () and corpus.size == 24
    picture = corpus.train[0]
    assert picture.references == (
        "a dog 's bowl",
        "the girl sits on a blond-haired pony",
        "two men",
    )
    assert picture.length == 4
    assert load(root / "flickr8k").fingerprint == load(root).fingerprint
    assert check("flickr8k", root, Flickr8kOptions()) == []


@pytest.mark.parametrize("packed", [True, False])
def test_regions_are_scaled_by_axis_and_matched_to_captions(root: Path, packed: bool) -> None:
    annotate(root, packed=packed)
    corpus = load(root)
    picture = corpus.tests["test"][0]
    assert picture.original == (200, 100)
    dog, girl, men = picture.captions
    assert girl.phrases == (Phrase(0, 2, (GIRL,)), Phrase(4, 9, (PONY,)))
    assert girl.words[4:9] == ("a", "blond", "-", "haired", "pony")
    assert men.phrases == (Phrase(0, 2, (GIRL, MAN)),)
    assert dog.phrases == (Phrase(0, 2, (PONY,)),)  # the sentence was edited; the dog is there
    assert corpus.notes == (
        "Flickr30k Entities: 3 boxes, 4 phrases with boxes, 0 of them not found in the captions",
    )
    assert corpus.fingerprint != load(root, regions="none").fingerprint
    assert not load(root, regions="none").tests["test"][0].captions[1].phrases


def test_a_phrase_that_was_edited_has_no_place(root: Path) -> None:
    annotate(root, packed=True)
    annotated = Entities(root / "flickr8k").get("4_d.jpg")
    assert annotated is not None
    texts = ["two persons", "the girl sits on a brown pony", "something else is going on here"]
    found = place(annotated, texts)
    assert [caption.text for caption in found] == texts
    assert [len(caption.phrases) for caption in found] == [0, 1, 0]
    assert Entities(root / "flickr8k").get("1_a.jpg") is None


def test_absent_photos_are_left_out_and_counted(root: Path) -> None:
    (root / "flickr8k/Flicker8k_Dataset/2_b.jpg").unlink()
    corpus = load(root)
    assert [picture.id for picture in corpus.train] == ["1_a.jpg"]
    assert corpus.notes == (
        "train: 1 of 2 listed photos are absent and left out, the first: 2_b.jpg",
    )


def test_no_photo_at_all_is_an_error(root: Path) -> None:
    (root / "flickr8k/Flicker8k_Dataset/4_d.jpg").unlink()
    with pytest.raises(UsageError, match=r"testImages\.txt: none of the 1 listed photos is there"):
        load(root)


@pytest.mark.parametrize("gone", [TOKENS, LISTS["test"], "Flicker8k_Dataset"])
def test_missing_files_are_named(root: Path, gone: str) -> None:
    path = root / "flickr8k" / gone
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(UsageError, match=gone):
        load(root)


def test_a_root_is_needed(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--data-root: data set 'flickr8k' needs its files"):
        Flickr8k.load(Flickr8kOptions(), None)
    with pytest.raises(UsageError, match="no such folder"):
        load(tmp_path / "nowhere")


def test_all_problems_are_found_with_their_lines(root: Path) -> None:
    tokens = root / "flickr8k" / TOKENS
    tokens.write_text(tokens.read_text() + "no tab here\n5_e.jpg#0\t ... \n5_e.jpg#1\t!\n")
    (root / "flickr8k" / LISTS["test"]).write_text("4_d.jpg\n1_a.jpg\n5_e.jpg\n")
    photos = root / "flickr8k/Flicker8k_Dataset"
    shutil.copy(photos / "4_d.jpg", photos / "3_c.jpg")
    (photos / "5_e.jpg").write_text("broken")
    (photos / "2_b.jpg").write_text("broken")
    found = check("flickr8k", root, Flickr8kOptions())
    parts = [
        f"{TOKENS}:13: expected picture#number, a tab, the caption",
        f"{TOKENS}:14: the caption of '5_e.jpg' has no words",
        f"{TOKENS}:15: the caption of '5_e.jpg' has no words",
        f"{LISTS['test']}: '1_a.jpg' is in {LISTS['train']} too",
        f"{LISTS['test']}: '5_e.jpg' has no caption in {TOKENS}",
        "2_b.jpg: cannot be read as a picture",
        "1_a.jpg: this picture of test is also in train (1_a.jpg)",
        "4_d.jpg: this picture of test is also in validation (3_c.jpg)",
    ]
    for part in parts:
        assert any(part in line for line in found), (part, found)
    assert len(found) == len(parts) and not any("\n" in line for line in found)
    with pytest.raises(UsageError, match=r"token\.txt:13: expected picture#number"):
        load(root)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("<annotation><size>", "no element found"),
        ("<annotation><size><width>wide</width></size></annotation>", "invalid literal"),
        (ANNOTATION.replace("<xmin>1<", "<xmin>90<"), "Box"),
        ('<!DOCTYPE x [<!ENTITY a "b">]><annotation>&a;</annotation>', "Entit"),
    ],
)
def test_annotations_that_cannot_be_used_are_named(root: Path, content: str, reason: str) -> None:
    annotate(root, packed=False)
    (root / "flickr8k/Annotations/4.xml").write_text(content)
    with pytest.raises(UsageError, match=r"4\.xml: not an annotation .*" + reason) as caught:
        load(root)
    assert "\n" not in str(caught.value)


def test_an_archive_that_is_none_is_named(root: Path) -> None:
    (root / "flickr8k/annotations.zip").write_text("no archive")
    with pytest.raises(UsageError, match=r"annotations\.zip: not a readable ZIP file"):
        load(root)


def test_tokens_that_are_not_utf8_are_named(root: Path) -> None:
    tokens = root / "flickr8k" / TOKENS
    tokens.write_bytes(tokens.read_bytes() + b"1_a.jpg#9\tcaf\xe9\n")
    with pytest.raises(UsageError, match=r"token\.txt:13: not UTF-8"):
        load(root)


@pytest.fixture(scope="module")
def real() -> Path:
    if not (DATA / "flickr8k").is_dir():
        pytest.skip(f"no flickr8k in {DATA} (set ATTNBENCH_DATA)")
    return DATA


@pytest.mark.data
def test_the_real_corpus(real: Path, tmp_path: Path) -> None:
    corpus = load(real)
    counts = {split: len(part) for split, part in corpus.splits.items()}
    assert counts == {"train": 5996, "validation": 1000, "test": 1000}
    assert all(len(p.captions) == 5 for part in corpus.splits.values() for p in part)
    assert corpus.notes[0].startswith("train: 4 of 6000 listed photos are absent")
    test = corpus.tests["test"]
    assert all(picture.original for picture in test)
    phrases = [
        caption.words[phrase.start : phrase.end]
        for picture in test
        for caption in picture.captions
        for phrase in caption.phrases
    ]
    assert len(phrases) > 0.98 * 13063
    assert ("a", "black", "dog") in phrases
    found = pixels(test[:50], 96, tmp_path).array
    assert found.shape == (50, 96, 96, 3) and found.std() > 40


@pytest.mark.data
def test_all_real_annotations(real: Path) -> None:
    entities = Entities(real / "flickr8k")
    names = [path.name for path in (real / "flickr8k/Flicker8k_Dataset").iterdir()]
    found = [entities.get(name) for name in names]
    assert len(found) == 8086
    assert sum(one.boxes for one in found if one) == 52290
    assert sum(one.phrases for one in found if one) == 105051
