"""AN4: transcripts, dictionary and Sphinx features, and what can be wrong with them."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np
import pytest

from bench.errors import UsageError
from tasks.base import DatasetOptions, datasets
from tasks.speech.datasets import read_lexicon
from tasks.speech.datasets.an4 import An4, An4Options
from tasks.speech.features import FeatureOptions, prepare_features


def check(name: str, root: Path | None, options: DatasetOptions) -> list[str]:
    return datasets("speech").get(name).check(options, root)


DATA = Path(os.environ.get("ATTNBENCH_DATA") or Path(__file__).parents[5] / "shared" / "data")
real = pytest.mark.skipif(
    not (DATA / "an4").is_dir(), reason=f"no an4 in {DATA} (set ATTNBENCH_DATA)"
)
OPTIONS = An4Options(validation_speakers=1)
TEXTS = {
    "train": [
        ("ann", "an1-ann", "OH NO"),
        ("bob", "an2-bob", "NO"),
        ("bob", "an3-bob", "<s> OH </s>"),
    ],
    "test": [("eve", "an4-eve", "NO OH NO")],
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "an4"
    (folder / "etc").mkdir(parents=True)
    (folder / "etc" / "an4.dic").write_text("NO   N OW\nNO(2)  N AA\nOH  OW\n")
    for part, rows in TEXTS.items():
        names = [f"{part}/{speaker}/{name}" for speaker, name, _ in rows]
        (folder / "etc" / f"an4_{part}.fileids").write_text("".join(f"{n}\n" for n in names))
        lines = [f"{text} ({name})\n" for _, name, text in rows]
        (folder / "etc" / f"an4_{part}.transcription").write_text("".join(lines))
        for place, name in enumerate(names):
            path = folder / "feat" / f"{name}.mfc"
            path.parent.mkdir(parents=True, exist_ok=True)
            values = np.arange(13 * (20 + place + 10 * (part == "test")), dtype=">f4")
            path.write_bytes(struct.pack(">i", values.size) + values.tobytes())
    return tmp_path


def test_phones_are_the_first_pronunciation(root: Path) -> None:
    corpus = An4.load(OPTIONS, root)
    everyone = {one.id: one for one in corpus.examples()}
    assert everyone["an1-ann"].units == ("OW", "N", "OW")
    assert everyone["an3-bob"].units == ("OW",)  # sentence marks are no words
    assert everyone["an4-eve"].units == ("N", "OW", "OW", "N", "OW")
    assert corpus.symbols == ("N", "OW") and corpus.unit == "phones"
    assert corpus.tests["test"][0].speaker == "eve"


def test_a_validation_speaker_is_not_trained_on(root: Path) -> None:
    corpus = An4.load(OPTIONS, root)
    train, validation = ({one.speaker for one in p} for p in (corpus.train, corpus.validation))
    assert train and validation and train | validation == {"ann", "bob"} and not train & validation
    assert corpus.notes == (f"validation: 1 training speakers ({validation.pop()})",)


def test_characters_and_words(root: Path) -> None:
    words = An4.load(OPTIONS.model_copy(update={"units": "words"}), root)
    assert words.tests["test"][0].units == ("NO", "OH", "NO")
    characters = An4.load(OPTIONS.model_copy(update={"units": "characters"}), root)
    assert characters.tests["test"][0].units == tuple("NO OH NO")


def test_features_are_read_as_given(root: Path) -> None:
    corpus = An4.load(OPTIONS, root)
    (matrix,) = corpus.reader.read(corpus.tests["test"])
    np.testing.assert_array_equal(matrix, np.arange(390).reshape(30, 13))
    assert corpus.tests["test"][0].seconds == pytest.approx(0.3)
    assert corpus.reader.kind == "features" and corpus.rate == 100


def test_missing_features_are_counted_and_the_first_named(root: Path) -> None:
    for name in ("train/ann/an1-ann", "train/bob/an3-bob"):
        (root / "an4" / "feat" / f"{name}.mfc").unlink()
    message = r"an4_train\.fileids:1: 2 missing feature files, the first: .*an1-ann\.mfc is missing"
    with pytest.raises(UsageError, match=message):
        An4.load(OPTIONS, root)


def _replace(root: Path, name: str, old: str, new: str) -> None:
    path = root / "an4" / "etc" / name
    path.write_text(path.read_text().replace(old, new))


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("an4_train.transcription", "OH NO (", "OH YES (", r"transcription:1: 'YES' is not in"),
        ("an4_train.transcription", "NO (an2-bob)", "(an2-bob)", r":2: the transcript is empty"),
        ("an4_train.transcription", "(an2-bob)", "", r":2: not a transcript; expected"),
        ("an4_test.transcription", "an4-eve", "an5-eve", r"fileids:1: no transcript of an4-eve"),
        ("an4.dic", "OH  OW", "OH", r"an4\.dic:3: 'OH' has no phones"),
    ],
)
def test_bad_texts_are_refused_with_their_line(
    root: Path, name: str, old: str, new: str, message: str
) -> None:
    _replace(root, name, old, new)
    with pytest.raises(UsageError, match=message):
        An4.load(OPTIONS, root)


def test_text_that_is_not_utf8(root: Path) -> None:
    path = root / "an4" / "etc" / "an4_train.transcription"
    path.write_bytes(path.read_bytes().replace(b"NO (an2", b"N\xd6 (an2"))
    with pytest.raises(UsageError, match=r"transcription:2: not UTF-8"):
        An4.load(OPTIONS, root)


def test_truncated_features_are_found_by_the_check_and_by_preparing(root: Path) -> None:
    path = root / "an4" / "feat" / "train" / "bob" / "an2-bob.mfc"
    path.write_bytes(path.read_bytes()[:-7])
    (line,) = check("an4", root, OPTIONS)
    assert "an2-bob.mfc: the file is truncated" in line
    with pytest.raises(UsageError, match=r"an2-bob\.mfc"):
        prepare_features(An4.load(OPTIONS, root), FeatureOptions(), root / "cache")


def test_as_many_validation_speakers_as_speakers(root: Path) -> None:
    with pytest.raises(UsageError, match="leave none to train on"):
        An4.load(An4Options(validation_speakers=2), root)


def test_a_missing_file(root: Path) -> None:
    (root / "an4" / "etc" / "an4.dic").unlink()
    with pytest.raises(UsageError, match=r"an4\.dic: no such file"):
        An4.load(OPTIONS, root)


def test_empty_lists(root: Path) -> None:
    (root / "an4" / "etc" / "an4_test.fileids").write_text("")
    with pytest.raises(UsageError, match=r"an4_test\.fileids: the file is empty"):
        An4.load(OPTIONS, root)
    assert len(check("an4", root, OPTIONS)) == 1


@real
@pytest.mark.data
def test_the_real_corpus(tmp_path: Path) -> None:
    corpus = An4.load(An4Options(), DATA)
    assert len(corpus.train) + len(corpus.validation) == 948
    assert len(corpus.tests["test"]) == 130 and len(corpus.symbols) == 33
    speakers = [{one.speaker for one in part} for part in corpus.splits.values()]
    assert [len(some) for some in speakers] == [68, 6, 10]
    assert len(set.union(*speakers)) == 84
    assert sum(one.seconds for one in corpus.examples()) / 60 == pytest.approx(48.2, abs=0.1)
    assert check("an4", DATA, An4Options()) == []
    store = prepare_features(corpus, FeatureOptions(deltas=2), tmp_path)
    assert store.size == 39 and store.lengths.sum() == 289_252
    assert read_lexicon(DATA / "an4" / "etc" / "an4.dic")["A"] == ("AH",)
