"""docs/your-attention.md is true: its package is written down, installed, checked, run, swept,
submitted, verified and ranked, line by line."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
SUPPORT = ROOT / "tests/support"
if str(SUPPORT) not in sys.path:
    sys.path.insert(0, str(SUPPORT))

from doc_blocks import blocks, command_lines, write_files  # noqa: E402 - found by the line above

TEXT = (ROOT / "docs/your-attention.md").read_text("utf-8")


def install(package: Path, site: Path) -> None:
    """What `pip install --editable` leaves behind: the module and its entry points."""
    project = tomllib.loads((package / "pyproject.toml").read_text())["project"]
    modules = sorted(package.glob("*.py"))
    for module in modules:
        (site / module.name).write_text(module.read_text())
    info = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    (info / "top_level.txt").write_text("".join(f"{module.stem}\n" for module in modules))
    points = [
        f"[{group}]\n" + "".join(f"{name} = {target}\n" for name, target in members.items())
        for group, members in project["entry-points"].items()
    ]
    (info / "entry_points.txt").write_text("\n".join(points))


def run(calls: list[list[str]], package: Path, site: Path) -> list[dict[str, Any]]:
    """Runs the commands in one process: each would spend most of its time on imports."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(site), str(SUPPORT), str(ROOT)]),
        "XDG_CACHE_HOME": str(package.parent / "cache"),
        "WANDB_MODE": "disabled",
        "OMP_NUM_THREADS": "1",
        "RAY_worker_niceness": "0",  # Ray's 15 starves its workers beside other tests
    }
    given = [
        # The page's own sweep takes minutes; one worker imports once.
        [*arguments, "--budget", "smoke", "--cpus-per-trial", str(os.cpu_count() or 1)]
        if arguments[0] == "sweep"
        else arguments
        for arguments in calls
    ]
    done = subprocess.run(
        [sys.executable, str(SUPPORT / "run_lines.py")],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        cwd=package,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    report: list[dict[str, Any]] = json.loads(done.stdout[done.stdout.index('[{"arguments"') :])
    return report


@pytest.mark.timeout(1200)
def test_the_page_from_its_first_line_to_its_last(tmp_path: Path) -> None:
    package, site = tmp_path / "package", tmp_path / "site"
    package.mkdir()
    site.mkdir()
    names = [path.name for path in write_files(TEXT, package)]
    modules = ["sharp_attention.py", "covering_attention.py", "nearby_attention.py"]
    assert names == [*modules, "pyproject.toml", "sharp.yaml"]
    shown = [block for block in blocks(TEXT) if block.language == "sh"]
    lines = [shlex.split(line) for block in shown for line in command_lines(block.body)]
    assert " ".join(lines.pop(0)) == "pip install --editable ."
    install(package, site)
    assert {program for program, *_ in lines} == {"attnbench"}
    report = run([arguments for _, *arguments in lines], package, site)
    print([(" ".join(one["arguments"][:2]), one["seconds"]) for one in report])  # with -s
    said = {" ".join(one["arguments"][:2]): one["said"] for one in report}
    for one in report:
        # Run with the smoke budget, the first bundle breaks one rule of those that count.
        expected = 1 if one["arguments"][1:] == ["verify", "sharp.zip"] else 0
        assert one["status"] == expected, (one["arguments"], one["said"][-2000:])
    assert "every query chooses how sharply it looks" in said["list attentions"]
    checks = [one for one in said if one.startswith("check ")]
    assert len(checks) == 4 and not any("FAILED" in said[one] for one in checks)
    first = next(one["said"] for one in report if one["arguments"][1:] == ["verify", "sharp.zip"])
    problems = first.splitlines()[:-1]
    assert problems and all("the budget smoke is none of laptop, gpu" in one for one in problems)
    assert ": verified, 1 trial, class same" in said["leaderboard verify"]
    board = (package / "board" / "board.md").read_text("utf-8")
    assert "sharp + general | Sharp, tiny" in board
