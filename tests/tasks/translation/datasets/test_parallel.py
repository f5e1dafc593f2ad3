"""Line-parallel files: read as they are, refused in one line that says what and where."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.errors import UsageError
from tasks.base import DatasetOptions, datasets
from tasks.data.texts import Texts
from tasks.translation.datasets import Pair, line_problems, read_pairs
from tasks.translation.datasets.parallel import Parallel, ParallelOptions


def check(name: str, root: Path | None, options: DatasetOptions) -> list[str]:
    return datasets("translation").get(name).check(options, root)


SOURCE = "\n".join(f"quelle {number} ." for number in range(200)) + "\n"
TARGET = "\n".join(f"Target {number}." for number in range(200)) + "\n"


def write(folder: Path, name: str, source: str | bytes, target: str | bytes) -> None:
    for ending, content in (("src", source), ("tgt", target)):
        data = content.encode() if isinstance(content, str) else content
        (folder / f"{name}.{ending}").write_bytes(data)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, "train", SOURCE, TARGET)
    write(tmp_path, "valid", "a\nb\n", "A\nB\n")
    write(tmp_path, "test", "c d\n", "C D!\n")
    return tmp_path


def one_line(error: UsageError) -> str:
    assert "\n" not in str(error)
    return str(error)


def test_pairs_are_the_lines(folder: Path) -> None:
    pairs = read_pairs(folder / "train.src", folder / "train.tgt", "train")
    assert len(pairs) == 200
    assert pairs[3] == Pair("train-4", "quelle 3 .", "Target 3.")
    assert pairs[3].source == ("quelle", "3", ".") and pairs[3].target == ("Target", "3", ".")
    assert list(pairs)[3] == pairs[3] and pairs[-1].id == "train-200"
    assert [pair.id for pair in pairs[5:7]] == ["train-6", "train-7"]
    assert list(Texts(pairs[:2], "target_text")) == ["Target 0.", "Target 1."]
    assert Texts(pairs, "source_text")[1] == "quelle 1 ."
    assert Texts(pairs, "source_text")[1:3][1] == "quelle 2 ."


def test_chosen_lines_keep_their_order(folder: Path) -> None:
    pairs = read_pairs(folder / "train.src", folder / "train.tgt", "train")
    for rows in ([7, 2, 9], [2, 7, 9], []):
        chosen = pairs.select(np.asarray(rows, dtype=np.int64))
        assert [pair.id for pair in chosen] == [f"train-{row + 1}" for row in rows]


def test_lines_blank_on_both_sides_are_left_out(tmp_path: Path) -> None:
    write(tmp_path, "train", "a\n\nb\n", "A\n \nB\n")
    pairs = read_pairs(tmp_path / "train.src", tmp_path / "train.tgt", "train")
    assert [(pair.id, pair.source_text) for pair in pairs] == [("train-1", "a"), ("train-3", "b")]


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        ("a\nb\n", "A\n", ["train.src: 2 lines, but train.tgt has 1"]),
        ("", "A\n", ["train.src: the file is empty"]),
        ("a\n", "", ["train.tgt: the file is empty"]),
        ("", "", ["train.src: the file is empty", "train.tgt: the file is empty"]),
        ("a\nb\n", b"A\n\xff\n", ["train.tgt:2: not UTF-8 (byte 0xff at position 1 of the line)"]),
        (
            "a\n\nc\n",
            "A\nB\n\t\n",
            [
                "train.src:2: the line is blank, but has a counterpart in train.tgt",
                "train.tgt:3: the line is blank, but has a counterpart in train.src",
            ],
        ),
    ],
)
def test_bad_files(
    folder: Path, source: str | bytes, target: str | bytes, expected: list[str]
) -> None:
    write(folder, "train", source, target)
    found = [one_line(error) for error in line_problems(folder / "train.src", folder / "train.tgt")]
    assert len(found) == len(expected)
    for line, text in zip(found, expected, strict=True):
        assert line.startswith(f"{folder}/{text}")
    with pytest.raises(UsageError) as caught:
        Parallel.load(ParallelOptions(), folder)
    path, _, text = found[0].partition(": ")
    count = "" if len(found) == 1 else f"{len(found)} problems, the first: "
    assert str(caught.value) == f"{path}: {count}{text}"
    assert check("parallel", folder, ParallelOptions()) == found


def test_blank_throughout(folder: Path) -> None:
    write(folder, "test", "\n\n", " \n\n")
    with pytest.raises(UsageError, match="every line is blank"):
        Parallel.load(ParallelOptions(), folder)
    write(folder, "test", "\n" * 100, "A\n" * 100)
    assert len(list(line_problems(folder / "test.src", folder / "test.tgt"))) == 100


def test_parallel_reads_its_three_splits(folder: Path) -> None:
    corpus = Parallel.load(ParallelOptions(), folder)
    assert (len(corpus.train), len(corpus.validation)) == (200, 2)
    assert [pair.target_text for pair in corpus.tests["test"]] == ["C D!"]
    assert corpus.notes == ()
    assert check("parallel", folder, ParallelOptions()) == []
    limited = corpus.limited(train=10)
    assert len(limited.train) == 10 and limited.fingerprint != corpus.fingerprint


def test_other_names_and_endings(folder: Path) -> None:
    for path in list(folder.iterdir()):
        ending = {".src": ".de", ".tgt": ".en"}[path.suffix]
        path.rename(folder / f"my-{path.stem}{ending}")
    names = {"train": "my-train", "valid": "my-valid", "test": "my-test"}
    corpus = Parallel.load(ParallelOptions(source="de", target="en", **names), folder)
    assert (corpus.source_language, corpus.target_language) == ("de", "en")
    assert len(corpus.train) == 200


def test_what_is_split_off_is_the_same_every_time_and_shared_by_no_split(folder: Path) -> None:
    write(folder, "train", SOURCE * 3, TARGET * 3)  # every sentence three times
    options = ParallelOptions(valid="", test="", held_out=0.1)
    corpus, again = (Parallel.load(options, folder) for _ in range(2))
    assert corpus.fingerprint == again.fingerprint
    splits = [corpus.train, corpus.validation, corpus.tests["test"]]
    sentences = [{pair.source_text for pair in split} for split in splits]
    assert sum(map(len, splits)) == 600 and sum(map(len, sentences)) == 200
    assert all(5 < len(part) < 40 for part in sentences[1:])
    assert any("split off" in note for note in corpus.notes)
    only_test = Parallel.load(ParallelOptions(test=""), folder)
    assert len(only_test.validation) == 2 and len(only_test.train) < 600


def test_too_few_pairs_to_split(folder: Path) -> None:
    write(folder, "train", "a\nb\n", "A\nB\n")
    with pytest.raises(UsageError, match="too few") as caught:
        Parallel.load(ParallelOptions(test=""), folder)
    assert "held_out" in one_line(caught.value)


def test_missing_things(folder: Path) -> None:
    (folder / "test.tgt").unlink()
    with pytest.raises(UsageError, match=r"test\.tgt: no such file"):
        Parallel.load(ParallelOptions(), folder)
    with pytest.raises(UsageError, match="no such folder"):
        Parallel.load(ParallelOptions(), folder / "nowhere")
    with pytest.raises(UsageError, match="--data-root"):
        Parallel.load(ParallelOptions(), None)
    with pytest.raises(UsageError, match="both end in"):
        Parallel.load(ParallelOptions(source="x", target="x"), folder)
    assert check("parallel", None, ParallelOptions())[0].startswith(
        "--data-root: data set 'parallel' needs its files"
    )
    with pytest.raises(UsageError, match="did you mean 'parallel'"):
        check("paralel", folder, ParallelOptions())
