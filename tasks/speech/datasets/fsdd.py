"""Connected digits: clips of the Free Spoken Digit Dataset, joined with pauses; exact spans."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field, model_validator

from bench.errors import UsageError
from tasks.base import DatasetOptions, ScannedDataset, datasets
from tasks.data.archives import Distribution, Piece
from tasks.data.cache import file_digest
from tasks.data.files import data_folder
from tasks.data.problems import Problem, Scan
from tasks.speech.audio import HeaderCheck, read_sound
from tasks.speech.datasets import (
    SoundReader,
    SpeechCorpus,
    Utterance,
    split_text,
    symbols_of,
)

_COMMIT = "26eb9aaf76e81b692f806f9140c2d2777410d7a1"

# The archive is made anew for every download, so no digest of it is fixed; the commit is, and the
# archive has checksums of its own.
FSDD = Distribution(
    name="fsdd",
    source=f"github.com/Jakobovski/free-spoken-digit-dataset at {_COMMIT[:12]}",
    pieces=(
        Piece(
            f"https://github.com/Jakobovski/free-spoken-digit-dataset/archive/{_COMMIT}.zip",
            {f"free-spoken-digit-dataset-{_COMMIT}/recordings/": "fsdd/recordings"},
            "zip",
        ),
    ),
)

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
RATE = 8000
#: Clips with a number below this are the published test set.
TEST_CLIPS = 5
#: Standard deviation of the noise in pauses: the rounding noise of 16 bits and a little more.
HUSH = 1e-4
_NAME = re.compile(r"(\d)_([^_]+)_(\d+)\.wav")


class FsddOptions(DatasetOptions):
    """Options of joining clips to utterances."""

    min_digits: int = Field(1, ge=1, description="digits of the shortest training utterances")
    min_test: int = Field(
        3, ge=1, description="digits of the shortest in validation and in the test set 'test'"
    )
    max_digits: int = Field(7, ge=1, description="digits of the longest outside 'long'")
    min_long: int = Field(10, ge=1, description="digits of the shortest in the test set 'long'")
    max_long: int = Field(15, ge=1, description="digits of the longest in the test set 'long'")
    max_pause: float = Field(0.3, ge=0, le=10, description="longest pause, in seconds")
    units: Literal["words", "characters"] = "words"
    train_size: int = Field(12000, ge=1, description="training utterances")
    validation_size: int = Field(200, ge=1, description="validation utterances")
    test_size: int = Field(300, ge=1, description="utterances of each test set")
    validation_clips: int = Field(
        3, ge=1, description="training clips per digit and speaker kept for validation"
    )
    data_seed: int = Field(1, ge=0, description="seed of the joining")

    @model_validator(mode="after")
    def _ordered(self) -> FsddOptions:
        if max(self.min_digits, self.min_test) > self.max_digits or self.min_long > self.max_long:
            raise ValueError("the smallest number of digits is at most the largest")
        return self


@dataclass(frozen=True)
class Clip:
    """One recording of one digit."""

    path: Path
    digit: int
    speaker: str
    number: int
    seconds: float


@dataclass(frozen=True)
class Joined:
    """Sound of an utterance: clips with `pauses` in samples before, between and after them."""

    paths: tuple[Path, ...]
    pauses: tuple[int, ...]
    seed: tuple[int, ...]


@dataclass(frozen=True)
class ClipReader(SoundReader):
    """Reads utterances whose sound is `Joined`."""

    rate: int = RATE

    def read(self, utterances: Sequence[Utterance]) -> list[np.ndarray]:
        paths = {path for one in utterances for path in one.sound.paths}
        clips = {path: read_sound(path, self.rate) for path in paths}
        return [_join(one.sound, clips) for one in utterances]

    def identity(self, utterance: Utterance) -> str:
        files = " ".join(file_digest(path) for path in utterance.sound.paths)
        return f"{files} {utterance.sound.pauses} {utterance.sound.seed} at {self.rate}"


def _join(sound: Joined, clips: dict[Path, np.ndarray]) -> np.ndarray:
    rng = np.random.default_rng(sound.seed)
    hush = [rng.standard_normal(pause, dtype=np.float32) * HUSH for pause in sound.pauses]
    spoken = zip((clips[path] for path in sound.paths), hush[1:], strict=True)
    return np.concatenate([hush[0], *chain.from_iterable(spoken)])


@datasets("speech").register("fsdd")
class Fsdd(ScannedDataset[SpeechCorpus]):
    """Utterances are of one speaker. Test clips are never heard in training, validation clips
    neither; "long" has more digits than any training utterance."""

    name = "fsdd"
    summary = "connected digits made of the Free Spoken Digit Dataset's clips; exact spans"
    licence = "CC BY-SA 4.0"
    redistributable = True
    card = FSDD
    places = ("fsdd/recordings", "recordings")
    citation = "Jackson et al., Free Spoken Digit Dataset, doi:10.5281/zenodo.1342401"
    gold = True
    Options = FsddOptions

    @classmethod
    def scan(cls, options: Any, data_root: Path | None) -> Scan[SpeechCorpus]:
        folder = data_folder(data_root, cls.name, ("fsdd/recordings", "recordings"))
        clips, problems, notes = _clips(folder)
        pools = _pools(clips, options)
        missing = [name for name, pool in pools.items() if not pool]
        if missing:
            if problems:
                return Scan(None, problems)
            raise UsageError(
                f"no clips for {', '.join(missing)} among {len(clips)}",
                where=str(folder),
                remedy="expected {digit}_{speaker}_{n}.wav with n from 0 to 49",
            )
        ranges = dict.fromkeys(pools, (options.min_test, options.max_digits))
        ranges["train"] = (options.min_digits, options.max_digits)
        ranges["long"] = (options.min_long, options.max_long)
        sizes = {"train": options.train_size, "validation": options.validation_size}
        parts = {
            name: _utterances(
                name,
                number,
                pools.get(name, pools["test"]),
                ranges[name],
                sizes.get(name, options.test_size),
                options,
            )
            for number, name in enumerate(("train", "validation", "test", "long"))
        }
        train, validation = parts.pop("train"), parts.pop("validation")
        corpus = SpeechCorpus(
            train=train,
            validation=validation,
            tests=parts,
            unit=options.units,
            symbols=symbols_of(train),
            rate=RATE,
            reader=ClipReader(),
            notes=notes,
        )
        return Scan(corpus, problems)


def _clips(folder: Path) -> tuple[list[Clip], tuple[Problem, ...], tuple[str, ...]]:
    headers = HeaderCheck(RATE)
    clips, strange = [], 0
    for path in sorted(folder.glob("[!.]*.wav")):
        parts = _NAME.fullmatch(path.name)
        if parts is None:
            strange += 1
            continue
        seconds = headers.seconds(path)
        if seconds is not None:
            clips.append(Clip(path, int(parts[1]), parts[2], int(parts[3]), seconds))
    notes = headers.notes()
    if strange:
        notes += (f"{strange} files not named digit_speaker_number.wav were passed over",)
    return clips, tuple(headers.problems), notes


def _pools(clips: Sequence[Clip], options: FsddOptions) -> dict[str, list[Clip]]:
    """Clips by part. Validation clips are drawn per digit and speaker among the training ones."""
    rng = np.random.default_rng([options.data_seed, 0])
    groups = defaultdict(list)
    for clip in clips:
        if clip.number >= TEST_CLIPS:
            groups[clip.speaker, clip.digit].append(clip)
    kept: set[Path] = set()
    for key in sorted(groups):
        order = rng.permutation(len(groups[key]))[: options.validation_clips]
        kept |= {groups[key][place].path for place in order}
    return {
        "train": [c for c in clips if c.number >= TEST_CLIPS and c.path not in kept],
        "validation": [c for c in clips if c.path in kept],
        "test": [c for c in clips if c.number < TEST_CLIPS],
    }


def _utterances(
    part: str,
    number: int,
    pool: Sequence[Clip],
    digits: tuple[int, int],
    count: int,
    options: FsddOptions,
) -> tuple[Utterance, ...]:
    """Speakers take turns, and each goes through shuffled rounds of all their clips, so that
    every clip is heard about equally often."""
    rng = np.random.default_rng([options.data_seed, 1, number])
    voices = defaultdict(list)
    for clip in pool:
        voices[clip.speaker].append(clip)
    names = sorted(voices)
    lengths = rng.integers(digits[0], digits[1] + 1, size=count)
    pauses = rng.integers(0, round(options.max_pause * RATE) + 1, size=(count, digits[1] + 1))
    orders = {}
    for place, name in enumerate(names):
        size, needed = len(voices[name]), int(lengths[place :: len(names)].sum())
        orders[name] = chain.from_iterable(
            [rng.permutation(size) for _ in range(-(-needed // size))]
        )
    utterances = []
    for index, length in enumerate(lengths.tolist()):
        name = names[index % len(names)]
        chosen = [voices[name][next(orders[name])] for _ in range(length)]
        sound = Joined(
            paths=tuple(clip.path for clip in chosen),
            pauses=tuple(pauses[index, : length + 1].tolist()),
            seed=(options.data_seed, 2, number, index),
        )
        utterances.append(_utterance(f"{part}-{index}", chosen, sound, options.units))
    return tuple(utterances)


def _utterance(
    name: str, clips: Sequence[Clip], sound: Joined, unit: Literal["words", "characters"]
) -> Utterance:
    samples = np.array([round(clip.seconds * RATE) for clip in clips])
    starts = np.cumsum(sound.pauses[:-1]) + np.concatenate([[0], np.cumsum(samples)[:-1]])
    text = " ".join(WORDS[clip.digit] for clip in clips)
    bounds = np.stack([starts, starts + samples]) / RATE  # 2,T
    return Utterance(
        id=name,
        units=split_text(text, unit),
        text=text,
        speaker=clips[0].speaker,
        seconds=(int(samples.sum()) + sum(sound.pauses)) / RATE,
        # Where the letters of a digit lie in time nobody knows.
        spans=tuple(zip(*bounds.tolist(), strict=True)) if unit == "words" else None,
        sound=sound,
    )
