"""The rules of the house that a machine can check: imports point down, files stay readable."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
#: Lowest first; a folder imports itself and those before it.
FLOORS = ("bench", "tasks", "ablations", "reports")
#: `attnbench` names its commands as strings; nothing else may know what lies above it.
LONGEST = 350


def modules(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module


@pytest.mark.parametrize("folder", FLOORS)
def test_imports_point_down(folder: str) -> None:
    above = set(FLOORS[FLOORS.index(folder) + 1 :])
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in modules(folder)
        for name in imported(path)
        if name.split(".")[0] in above
    ]
    assert not wrong


def test_tasks_do_not_know_each_other() -> None:
    names = {path.parent.name for path in (ROOT / "tasks").glob("*/task.py")}
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for task in names
        for path in modules(f"tasks/{task}")
        for name in imported(path)
        if name.startswith("tasks.") and name.split(".")[1] in names - {task}
    ]
    assert not wrong


@pytest.mark.parametrize("folder", [*FLOORS, "tests"])
def test_files_can_be_read_at_one_sitting(folder: str) -> None:
    lengths = {path: len(path.read_text("utf-8").splitlines()) for path in modules(folder)}
    long = {str(path.relative_to(ROOT)): n for path, n in lengths.items() if n > LONGEST}
    assert not long


def test_tracked_files_name_no_host_of_a_registry_and_no_path_of_a_machine() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout")
    forbidden = ["py" + "pi.org", "python" + "hosted.org", "registry.npm" + "js.org", "/ro" + "ot/"]
    command = ["git", "grep", "-nIF", *(part for text in forbidden for part in ("-e", text))]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.stdout == ""
    tracked = subprocess.run(
        ["git", "ls-files", "uv.lock"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert tracked.stdout == "", "commit requirements.lock instead"
