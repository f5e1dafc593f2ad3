"""docs/data.md says what is true: its files are read as shown, its commands run."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.cli import main as cli
from tasks.base import datasets, tasks
from tasks.data.archives import Distribution
from tasks.data.hub import Card

ROOT = Path(__file__).resolve().parent.parent
SUPPORT = str(ROOT / "tests/support")
if SUPPORT not in sys.path:
    sys.path.insert(0, SUPPORT)

from own_data import write_tone  # noqa: E402 - found by the line above

TEXT = (ROOT / "docs/data.md").read_text("utf-8")
OWN = TEXT.split("## Your own data")[1].split("\n## ")[0]
SECTIONS = {
    match["task"].lower(): match["body"]
    for match in re.finditer(r"### (?P<task>\w+): .*?\n(?P<body>.*?)(?=\n### |\Z)", OWN, re.DOTALL)
}


def write_files(section: str, root: Path) -> None:
    """The files that a section shows, and the pictures and sounds they name."""
    for name, content in re.findall(r"```\w+ (\S+\.\w+)\n(.*?)```", section, re.DOTALL):
        (root / name).write_text(content, "utf-8")
        for place, medium in enumerate(dict.fromkeys(re.findall(r"\S+\.(?:jpg|wav)", content))):
            (root / medium).parent.mkdir(exist_ok=True)
            if medium.endswith("jpg"):
                Image.fromarray(np.full((20, 20, 3), 40 * place, np.uint8)).save(root / medium)
            else:
                write_tone(root / medium, 200.0 + 50 * place)
    if "valid.de" in section:
        for name in ("valid", "test"):
            for ending in ("de", "en"):
                (root / f"{name}.{ending}").write_text((root / f"train.{ending}").read_text())


def test_every_task_has_its_section() -> None:
    assert sorted(SECTIONS) == sorted(tasks.names())


@pytest.mark.parametrize("task", sorted(SECTIONS))
def test_the_files_shown_are_read_and_the_commands_run(
    task: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    root = tmp_path / "data"
    root.mkdir()
    write_files(SECTIONS[task], root)
    [commands] = re.findall(r"```sh\n(.*?)```", SECTIONS[task], re.DOTALL)
    for line in commands.strip().splitlines():
        program, *arguments = shlex.split(line.replace("DIR", str(root)))
        assert program == "attnbench"
        if arguments[0] == "run":
            arguments += ["--budget", "smoke", "--set", "max_steps=2"]
        assert cli.main(arguments) == 0, capsys.readouterr().err
    printed = capsys.readouterr().out
    assert ": can be used (" in printed and f"{task}/" in printed


def test_the_table_of_published_data_is_complete() -> None:
    listed = dict(re.findall(r"^\| `(\w+)` \| (\w+) \|", TEXT, re.MULTILINE))
    known = {
        name: task
        for task in tasks.names()
        for name, kind in datasets(task).items()
        if isinstance(kind.card, Card | Distribution)
    }
    assert listed == known


@pytest.mark.parametrize("option", sorted(set(re.findall(r"--set (\w+)=", OWN))))
def test_options_named_exist(option: str) -> None:
    known = {name for _, kind in _own() for name in kind.Options.model_fields}
    assert option in known


def _own() -> list[tuple[str, type]]:
    names = ("parallel", "folder", "tabular", "manifest", "jsonl")
    return [
        (name, kind)
        for task in tasks.names()
        for name, kind in datasets(task).items()
        if name in names
    ]
