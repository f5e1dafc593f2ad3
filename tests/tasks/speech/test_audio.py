"""Sound files: read right, and refused in one line where they cannot be."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from bench.errors import UsageError
from tasks.speech.audio import (
    FileReader,
    HeaderCheck,
    SoundInfo,
    read_sound,
    read_sphinx,
    sound_info,
)
from tasks.speech.datasets import SpeechCorpus, Utterance


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


@pytest.mark.parametrize("riff", [None, 0, 0xFFFFFFFF])
@pytest.mark.parametrize("size", [0, 0x7FFFF000, 0x7FFFFFFF, 0xFFFFFFFF - 36, 0xFFFFFFFF])
def test_a_wav_stream_of_unknown_length_is_read(
    tmp_path: Path, size: int, riff: int | None
) -> None:
    path = _write(tmp_path / "a.wav", _tone(0.1, 8000), 8000)
    whole = read_sound(path, 8000)
    content = bytearray(path.read_bytes())
    place = content.index(b"data") + 4
    content[place : place + 4] = struct.pack("<I", size)
    if riff is not None:
        content[4:8] = struct.pack("<I", riff)
    path.write_bytes(content)
    np.testing.assert_array_equal(read_sound(path, 8000), whole)
    assert sound_info(path).frames == 800


@pytest.mark.parametrize("count", [0, (1 << 36) - 1])
def test_flac_files_are_read_whatever_length_they_tell(tmp_path: Path, count: int) -> None:
    path = _write(tmp_path / "a.flac", _tone(0.1, 8000), 8000)
    whole = read_sound(path, 8000)
    content = bytearray(path.read_bytes())
    # STREAMINFO: 36 bits of samples at the end of the 18th byte and in the four after it.
    content[21] = content[21] & 0xF0 | count >> 32
    content[22:26] = struct.pack(">I", count & 0xFFFFFFFF)
    path.write_bytes(content)
    if count == 0:
        np.testing.assert_array_equal(read_sound(path, 8000), whole)
        assert sound_info(path) == SoundInfo(8000, 800, 1)
    else:
        with pytest.raises(UsageError, match=r"claims to be \d+ seconds long; at most 3600"):
            sound_info(path)


@pytest.mark.parametrize("loud_first", [True, False])
@pytest.mark.parametrize("told", [True, False])
def test_mp3_files_are_read_to_their_end(
    tmp_path: Path, told: bool, loud_first: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    parts = [np.random.default_rng(0).normal(0, 0.3, 16000), np.zeros(32000)]
    sound = np.concatenate(parts if loud_first else parts[::-1])
    path = tmp_path / "a.mp3"
    soundfile.write(path, sound, 16000, bitrate_mode="VARIABLE", compression_level=0.1)
    if not told:  # without the frame that counts the others
        content = path.read_bytes()
        path.write_bytes(content[content.index(content[:2], 4) :])
    for _ in range(2):
        found = read_sound(path, 16000)
        assert len(found) == sound_info(path).frames == pytest.approx(len(sound), abs=3000)
        assert told <= (len(found) == len(sound))
    loud = np.abs(found).reshape(-1)[: len(sound) // 3].mean() > 0.1
    assert loud == loud_first
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("ending", ["aiff", "au", "w64", "rf64"])
def test_truncated_files_of_other_formats_are_refused(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a.{ending}"
    soundfile.write(path, _tone(0.1, 16000), 16000, format=ending.upper())
    assert len(read_sound(path, 16000)) == 1600
    path.write_bytes(path.read_bytes()[:-800])
    with pytest.raises(UsageError, match="truncated or damaged"):
        sound_info(path)


@pytest.mark.parametrize("rate", [1, 999, 1_000_000])
def test_absurd_rates_are_refused(tmp_path: Path, rate: int) -> None:
    path = _write(tmp_path / "a.wav", np.zeros(100), rate)
    with pytest.raises(UsageError, match=f"claims {rate} samples a second"):
        read_sound(path, 16000)


@pytest.mark.parametrize("rate", [15_999, 44_101, 191_999])
def test_rates_without_a_common_divisor_are_resampled(tmp_path: Path, rate: int) -> None:
    path = _write(tmp_path / "a.wav", _tone(0.5, rate), rate)
    found, expected = read_sound(path, 16000), _tone(0.5, 16000)
    assert len(found) == pytest.approx(8000, abs=1)
    inner = slice(800, -800)
    np.testing.assert_allclose(
        found[: len(expected)][inner], expected[: len(found)][inner], atol=0.01
    )


def test_long_sounds_are_refused_by_their_header(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.flac", np.zeros(3700 * 1000), 1000)
    with pytest.raises(UsageError, match="claims to be 3700 seconds long"):
        read_sound(path, 16000)


def test_many_channels_are_averaged_block_by_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tones = np.stack([_tone(0.2, 8000, 100.0 * number) for number in range(1, 6)], axis=1)
    path = _write(tmp_path / "a.wav", tones, 8000)
    whole = read_sound(path, 8000)
    monkeypatch.setattr("tasks.speech.audio._BLOCK", 1000)
    np.testing.assert_array_equal(read_sound(path, 8000), whole)


@pytest.mark.parametrize("subtype", ["PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "PCM_U8"])
def test_every_kind_of_sample_is_read(tmp_path: Path, subtype: str) -> None:
    path = _write(tmp_path / "a.wav", _tone(0.1, 8000), 8000, subtype=subtype)
    np.testing.assert_allclose(read_sound(path, 8000), _tone(0.1, 8000), atol=0.02)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (os.mkfifo, "is a named pipe, not a file"),
        (Path.mkdir, "is a folder, not a file"),
        (lambda path: path.symlink_to("/dev/zero"), "is a device, not a file"),
        (lambda path: path.symlink_to(path), "cannot be read"),
        (lambda path: path.write_bytes(b"\xff\xfb\x90\x00" * 9), "sound"),
        (lambda path: path.write_bytes(b"ID3" + b"\0" * 99), "sound"),
    ],
)
def test_what_is_no_sound_is_refused_in_a_line(
    tmp_path: Path,
    make: Callable[[Path], Any],
    message: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "a.wav"
    make(path)
    with pytest.raises(UsageError, match=message) as caught:
        read_sound(path, 16000)
    assert len(str(caught.value)) < 400 and "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


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


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.nan, "not finite"),
        (-np.inf, "not finite"),
        (1e60, "not finite"),
        (1e20, "up to 1e\\+20"),
    ],
)
def test_values_that_are_not_finite_are_refused(tmp_path: Path, value: float, message: str) -> None:
    samples = np.zeros(100)
    samples[50] = value
    path = _write(tmp_path / "a.wav", samples, 8000, subtype="DOUBLE")
    with pytest.raises(UsageError, match=message):
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


@pytest.mark.parametrize("level", [0.0, 0.5])
def test_a_sound_that_never_changes_is_silence(tmp_path: Path, level: float) -> None:
    _write(tmp_path / "a.wav", np.full(1600, level), 16000)
    _write(tmp_path / "b.wav", _tone(0.1, 16000) + level / 2, 16000)
    parts = [
        (Utterance(name, ("x",), "x", "", 0.1, sound=tmp_path / f"{name}.wav"),) for name in "ab"
    ]
    corpus = SpeechCorpus(
        train=parts[0],
        validation=parts[1],
        tests={},
        unit="words",
        symbols=("x",),
        rate=16000,
        reader=FileReader(16000),
    )
    assert [str(problem) for problem in corpus.problems()] == [
        f"{tmp_path / 'a.wav'}: nothing but silence"
    ]
