"""A user's own recordings: read, resampled, and refused with file and line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from bench.errors import UsageError
from tasks.base import DatasetOptions, datasets
from tasks.speech.datasets.manifest import Manifest, ManifestOptions


def check(name: str, root: Path | None, options: DatasetOptions) -> list[str]:
    return datasets("speech").get(name).check(options, root)


ROWS = [
    ("a.wav", "good  morning", "train", "ann"),
    ("b.wav", "good night", "train", "bob"),
    ("c.wav", "morning", "dev", "eve"),
    ("d.wav", "night", "test", "kim"),
    ("e.wav", "good", "test-noisy", "kim"),
]
HEADER = "path\ttranscript\tsplit\tspeaker"


def _sound(path: Path, seed: int, rate: int = 16000, scale: float = 0.3) -> None:
    samples = scale * np.random.default_rng(seed).uniform(-1, 1, size=rate // 5)
    soundfile.write(str(path), samples, rate)


def _manifest(root: Path, *lines: str) -> None:
    (root / "manifest.tsv").write_text("".join(f"{line}\n" for line in lines))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for seed, row in enumerate(ROWS):
        _sound(tmp_path / row[0], seed)
    _manifest(tmp_path, HEADER, *("\t".join(row) for row in ROWS))
    return tmp_path


def test_parts_units_and_speakers(root: Path) -> None:
    corpus = Manifest.load(ManifestOptions(), root)
    assert {name: len(part) for name, part in corpus.splits.items()} == {
        "train": 2,
        "validation": 1,
        "test": 1,
        "test-noisy": 1,
    }
    one = corpus.train[0]
    assert one.units == tuple("good morning") and one.text == "good morning"
    assert (one.speaker, one.seconds) == ("ann", 0.2)
    assert corpus.symbols == tuple(sorted(set("good morning night")))
    assert corpus.notes == () and check("manifest", root, ManifestOptions()) == []


def test_words_and_phones(root: Path) -> None:
    words = Manifest.load(ManifestOptions(units="words"), root)
    assert words.train[0].units == ("good", "morning")
    (root / "lex.txt").write_text("good G UH D\nmorning M AO\nnight N AY T\n")
    phones = Manifest.load(ManifestOptions(units="phones", lexicon="lex.txt"), root)
    assert phones.train[0].units == ("G", "UH", "D", "M", "AO")
    (root / "lex.txt").write_text("good G UH D\nnight N AY T\n")
    with pytest.raises(UsageError, match=r"manifest\.tsv:2: 2 words without phones.*'morning'"):
        Manifest.load(ManifestOptions(units="phones", lexicon="lex.txt"), root)
    with pytest.raises(UsageError, match="pronouncing dictionary"):
        Manifest.load(ManifestOptions(units="phones"), root)


def test_other_rates_are_resampled_with_a_note(root: Path) -> None:
    _sound(root / "a.wav", 0, rate=8000)
    corpus = Manifest.load(ManifestOptions(), root)
    assert corpus.notes == ("1 sound files of 8000 Hz were resampled to 16000 Hz",)
    assert [len(sound) for sound in corpus.reader.read(corpus.train)] == [3200, 3200]


def test_all_missing_files_are_counted_and_the_first_named(root: Path) -> None:
    (root / "b.wav").unlink()
    (root / "d.wav").unlink()
    message = r"manifest\.tsv:3: 2 missing sound files, the first: .*b\.wav is missing"
    with pytest.raises(UsageError, match=message) as caught:
        Manifest.load(ManifestOptions(), root)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a.wav\t  \ttrain\tann", r"manifest\.tsv:2: the transcript is empty"),
        ("\thello\ttrain\tann", r"manifest\.tsv:2: no path"),
        ("a.wav\thello", r"manifest\.tsv:2: 2 fields where the header has 4"),
    ],
)
def test_bad_lines(root: Path, line: str, message: str) -> None:
    _manifest(root, HEADER, line, *("\t".join(row) for row in ROWS[1:]))
    with pytest.raises(UsageError, match=message):
        Manifest.load(ManifestOptions(), root)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("path\ttext\tsplit\tspeaker", "no column 'transcript'"),
        ("file\ttext\tsplit\tspeaker", "no column 'path' and no column 'transcript'"),
    ],
)
def test_missing_columns(root: Path, header: str, message: str) -> None:
    _manifest(root, header, *("\t".join(row) for row in ROWS))
    with pytest.raises(UsageError, match=rf"manifest\.tsv:1: {message}; it has "):
        Manifest.load(ManifestOptions(), root)


def test_text_that_is_not_utf8(root: Path) -> None:
    path = root / "manifest.tsv"
    path.write_bytes(path.read_bytes().replace(b"night\ttest", b"n\xe4cht\ttest"))
    with pytest.raises(UsageError, match=r"manifest\.tsv:5: not UTF-8 \(byte 0xe4"):
        Manifest.load(ManifestOptions(), root)


def test_unreadable_and_truncated_sound(root: Path) -> None:
    (root / "a.wav").write_bytes(b"this is text")
    with pytest.raises(UsageError, match=r"a\.wav: not a sound file that can be read"):
        Manifest.load(ManifestOptions(), root)
    (root / "c.wav").write_bytes((root / "c.wav").read_bytes()[:3000])
    lines = check("manifest", root, ManifestOptions())
    named = [Path(line.split(": ")[0]).name for line in lines]
    assert {"a.wav", "c.wav"} <= set(named) and named[0] == "a.wav"


def test_no_manifest_and_an_empty_one(root: Path) -> None:
    with pytest.raises(UsageError, match=r"other\.tsv: no such file"):
        Manifest.load(ManifestOptions(manifest="other.tsv"), root)
    (root / "manifest.tsv").write_text("")
    with pytest.raises(UsageError, match="the file is empty"):
        Manifest.load(ManifestOptions(), root)
    with pytest.raises(UsageError, match="--data-root"):
        Manifest.load(ManifestOptions(), None)


def test_parts_that_nobody_is_in(root: Path) -> None:
    _manifest(root, HEADER, "\t".join(ROWS[0]))
    with pytest.raises(UsageError, match="no usable utterance for validation and test"):
        Manifest.load(ManifestOptions(), root)


def test_without_parts_speakers_are_kept_together(tmp_path: Path) -> None:
    lines = []
    for number in range(120):
        _sound(tmp_path / f"{number}.wav", number, rate=8000)
        lines.append(f"{number}.wav\tword\tspeaker{number // 3}")
    _manifest(tmp_path, "path\ttranscript\tspeaker", *lines)
    corpus = Manifest.load(ManifestOptions(rate=8000), tmp_path)
    speakers = [{one.speaker for one in part} for part in corpus.splits.values()]
    assert sum(map(len, speakers)) == len(set.union(*speakers)) == 40
    assert len(corpus.train) > 60 and all(speakers)
    assert corpus.notes[0].startswith("the manifest names no splits: a tenth of the speakers")


def test_the_check_finds_silence_and_the_same_sound_in_two_parts(root: Path) -> None:
    (root / "d.wav").write_bytes((root / "a.wav").read_bytes())
    _sound(root / "e.wav", 9, scale=1e-5)
    lines = check("manifest", root, ManifestOptions())
    assert len(lines) == 2
    assert "d.wav: this sound of test is also in train" in lines[0] and "a.wav" in lines[0]
    assert lines[1].endswith("e.wav: nothing but silence")


def test_the_check_reads_on_after_sound_that_breaks_off(root: Path) -> None:
    for name in ("b", "d"):
        samples = np.random.default_rng(3).uniform(-0.3, 0.3, size=16000)
        soundfile.write(str(root / f"{name}.flac"), samples, 16000)
        whole = (root / f"{name}.flac").read_bytes()
        (root / f"{name}.flac").write_bytes(whole[: len(whole) // 2])
    text = (root / "manifest.tsv").read_text()
    text = text.replace("b.wav", "b.flac").replace("d.wav", "d.flac")
    (root / "manifest.tsv").write_text(text)
    lines = check("manifest", root, ManifestOptions())
    assert [("b.flac" in line, "d.flac" in line) for line in lines] == [
        (True, False),
        (False, True),
    ]


def test_an_unknown_data_set(root: Path) -> None:
    with pytest.raises(UsageError, match="did you mean 'manifest'"):
        check("manifests", root, ManifestOptions())
