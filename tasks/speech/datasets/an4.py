"""CMU AN4 as Sphinx features: spelled names, dates and numbers; phones from its dictionary."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from bench.errors import UsageError
from tasks.base import DatasetOptions, ScannedDataset, datasets
from tasks.data.cache import file_digest
from tasks.data.files import data_folder, is_file
from tasks.data.lines import read_lines
from tasks.data.problems import Problem, Scan
from tasks.data.unicode import composed
from tasks.speech.audio import read_sphinx
from tasks.speech.datasets import (
    SoundReader,
    SpeechCorpus,
    Unit,
    Utterance,
    read_lexicon,
    symbols_of,
    target_units,
)

FRAME_RATE = 100
CEPSTRA = 13
_LINE = re.compile(r"(?:<s>)?(?P<text>.*?)(?:</s>)?\s*\((?P<id>[^()\s]+)\)\s*")


class An4Options(DatasetOptions):
    """Choice of target units and of validation speakers."""

    units: Unit = "phones"
    validation_speakers: int = Field(6, ge=1, description="training speakers kept for validation")
    data_seed: int = Field(1, ge=0, description="decides which speakers these are")


@dataclass(frozen=True)
class SphinxReader(SoundReader):
    """Reads utterances whose sound is a Sphinx feature file."""

    size: int = CEPSTRA
    kind = "features"

    def read(self, utterances: Sequence[Utterance]) -> list[np.ndarray]:
        return [read_sphinx(one.sound, self.size) for one in utterances]

    def identity(self, utterance: Utterance) -> str:
        return file_digest(utterance.sound)


@datasets("speech").register("an4")
class An4(ScannedDataset[SpeechCorpus]):
    """`etc/an4_{train,test}.{fileids,transcription}`, `etc/an4.dic` and `feat/**.mfc`. The test
    set's speakers are its own; validation speakers are not trained on."""

    name = "an4"
    summary = "spelled words, dates and numbers read by 84 speakers, given as 13 cepstra a frame"
    licence = "BSD-style (Carnegie Mellon University)"
    redistributable = True
    places = ("an4",)
    citation = "Acero 1993, Acoustical and Environmental Robustness in ASR"
    Options = An4Options

    @classmethod
    def scan(cls, options: Any, data_root: Path | None) -> Scan[SpeechCorpus]:
        folder = data_folder(data_root, cls.name, ("an4",))
        lexicon = read_lexicon(folder / "etc" / "an4.dic") if options.units == "phones" else {}
        problems: list[Problem] = []
        spoken = {
            part: _utterances(folder, part, options.units, lexicon, problems)
            for part in ("train", "test")
        }
        speakers = {one.speaker for one in spoken["train"]}
        if not all(spoken.values()) or (problems and len(speakers) <= options.validation_speakers):
            return Scan(None, tuple(problems))
        kept = _validation_speakers(speakers, options)
        train = tuple(one for one in spoken["train"] if one.speaker not in kept)
        declared = {phone for phones in lexicon.values() for phone in phones}
        corpus = SpeechCorpus(
            train=train,
            validation=tuple(one for one in spoken["train"] if one.speaker in kept),
            tests={"test": tuple(spoken["test"])},
            unit=options.units,
            symbols=tuple(sorted(declared.union(symbols_of(train)))),
            rate=FRAME_RATE,
            reader=SphinxReader(),
            notes=(f"validation: {len(kept)} training speakers ({', '.join(sorted(kept))})",),
        )
        return Scan(corpus, tuple(problems))


def _utterances(
    folder: Path,
    part: str,
    unit: Unit,
    lexicon: Mapping[str, tuple[str, ...]],
    problems: list[Problem],
) -> list[Utterance]:
    names = folder / "etc" / f"an4_{part}.fileids"
    texts = folder / "etc" / f"an4_{part}.transcription"
    transcripts = _transcripts(texts, problems)
    found = []
    for number, line in read_lines(names):
        name = line.strip()
        if not name:
            continue
        where = f"{names}:{number}"
        key = Path(name).name
        if key not in transcripts:
            problems.append(Problem(f"no transcript of {key}", where, "missing transcripts"))
            continue
        text, text_where = transcripts[key]
        path = folder / "feat" / f"{name}.mfc"
        units = target_units(text, unit, lexicon, text_where, problems)
        if not is_file(path):
            problems.append(Problem(f"{path} is missing", where, "missing feature files"))
        elif units:
            seconds = (path.stat().st_size - 4) // 4 / CEPSTRA / FRAME_RATE
            speaker = Path(name).parent.name
            found.append(Utterance(key, units, text, speaker, seconds, sound=path))
    return found


def _transcripts(path: Path, problems: list[Problem]) -> dict[str, tuple[str, str]]:
    """Text and file:line by utterance."""
    found: dict[str, tuple[str, str]] = {}
    for number, line in read_lines(path):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        parts = _LINE.fullmatch(line)
        if parts is None:
            problems.append(
                Problem("not a transcript", where, "bad lines", "expected: TEXT (utterance)")
            )
        elif not parts["text"].strip():
            problems.append(Problem("the transcript is empty", where, "empty transcripts"))
        elif parts["id"] in found:
            what = f"a second transcript of {parts['id']}"
            problems.append(Problem(what, where, "second transcripts", "remove one"))
        else:
            found[parts["id"]] = (" ".join(composed(parts["text"]).split()), where)
    return found


def _validation_speakers(speakers: set[str], options: An4Options) -> set[str]:
    if len(speakers) <= options.validation_speakers:
        raise UsageError(
            f"{options.validation_speakers} of {len(speakers)} training speakers for validation "
            "leave none to train on",
            where="--set validation_speakers",
        )
    rng = np.random.default_rng([options.data_seed, 0])
    order = rng.permutation(sorted(speakers))
    return set(order[: options.validation_speakers].tolist())
