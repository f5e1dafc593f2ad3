"""LibriSpeech's published tree, read as torchaudio describes it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from torchaudio.datasets import LIBRISPEECH

from bench.errors import UsageError
from tasks.base import DatasetOptions, datasets
from tasks.speech.datasets.librispeech import LibriSpeech, LibriSpeechOptions


def check(name: str, root: Path | None, options: DatasetOptions) -> list[str]:
    return datasets("speech").get(name).check(options, root)


TEXTS = {
    "train-clean-100": {(84, 121): ["A DOG BARKS", "IT IS LATE"], (85, 7): ["GOOD NIGHT"]},
    "dev-clean": {(90, 1): ["A LATE NIGHT"]},
    "test-clean": {(91, 1): ["GOOD DOG"]},
    "test-other": {(92, 1): ["IT BARKS"]},
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for subset, chapters in TEXTS.items():
        for (speaker, chapter), texts in chapters.items():
            folder = tmp_path / "LibriSpeech" / subset / str(speaker) / str(chapter)
            folder.mkdir(parents=True)
            lines = []
            for number, text in enumerate(texts):
                name = f"{speaker}-{chapter}-{number:04d}"
                sound = rng.uniform(-0.3, 0.3, size=rng.integers(1600, 4800))
                soundfile.write(str(folder / f"{name}.flac"), sound, 16000)
                lines.append(f"{name} {text}\n")
            (folder / f"{speaker}-{chapter}.trans.txt").write_text("".join(lines))
    return tmp_path


def test_utterances_are_torchaudio_s(root: Path) -> None:
    corpus = LibriSpeech.load(LibriSpeechOptions(), root)
    theirs = LIBRISPEECH(root, "train-clean-100")
    assert len(corpus.train) == len(theirs) == 3
    for place, one in enumerate(corpus.train):
        path, rate, text, speaker, chapter, number = theirs.get_metadata(place)
        assert one.sound == root / "LibriSpeech" / path and rate == corpus.rate
        assert (one.text, one.speaker) == (text, str(speaker))
        assert one.id == f"{speaker}-{chapter}-{number:04d}"
        assert one.units == tuple(text)
    (sound,) = corpus.reader.read(corpus.validation)
    assert len(sound) == round(corpus.validation[0].seconds * 16000)
    assert set(corpus.tests) == {"test"} and corpus.notes == ()


def test_several_test_subsets_keep_their_names(root: Path) -> None:
    options = LibriSpeechOptions(test="test-clean+test-other", units="words")
    corpus = LibriSpeech.load(options, root)
    assert {name: part[0].units for name, part in corpus.tests.items()} == {
        "test-clean": ("GOOD", "DOG"),
        "test-other": ("IT", "BARKS"),
    }


def test_a_root_inside_the_published_one(root: Path) -> None:
    inside = LibriSpeech.load(LibriSpeechOptions(), root / "LibriSpeech")
    assert len(inside.train) == 3


def test_symbols_that_training_has_not_are_noted(root: Path) -> None:
    path = root / "LibriSpeech" / "test-clean" / "91" / "1" / "91-1.trans.txt"
    path.write_text("91-1-0000 ZOO\n")
    (note,) = LibriSpeech.load(LibriSpeechOptions(), root).notes
    assert note == "1 symbols of the test sets never occur in training ('Z')"


def test_missing_sounds_are_counted(root: Path) -> None:
    for path in (root / "LibriSpeech" / "train-clean-100").glob("84/121/*.flac"):
        path.unlink()
    message = r"84-121\.trans\.txt:1: 2 missing sound files, the first: .*84-121-0000\.flac"
    with pytest.raises(UsageError, match=message):
        LibriSpeech.load(LibriSpeechOptions(), root)


def test_sound_without_text_and_text_without_words(root: Path) -> None:
    path = root / "LibriSpeech" / "train-clean-100" / "84" / "121" / "84-121.trans.txt"
    path.write_text("84-121-0000 A DOG BARKS\n")
    with pytest.raises(UsageError, match=r"84-121-0001\.flac: no transcript"):
        LibriSpeech.load(LibriSpeechOptions(), root)
    path.write_text("84-121-0000 A DOG BARKS\n84-121-0001\n")
    with pytest.raises(UsageError, match=r"trans\.txt:2: the transcript is empty"):
        LibriSpeech.load(LibriSpeechOptions(), root)


def test_a_subset_that_is_not_there(root: Path) -> None:
    with pytest.raises(UsageError, match="dev-other: no transcripts"):
        LibriSpeech.load(LibriSpeechOptions(validation="dev-other"), root)
    with pytest.raises(UsageError, match="expected a folder LibriSpeech/train-clean-360"):
        LibriSpeech.load(LibriSpeechOptions(train="train-clean-360"), root)


def test_damaged_sound_is_found_by_the_check(root: Path) -> None:
    assert check("librispeech", root, LibriSpeechOptions()) == []
    path = next((root / "LibriSpeech" / "dev-clean").glob("*/*/*.flac"))
    path.write_bytes(path.read_bytes()[:-500])
    (line,) = check("librispeech", root, LibriSpeechOptions())
    assert path.name in line and "truncated or damaged" in line
