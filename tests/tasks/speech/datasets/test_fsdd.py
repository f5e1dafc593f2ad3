"""Connected digits: clips joined with pauses, with spans that cut them out again."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from pydantic import ValidationError

from bench.errors import UsageError
from tasks.base import DatasetOptions, datasets
from tasks.speech.audio import read_sound
from tasks.speech.datasets import SpeechCorpus
from tasks.speech.datasets.fsdd import RATE, WORDS, Fsdd, FsddOptions
from tasks.speech.features import FeatureOptions, prepare_features


def check(name: str, root: Path | None, options: DatasetOptions) -> list[str]:
    return datasets("speech").get(name).check(options, root)


DATA = Path(os.environ.get("ATTNBENCH_DATA") or Path(__file__).parents[5] / "shared" / "data")
real = pytest.mark.skipif(
    not (DATA / "fsdd").is_dir(), reason=f"no fsdd in {DATA} (set ATTNBENCH_DATA)"
)
SPEAKERS = ("ann", "bob")
SMALL = FsddOptions(train_size=30, validation_size=10, test_size=12, validation_clips=1)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips of noise, each of its own length, so that each can be known again."""
    folder = tmp_path_factory.mktemp("data") / "fsdd" / "recordings"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for speaker in SPEAKERS:
        for digit in range(10):
            for number in (0, 1, 5, 6, 7):
                path = folder / f"{digit}_{speaker}_{number}.wav"
                soundfile.write(str(path), rng.uniform(-0.5, 0.5, rng.integers(200, 400)), RATE)
    return folder.parent.parent


@pytest.fixture(scope="module")
def corpus(root: Path) -> SpeechCorpus:
    return Fsdd.load(SMALL, root)


def _clips(corpus: SpeechCorpus, part: str) -> set[Path]:
    return {path for one in corpus.splits[part] for path in one.sound.paths}


def test_spans_cut_the_clips_out_again(corpus: SpeechCorpus) -> None:
    for one, sound in zip(corpus.train, corpus.reader.read(corpus.train), strict=True):
        assert len(sound) == round(one.seconds * RATE)
        assert one.spans is not None
        heard = np.zeros(len(sound), dtype=bool)
        for path, unit, (start, end) in zip(one.sound.paths, one.units, one.spans, strict=True):
            place = slice(round(start * RATE), round(end * RATE))
            np.testing.assert_array_equal(sound[place], read_sound(path, RATE))
            assert path.name.startswith(f"{WORDS.index(unit)}_{one.speaker}_")
            heard[place] = True
        assert (np.abs(sound[~heard]) < 1e-3).all()  # pauses are hushed


def test_no_clip_is_in_two_parts(corpus: SpeechCorpus) -> None:
    train, validation = _clips(corpus, "train"), _clips(corpus, "validation")
    tests = _clips(corpus, "test") | _clips(corpus, "long")
    assert not train & validation and not (train | validation) & tests
    assert {int(path.stem.split("_")[2]) for path in tests} <= {0, 1}
    assert len(validation) <= 20  # one of three per digit and speaker


def test_numbers_of_digits(corpus: SpeechCorpus) -> None:
    counts = {name: Counter(len(one.units) for one in part) for name, part in corpus.splits.items()}
    assert set(counts["train"]) == {1, 2, 3, 4, 5, 6, 7}
    assert {*counts["validation"], *counts["test"]} <= {3, 4, 5, 6, 7}
    assert min(counts["long"]) >= 10 and max(counts["long"]) <= 15
    assert counts["test"].total() == counts["long"].total() == 12
    assert corpus.symbols == tuple(sorted(WORDS))


def test_one_speaker_speaks_an_utterance_and_all_take_turns(corpus: SpeechCorpus) -> None:
    for one in corpus.examples():
        assert {path.name.split("_")[1] for path in one.sound.paths} == {one.speaker}
    assert Counter(one.speaker for one in corpus.train) == {"ann": 15, "bob": 15}


def test_clips_are_heard_about_equally_often(corpus: SpeechCorpus) -> None:
    heard = Counter(path for one in corpus.train for path in one.sound.paths)
    assert len(heard) == 40
    for speaker in SPEAKERS:
        times = [count for path, count in heard.items() if f"_{speaker}_" in path.name]
        assert max(times) - min(times) <= 1


def test_the_seed_decides_everything(root: Path, corpus: SpeechCorpus) -> None:
    again = Fsdd.load(SMALL, root)
    assert again == corpus
    for first, second in zip(*(c.reader.read(c.train) for c in (corpus, again)), strict=True):
        np.testing.assert_array_equal(first, second)
    other = Fsdd.load(SMALL.model_copy(update={"data_seed": 2}), root)
    assert [one.units for one in other.train] != [one.units for one in corpus.train]


def test_characters_have_no_spans(root: Path) -> None:
    corpus = Fsdd.load(SMALL.model_copy(update={"units": "characters"}), root)
    one = corpus.train[0]
    assert one.spans is None and "".join(one.units) == one.text and " " in corpus.symbols


def test_bad_clips_are_counted(root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    folder.mkdir()
    for path in (root / "fsdd" / "recordings").iterdir():
        content = path.read_bytes()
        (folder / path.name).write_bytes(
            content[:-50] if path.name.startswith("3_ann") else content
        )
    (folder / "notes.wav").write_bytes(b"")
    with pytest.raises(UsageError, match=r"3_ann_0\.wav: 5 unusable sound files, the first: the"):
        Fsdd.load(SMALL, tmp_path)
    lines = check("fsdd", tmp_path, SMALL)
    assert len(lines) == 5 and all("truncated" in line for line in lines)


def test_a_folder_without_clips(tmp_path: Path) -> None:
    (tmp_path / "fsdd" / "recordings").mkdir(parents=True)
    with pytest.raises(UsageError, match="no clips for train, validation, test"):
        Fsdd.load(SMALL, tmp_path)
    with pytest.raises(UsageError, match="--data-root"):
        Fsdd.load(SMALL, None)
    assert len(check("fsdd", tmp_path / "nowhere", SMALL)) == 1


def test_the_smallest_number_is_at_most_the_largest() -> None:
    with pytest.raises(ValidationError, match="at most the largest"):
        FsddOptions(min_digits=8)
    with pytest.raises(ValidationError, match="at most the largest"):
        FsddOptions(min_test=8)


@real
@pytest.mark.data
def test_the_real_clips(tmp_path: Path) -> None:
    options = FsddOptions(train_size=120, validation_size=20, test_size=20)
    corpus = Fsdd.load(options, DATA)
    assert not corpus.notes and {one.speaker for one in corpus.train} == {
        "george",
        "jackson",
        "lucas",
        "nicolas",
        "theo",
        "yweweler",
    }
    one = corpus.tests["long"][3]
    (sound,) = corpus.reader.read([one])
    for path, (start, end) in zip(one.sound.paths, one.spans or (), strict=True):
        assert int(path.stem.split("_")[2]) < 5
        piece = sound[round(start * RATE) : round(end * RATE)]
        np.testing.assert_array_equal(piece, read_sound(path, RATE))
    store = prepare_features(corpus, FeatureOptions(), tmp_path)
    assert len(store) == 180 and store.size == 40
    assert len({corpus.reader.identity(one) for one in corpus.examples()}) == 180
    assert store.lengths[0] == 1 + round(corpus.train[0].seconds * RATE) // 80
