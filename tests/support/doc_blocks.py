"""Fenced blocks of Markdown pages, and the commands in them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_FENCE = re.compile(
    r"^(?P<fence>`{3,})(?P<language>\w*) ?(?P<name>[^\n`]*)\n(?P<body>.*?)^(?P=fence)$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, the file name behind it, its text, its first line."""

    language: str
    name: str
    body: str
    line: int


def blocks(text: str) -> list[Block]:
    """All fenced blocks of a page."""
    return [
        Block(
            found["language"],
            found["name"].strip(),
            found["body"],
            text.count("\n", 0, found.start()) + 2,
        )
        for found in _FENCE.finditer(text)
    ]


def without_blocks(text: str) -> str:
    """A page without its fenced blocks and comments."""
    return re.sub(r"<!--.*?-->", "", _FENCE.sub("", text), flags=re.DOTALL)


def command_lines(text: str) -> list[str]:
    """Lines of a block that are commands: joined where they go on, without comments."""
    joined = text.replace("\\\n", " ")
    lines = (line.split(" #", 1)[0].strip() for line in joined.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def attnbench_calls(text: str) -> Iterator[list[str]]:
    """Arguments of every `attnbench ...` in blocks and between backticks."""
    inline = re.findall(r"`((?:attnbench|\.venv/bin/attnbench) [^`]+)`", without_blocks(text))
    fenced = [line for block in blocks(text) for line in command_lines(block.body)]
    inline = [" ".join(line.split()) for line in inline]  # a line may end within backticks
    for line in (*inline, *fenced):
        call = re.split(r"\s{3,}|[|;&>]", line)[0]  # what follows three blanks explains it
        program, _, rest = call.partition(" ")
        if program.rsplit("/", 1)[-1] == "attnbench":
            yield shlex.split(rest)


def write_files(text: str, folder: Path) -> list[Path]:
    """The files that a page shows (blocks with a file name), written into a folder."""
    written = []
    for block in blocks(text):
        if re.fullmatch(r"[\w./-]+\.\w+", block.name):
            path = folder / block.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.body, "utf-8")
            written.append(path)
    return written
