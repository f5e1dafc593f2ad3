"""Commands that only look things up do not wait for what trains and scores."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SLOW = ("pytorch_lightning", "torchaudio", "ray", "wandb", "matplotlib", "sacrebleu", "pyarrow")


def slow_modules_after(*arguments: str, cwd: Path) -> tuple[str, list[str]]:
    """What a command prints, and which slow modules it has imported by then."""
    code = (
        "import sys; from bench.cli.main import main; status = main(sys.argv[1:]); "
        f"print('@', status, *[name for name in {('torch', *SLOW)!r} if name in sys.modules])"
    )
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=cwd)
    printed, _, tail = done.stdout.rpartition("@ ")
    status, *slow = tail.split()
    assert status == "0", done.stderr
    return printed, slow


@pytest.mark.parametrize("kind", ["tasks", "datasets", "budgets", "studies"])
def test_lists_that_need_no_model_do_without_torch(kind: str, tmp_path: Path) -> None:
    printed, slow = slow_modules_after("list", kind, cwd=tmp_path)
    assert printed.count("\n") > 2
    assert slow == []


def test_a_dry_run_needs_the_mechanisms_and_no_task_module(tmp_path: Path) -> None:
    printed, slow = slow_modules_after("sweep", "overview", "--dry-run", cwd=tmp_path)
    assert "cells, " in printed.splitlines()[-1]
    assert slow == ["torch"], "mechanisms are torch modules; nothing else is looked at"
