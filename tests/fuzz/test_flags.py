"""Every command with flags and values of every kind.

Flags are those of the commands' own parsers: a new one is tried by being there. Commands that would
take long are kept from it: sweeps are dry, trials end at once, and there is no network.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fuzzed_command import ask, examples
from fuzzed_values import ODD_TEXTS, odd_texts
from hypothesis import example, given
from hypothesis import strategies as st

from bench.attention.registries import attentions, scores
from bench.cli.main import COMMANDS
from tasks.base import datasets, tasks

#: What is appended so that nothing is run; `doctor --imports` takes a minute.
ENDS = {"sweep": ["--dry-run"]}
LEFT_OUT = {"--imports", "--help", "--debug"}

Draw = Callable[[st.SearchStrategy[Any]], Any]


@functools.cache
def parser_of(command: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=command)
    importlib.import_module(COMMANDS[command].module).add_arguments(parser)
    return parser


def names() -> dict[str, list[str]]:
    """Names that are known, by what an argument is called."""
    of_tasks = [name for task in tasks.names() for name in datasets(task).names()]
    return {
        "task": list(tasks.names()),
        "attention": list(attentions.names()),
        "score": list(scores.names()),
        "dataset": of_tasks,
        "name": of_tasks,
        "budget": ["smoke", "laptop", "gpu"],
        "study": ["overview", "luong2015"],
        "mechanism": ["bench.attention.mechanisms.soft:Soft", "json:JSONDecoder", "os:path"],
        "settings": [
            "max_steps=2", "normaliser=softmax", "heads=2", "backbone=transformer", "source=de",
            *(f"{name}={value}" for name in ("heads", "max_steps", "learning_rate", "dropout",
              "normaliser", "backbone", "window", "units") for value in ODD_TEXTS[:14]),
        ],
    }  # fmt: skip


#: Places that are there, or are not, or are no place; all below the current folder.
PLACES = (
    "empty", "file", "pipe", "missing", "missing/deeper", "file/below", "itself", "empty/..", "",
    ".", "x" * 300, "a\0b", "nosuch://bucket/x", "memory://x", "~nobody/x", "file.yaml",
    "file.zip", "é\udcff",
)  # fmt: skip
NUMBERS = ("0", "1", "2", "3", "-1", "10**3", "1e3", "99999999999999999999", "nan", "inf", "0.5")


@st.composite
def values(draw: Draw, action: argparse.Action) -> str:
    """A value of an argument: mostly one that its parser takes."""
    known = names().get(action.dest, [])
    likely = list(action.choices) if action.choices else known
    if action.type in (int, float):
        likely = list(NUMBERS)
    pools = [st.sampled_from(likely)] * 4 if likely else [st.sampled_from(PLACES)] * 4
    return str(draw(st.one_of(*pools, st.sampled_from(PLACES), odd_texts)))


@st.composite
def command_lines(draw: Draw, command: str) -> list[str]:
    return [command, *draw(_arguments(parser_of(command))), *ENDS.get(command, [])]


@st.composite
def _arguments(draw: Draw, parser: argparse.ArgumentParser) -> list[str]:
    flags: list[str] = []
    rest: list[str] = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            name = draw(st.sampled_from(sorted(action.choices)))
            rest += [name, *draw(_arguments(action.choices[name]))]
        elif not LEFT_OUT & set(action.option_strings):
            wanted = action.required or not action.option_strings
            if draw(st.integers(0, 9)) >= (1 if wanted else 8):
                words = draw(_words(action))
                (flags if action.option_strings else rest).extend(words)
    return [*flags, *rest] if draw(st.booleans()) else [*rest, *flags]


@st.composite
def _words(draw: Draw, action: argparse.Action) -> list[str]:
    """An option with its values; now and then too many or too few of them."""
    count = {"None": 1, "?": 1, "*": 1, "+": 2}.get(str(action.nargs), 0)
    count = max(0, count + draw(st.sampled_from([0] * 9 + [1, -1])))
    given = [draw(values(action)) for _ in range(count)]
    if not action.option_strings:
        return given
    if count == 1 and draw(st.booleans()):
        return [f"{action.option_strings[-1]}={given[0]}"]
    return [action.option_strings[-1], *given]


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A current folder with what `PLACES` names."""
    folder = tmp_path_factory.mktemp("places")
    (folder / "empty").mkdir()
    for name in ("file", "file.yaml", "file.zip"):
        (folder / name).write_text("x")
    os.mkfifo(folder / "pipe")
    (folder / "itself").symlink_to("itself")
    os.chdir(folder)
    return folder


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_flags(command: str, places: Path, no_training: None) -> None:
    @examples(6)
    @given(command_lines(command))
    def answers(line: list[str]) -> None:
        ask(*line)

    answers()


@examples(10)
@given(st.lists(odd_texts | st.sampled_from([*COMMANDS, "--version"]), max_size=4))
@example([])
@example([""])
@example(["status", "\x1b[2J"])
@example(["leaderboard", "verify", "pipe"])
@example(["leaderboard", "verify", "file", "--rules", "./pipe"])
@example(["leaderboard", "rank", "file", "--reference", "./pipe"])
@example(["sweep", "./pipe", "--dry-run"])
@example(["sweep", "--tune", "9" * 30, "--dry-run"])
def test_any_words(places: Path, no_training: None, words: list[str]) -> None:
    harmless = words[:1] not in (["sweep"], ["doctor"]) or "--dry-run" in words
    if harmless and "--debug" not in words:
        ask(*words)
