"""Any parallel text: two files a split, line n of one translating line n of the other."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from bench.errors import UsageError
from tasks.base import DatasetOptions, datasets
from tasks.data.files import required_root
from tasks.data.rows import RowExamples
from tasks.translation.datasets import LinesDataset, Pair, TranslationCorpus


class ParallelOptions(DatasetOptions):
    source: str = Field("src", description="ending of source files")
    target: str = Field("tgt", description="ending of target files")
    train: str = Field("train", min_length=1, description="name of the training files")
    valid: str = Field(
        "valid", description="name of the validation files; empty splits them off the training"
    )
    test: str = Field(
        "test", description="name of the test files; empty splits them off the training"
    )
    held_out: float = Field(
        0.05, gt=0, le=0.4, description="share of the training pairs in each set split off"
    )


@datasets("translation").register("parallel")
class Parallel(LinesDataset):
    """`<root>/<name>.<ending>`, say `train.src` and `train.tgt`.

    What is split off the training files is decided by a hash of the source sentence: the same
    pairs on every machine, and a sentence that occurs twice is never on both sides.
    """

    name = "parallel"
    summary = "your own parallel text: <name>.<source> and <name>.<target>"
    licence = "your own"
    places = ("train.src",)
    Options = ParallelOptions

    @classmethod
    def corpus(
        cls, options: Any, data_root: Path | None, splits: dict[str, RowExamples[Pair]]
    ) -> TranslationCorpus:
        notes = [
            f"{split}: {len(pairs.texts) - len(pairs)} lines that are blank on both sides left out"
            for split, pairs in splits.items()
            if len(pairs) < len(pairs.texts)
        ]
        missing = [split for split in ("test", "valid") if split not in splits]
        if missing:
            file, _ = cls.files(options, data_root)["train"]
            splits |= _split_off(splits["train"], missing, options.held_out, file)
            notes += [
                f"{split}: {len(splits[split])} pairs split off the training" for split in missing
            ]
        return TranslationCorpus(
            source_language=options.source,
            target_language=options.target,
            train=splits["train"],
            validation=splits["valid"],
            tests={"test": splits["test"]},
            notes=tuple(notes),
        )

    @classmethod
    def files(cls, options: Any, data_root: Path | None) -> dict[str, tuple[Path, Path]]:
        root = required_root(data_root, cls.name, f"{options.train}.{options.source}")
        if options.source == options.target:
            raise UsageError(
                f"source and target both end in '.{options.source}'",
                where="--set",
                remedy="set source and target to the endings of your files",
            )
        names = {"train": options.train, "valid": options.valid, "test": options.test}
        return {
            split: (root / f"{name}.{options.source}", root / f"{name}.{options.target}")
            for split, name in names.items()
            if name
        }


def _split_off(
    train: RowExamples[Pair], names: list[str], share: float, where: Path
) -> dict[str, RowExamples[Pair]]:
    """Take `share` of the pairs for each of `names`; what is left is "train"."""
    hashes = np.fromiter((_unit_hash(pair.source_text) for pair in train), np.float64)  # N in 0..1
    part = np.minimum(hashes // share, len(names)).astype(np.int64)
    splits = {
        name: train.select(train.rows[part == number], split=name)
        for number, name in enumerate([*names, "train"])
    }
    for name, pairs in splits.items():
        if not len(pairs):
            raise UsageError(
                f"{len(train)} pairs are too few to split off {' and '.join(names)}",
                where=str(where),
                remedy=f"raise held_out, or give files for {name}",
            )
    return splits


def _unit_hash(text: str) -> float:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6]) / 2**48
