"""Corpora know what is in them, and data sets what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest

from bench.errors import UsageError
from tasks.base import Corpus, Dataset, DatasetOptions, ScannedDataset
from tasks.data.files import required_root
from tasks.data.problems import Problem, Scan


@dataclass(frozen=True)
class Word:
    id: str

    def content(self) -> Iterator[str]:
        yield self.id


class Words(Corpus[Word]):
    """A corpus in which a closer look always finds something."""

    def problems(self) -> Iterator[Problem]:
        yield Problem("bad 9", "near:9", "near")


WORDS = Words(train=(Word("a"), Word("b")), validation=(Word("c"),), tests={"test": (Word("d"),)})


class Files(ScannedDataset[Words]):
    name: ClassVar[str] = "files"
    summary: ClassVar[str] = "for this test"
    found: ClassVar[Scan[Words]] = Scan(WORDS)

    @classmethod
    def scan(cls, options: Any, data_root: Path | None) -> Scan[Words]:
        return cls.found


class Plain(Dataset[Words]):
    name: ClassVar[str] = "plain"
    summary: ClassVar[str] = "for this test"

    @classmethod
    def load(cls, options: DatasetOptions, data_root: Path | None) -> Words:
        return WORDS


def test_a_scan_with_problems_is_not_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    options = DatasetOptions()
    assert Files.load(options, None) is WORDS
    monkeypatch.setattr(Files, "found", Scan(WORDS, (Problem("bad 1", "lines:1", "lines"),)))
    with pytest.raises(UsageError, match="lines:1: bad 1"):
        Files.load(options, None)
    assert Files.check(options, None) == ["lines:1: bad 1", "near:9: bad 9"]
    monkeypatch.setattr(Files, "found", Scan(None))
    with pytest.raises(UsageError, match="/data: data set 'files' holds no examples"):
        Files.load(options, Path("/data"))
    assert Files.check(options, Path("/data")) == ["/data: holds no examples"]


def test_what_has_no_scan_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    options = DatasetOptions()
    assert Plain.check(options, None) == ["near:9: bad 9"]
    monkeypatch.setattr(
        Plain, "load", lambda options, data_root: required_root(data_root, "x", "y")
    )
    [line] = Plain.check(options, None)
    assert line.startswith("--data-root: data set 'x'")


def test_a_corpus_knows_its_splits_and_what_is_in_them() -> None:
    assert list(WORDS.splits) == ["train", "validation", "test"]
    assert [word.id for word in WORDS.examples()] == ["a", "b", "c", "d"]
    assert WORDS.limited() == WORDS
    fewer = WORDS.limited(train=1)
    assert fewer.train == (Word("a"),) and fewer.tests == WORDS.tests
    assert fewer.fingerprint != WORDS.fingerprint == WORDS.limited().fingerprint
    moved = Words(train=WORDS.validation, validation=WORDS.train, tests=WORDS.tests)
    assert moved.fingerprint != WORDS.fingerprint


def test_a_split_has_an_identity_with_and_without_order() -> None:
    backwards = Words(train=WORDS.train[::-1], validation=WORDS.validation, tests=WORDS.tests)
    one, other = WORDS.identities["train"], backwards.identities["train"]
    assert one.examples == other.examples == 2 and one.contents == other.contents
    assert one.fingerprint != other.fingerprint and WORDS.fingerprint != backwards.fingerprint
    assert WORDS.identities["test"] == backwards.identities["test"]
    twice = Words(train=(*WORDS.train, Word("a")), validation=WORDS.validation, tests=WORDS.tests)
    assert twice.identities["train"].contents != one.contents
    # Names count with the order, since predictions of two results are paired by them.
    named = Words(train=(Named("x"), Named("y")), validation=WORDS.validation, tests=WORDS.tests)
    renamed = Words(train=(Named("y"), Named("x")), validation=WORDS.validation, tests=WORDS.tests)
    assert named.identities["train"].contents == renamed.identities["train"].contents
    assert named.fingerprint != renamed.fingerprint


class Named(Word):
    """A word whose content is the same for all."""

    def content(self) -> Iterator[str]:
        yield "same"
