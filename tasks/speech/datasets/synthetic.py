"""The generated utterances of speech, in an invented language, with the exact span of every phone
(their sound: `tasks.speech.synthetic`)."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from bench.errors import UsageError
from tasks.base import DatasetOptions, ScannedDataset, datasets
from tasks.data.problems import Scan
from tasks.speech.datasets import SpeechCorpus, Utterance
from tasks.speech.synthetic import (
    CODAS,
    CONSONANTS,
    NAMES,
    RATE,
    VOWELS,
    Recipe,
    Synthesiser,
    Voice,
    phone_table,
)

#: Phones of the shortest utterances. Training lengths spread widely above it: from lengths that are
#: all alike a decoder learns to count, and stops there, whatever it attends to.
SHORTEST = 3
# Candidates drawn before giving up on finding enough different utterances.
ROUNDS = 20


class SyntheticOptions(DatasetOptions):
    """Options of the generator."""

    length: int = Field(
        10,
        ge=SHORTEST,
        le=60,
        description='phones of the longest training utterances; "long" has up to half as many more',
    )
    snr: float = Field(20.0, ge=-10, le=60, description="speech over noise, in decibels")
    voices: int = Field(8, ge=1, le=100, description="voices heard in training")
    train_size: int = Field(3000, ge=1, description="training utterances")
    validation_size: int = Field(200, ge=1, description="validation utterances")
    test_size: int = Field(400, ge=1, description="utterances of each test set")
    data_seed: int = Field(1, ge=0, description="seed of the data")


@datasets("speech").register("synthetic")
class SyntheticDataset(ScannedDataset[SpeechCorpus]):
    """Splits share no sequence of phones. In the test sets every other utterance is spoken by a
    voice that is not in training; "long" has more phones than any in training, up to half as
    many more."""

    name = "synthetic"
    summary = "synthesised syllables of an invented language, several voices, noise; exact spans"
    external = False
    gold = True
    Options = SyntheticOptions

    @classmethod
    def scan(cls, options: Any, data_root: Path | None) -> Scan[SpeechCorpus]:
        rng = np.random.default_rng([options.data_seed, 0])
        voices = _voices(options.voices + _unseen(options), rng)
        sizes = [options.train_size, options.validation_size, options.test_size]
        short = _sequences(sum(sizes), SHORTEST, options.length, rng)
        long = _sequences(options.test_size, options.length + 1, options.length * 3 // 2, rng)
        train, validation, test = np.split(short, np.cumsum(sizes)[:-1])
        plans = {"train": train, "validation": validation, "test": test, "long": long}
        parts = {
            name: _utterances(name, number, sequences, voices, options)
            for number, (name, sequences) in enumerate(plans.items())
        }
        corpus = SpeechCorpus(
            train=parts.pop("train"),
            validation=parts.pop("validation"),
            tests=parts,
            unit="phones",
            symbols=tuple(sorted(NAMES)),
            rate=RATE,
            reader=Synthesiser(voices),
        )
        return Scan(corpus)


def _unseen(options: SyntheticOptions) -> int:
    return max(1, options.voices // 2)


def _voices(count: int, rng: np.random.Generator) -> tuple[Voice, ...]:
    """Voices from low and slow to high and quick; pitch and tract go together, as in people."""
    return tuple(
        Voice(
            pitch=float(95 * 2.3 ** np.clip(size + 0.3 * (shift - 0.5), 0, 1)),
            tract=float(0.9 + 0.25 * size),
            tempo=float(0.85 + 0.35 * tempo),
            bright=float(0.3 + 0.35 * bright),
            breath=float(0.01 + 0.04 * breath),
        )
        for size, shift, tempo, bright, breath in rng.random((count, 5))
    )


def _sequences(count: int, low: int, high: int, rng: np.random.Generator) -> np.ndarray:
    """`count` different sequences of low to high phones, in random order: count,high with -1
    after the end."""
    found = np.zeros((0, high), dtype=np.int64)
    for _ in range(ROUNDS):
        drawn = _syllables(rng.integers(low, high + 1, size=count + 16), high, rng)
        both = np.concatenate([found, drawn])
        _, first = np.unique(both, axis=0, return_index=True)
        found = both[np.sort(first)]
        if len(found) >= count:
            return found[:count]
    raise UsageError(
        f"only {len(found)} different utterances of {low} to {high} phones were found, "
        f"{count} are needed",
        where="--set",
        remedy="raise length or lower train_size",
    )


def _syllables(lengths: np.ndarray, width: int, rng: np.random.Generator) -> np.ndarray:
    """Random syllables of consonant, vowel and perhaps a final consonant that add up to exactly
    these numbers of phones. N -> N,width with -1 after the end."""
    fewest, most = -(-lengths // 3), lengths // 2
    syllables = rng.integers(fewest, most + 1)  # N
    slots = np.arange(width)[None, :]
    # Which syllables have a final consonant: those of the lowest random ranks.
    keys = np.where(slots < syllables[:, None], rng.random((len(lengths), width)), 2.0)
    closed = np.argsort(np.argsort(keys, axis=1), axis=1) < (lengths - 2 * syllables)[:, None]
    onset = len(VOWELS) + rng.integers(len(CONSONANTS), size=closed.shape)
    vowel = rng.integers(len(VOWELS), size=closed.shape)
    finals = np.sort([NAMES.index(name) for name in CODAS])
    coda = finals[rng.integers(len(finals), size=closed.shape)]
    # The same consonant twice in a row could not be told from one: take the next final instead.
    clash = coda == np.roll(onset, -1, axis=1)
    coda[clash] = finals[(np.searchsorted(finals, coda[clash]) + 1) % len(finals)]
    flat = np.stack([onset, vowel, np.where(closed, coda, -1)], axis=2)  # N,width,3
    flat[slots >= syllables[:, None]] = -1
    flat = flat.reshape(len(lengths), -1)
    packed = np.argsort(flat < 0, axis=1, kind="stable")  # phones first, in order
    return np.take_along_axis(flat, packed, axis=1)[:, :width]


def _utterances(
    part: str,
    number: int,
    sequences: np.ndarray,
    voices: tuple[Voice, ...],
    options: SyntheticOptions,
) -> tuple[Utterance, ...]:
    rng = np.random.default_rng([options.data_seed, 1, number])
    count = len(sequences)
    chosen: np.ndarray = rng.integers(options.voices, size=count)
    if part not in ("train", "validation"):
        unseen = options.voices + rng.integers(_unseen(options), size=count)
        chosen = np.where(np.arange(count) % 2, unseen, chosen)
    borders, totals = _borders(sequences, np.array([voices[v].tempo for v in chosen]), rng)
    bends = np.stack([rng.uniform(1.0, 1.2, count), rng.uniform(0.75, 0.95, count)], axis=1)
    lengths = (sequences >= 0).sum(axis=1)
    rows = zip(sequences, lengths, borders, totals, chosen, bends, strict=True)
    found = []
    for index, (sequence, length, ends, total, voice, bend) in enumerate(rows):
        units = tuple(NAMES[phone] for phone in sequence[:length])
        seed = (options.data_seed, 2, number, index)
        found.append(
            Utterance(
                id=f"{part}-{index}",
                units=units,
                text=" ".join(units),
                speaker=f"voice-{voice}",
                seconds=float(total / RATE),
                spans=tuple(pairwise((ends[: length + 1] / RATE).tolist())),
                sound=Recipe(seed, int(voice), (float(bend[0]), float(bend[1])), options.snr),
            )
        )
    return tuple(found)


def _borders(
    sequences: np.ndarray, tempo: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Begins and ends of phones in samples: N,width+1 borders and N totals, with 40 to 100 ms of
    silence at both ends."""
    real = sequences >= 0
    rate = (tempo * rng.uniform(0.85, 1.2, size=len(tempo)))[:, None]
    jitter = np.exp(rng.normal(0, 0.08, size=sequences.shape))
    durations = phone_table().seconds[sequences] * rate * jitter * real  # N,width
    silence = rng.uniform(0.04, 0.10, size=(len(sequences), 2))
    ends = np.cumsum(np.concatenate([silence[:, :1], durations], axis=1), axis=1)
    borders = np.rint(ends * RATE).astype(np.int64)
    return borders, borders[:, -1] + np.rint(silence[:, 1] * RATE).astype(np.int64)
