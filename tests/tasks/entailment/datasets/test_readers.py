"""Readers of sick, snli and people's own pairs: the published layouts, and what users get wrong."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bench.errors import UsageError
from tasks.base import DatasetOptions, datasets
from tasks.entailment.datasets import EntailmentCorpus


def check(name: str, root: Path | None, options: DatasetOptions) -> list[str]:
    return datasets("entailment").get(name).check(options, root)


SICK_HEADER = "pair_ID\tsentence_A\tsentence_B\tentailment_label\trelatedness_score\tSemEval_set"
SICK_ROWS = [
    "1\tA dog runs.\tAn animal moves\tENTAILMENT\t4.5\tTRAIN",
    "2\tA dog runs\tNo dog's running\tCONTRADICTION\t3.5\tTRAIN",
    '3\tThe "cat" sits\tA cat sleeps\tNEUTRAL\t3.0\tTRIAL',
    "4\tA cat sits\tA dog sits\tNEUTRAL\t3.0\tTEST",
]


def write_sick(root: Path, rows: list[str] = SICK_ROWS, header: str = SICK_HEADER) -> Path:
    path = root / "sick" / "SICK.txt"
    path.parent.mkdir(parents=True)
    path.write_text("\r\n".join([header, *rows]) + "\r\n", "utf-8")
    return path


def snli_row(label: str, premise: str, hypothesis: str) -> dict[str, Any]:
    return {"gold_label": label, "sentence1": premise, "sentence2": hypothesis, "pairID": "x"}


def write_lines(path: Path, rows: list[Mapping[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


def load(name: str, root: Path | None, **options: Any) -> EntailmentCorpus:
    kind = datasets("entailment").get(name)
    return kind.load(kind.Options(**options), root)


def problems(name: str, root: Path | None, **options: Any) -> list[str]:
    kind = datasets("entailment").get(name)
    return check(name, root, kind.Options(**options))


def test_sick_is_read_by_its_parts(tmp_path: Path) -> None:
    write_sick(tmp_path)
    corpus = load("sick", tmp_path)
    assert [len(pairs) for pairs in corpus.splits.values()] == [2, 1, 1]
    first, second = corpus.train
    assert first.premise == ("a", "dog", "runs", ".") and first.label == "entailment"
    assert second.hypothesis == ("no", "dog", "'s", "running")
    # Quotation marks are words, not quoting.
    assert corpus.validation[0].premise == ("the", '"', "cat", '"', "sits")
    assert corpus.tests["test"][0].links is None
    assert "words are lower-cased" in corpus.notes
    assert problems("sick", tmp_path) == []


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("5\ta\tb\tMAYBE\t1\tTRAIN", "6: unknown label 'MAYBE'; known: entailment, neutral"),
        ("5\ta\tb\tNEUTRAL\t1\tDEV", "6: unknown SemEval_set 'DEV'; known: TRAIN, TRIAL, TEST"),
        ("5\ta\tb\tNEUTRAL", "6: 4 fields where the header has 6"),
        ("5\t \tb\tNEUTRAL\t1\tTRAIN", "6: column 'sentence_A' is empty; remove the line"),
    ],
)
def test_sick_errors_name_the_line(tmp_path: Path, row: str, message: str) -> None:
    path = write_sick(tmp_path, [*SICK_ROWS, row])
    with pytest.raises(UsageError) as error:
        load("sick", tmp_path)
    assert str(error.value).startswith(f"{path}:{message}")
    assert problems("sick", tmp_path) == [str(error.value)]


def test_sick_without_a_column_or_a_part_is_refused(tmp_path: Path) -> None:
    header = SICK_HEADER.replace("entailment_label", "label")
    write_sick(tmp_path / "column", header=header)
    with pytest.raises(UsageError, match="no column 'entailment_label'; it has pair_ID, sentence"):
        load("sick", tmp_path / "column")
    write_sick(tmp_path / "part", SICK_ROWS[:3])
    with pytest.raises(UsageError, match="no line has SemEval_set TEST"):
        load("sick", tmp_path / "part")


def test_a_check_finds_every_bad_line(tmp_path: Path) -> None:
    bad = [f"{n}\ta\tb\tMAYBE\t1\tTRAIN" for n in range(30)]
    write_sick(tmp_path, [*SICK_ROWS, *bad])
    found = problems("sick", tmp_path)
    assert len(found) == 30
    assert "SICK.txt:6: unknown label" in found[0] and "SICK.txt:25:" in found[19]


def test_missing_roots_and_folders_say_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--data-root: data set 'sick' needs its files"):
        load("sick", None)
    with pytest.raises(UsageError, match=r"'snli' is not there; expected a folder snli_1.0 or"):
        load("snli", tmp_path)
    (tmp_path / "sick").mkdir()
    with pytest.raises(UsageError, match=r"SICK\.txt: no such file; check"):
        load("sick", tmp_path)
    assert "no such file" in problems("sick", tmp_path)[0]


def test_snli_drops_pairs_without_gold_label_and_says_so(tmp_path: Path) -> None:
    rows = [snli_row("entailment", "A man sits.", "A man is"), snli_row("-", "A", "b")]
    for part in ("train", "dev", "test"):
        write_lines(tmp_path / "snli_1.0" / f"snli_1.0_{part}.jsonl", rows)
    corpus = load("snli", tmp_path)
    assert [len(pairs) for pairs in corpus.splits.values()] == [1, 1, 1]
    assert "3 pairs without a gold label ('-') dropped" in corpus.notes
    assert corpus.tests["test"][0].id == "test-1"


def write_mini(root: Path) -> None:
    train = [snli_row("neutral", f"Premise {n // 3}", f"Hypothesis {n}") for n in range(60)]
    write_lines(root / "snli_mini" / "snli_1.0_train.jsonl", train)
    dev = [snli_row("contradiction", "x y", "z")]
    write_lines(root / "snli_mini" / "snli_1.0_dev.jsonl", dev)


@pytest.mark.parametrize("name", ["snli", "snli_mini"])
def test_the_mini_edition_tests_on_its_dev_set(tmp_path: Path, name: str) -> None:
    write_mini(tmp_path)
    corpus = load(name, tmp_path)
    assert [len(pairs) for pairs in corpus.splits.values()] == [54, 6, 1]
    premises = [{pair.premise for pair in part} for part in (corpus.train, corpus.validation)]
    assert not premises[0] & premises[1]
    assert any(
        note.startswith("mini edition: its dev set is the test set") for note in corpus.notes
    )


def test_the_full_edition_is_preferred_and_can_be_asked_for(tmp_path: Path) -> None:
    write_mini(tmp_path)
    with pytest.raises(UsageError, match=r"expected a folder snli_1\.0 or snli in it"):
        load("snli", tmp_path, edition="full")
    rows = [snli_row("neutral", "full", "edition")]
    for part in ("train", "dev", "test"):
        write_lines(tmp_path / "snli" / f"snli_1.0_{part}.jsonl", rows)
    assert load("snli", tmp_path).train[0].premise == ("full",)
    assert len(load("snli", tmp_path, edition="mini").train) == 54
    # A full edition with a file missing is not taken for a mini one.
    (tmp_path / "snli" / "snli_1.0_test.jsonl").unlink()
    with pytest.raises(UsageError, match=r"snli_1\.0_test\.jsonl: no such file"):
        load("snli", tmp_path)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"gold_label": "neutral", "sentence1": "a"', r":2: not JSON \(Expecting"),
        (b'["neutral"]', ":2: a JSON list, not an object"),
        (b'{"sentence1": "a", "sentence2": "b"}', ":2: no column 'gold_label'; it has sentence1"),
        (
            b'{"gold_label": "neutral", "sentence1": ["a"], "sentence2": "b"}',
            ":2: column 'sentence1': expected text, got list",
        ),
        (b'{"gold_label": "neutral", "sentence1": "caf\xe9"}', r":2: not UTF-8 \(byte 0xe9"),
    ],
)
def test_bad_json_lines_are_named(tmp_path: Path, line: bytes, message: str) -> None:
    write_mini(tmp_path)
    good = json.dumps(snli_row("neutral", "a", "b")).encode()
    (tmp_path / "snli_mini" / "snli_1.0_dev.jsonl").write_bytes(b"\n".join([good, line, good]))
    with pytest.raises(UsageError, match=rf"snli_1\.0_dev\.jsonl{message}"):
        load("snli_mini", tmp_path)
    assert len(problems("snli_mini", tmp_path)) == 1


def test_empty_files_and_files_without_gold_are_refused(tmp_path: Path) -> None:
    write_mini(tmp_path)
    dev = tmp_path / "snli_mini" / "snli_1.0_dev.jsonl"
    dev.write_text("\n\n")
    with pytest.raises(UsageError, match=r"dev\.jsonl: the file is empty"):
        load("snli_mini", tmp_path)
    write_lines(dev, [snli_row("-", "a", "b")])
    with pytest.raises(UsageError, match=r"dev\.jsonl: no pair with a gold label can be used"):
        load("snli_mini", tmp_path)


def test_any_tsv_with_named_columns(tmp_path: Path) -> None:
    rows = [f"text {n}\tclaim\t{n % 3}" for n in range(20)]
    (tmp_path / "a.tsv").write_text("\n".join(["\ufeffp\th\ty", *rows]), "utf-8")
    options = {
        "train_file": "a.tsv", "test_file": "a.tsv", "premise": "p", "hypothesis": "h",
        "label": "y", "labels": "0, 1, 2",
    }  # fmt: skip
    corpus = load("tabular", tmp_path, **options)
    assert [len(pairs) for pairs in corpus.splits.values()] == [18, 2, 20]
    assert [pair.label for pair in corpus.train[:3]] == ["entailment", "neutral", "contradiction"]
    assert "2 training pairs serve as validation data" in corpus.notes
    given = load("tabular", tmp_path, validation_file="a.tsv", **options)
    assert [len(pairs) for pairs in given.splits.values()] == [20, 20, 20]


def test_json_lines_are_told_by_their_ending(tmp_path: Path) -> None:
    rows = [{"premise": f"p {n}", "hypothesis": "h", "label": "Neutral"} for n in range(4)]
    write_lines(tmp_path / "all.jsonl", rows)
    corpus = load("tabular", tmp_path, train_file="all.jsonl", test_file="all.jsonl")
    assert [len(pairs) for pairs in corpus.splits.values()] == [3, 1, 4]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"labels": "yes,no"}, "labels='yes,no' does not name three different values"),
        ({"labels": "a,b,b"}, "labels='a,b,b' does not name three different values"),
        ({"premise": "text"}, r"train\.tsv:1: no column 'text'; it has premise, hypothesis, label"),
        (
            {"labels": "a,b,c"},
            r"train\.tsv:2: 3 problems.*: unknown label 'neutral'; known: a, b",
        ),
        ({"test_file": "none.tsv"}, r"none\.tsv: no such file"),
        ({"train_file": "one.tsv"}, r"one\.tsv: needs two different premises"),
    ],
)
def test_tabular_errors(tmp_path: Path, options: dict[str, str], message: str) -> None:
    header = "premise\thypothesis\tlabel\n"
    for name in ("train.tsv", "test.tsv"):
        (tmp_path / name).write_text(header + "a\tb\tneutral\nc\td\tneutral\n")
    (tmp_path / "one.tsv").write_text(header + "a\tb\tneutral\n")
    with pytest.raises(UsageError, match=message):
        load("tabular", tmp_path, **options)
    assert problems("tabular", tmp_path, **options)


def test_a_table_without_rows_or_root_is_refused(tmp_path: Path) -> None:
    (tmp_path / "train.tsv").write_text("premise\thypothesis\tlabel\n")
    with pytest.raises(UsageError, match=r"train\.tsv: the file is empty"):
        load("tabular", tmp_path)
    with pytest.raises(UsageError, match="--data-root"):
        load("tabular", None)
