"""LibriSpeech in its published tree: `<subset>/<speaker>/<chapter>/*.flac` and `*.trans.txt`.

torchaudio's own reader cannot decode sound any more without a further package and reads a
chapter's transcript again for every utterance in it, so the same tree is read here.
"""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from bench.errors import UsageError
from tasks.base import DatasetOptions, ScannedDataset, datasets
from tasks.data.archives import Distribution, Piece
from tasks.data.files import data_folder
from tasks.data.lines import read_lines
from tasks.data.problems import Problem, Scan
from tasks.data.unicode import composed
from tasks.speech.audio import FileReader, HeaderCheck
from tasks.speech.datasets import SpeechCorpus, Utterance, symbols_of, target_units, unseen_note

RATE = 16000

# Subsets that the reader uses unless told otherwise: bytes and SHA-256 of their archives.
_SUBSETS = {
    "train-clean-100": (
        6_387_309_499,
        "d4ddd1d5a6ab303066f14971d768ee43278a5f2a0aa43dc716b0e64ecbbbf6e2",
    ),
    "dev-clean": (337_926_286, "76f87d090650617fca0cac8f88b9416e0ebf80350acb97b343a85fa903728ab3"),
    "test-clean": (346_663_984, "39fde525e59672dc6d1551919b1478f724438a95aa55f874b576be21967e6c23"),
}

LIBRISPEECH = Distribution(
    name="librispeech",
    source="OpenSLR, resource 12",
    pieces=tuple(
        Piece(
            f"https://www.openslr.org/resources/12/{name}.tar.gz",
            {f"LibriSpeech/{name}/": f"LibriSpeech/{name}"},
            "tar",
            size,
            sha256,
        )
        for name, (size, sha256) in _SUBSETS.items()
    ),
)


class LibriSpeechOptions(DatasetOptions):
    """Choice of subsets; several are joined by "+"."""

    train: str = Field("train-clean-100", description="training subsets")
    validation: str = Field("dev-clean", description="validation subsets")
    test: str = Field("test-clean", description="test subsets; each is a test set of its own")
    units: Literal["characters", "words"] = "characters"


@datasets("speech").register("librispeech")
class LibriSpeech(ScannedDataset[SpeechCorpus]):
    """Read English speech."""

    name = "librispeech"
    summary = "read audio books in the published tree, 16 kHz"
    licence = "CC BY 4.0"
    redistributable = True
    card = LIBRISPEECH
    places = ("LibriSpeech", "librispeech", "train-clean-100")
    citation = "Panayotov et al. 2015, LibriSpeech: an ASR corpus based on public domain books"
    Options = LibriSpeechOptions

    @classmethod
    def scan(cls, options: Any, data_root: Path | None) -> Scan[SpeechCorpus]:
        first = options.train.split("+")[0]
        folder = data_folder(
            data_root, cls.name, (f"LibriSpeech/{first}", f"librispeech/{first}", first)
        ).parent
        headers, problems = HeaderCheck(RATE), list[Problem]()

        def read(names: str) -> dict[str, tuple[Utterance, ...]]:
            return {
                name: _subset(folder / name, options.units, headers, problems)
                for name in names.split("+")
            }

        train = tuple(chain.from_iterable(read(options.train).values()))
        validation = tuple(chain.from_iterable(read(options.validation).values()))
        tests = read(options.test)
        problems = [*headers.problems, *problems]
        if not (train and validation and all(tests.values())):
            return Scan(None, tuple(problems))
        if len(tests) == 1:
            tests = {"test": next(iter(tests.values()))}
        symbols = symbols_of(train)
        corpus = SpeechCorpus(
            train=train,
            validation=validation,
            tests=tests,
            unit=options.units,
            symbols=symbols,
            rate=RATE,
            reader=FileReader(RATE),
            notes=(*headers.notes(), *unseen_note(symbols, tests)),
        )
        return Scan(corpus, tuple(problems))


def _subset(
    folder: Path, unit: Any, headers: HeaderCheck, problems: list[Problem]
) -> tuple[Utterance, ...]:
    """The utterances of one subset. Raises UsageError if it is not there."""
    # Files that begin with a dot are other systems' (`._1-2.trans.txt`).
    texts = sorted(folder.glob("*/*/[!.]*.trans.txt"))
    if not texts:
        raise UsageError(
            "no transcripts",
            where=str(folder),
            remedy="expected <speaker>/<chapter>/<speaker>-<chapter>.trans.txt",
        )
    found: list[Utterance] = []
    for path in texts:
        names = set()
        for number, line in read_lines(path):
            name, _, text = line.strip().partition(" ")
            names.add(name)
            where = f"{path}:{number}"
            units = target_units(composed(text), unit, {}, where, problems)
            if not units:
                continue
            sound = path.parent / f"{name}.flac"
            seconds = headers.seconds(sound, where)
            if seconds is not None:
                speaker = path.parent.parent.name
                found.append(Utterance(name, units, text, speaker, seconds, sound=sound))
        problems += [
            Problem("no transcript", str(sound), "sound files without a transcript")
            for sound in sorted(path.parent.glob("[!.]*.flac"))
            if sound.stem not in names
        ]
    return tuple(found)
