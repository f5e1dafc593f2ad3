"""Reading of sound files (headers and samples) and of Sphinx feature files.

torchaudio has no file reading of its own any more, so files are read with soundfile (libsndfile:
WAV, FLAC, Ogg, MP3) and resampled by torchaudio.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bench.errors import UsageError
from tasks.data.cache import file_digest
from tasks.data.readers import Problem
from tasks.speech.datasets import SoundReader, Utterance

#: Size of a block in a WAV stream that was written before its length was known.
_UNKNOWN_SIZE = (0, 0xFFFFFFFF)


def sound_info(path: Path) -> Any:
    """A sound file's header, as `soundfile.info` gives it.

    Raises:
        UsageError: missing, unreadable, empty, or (WAV) shorter than its header says.
    """
    import soundfile

    with _opened(path):
        return soundfile.info(str(path))


def read_sound(path: Path, rate: int) -> np.ndarray:
    """Samples n, float32 mono at `rate`; channels are averaged, other rates resampled.

    Raises:
        UsageError: as `sound_info`, or sound that breaks off or is not finite.
    """
    with _opened(path) as file:
        promised, found = file.frames, file.samplerate
        samples = file.read(dtype="float32", always_2d=True)  # n,channels
    if len(samples) < promised:
        raise _truncated(path, f"{len(samples)} of {promised} samples can be read")
    mono = samples[:, 0] if samples.shape[1] == 1 else samples.mean(axis=1)
    if not np.isfinite(mono).all():
        raise UsageError("the sound holds values that are not finite", where=str(path))
    return np.ascontiguousarray(mono) if found == rate else resample(mono, found, rate)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """A sound file whose header is sound. libsndfile's errors inside become UsageErrors."""
    import soundfile

    opened = False
    try:
        with soundfile.SoundFile(str(path)) as file:
            if file.frames <= 0:
                raise UsageError("the sound file holds no sound", where=str(path))
            if file.format in ("WAV", "WAVEX"):
                _check_wav(path)
            opened = True
            yield file
    except soundfile.LibsndfileError as error:
        if not path.is_file():
            raise UsageError("no such sound file", where=str(path)) from None
        reason = error.error_string.removeprefix("Error : ").strip(" .")
        if opened:
            raise _truncated(path, reason) from None
        raise UsageError(
            f"not a sound file that can be read ({reason})",
            where=str(path),
            remedy="WAV, FLAC, Ogg and MP3 can be read",
        ) from None


def resample(samples: np.ndarray, rate: int, target: int) -> np.ndarray:
    """Band-limited resampling of samples n, by torchaudio."""
    import torch
    from torchaudio.functional import resample as convert

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
        if not path.is_file():
            self.problems.append(
                Problem(f"{path} is missing", where, "missing sound files", "check the paths")
            )
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


def _check_wav(path: Path) -> None:
    """Refuse a WAV file that was cut off: libsndfile reads it as if it had always been short,
    only its header tells."""
    with path.open("rb") as file:
        if file.read(12)[:4] != b"RIFF":
            return
        while len(head := file.read(8)) == 8:
            name, size = head[:4], struct.unpack("<I", head[4:])[0]
            if name == b"data":
                present = path.stat().st_size - file.tell()
                if size not in _UNKNOWN_SIZE and size > present:
                    raise _truncated(path, f"{present} of {size} bytes of sound are there")
                return
            file.seek(size + size % 2, 1)


def _truncated(path: Path, how: str) -> UsageError:
    return UsageError(
        f"the file is truncated or damaged ({how})", where=str(path), remedy="download it again"
    )
