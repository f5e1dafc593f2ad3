"""Documents that cannot be used: one clear line and status 2, whichever command meets them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.cli import main as cli

GOOD = {"document": "norden bought two ships. altara sold one.", "summary": "norden buys ships"}


def lines(*rows: object) -> str:
    """Rows of JSON; a text stands for itself."""
    return "".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows)


#: What is wrong with the training documents, their file, and what is said of it.
BAD = {
    "broken": (lines(GOOD, '{"document": "a b", '), "train.jsonl:2: not JSON"),
    "no column": (lines(GOOD, GOOD, {"document": "a b"}), "train.jsonl:3: no column 'summary'"),
    "no object": (lines(["a", "b"]), "train.jsonl:1: "),
    "no text at all": (
        lines({"document": " ", "summary": ""}),
        "train.jsonl: no document has both source and summary",
    ),
    "nothing": ("", "train.jsonl"),
    "one document": (lines(GOOD), "needs two documents, one to be held out"),
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "test.jsonl").write_text(lines(GOOD, GOOD))
    return tmp_path


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("command", ["check", "run"])
def test_unusable_documents(
    kind: str, command: str, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, said = BAD[kind]
    (root / "train.jsonl").write_text(text)
    where = ["--data-root", str(root)]
    if command == "check":
        status = cli.main(["data", "check", "jsonl", "--task", "summarization", *where])
    else:
        cell = ["--task", "summarization", "--dataset", "jsonl", "--attention", "none"]
        status = cli.main(["run", *cell, "--budget", "smoke", *where])
    found = capsys.readouterr()
    assert status == 2
    assert said in found.out + found.err
    assert found.err.startswith("attnbench: error: ") and found.err.count("\n") == 1
    assert "Traceback" not in found.err


def test_empty_documents_among_good_ones_are_said_to_be_left_out(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "train.jsonl").write_text(lines(GOOD, {"document": "", "summary": "a"}, GOOD))
    command = ["data", "check", "jsonl", "--task", "summarization", "--data-root", str(root)]
    assert cli.main(command) == 0
    said = capsys.readouterr().out
    assert "1 documents without source or summary left out" in said
    assert "train.jsonl, number 2" in said
