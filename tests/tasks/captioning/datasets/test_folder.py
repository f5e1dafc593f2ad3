"""Any folder of pictures with a file of captions: formats, splits, what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from bench.errors import UsageError
from tasks.base import DatasetOptions, datasets
from tasks.captioning.datasets import CaptionCorpus
from tasks.captioning.datasets.folder import CaptionFolder, FolderOptions


def check(name: str, root: Path | None, options: DatasetOptions) -> list[str]:
    return datasets("captioning").get(name).check(options, root)


SPLITS = {"a.png": "train", "b.png": "val", "c.png": "test"}


def pictures(folder: Path, names: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        Image.new("RGB", (8, 8), (20 * number % 256, 99, 0)).save(folder / name)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    pictures(tmp_path, list(SPLITS))
    return tmp_path


def load(root: Path, **options: object) -> CaptionCorpus:
    return CaptionFolder.load(FolderOptions.model_validate(options), root)


def ids(corpus: CaptionCorpus) -> dict[str, list[str]]:
    return {split: [p.id for p in part] for split, part in corpus.splits.items()}


EXPECTED = {"train": ["a.png"], "validation": ["b.png"], "test": ["c.png"]}


def test_registered() -> None:
    assert datasets("captioning").get("folder") is CaptionFolder


@pytest.mark.parametrize(("name", "mark"), [("captions.tsv", "\t"), ("captions.csv", ",")])
def test_tables(root: Path, name: str, mark: str) -> None:
    rows = [["split", "image", "caption"]]
    for picture, split in SPLITS.items():
        quoted = f"A dog, {picture}" if mark == "\t" else f'"A dog, {picture}"'
        rows += [
            [split, picture, quoted],
            [split, picture, "Two 5\" dogs'" if mark == "\t" else "x"],
        ]
    (root / name).write_text("\n".join(map(mark.join, rows)) + "\n\n")
    corpus = load(root)
    assert ids(corpus) == EXPECTED
    assert corpus.train[0].captions[0].text.startswith("a dog a")
    assert corpus.train[0].captions[1].text == ("two 5 dogs" if mark == "\t" else "x")
    assert check("folder", root, FolderOptions()) == []


def test_json_lines(root: Path) -> None:
    rows = [
        {"image": name, "caption": ["A dog.", "Two\ndogs"], "split": split, "more": 1}
        for name, split in SPLITS.items()
    ]
    (root / "captions.jsonl").write_text("\n".join(map(json.dumps, rows)))
    corpus = load(root)
    assert ids(corpus) == EXPECTED and corpus.train[0].references == ("a dog", "two dogs")


def test_other_names_for_everything(tmp_path: Path) -> None:
    pictures(tmp_path / "photos", list(SPLITS))
    rows = ["file\twords\tpart", *(f"{name}\ta dog\t{split}" for name, split in SPLITS.items())]
    (tmp_path / "list.txt").write_text("\n".join(rows))
    options = {
        "captions": "list.txt",
        "pictures": "photos",
        "picture_column": "file",
        "caption_column": "words",
        "split_column": "part",
        "size": 32,
    }
    corpus = load(tmp_path, **options)
    assert ids(corpus) == EXPECTED and corpus.size == 32


def test_token_format_and_dealt_splits(tmp_path: Path) -> None:
    names = [f"{number}.png" for number in range(30)]
    pictures(tmp_path, [*names, "spare.png"])
    lines = [f"{name}#{number}\tdog {number}" for name in names for number in (1, 0)]
    (tmp_path / "captions.txt").write_text("\n".join(lines))
    corpus = load(tmp_path)
    assert {split: len(part) for split, part in corpus.splits.items()} == {
        "train": 24,
        "validation": 3,
        "test": 3,
    }
    assert corpus.train[0].references == ("dog 0", "dog 1")
    assert corpus.notes == (
        "no split column: pictures dealt 8:1:1 by a hash of their names",
        f"1 pictures in {tmp_path.name} have no caption and are not used",
    )
    (tmp_path / "captions.txt").write_text("\n".join(reversed(lines)))
    assert {k: sorted(v) for k, v in ids(load(tmp_path)).items()} == {
        k: sorted(v) for k, v in ids(corpus).items()
    }


def test_equal_pictures_are_dealt_to_the_same_split(tmp_path: Path) -> None:
    """Copies, also in another format, as photo collections hold them."""
    names = [f"{number}.png" for number in range(30)]
    pictures(tmp_path, names)
    lines = [f"{name}#0\tdog {name}" for name in names]
    for number in range(30):
        with Image.open(tmp_path / f"{number}.png") as picture:
            picture.save(tmp_path / f"copy {number}.bmp")
        lines.append(f"copy {number}.bmp#0\tdog again")
    (tmp_path / "captions.txt").write_text("\n".join(lines))
    corpus = load(tmp_path)
    assert check("folder", tmp_path, FolderOptions()) == []
    homes = {name: split for split, part in ids(corpus).items() for name in part}
    assert len(homes) == 60
    assert all(homes[f"{number}.png"] == homes[f"copy {number}.bmp"] for number in range(30))
    sizes = {split: len(part) for split, part in corpus.splits.items()}
    assert sizes == {"train": 48, "validation": 6, "test": 6}


def problems(root: Path, rows: list[str], name: str = "captions.tsv") -> list[str]:
    (root / name).write_text("\n".join(rows) + "\n")
    with pytest.raises(UsageError) as caught:
        load(root)
    assert "\n" not in str(caught.value)
    return [str(caught.value), *check("folder", root, FolderOptions())]


def test_captions_without_pictures_are_counted_and_the_first_is_named(root: Path) -> None:
    first, *rest = problems(
        root, ["image\tcaption", "a.png\ta dog", "x.png\ta cat", "y.png\ttwo", "x.png\tone"]
    )
    assert "captions.tsv:3: 2 captions without pictures, the first: no picture 'x.png'" in first
    assert [line.split(": ")[1].split(";")[0] for line in rest] == [
        "no picture 'x.png'",
        "no picture 'y.png'",
    ]


def test_lines_that_cannot_be_used(root: Path) -> None:
    first, *rest = problems(
        root,
        [
            "image\tcaption\tsplit",
            "a.png\ta dog",
            "a.png\t...\ttrain",
            "\tdog\ttest",
            "b.png\tx\tval",
        ],
    )
    assert "captions.tsv:2: 2 unusable lines, the first: 2 fields where the header has 3" in first
    assert len(rest) == 3 and any("tsv:3: the caption of 'a.png' has no words" in r for r in rest)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("{", "not JSON"),
        ("[1]", "a JSON list, not an object"),
        ('{"image": "a.png"}', "no column 'caption'; it has image"),
        ('{"image": 5, "caption": "a"}', "expected the name of a picture"),
        ('{"image": "a.png", "caption": []}', "expected a caption, or a list of captions"),
        ('{"image": "a.png", "caption": 5}', "expected a caption, or a list of captions"),
        ('{"image": "a.png", "caption": "."}', "the caption of 'a.png' has no words"),
    ],
)
def test_json_lines_that_cannot_be_used(root: Path, line: str, expected: str) -> None:
    found = problems(root, ['{"image": "a.png", "caption": "a dog"}', line], "captions.jsonl")
    assert all("captions.jsonl:2: " + expected in one for one in found)


def test_splits_that_make_no_sense(root: Path) -> None:
    rows = ["image\tcaption\tsplit", "a.png\tx\ttrain", "a.png\ty\ttest", "b.png\tx\ttrian"]
    first, *rest = problems(root, rows)
    assert "captions.tsv:2: 'a.png' is in several splits (test, train)" in first
    assert "captions.tsv:4: unknown split 'trian'; did you mean 'train'?" in rest[1]


def test_a_split_without_pictures(root: Path) -> None:
    (root / "captions.tsv").write_text("image\tcaption\tsplit\na.png\tx\ttrain\nb.png\ty\tval\n")
    with pytest.raises(UsageError, match="no picture for the test split among 2"):
        load(root)
    (root / "captions.tsv").write_text("image\tcaption\na.png\tx\nb.png\ty\n")
    with pytest.raises(UsageError, match="no picture for the train split among 2"):
        load(root)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"picture,caption\na.png,x\n", r"captions\.csv:1: no column 'image'; .*picture, caption"),
        (b"image,caption\na.png,caf\xe9\n", r"captions\.csv:2: not UTF-8"),
        (b"image,caption\n" + b"x" * 200_000 + b",y\n", r"captions\.csv:2: .*a field of more than"),
    ],
)
def test_files_that_cannot_be_used(root: Path, content: bytes, message: str) -> None:
    (root / "captions.csv").write_bytes(content)
    with pytest.raises(UsageError, match=message):
        load(root)


def test_what_is_missing_is_said(root: Path) -> None:
    with pytest.raises(UsageError, match=r"no file of captions \(captions\.tsv"):
        load(root)
    with pytest.raises(UsageError, match=r"--set captions: .*mine\.tsv: no such file"):
        load(root, captions="mine.tsv")
    (root / "captions.tsv").write_text("image\tcaption\n")
    with pytest.raises(UsageError, match=r"--set pictures: .*photos: no such folder"):
        load(root, pictures="photos")


def test_every_problem_is_listed_and_each_kind_comes_soon(root: Path) -> None:
    rows = ["image\tcaption", *(f"{number}.png\ta dog" for number in range(50)), "a.png\t."]
    found = problems(root, rows)[1:]
    assert len(found) == 51
    assert {"'a.png' has no words" in line for line in found[:2]} == {True, False}
