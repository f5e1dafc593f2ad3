"""Reading of sound files (headers and samples) and of Sphinx feature files.

torchaudio has no file reading of its own any more, so files are read with soundfile (libsndfile:
WAV, FLAC, Ogg, MP3) and resampled by torchaudio.
"""

from __future__ import annotations

import math
import os
import re
import struct
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from bench.errors import UsageError
from tasks.data.cache import file_digest
from tasks.data.files import found_instead, is_file, require_regular
from tasks.data.media import quiet_decoders
from tasks.data.problems import Problem
from tasks.speech.datasets import SoundReader, Utterance

#: Sizes that a WAV stream is given before its length is known: 0, or the greatest a program dares.
_STREAM_SIZE = 0x7FFF0000
#: As many samples as a FLAC header can promise; of sounds that promise more, nobody knows.
_UNKNOWN = 1 << 36
#: Samples a second that sounds may have.
RATES = (1_000, 768_000)
#: Longest sound, in seconds and in samples of one channel: what is more fills the memory.
LONGEST, MOST = 3600, 1 << 28
#: Samples further from 0 than this would not leave finite features.
LOUDEST = 2.0**31
#: What libsndfile's log has of files that are not as long as their header says, and how long that
#: is: in bytes, told and present; in samples (RF64), present and told.
_BYTES = re.compile(r"^ *(?:SSND|Data Size|riff) *: (\d+) \(should be (\d+)\)", re.MULTILINE)
_SAMPLES = re.compile(r"frame count (\d+) does not match value from 'ds64' chunk of (\d+)")
# Values of all channels decoded at once.
_BLOCK = 1 << 22
# Weights of a resampling filter up to which torchaudio's is taken.
_WEIGHTS = 1 << 26


@dataclass(frozen=True)
class SoundInfo:
    """What a sound file holds: `frames` samples in each of its channels."""

    samplerate: int
    frames: int
    channels: int

    @property
    def duration(self) -> float:
        """Seconds."""
        return self.frames / self.samplerate


def sound_info(path: Path) -> SoundInfo:
    """A sound file's header. Files that do not tell their length are read to their end.

    Raises:
        UsageError: missing, unreadable, empty, too long, of an absurd rate, or shorter than its
            header says.
    """
    with _opened(path) as file:
        frames = file.frames
        if frames >= _UNKNOWN:
            frames = sum(len(block) for block in _blocks(file, path))
            if not frames:
                raise _empty(path)
        return SoundInfo(file.samplerate, frames, file.channels)


def read_sound(path: Path, rate: int) -> np.ndarray:
    """Samples n, float32 mono at `rate`; channels are averaged, other rates resampled.

    Raises:
        UsageError: as `sound_info`, or sound that breaks off, is not finite or absurdly loud.
    """
    with _opened(path) as file:
        promised, found = file.frames, file.samplerate
        if promised < _UNKNOWN and promised * file.channels <= _BLOCK:
            mono = _mono(file.read(dtype="float32", always_2d=True))
        else:
            mono = np.concatenate([_mono(block) for block in _blocks(file, path)])
    if promised < _UNKNOWN and len(mono) < promised:
        raise _truncated(path, f"{len(mono)} of {promised} samples can be read")
    if not len(mono):
        raise _empty(path)
    if not np.isfinite(mono).all():
        raise UsageError("the sound holds values that are not finite", where=str(path))
    if (peak := float(np.abs(mono).max())) > LOUDEST:
        raise UsageError(
            f"the sound has samples of up to {peak:g}",
            where=str(path),
            remedy="samples lie between -1 and 1",
        )
    return np.ascontiguousarray(mono) if found == rate else resample(mono, found, rate)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """A sound file whose header is sound; it has `_UNKNOWN` frames or more where it does not tell.
    libsndfile's errors inside become UsageErrors, and nothing is written to the terminal."""
    import soundfile

    opened = False
    require_regular(path)
    try:
        with quiet_decoders(), _source(path) as source, soundfile.SoundFile(source) as file:
            _check_header(file, path)
            opened = True
            yield file
    except soundfile.LibsndfileError as error:
        reason = error.error_string.removeprefix("Error : ").strip(" .")
        if opened:
            raise _truncated(path, reason) from None
        raise UsageError(
            f"not a sound file that can be read ({reason})",
            where=str(path),
            remedy="WAV, FLAC, Ogg and MP3 can be read",
        ) from None
    except FileNotFoundError:
        raise UsageError("no such sound file", where=str(path)) from None
    except OSError as error:
        raise UsageError(f"cannot be read ({error.strerror})", where=str(path)) from None


