from __future__ import annotations

import json
from pathlib import Path

import pytest

from ablations import study as study_files
from ablations.cli.list import KINDS, table
from bench.cli import main as cli


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("tasks", {"translation"}),
        ("attentions", {"none", "soft", "hard", "global", "local-m", "local-p", "self",
                        "hierarchical", "over", "multi-step"}),
        ("scores", {"dot", "scaled-dot", "general", "concat", "location-aware"}),
        ("normalisers", {"softmax", "sparsemax", "entmax", "smooth"}),
        ("datasets", {"probe", "multi30k", "parallel"}),
        ("budgets", {"smoke", "laptop", "gpu"}),
        ("studies", {"overview", "full", "bahdanau2015", "luong2015"}),
    ],
)  # fmt: skip
def test_everything_is_listed_for_people_and_programs(
    kind: str, names: set[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["list", kind, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert names <= {row["name"] for row in rows}
    assert all(row.get("summary", row.get("title")) for row in rows), "each says what it is"

    assert cli.main(["list", kind]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + len(rows)
    assert lines[0].split() == list(rows[0])


def test_an_unknown_kind(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["list", "attention"]) == 2
    assert "unknown kind 'attention'; did you mean 'attentions'?" in capsys.readouterr().err
    assert set(KINDS) == {
        "tasks", "attentions", "scores", "normalisers", "datasets", "budgets", "studies"
    }  # fmt: skip


def test_a_study_of_others_that_cannot_be_used_hides_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.yaml").write_text("bloks: []\n")
    ours = study_files.study_files()
    monkeypatch.setattr(study_files, "study_files", lambda: {**ours, "bad": tmp_path / "bad.yaml"})
    assert cli.main(["list", "studies", "--json"]) == 0
    rows = {row["name"]: row["title"] for row in json.loads(capsys.readouterr().out)}
    assert rows["bad"].startswith("not usable: ")
    assert rows["overview"] == "Every attention, every score, every task"


def test_tables_are_aligned() -> None:
    rows = [
        {"name": "a", "yes": True, "what": "long text"},
        {"name": "bcd", "yes": None, "what": ""},
    ]
    assert table(rows) == "name  yes  what\na     yes  long text\nbcd\n"
    assert table([]) == "none\n"
