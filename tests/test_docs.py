"""Pages say what is true: links lead somewhere, commands are what the command line takes, tables
list what is registered, what is shown as `sh` runs (the longer pages have tests of their own)."""

from __future__ import annotations

import argparse
import importlib
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from bench.attention.base import Normaliser
from bench.attention.registries import NO_SCORE, attentions, normalisers, scores
from bench.cli.main import COMMANDS, Parser, main
from reports.load import slug
from tasks.base import datasets, tasks
from tasks.captioning.encoders import picture_encoders
from tasks.data.hub import Card
from tasks.settings import BUDGETS

ROOT = Path(__file__).resolve().parent.parent
SUPPORT = str(ROOT / "tests/support")
if SUPPORT not in sys.path:
    sys.path.insert(0, SUPPORT)

from doc_blocks import (  # noqa: E402 - found by the line above
    attnbench_calls,
    blocks,
    command_lines,
    without_blocks,
    write_files,
)

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
#: Pages whose commands are run by tests of their own.
RUN_ELSEWHERE = {"data.md", "your-attention.md"}
PICTURE_BYTES = 300_000


def text(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def anchors(page: Path) -> set[str]:
    """Anchors of a page's headings, as GitHub and MyST make them."""
    headings = re.findall(r"^#+ (.+)$", without_blocks(page.read_text("utf-8")), re.MULTILINE)
    return {slug(re.sub(r"[^\w\s-]", "", heading)) for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", without_blocks(page.read_text("utf-8"))):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        found = (page.parent / name) if name else page
        assert found.exists(), f"{page.name} links to {target}"
        assert not anchor or anchor in anchors(found), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_are_named_exist(page: Path) -> None:
    """Paths of this repository between backticks; a word in capitals stands for any name."""
    for name in re.findall(
        r"`((?:bench|tasks|ablations|reports|tests|docs)/[\w./-]*)`", text_of(page)
    ):
        pattern = re.sub(r"\b[A-Z]+\b", "*", name)
        assert any(ROOT.glob(pattern)), f"{page.name} names {name}"
    for name in re.findall(r"`((?:bench|tasks|ablations|reports)(?:\.\w+)+)`", text_of(page)):
        assert resolves(name), f"{page.name} names {name}"


def text_of(page: Path) -> str:
    return without_blocks(page.read_text("utf-8"))


def resolves(name: str) -> bool:
    """Whether a dotted name is a module, or something in one."""
    try:
        importlib.import_module(name)
        return True
    except ModuleNotFoundError:
        module, _, member = name.rpartition(".")
        return hasattr(importlib.import_module(module), member)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_are_what_the_command_line_takes(page: Path) -> None:
    for arguments in attnbench_calls(page.read_text("utf-8")):
        name, *rest = arguments
        if name.startswith("-") or any("{" in word for word in rest):
            continue
        assert name in COMMANDS, f"{page.name}: attnbench {name}"
        words = [word.strip("[]") for word in rest if word.strip("[].")]
        # N stands for a number, as do other single capitals.
        words = ["1" if re.fullmatch("[A-Z]", word) else word for word in words]
        parser = Parser(prog=name, allow_abbrev=False)
        importlib.import_module(COMMANDS[name].module).add_arguments(parser)
        try:
            parser.parse_args(words)
        except (ValueError, argparse.ArgumentError) as error:
            # A sentence may name a command without saying what with.
            if "arguments are required" not in str(error):
                pytest.fail(f"{page.name}: attnbench {' '.join(arguments)}: {error}")


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page.name not in RUN_ELSEWHERE], ids=lambda page: page.name
)
def test_what_is_shown_as_shell_runs(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    content = page.read_text("utf-8")
    write_files(content, tmp_path)
    for block in blocks(content):
        if block.language != "sh":
            continue
        for line in command_lines(block.body):
            program, *arguments = shlex.split(line)
            assert program == "attnbench", f"{page.name}:{block.line}: {line}"
            assert main(arguments) == 0, (line, capsys.readouterr().err)


def rows(page: str, heading: str) -> dict[str, list[str]]:
    """The table under a heading: the other columns by the first one, without backticks."""
    part = re.split(rf"^## {heading}$", text(page), flags=re.MULTILINE)[1].split("\n## ")[0]
    lines = re.findall(r"^\| `([^`]+)` \|(.*)\|$", part, re.MULTILINE)
    return {name: [cell.strip() for cell in rest.split(" | ")] for name, rest in lines}


def test_every_attention_is_explained() -> None:
    shown = rows("docs/mechanisms.md", "Attentions")
    own = {name: kind for name, kind in attentions.items() if is_ours(kind)}
    assert set(shown) == set(own)
    for name, (formula, score, citation, advice) in shown.items():
        kind = own[name]
        expected = "none" if kind.classic_score == NO_SCORE else f"`{kind.classic_score}`"
        assert (score, citation) == (expected, kind.citation), name
        assert formula and advice


def test_every_score_is_explained() -> None:
    shown = rows("docs/mechanisms.md", "Scores")
    own = {name: kind for name, kind in scores.items() if is_ours(kind)}
    assert set(shown) == set(own)
    for name, (formula, citation, advice) in shown.items():
        assert (formula, citation) == (f"`{own[name].formula}`", own[name].citation)
        assert advice


def test_every_normaliser_is_explained() -> None:
    shown = rows("docs/mechanisms.md", "Normalisers")
    own = {name: one for name, one in normalisers.items() if is_ours(type(one))}
    assert set(shown) == set(own)
    for name, (formula, citation, advice) in shown.items():
        assert citation == own[name].citation and formula and advice


def is_ours(kind: type) -> bool:
    return kind.__module__.partition(".")[0] in ("bench", "tasks")


def test_every_task_data_set_and_budget_is_named() -> None:
    page = text("docs/tasks.md")
    head = dict(re.findall(r"^\| `(\w+)` \| [^|]+ \| `(\w+)`", page, re.MULTILINE))
    assert head == {name: tasks.get(name).headline for name in tasks.names()}
    listed = {
        task: sorted(re.findall(r"`(\w+)`", names))
        for task, names in re.findall(r"^\| (\w+) \| (`synthetic`.*) \|$", page, re.MULTILINE)
    }
    assert listed == {
        task: sorted(name for name, kind in datasets(task).items() if is_ours(kind))
        for task in tasks.names()
    }
    budgets = page.split("## Budgets")[1]
    assert set(re.findall(r"^\| `(\w+)` \|", budgets, re.MULTILINE)) == set(BUDGETS)


def test_entry_points_named_are_those_that_are_read() -> None:
    shown = set(re.findall(r"`(attnbench\.[\w.]+(?:<task>)?)`", text("docs/adding.md")))
    registries = (attentions, scores, normalisers, tasks, picture_encoders)
    assert shown == {one.group for one in registries} | {"attnbench.datasets.<task>"}


def test_the_score_and_the_normaliser_shown_conform(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_files(text("docs/adding.md"), tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    own = importlib.import_module("scaled_keys").Diagonal
    squares = importlib.import_module("half_square").squares
    monkeypatch.setitem(scores._things, "diagonal", own)
    name = "bench.attention.mechanisms.global_:GlobalAttention"
    assert main(["check", name, "--score", "diagonal"]) == 0
    assert isinstance(squares, Normaliser)
    mask = torch.tensor([True, True, False])
    weights = squares(torch.tensor([[0.0, 1.0, float("nan")]]), mask)
    expected = torch.softmax(torch.tensor([0.0, 1.0]), 0) ** 2
    assert torch.allclose(weights[0, :2], expected / expected.sum()) and weights[0, 2] == 0


def test_pictures_are_small_and_shown() -> None:
    pages = "".join(page.read_text("utf-8") for page in PAGES)
    for picture in (ROOT / "docs/images").glob("*"):
        assert picture.stat().st_size < PICTURE_BYTES, picture.name
        assert picture.name in pages, f"nobody shows {picture.name}"


def test_the_site_is_built_and_its_links_lead_somewhere(tmp_path: Path) -> None:
    pytest.importorskip("sphinx", reason="the documentation's tools are not installed")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html"]
    done = subprocess.run(
        [*command, "-d", str(tmp_path / "work"), str(ROOT / "docs"), str(tmp_path / "site")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    built = sorted(path.stem for path in (tmp_path / "site").glob("*.html"))
    pages = {page.stem for page in PAGES if page.parent.name == "docs"}
    assert pages - {"results_notes"} <= set(built)  # a part of results.md
    for page in (tmp_path / "site").glob("*.html"):
        content = page.read_text("utf-8")
        for target in re.findall(r'(?:href|src)="([^"]+)"', content):
            name, _, anchor = target.partition("#")
            if re.match(r"[a-z]+:", target) or target == "#":
                continue
            found = page.parent / name.partition("?")[0] if name else page
            assert found.exists(), f"{page.name} links to {target}"
            if anchor and found.suffix == ".html":
                assert f'id="{anchor}"' in found.read_text("utf-8"), f"{page.name}: {target}"


def test_data_sets_that_exchange_tells_apart_are_named() -> None:
    page = " ".join(text("docs/exchange.md").split())
    ours = [kind for task in tasks.names() for _, kind in datasets(task).items() if is_ours(kind)]
    named = {
        what: set(re.findall(r"`(\w+)`", re.search(rf"{what} \((`[^)]*)\)", page)[1]))
        for what in ("lets anybody pass them on", "is one of the hub")
    }
    assert named["lets anybody pass them on"] == {one.name for one in ours if one.redistributable}
    assert named["is one of the hub"] == {one.name for one in ours if isinstance(one.card, Card)}
