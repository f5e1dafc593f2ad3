"""Sound files: read right, and refused in one line where they cannot be."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bench.errors import UsageError
from tasks.speech.audio import (
    FileReader,
    HeaderCheck,
    read_sound,
    read_sphinx,
    sound_info,
)
from tasks.speech.datasets import Utterance


def _tone(seconds: float, rate: int, hertz: float = 440.0) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


def _write(path: Path, samples: np.ndarray, rate: int, **options: str) -> Path:
    soundfile.write(str(path), samples, rate, **options)
    return path


@pytest.mark.parametrize("ending", ["wav", "flac"])
def test_samples_come_back(tmp_path: Path, ending: str) -> None:
    tone = _tone(0.3, 8000)
    path = _write(tmp_path / f"a.{ending}", tone, 8000)
    info = sound_info(path)
    assert (info.samplerate, info.frames, info.channels, info.duration) == (8000, 2400, 1, 0.3)
    sound = read_sound(path, 8000)
    assert sound.dtype == np.float32
    np.testing.assert_allclose(sound, tone, atol=1e-4)


def test_channels_are_averaged(tmp_path: Path) -> None:
    tone = _tone(0.2, 8000)
    path = _write(tmp_path / "a.wav", np.stack([tone, np.zeros_like(tone)], axis=1), 8000)
    np.testing.assert_allclose(read_sound(path, 8000), tone / 2, atol=1e-4)


@pytest.mark.parametrize(("rate", "target"), [(16000, 8000), (8000, 16000), (44100, 16000)])
def test_other_rates_are_resampled(tmp_path: Path, rate: int, target: int) -> None:
    path = _write(tmp_path / "a.wav", _tone(0.5, rate), rate)
    sound = read_sound(path, target)
    assert len(sound) == pytest.approx(0.5 * target, abs=1)
    expected = _tone(0.5, target)[: len(sound)]
    inner = slice(target // 20, -target // 20)  # the ends ring
    np.testing.assert_allclose(sound[: len(expected)][inner], expected[inner], atol=0.01)


@pytest.mark.parametrize("ending", ["wav", "flac", "mp3"])
def test_truncated_files_are_refused(tmp_path: Path, ending: str) -> None:
    whole = _write(tmp_path / f"a.{ending}", _tone(1.0, 16000), 16000).read_bytes()
    path = tmp_path / f"cut.{ending}"
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UsageError, match=rf"cut\.{ending}: the file is truncated or damaged"):
        read_sound(path, 16000)


def test_a_truncated_wav_is_seen_from_its_header(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.wav", _tone(1.0, 16000), 16000)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(UsageError, match="31990 of 32000 bytes"):
        sound_info(path)


def test_a_wav_stream_of_unknown_length_is_read(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.wav", _tone(0.1, 8000), 8000)
    content = bytearray(path.read_bytes())
    place = content.index(b"data") + 4
    content[place : place + 4] = struct.pack("<I", 0xFFFFFFFF)
    path.write_bytes(content)
    assert len(read_sound(path, 8000)) == 800


@pytest.mark.parametrize("content", [b"", b"hello, I am no sound", b"RIFF\x00\x00\x00\x00WAVE"])
def test_files_without_sound_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"a\.wav: (not a sound file|the sound file holds no)"):
        sound_info(path)


def test_an_empty_recording_is_refused(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.wav", np.zeros(0), 8000)
    with pytest.raises(UsageError, match="holds no sound"):
        sound_info(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such sound file"):
        read_sound(tmp_path / "a.wav", 8000)


def test_values_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    samples = np.zeros(100)
    samples[50] = np.nan
    path = _write(tmp_path / "a.wav", samples, 8000, subtype="FLOAT")
    with pytest.raises(UsageError, match="not finite"):
        read_sound(path, 8000)


def _sphinx(path: Path, values: np.ndarray, count: int | None = None) -> Path:
    header = struct.pack(">i", values.size if count is None else count)
    path.write_bytes(header + values.astype(">f4").tobytes())
    return path


def test_sphinx_features_come_back(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(7, 13)).astype(np.float32)
    np.testing.assert_array_equal(read_sphinx(_sphinx(tmp_path / "a.mfc", values), 13), values)


@pytest.mark.parametrize(
    ("values", "count", "message"),
    [
        (np.zeros(26), 39, "26 of 39 values"),
        (np.zeros(25), None, "no whole number of frames of 13"),
        (np.zeros(0), None, "no whole number"),
        (np.full(13, np.inf), None, "not finite"),
    ],
)
def test_bad_sphinx_files_are_refused(
    tmp_path: Path, values: np.ndarray, count: int | None, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        read_sphinx(_sphinx(tmp_path / "a.mfc", values, count), 13)


def test_a_sphinx_file_without_a_header_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.mfc").write_bytes(b"\x00")
    with pytest.raises(UsageError, match="truncated"):
        read_sphinx(tmp_path / "a.mfc", 13)


def test_headers_are_counted_and_rates_noted(tmp_path: Path) -> None:
    headers = HeaderCheck(8000)
    assert headers.seconds(_write(tmp_path / "a.wav", _tone(0.5, 8000), 8000)) == 0.5
    assert headers.seconds(_write(tmp_path / "b.wav", _tone(0.5, 16000), 16000)) == 0.5
    assert headers.seconds(tmp_path / "c.wav", "list:3") is None
    (tmp_path / "d.wav").write_bytes(b"no")
    assert headers.seconds(tmp_path / "d.wav", "list:4") is None
    assert headers.notes() == ("1 sound files of 16000 Hz were resampled to 8000 Hz",)
    assert [problem.kind for problem in headers.problems] == [
        "missing sound files",
        "unusable sound files",
    ]
    assert str(headers.problems[0]).startswith("list:3: ")


def test_identity_follows_what_the_file_holds(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.wav", _tone(0.1, 8000), 8000)
    utterance = Utterance("a", ("x",), "x", "", 0.1, sound=path)
    before = FileReader(8000).identity(utterance)
    assert before == FileReader(8000).identity(utterance) != FileReader(16000).identity(utterance)
    moved = replace(utterance, sound=path.rename(tmp_path / "b.wav"))
    assert FileReader(8000).identity(moved) == before
    _write(path, _tone(0.2, 8000), 8000)
    assert FileReader(8000).identity(utterance) != before
    path.unlink()
    with pytest.raises(UsageError, match=r"a\.wav: cannot be read"):
        FileReader(8000).identity(utterance)
