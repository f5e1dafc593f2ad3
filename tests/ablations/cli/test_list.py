"""Commands that only look things up do not wait for what trains and scores."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ablations import study as study_files
from ablations.cli.list import KINDS, table
from bench.attention import registries
from bench.cli import main as cli


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("tasks", {"translation"}),
        ("attentions", {"none", "soft", "hard", "global", "local-m", "local-p", "self",
                        "hierarchical", "over", "multi-step"}),
        ("scores", {"dot", "scaled-dot", "general", "concat", "location-aware"}),
        ("normalisers", {"softmax", "sparsemax", "entmax", "smooth"}),
        ("datasets", {"synthetic", "multi30k", "parallel"}),
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
    assert rows["overview"] == "The classical attentions and scores, on every task"


def test_tables_are_aligned() -> None:
    rows = [
        {"name": "a", "yes": True, "what": "long text"},
        {"name": "bcd", "yes": None, "what": ""},
    ]
    assert table(rows) == "name  yes  what\na     yes  long text\nbcd\n"
    assert table([]) == "none\n"


LABELS = ("entailment", "neutral", "contradiction")
SLOW = ("pytorch_lightning", "torchaudio", "ray", "wandb", "matplotlib", "sacrebleu", "pyarrow")


def slow_modules_after(
    *arguments: str, cwd: Path, status: str | None = "0"
) -> tuple[str, list[str]]:
    """What a command prints, and which slow modules it has imported by then."""
    code = (
        "import sys; from bench.cli.main import main; status = main(sys.argv[1:]); "
        f"print('@', status, *[name for name in {('torch', *SLOW)!r} if name in sys.modules])"
    )
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=cwd)
    printed, _, tail = done.stdout.rpartition("@ ")
    found, *slow = tail.split()
    assert status is None or found == status, done.stderr
    return printed, slow


@pytest.mark.parametrize("kind", KINDS)
def test_lists_do_without_torch(kind: str, tmp_path: Path) -> None:
    printed, slow = slow_modules_after("list", kind, cwd=tmp_path)
    assert printed.count("\n") > 2
    assert slow == []


@pytest.mark.parametrize("kind", ["attentions", "scores", "normalisers"])
def test_what_is_read_from_the_source_is_what_the_classes_say(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = KINDS[kind]()
    getattr(registries, kind).names()  # loads its members, with no plugin yet
    monkeypatch.setattr("ablations.cli.list._members", None)  # not a source in sight
    monkeypatch.setattr("importlib.metadata.entry_points", lambda **group: ["a plugin"])
    assert rows and rows == KINDS[kind]()


@pytest.mark.parametrize("arguments", [["list"], ["check", "sick"]])
def test_data_sets_are_looked_up_without_torch(arguments: list[str], tmp_path: Path) -> None:
    _, slow = slow_modules_after("data", *arguments, cwd=tmp_path, status=None)
    assert slow == []


@pytest.mark.parametrize("name", ["parallel", "tabular", "jsonl"])
def test_small_files_are_checked_without_torch(name: str, tmp_path: Path) -> None:
    for split in ("train", "valid", "test"):
        for side in ("src", "tgt"):
            (tmp_path / f"{split}.{side}").write_text("".join(f"word {n}\n" for n in range(20)))
        rows = [f"{n} men walk\tmen {n}\t{label}\n" for n in range(20) for label in LABELS]
        (tmp_path / f"{split}.tsv").write_text("premise\thypothesis\tlabel\n" + "".join(rows))
        documents = [{"document": f"text {n} of news", "summary": f"news {n}"} for n in range(20)]
        lines = "".join(json.dumps(document) + "\n" for document in documents)
        (tmp_path / f"{split}.jsonl").write_text(lines)
    printed, slow = slow_modules_after("data", "check", name, ".", cwd=tmp_path)
    assert f"/{name}: can be used (train " in printed
    assert slow == []


def test_the_doctor_imports_torch_alone(tmp_path: Path) -> None:
    printed, slow = slow_modules_after("doctor", cwd=tmp_path, status=None)
    assert "libraries: " in printed
    assert slow == ["torch"], "it says which GPUs there are"


def test_a_dry_run_needs_the_mechanisms_and_no_task_module(tmp_path: Path) -> None:
    printed, slow = slow_modules_after("sweep", "overview", "--dry-run", cwd=tmp_path)
    assert "cells, " in printed.splitlines()[-1]
    assert slow == ["torch"], "mechanisms are torch modules; nothing else is looked at"
