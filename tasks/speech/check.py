"""`attnbench data check` for speech: everything that is wrong, with file and position."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bench.errors import UsageError
from tasks.base import DatasetOptions, datasets
from tasks.data.readers import all_problems
from tasks.problems import Problem
from tasks.speech.corpus import SpeechCorpus, Utterance

#: A waveform whose samples all lie below this is taken for silence.
SILENT = 1e-4
# Utterances read at once.
BLOCK = 256


def check(dataset: str, data_root: Path | None, options: DatasetOptions) -> list[str]:
    """All problems of a data set, one line each; none means that it can be used.

    Every sound is read to its end, which `load` leaves to the first training.

    Raises:
        UsageError: there is no such data set.
    """
    return all_problems(datasets("speech").get(dataset), options, data_root, _sound_problems)


def _sound_problems(corpus: SpeechCorpus) -> list[Problem]:
    problems: list[Problem] = []
    first: dict[bytes, tuple[str, str]] = {}
    for part, utterances in corpus.parts():
        for low in range(0, len(utterances), BLOCK):
            block = utterances[low : low + BLOCK]
            sounds, unreadable = _read(corpus, block)
            problems += [Problem.of(error, "unusable sound files") for error in unreadable]
            for utterance, sound in zip(block, sounds, strict=True):
                if sound is None:
                    continue
                if corpus.reader.kind == "waveforms" and np.abs(sound).max(initial=0) < SILENT:
                    problems.append(
                        Problem("nothing but silence", _where(utterance), "silent sounds")
                    )
                key = hashlib.sha256(sound.tobytes()).digest()
                other, place = first.setdefault(key, (part, _where(utterance)))
                if other != part:
                    problems.append(
                        Problem(
                            f"this sound of {part} is also in {other} ({place})",
                            _where(utterance),
                            "sounds in two parts",
                        )
                    )
    return problems


def _read(
    corpus: SpeechCorpus, block: Sequence[Utterance]
) -> tuple[list[np.ndarray | None], list[UsageError]]:
    """The sounds of some utterances, None where they cannot be read, and why not."""
    try:
        return [*corpus.reader.read(block)], []
    except UsageError as error:
        if len(block) == 1:
            return [None], [error]
        # One by one, to find all that cannot be read.
        each = [_read(corpus, [utterance]) for utterance in block]
        return [one for some, _ in each for one in some], [x for _, why in each for x in why]


def _where(utterance: Utterance) -> str:
    return str(utterance.sound) if isinstance(utterance.sound, Path) else utterance.id