def _check_header(file: Any, path: Path) -> None:
    """Raise UsageError for sounds that cannot be used whatever their samples are."""
    if file.frames <= 0:
        raise _empty(path)
    rate, seconds = file.samplerate, file.frames / max(file.samplerate, 1)
    if not RATES[0] <= rate <= RATES[1]:
        raise UsageError(
            f"the sound claims {rate} samples a second",
            where=str(path),
            remedy=f"speech has {RATES[0]} to {RATES[1]}; correct its header or leave it out",
        )
    if file.frames < _UNKNOWN and (seconds > LONGEST or file.frames > MOST):
        raise _too_long(path, f"claims to be {seconds:.0f} seconds long", rate)
    # libsndfile reads what was cut off as if it had always been short; its log alone tells.
    for pattern, unit in ((_BYTES, "bytes"), (_SAMPLES, "samples")):
        if (found := pattern.search(file.extra_info)) is not None:
            present, told = sorted(map(int, found.groups()))
            if pattern is _SAMPLES or int(found[1]) == told:
                raise _truncated(path, f"{present} of {told} {unit} are there")


def _blocks(file: Any, path: Path) -> Iterator[np.ndarray]:
    """The samples n,channels float32 of a file from first to last. Raises UsageError where there
    are too many."""
    # Without a known length libsndfile cannot find the place where it is already.
    file.seekable = lambda: False
    rows = max(1, _BLOCK // file.channels)
    most, read = min(LONGEST * file.samplerate, MOST), 0
    while len(block := file.read(min(rows, most), dtype="float32", always_2d=True)):
        read += len(block)
        if read > most:
            raise _too_long(
                path, f"has more than {most / file.samplerate:.0f} seconds", file.samplerate
            )
        yield block


def _mono(samples: np.ndarray) -> np.ndarray:
    """The mean n of samples n,channels."""
    mono: np.ndarray = samples[:, 0] if samples.shape[1] == 1 else samples.mean(axis=1)
    return mono


def resample(samples: np.ndarray, rate: int, target: int) -> np.ndarray:
    """Band-limited resampling of samples n: by torchaudio, or by scipy where the rates have so
    small a common divisor that torchaudio's filters would fill the memory."""
    import torch
    from torchaudio.functional import resample as convert

    up, down = (one // math.gcd(rate, target) for one in (target, rate))
    # torchaudio keeps a filter for each of `up` phases, some 12 periods of the lower rate long.
    if up * (down + 14 * max(1, down // up)) > _WEIGHTS:
        from scipy.signal import resample_poly

        slower: np.ndarray = resample_poly(samples, up, down).astype(np.float32)
        return slower
    converted: np.ndarray = convert(torch.from_numpy(samples.copy()), rate, target).numpy()
    return converted


def read_sphinx(path: Path, size: int) -> np.ndarray:
    """Features frames,size of a Sphinx file: a big-endian count, then big-endian floats.

    Raises:
        UsageError: missing, or not as many values as its header says.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot be read ({error.strerror})", where=str(path)) from None
    if len(content) < 4:
        raise _truncated(path, f"{len(content)} bytes")
    (count,) = struct.unpack(">i", content[:4])
    values = (len(content) - 4) / 4
    if count != values:
        raise _truncated(path, f"{values:g} of {count} values are there")
    if count == 0 or count % size:
        raise UsageError(
            f"{count} values are no whole number of frames of {size}",
            where=str(path),
            remedy=f"expected Sphinx features with {size} values a frame",
        )
    matrix = np.frombuffer(content, dtype=">f4", offset=4).reshape(-1, size).astype(np.float32)
    if not np.isfinite(matrix).all():
        raise UsageError("the features hold values that are not finite", where=str(path))
    return matrix


@dataclass(frozen=True)
class FileReader(SoundReader):
    """Reads utterances whose sound is a file: `Utterance.sound` is its path."""

    rate: int

    def read(self, utterances: Sequence[Utterance]) -> list[np.ndarray]:
        return [read_sound(one.sound, self.rate) for one in utterances]

    def identity(self, utterance: Utterance) -> str:
        return f"{file_digest(utterance.sound)} at {self.rate}"


@dataclass
class HeaderCheck:
    """Reads the headers of a data set's sound files and keeps count of what is wrong.

    Attributes:
        rate: samples a second the data set is used at.
        problems: missing and unreadable files so far.
        other_rates: files by their rate, where it is not `rate`.
    """

    rate: int
    problems: list[Problem] = field(default_factory=list)
    other_rates: Counter[int] = field(default_factory=Counter)

    def seconds(self, path: Path, where: str = "") -> float | None:
        """Duration of a file, or None if it is a problem, which is noted.

        Args:
            where: the line that names the file; the file itself otherwise.
        """
        if not is_file(path):
            remedy = found_instead(path) or "check the paths"
            problem = Problem(f"{path} is missing", where, "missing sound files", remedy)
            self.problems.append(problem)
            return None
        try:
            info = sound_info(path)
        except UsageError as error:
            self.problems.append(Problem.of(error, "unusable sound files"))
            return None
        if info.samplerate != self.rate:
            self.other_rates[info.samplerate] += 1
        return float(info.duration)

    def notes(self) -> tuple[str, ...]:
        """A note per foreign sampling rate."""
        return tuple(
            f"{count} sound files of {rate} Hz were resampled to {self.rate} Hz"
            for rate, count in sorted(self.other_rates.items())
        )


@contextmanager
def _source(path: Path) -> Iterator[Any]:
    """What libsndfile reads a file from: the file itself, unless its length has to be mended."""
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] == b"RIFF" and head[8:] == b"WAVE":
            mended = _mended_wav(file, path)
            yield str(path) if mended is None else mended
        elif head[:3] == b"ID3" or (head[:1] == b"\xff" and head[1:2] >= b"\xe0"):  # MPEG
            yield _Endless(file)
        else:
            yield str(path)


class _Endless:
    """A file that says it is 2^40 bytes longer than it is. Of an MP3 file whose header tells no
    length libsndfile guesses it by the bytes, and reads no further."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._end = file, False
        file.seek(0)

    def seek(self, offset: int, whence: int = 0) -> None:
        with suppress(OSError):  # before the beginning: libsndfile sees that it did not move
            self._file.seek(offset, whence)
        self._end = whence == os.SEEK_END and offset == 0

    def tell(self) -> int:
        return self._file.tell() + (self._end << 40)

    def readinto(self, buffer: Any) -> int:
        return self._file.readinto(buffer)  # type: ignore[attr-defined]


def _mended_wav(file: BinaryIO, path: Path) -> BytesIO | None:
    """A WAV file that was written before its length was known, with its true length; None for
    others. Refuses one that was cut off: libsndfile reads it as if it had always been short, only
    its header tells."""
    while len(head := file.read(8)) == 8:
        name, size = head[:4], struct.unpack("<I", head[4:])[0]
        if name == b"data":
            start = file.tell()
            present = path.stat().st_size - start
            if _STREAM_SIZE > size > present:
                raise _truncated(path, f"{present} of {size} bytes of sound are there")
            written = size < _STREAM_SIZE if size else _is_chunks(file.read())
            if written or 0 < size <= present:
                return None
            file.seek(0)
            content = bytearray(file.read())
            content[4:8] = struct.pack("<I", len(content) - 8)
            content[start - 4 : start] = struct.pack("<I", present)
            return BytesIO(content)
        file.seek(size + size % 2, 1)
    return None


def _is_chunks(content: bytes) -> bool:
    """Whether bytes are whole chunks of a WAV file, as follow an empty recording."""
    place = 0
    while place + 8 <= len(content):
        size = struct.unpack("<I", content[place + 4 : place + 8])[0]
        if not content[place : place + 4].strip().isalnum():
            return False
        place += 8 + size + size % 2
    return place == len(content)


def _empty(path: Path) -> UsageError:
    return UsageError("the sound file holds no sound", where=str(path))


def _too_long(path: Path, how: str, rate: int) -> UsageError:
    return UsageError(
        f"the sound {how}",
        where=str(path),
        remedy=f"at most {min(LONGEST, MOST // rate)} seconds can be used; cut it into utterances",
    )


def _truncated(path: Path, how: str) -> UsageError:
    return UsageError(
        f"the file is truncated or damaged ({how})", where=str(path), remedy="download it again"
    )
