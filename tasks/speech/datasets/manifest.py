"""A user's own recordings: a TSV file of sound files and transcripts."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from bench.errors import UsageError
from tasks.base import DatasetOptions, ScannedDataset, datasets
from tasks.data.readers import Problem, Row, Scan, read_tsv, required_root
from tasks.data.unicode import file_named
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

#: Names in use for the validation split.
_VALIDATION = ("validation", "valid", "val", "dev")
#: Where the manifest names no splits, one utterance in this many is validation, another one test.
_EVERY = 10


class ManifestOptions(DatasetOptions):
    """Location of the manifest, and the target units of its transcripts."""

    manifest: str = Field("manifest.tsv", description="TSV file, from the data root")
    rate: int = Field(16000, ge=1000, le=192000, description="samples a second; others resampled")
    units: Unit = "characters"
    lexicon: str = Field("", description="for phones: file of words and their phones")


@datasets("speech").register("manifest")
class Manifest(ScannedDataset[SpeechCorpus]):
    """Columns `path` (from the manifest's folder, or absolute) and `transcript`; `split` (train,
    validation, test, further test sets by any name) and `speaker` may be there too."""

    name = "manifest"
    summary = "your own sound files and transcripts, listed in a TSV file"
    licence = "the user's own"
    places = ("manifest.tsv",)
    Options = ManifestOptions

    @classmethod
    def scan(cls, options: Any, data_root: Path | None) -> Scan[SpeechCorpus]:
        root = required_root(data_root, cls.name, options.manifest)
        path = root / options.manifest
        rows = list(read_tsv(path))
        _require_columns(rows[0])
        headers, problems = HeaderCheck(options.rate), list[Problem]()
        lexicon = _lexicon(options, root)
        parts: dict[str, list[Utterance]] = {}
        for row in rows:
            utterance = _utterance(row, options.units, lexicon, headers, problems)
            if utterance is not None:
                parts.setdefault(_part(row, utterance), []).append(utterance)
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


def _require_columns(row: Row) -> None:
    missing = [name for name in ("path", "transcript") if name not in row.values]
    if missing:
        raise UsageError(
            f"no column {' and no column '.join(repr(name) for name in missing)}",
            where=f"{row.path}:1",
            remedy=f"the first line must name the columns; it has {', '.join(row.values)}",
        )


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
    name = row.text("path").strip()
    if not name:
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
        name = row.text("split").strip().lower()
        return "validation" if name in _VALIDATION else name
    key = utterance.speaker or row.text("path").strip()
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
