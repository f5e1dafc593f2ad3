"""A user's own recordings: a TSV file of sound files and transcripts."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from bench.errors import UsageError, blank
from tasks.base import DatasetOptions, ScannedDataset, datasets
from tasks.data.files import file_named, required_root
from tasks.data.problems import Problem, Scan, collect
from tasks.data.readers import Row, read_rows, split_name
from tasks.speech.audio import FileReader, HeaderCheck
from tasks.speech.datasets import (
    SpeechCorpus,
    Unit,
    Utterance,
    read_lexicon,
    symbols_of,
    target_units,
    unseen_note,
)

_COLUMNS = ("path", "transcript")
#: Where the manifest names no splits, one utterance in this many is validation, another one test.
_EVERY = 10


class ManifestOptions(DatasetOptions):
    """Location of the manifest, and the target units of its transcripts."""

    manifest: str = Field("manifest.tsv", description="TSV, CSV or .jsonl file, from the data root")
    rate: int = Field(16000, ge=1000, le=192000, description="samples a second; others resampled")
    units: Unit = "characters"
    lexicon: str = Field("", description="for phones: file of words and their phones")


@datasets("speech").register("manifest")
class Manifest(ScannedDataset[SpeechCorpus]):
    """Columns `path` (from the manifest's folder, or absolute) and `transcript`; `split` (train,
    validation, test, further test sets called test-NAME) and `speaker` may be there too."""

    name = "manifest"
    summary = "your own sound files and transcripts, listed in a TSV file"
    licence = "the user's own"
    places = ("manifest.tsv",)
    Options = ManifestOptions

    @classmethod
    def scan(cls, options: Any, data_root: Path | None) -> Scan[SpeechCorpus]:
        root = required_root(data_root, cls.name, options.manifest)
        path = root / options.manifest
        headers, problems = HeaderCheck(options.rate), list[Problem]()
        rows = list(read_rows(path, collect(problems, "unusable lines"), columns=_COLUMNS))
        if not rows:
            return Scan(None, tuple(problems))
        lexicon = _lexicon(options, root)
        parts: dict[str, list[Utterance]] = {}
        for row in rows:
            try:
                utterance = _utterance(row, options.units, lexicon, headers, problems)
                if utterance is not None:
                    parts.setdefault(_part(row, utterance), []).append(utterance)
            except UsageError as error:
                problems.append(Problem.of(error, "unusable lines"))
        problems = [*headers.problems, *problems, *_missing_parts(parts, rows[0])]
        if problems and not {"train", "validation", "test"} <= set(parts):
            return Scan(None, tuple(problems))
        train, validation = tuple(parts.pop("train")), tuple(parts.pop("validation"))
        tests = {"test": tuple(parts.pop("test")), **{k: tuple(v) for k, v in parts.items()}}
        symbols = symbols_of(train)
        corpus = SpeechCorpus(
            train=train,
            validation=validation,
            tests=tests,
            unit=options.units,
            symbols=symbols,
            rate=options.rate,
            reader=FileReader(options.rate),
            notes=(*headers.notes(), *_split_note(rows[0]), *unseen_note(symbols, tests)),
        )
        return Scan(corpus, tuple(problems))


def _lexicon(options: ManifestOptions, data_root: Path) -> dict[str, tuple[str, ...]]:
    if options.units != "phones":
        return {}
    if not options.lexicon:
        raise UsageError(
            "phones need a pronouncing dictionary",
            where="--set units=phones",
            remedy="give it with --set lexicon=FILE, or choose characters or words",
        )
    return read_lexicon(data_root / options.lexicon)


def _utterance(
    row: Row,
    unit: Unit,
    lexicon: dict[str, tuple[str, ...]],
    headers: HeaderCheck,
    problems: list[Problem],
) -> Utterance | None:
    text = " ".join(row.text("transcript").split())
    name = row.written("path").strip()
    if blank(name):
        problems.append(Problem("no path", row.where, "lines without a path"))
        return None
    sound = file_named(row.path.parent, name)
    seconds = headers.seconds(sound, row.where)
    units = target_units(text, unit, lexicon, row.where, problems)
    if seconds is None or not units:
        return None
    speaker = row.text("speaker") if "speaker" in row.values else ""
    return Utterance(f"{row.line}:{name}", units, text, speaker, seconds, sound=sound)


def _part(row: Row, utterance: Utterance) -> str:
    """The split a line names; without one, the speaker (or else the file) decides, so that no
    speaker is in two splits."""
    if "split" in row.values:
        return split_name(row.text("split"), row.where, further=True)
    key = utterance.speaker or row.written("path").strip()
    place = int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big") % _EVERY
    return {0: "test", 1: "validation"}.get(place, "train")


def _missing_parts(parts: dict[str, list[Utterance]], first: Row) -> Sequence[Problem]:
    missing = [name for name in ("train", "validation", "test") if name not in parts]
    if not missing:
        return ()
    what = f"no usable utterance for {' and '.join(missing)}"
    remedy = "add a column 'split' with train, validation and test"
    return (Problem(what, str(first.path), "empty splits", remedy),)


def _split_note(first: Row) -> Sequence[str]:
    if "split" in first.values:
        return ()
    by = "speakers" if "speaker" in first.values else "files"
    return (f"the manifest names no splits: a tenth of the {by} is validation, a tenth test",)
