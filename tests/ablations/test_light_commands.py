"""Commands that only look things up do not wait for what trains and scores."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ablations.cli.list import KINDS

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
    monkeypatch.setattr("ablations.cli.list._members", None)  # not a source in sight
    monkeypatch.setattr("importlib.metadata.entry_points", lambda **group: ["a plugin"])
    assert rows and rows == KINDS[kind]()


@pytest.mark.parametrize("arguments", [["list"], ["check", "sick"]])
def test_data_sets_are_looked_up_without_torch(arguments: list[str], tmp_path: Path) -> None:
    _, slow = slow_modules_after("data", *arguments, cwd=tmp_path, status=None)
    assert slow == []


def test_the_doctor_imports_torch_alone(tmp_path: Path) -> None:
    printed, slow = slow_modules_after("doctor", cwd=tmp_path, status=None)
    assert "libraries: " in printed
    assert slow == ["torch"], "it says which GPUs there are"


def test_a_dry_run_needs_the_mechanisms_and_no_task_module(tmp_path: Path) -> None:
    printed, slow = slow_modules_after("sweep", "overview", "--dry-run", cwd=tmp_path)
    assert "cells, " in printed.splitlines()[-1]
    assert slow == ["torch"], "mechanisms are torch modules; nothing else is looked at"
