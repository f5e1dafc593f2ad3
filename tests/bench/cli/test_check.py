"""`attnbench check package.module:Class`, run as the command line runs it."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.attention.conformance import CHECKS
from bench.cli import check as check_cli
from bench.errors import NotApplicable, UsageError

OURS = "bench.attention.mechanisms.soft:SoftAttention"
THEIRS = """
from bench.attention.attention import ScoredAttention

class Fine(ScoredAttention):
    summary = "ours under another name"

class Leaky(ScoredAttention):
    def forward(self, query, keys, state, *, need_weights=True):
        return self._attend(query, keys, state, None, need_weights)

class Tuple(ScoredAttention):
    def forward(self, query, keys, state, *, need_weights=True):
        return query, None

class Other:
    pass
"""


def check(*words: str) -> int:
    parser = argparse.ArgumentParser()
    check_cli.add_arguments(parser)
    return check_cli.run(parser.parse_args(words))


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module of somebody else's in the current folder; its name."""
    name = f"theirs_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(THEIRS)
    (tmp_path / f"{name}_broken.py").write_text("import no_such_thing_at_all")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return name


def test_one_line_a_check_and_0_where_all_is_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert check(OURS) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(CHECKS)
    for line, name in zip(lines, CHECKS, strict=True):
        assert line.startswith("ok ") and name in line


def test_the_current_folder_is_searched(package: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(f"{package}:Fine", "--score", "general") == 0
    assert "FAILED" not in capsys.readouterr().out


def test_1_where_a_check_failed(package: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(f"{package}:Leaky") == 1
    assert "FAILED  padding gets 0" in capsys.readouterr().out


def test_what_fails_every_check_in_the_same_way_is_told_once(
    package: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check(f"{package}:Tuple") == 1
    first, *others, _ = capsys.readouterr().out.splitlines()  # last, inside real decoders
    assert first.endswith("forward returns tuple; it must return AttentionOutput")
    assert all(line.startswith("FAILED") and line.endswith("  the same") for line in others)


def test_json(package: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(f"{package}:Leaky", "--json") == 1
    findings = json.loads(capsys.readouterr().out)
    assert [finding["name"] for finding in findings] == list(CHECKS)
    assert {finding["passed"] for finding in findings} == {True, False}


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("{}", "; name a class as package.module:Class"),
        ("{}:", "expected package.module:Class"),
        (":Fine", "expected package.module:Class"),
        ("{}:Fine.x", "expected package.module:Class"),
        ("{}_missing:Fine", "cannot import"),
        ("{}_broken:Fine", "No module named 'no_such_thing_at_all'"),
        ("{}:Finer", "has no 'Finer'"),
        ("{}:Other", "is no mechanism; it must be a subclass of"),
        ("bench.attention.base:Attention", "is abstract, and must define forward, prepare"),
    ],
)
def test_what_cannot_be_checked_is_said_in_one_line(
    package: str, target: str, message: str
) -> None:
    with pytest.raises(UsageError) as caught:
        check(target.format(package))
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_scores_that_do_not_fit() -> None:
    with pytest.raises(UsageError, match="unknown score 'concta'"):
        check(OURS, "--score", "concta")
    with pytest.raises(NotApplicable, match="no previous step"):
        check("bench.attention.mechanisms.over:AttentionOverAttention", "--score", "location-aware")


def test_parsing_the_command_imports_no_torch() -> None:
    code = (
        "import argparse, sys; from bench.cli import check;"
        "check.add_arguments(argparse.ArgumentParser()); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
