"""Examples of held-out splits that training holds, too: counted in every task of texts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from own_data import OWN

from bench.cli import main as cli
from tasks.base import Corpus, datasets, tasks
from tasks.data.overlap import Overlap
from tasks.entailment.datasets import LABELS, EntailmentCorpus, PairExample
from tasks.summarization.datasets import Document, SummaryCorpus
from tasks.translation.datasets import Pair, TranslationCorpus

#: An example of an input and an output, by number.
Make = Callable[[str, int], Any]


def pair(source: str, number: int) -> Pair:
    return Pair("some", source, f"out {number}")


def entailed(source: str, number: int) -> PairExample:
    return PairExample("some", tuple(source.split()), ("it", "is"), LABELS[number % 3])


def document(source: str, number: int) -> Document:
    return Document("some", (tuple(source.split()), ("more", ".")), ("out", str(number)))


def translation(**splits: Any) -> TranslationCorpus:
    return TranslationCorpus(source_language="a", target_language="b", **splits)


TEXTS: dict[str, tuple[Callable[..., Corpus[Any]], Make]] = {
    "translation": (translation, pair),
    "entailment": (EntailmentCorpus, entailed),
    "summarization": (SummaryCorpus, document),
}
texts = pytest.mark.parametrize("task", TEXTS)


def overlaps(
    task: str,
    train: Sequence[tuple[str, int]],
    validation: Sequence[tuple[str, int]],
    **tests: Sequence[tuple[str, int]],
) -> list[Overlap]:
    kind, make = TEXTS[task]

    def split(found: Sequence[tuple[str, int]]) -> list[Any]:
        return [make(*one) for one in found]

    corpus = kind(
        train=split(train),
        validation=split(validation),
        tests={name: split(found) for name, found in tests.items()},
    )
    return list(corpus.overlaps())


@texts
def test_whole_examples_and_inputs_alone_are_counted(task: str) -> None:
    found = overlaps(
        task,
        [("a a", 0), ("b b", 0), ("c c", 0), ("c c", 0)],
        [("b b", 0), ("x x", 0)],
        test=[("a a", 0), ("a a", 0), ("b b", 1), ("y y", 0)],
        long=[("x x", 0), ("y y", 0), ("z z", 0)],
    )
    assert found == [
        Overlap("validation", "train", 2, 1, 1),
        Overlap("test", "train", 4, 2, 3),
        Overlap("test", "validation", 4, 0, 1),
        Overlap("long", "validation", 3, 1, 1),
    ]
    assert str(found[1]) == ("overlap: 2 of 4 examples of test are also in train (inputs alone: 3)")


@texts
def test_duplicates_inside_a_split_are_no_overlap(task: str) -> None:
    same = [("a a", 0)] * 3
    assert overlaps(task, [("b b", 0)] * 2, [("c c", 0)] * 2, test=same, long=same) == []


@texts
def test_unicode_forms_and_white_space_do_not_hide_it(task: str) -> None:
    train = [("caf\u00e9  au\tlait", 0), ("Cafe\u0301 noir", 0), ("the end", 0)]
    test = [(" cafe\u0301 au lait ", 0), ("Caf\u00e9\u00a0noir", 0), ("The end", 0)]
    assert overlaps(task, train, [("x", 0)], test=test) == [Overlap("test", "train", 3, 2, 2)]


def test_a_shared_premise_is_no_shared_input() -> None:
    def one(premise: str, hypothesis: str) -> PairExample:
        return PairExample("some", tuple(premise.split()), tuple(hypothesis.split()), "neutral")

    corpus = EntailmentCorpus(
        train=(one("a man runs", "he moves"), one("a b", "c")),
        validation=(one("a dog", "it"),),
        tests={"test": (one("a man runs", "he rests"), one("a", "b c"))},
    )
    assert list(corpus.overlaps()) == []


@texts
def test_synthetic_sets_have_none(task: str) -> None:
    synthetic = datasets(task).get("synthetic")
    assert list(synthetic.load(synthetic.Options(), None).overlaps()) == []


@pytest.mark.parametrize("task", sorted(OWN))
def test_every_task_counts_overlaps_or_looks_for_them_among_problems(task: str) -> None:
    kind = datasets(task).get("synthetic")
    corpus = type(kind.load(kind.Options(), None))
    assert task in tasks
    assert corpus.overlaps is not Corpus.overlaps or corpus.problems is not Corpus.problems


@texts
def test_the_check_and_the_record_say_it(
    task: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    root = tmp_path / "data"
    root.mkdir()
    OWN[task].write(root)  # the test set is the beginning of the training
    options = [part for option in OWN[task].options for part in ("--set", option)]
    assert cli.main(["data", "check", OWN[task].dataset, str(root), *options]) == 0
    checked = [
        line.removeprefix("  note: ")
        for line in capsys.readouterr().out.splitlines()
        if "overlap: " in line
    ]
    assert any(" examples of test are also in train (inputs alone: " in note for note in checked)
    settings = ("--set", "max_steps=2", "--set", "test_limit=0")
    run = [*OWN[task].command(task, root), *settings, "--json"]
    assert cli.main([*run, "--set", "train_limit=0"]) == 0
    notes = json.loads(capsys.readouterr().out)["provenance"]["notes"]
    assert [note for note in notes if note.startswith("overlap: ")] == checked
    # Only what the model was trained on counts.
    assert cli.main([*run, "--set", "train_limit=3"]) == 0
    notes = json.loads(capsys.readouterr().out)["provenance"]["notes"]
    assert any(" 3 of " in note and "of test are also in train" in note for note in notes)


class Streamed(Sequence[Pair]):
    """Pairs made as they are gone through; none is kept, and none may be asked for by place."""

    def __init__(self, begin: int, end: int) -> None:
        self.numbers = range(begin, end)

    def __len__(self) -> int:
        return len(self.numbers)

    def __iter__(self) -> Iterator[Pair]:
        return (pair(f"the number {n} of very many words in a line", n) for n in self.numbers)

    def __getitem__(self, index: Any) -> Any:
        raise AssertionError("training texts are streamed")


def test_large_training_sets_are_gone_through_once() -> None:
    corpus = translation(
        train=Streamed(0, 29_000),
        validation=Streamed(28_000, 29_014),
        tests={"test": Streamed(28_500, 29_500)},
    )
    assert list(corpus.overlaps()) == [
        Overlap("validation", "train", 1014, 1000, 1000),
        Overlap("test", "train", 1000, 500, 500),
        Overlap("test", "validation", 1000, 514, 514),
    ]
