"""Line-parallel files: line n of one translates line n of the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import overload

import numpy as np

from bench.errors import UsageError
from tasks.data.lines import TextLines
from tasks.translation.corpus import Links, Pair


@dataclass(frozen=True, eq=False)
class LinePairs(Sequence[Pair]):
    """Pairs read from two mapped files as they are asked for.

    Attributes:
        name: of the split; pairs are called `<name>-<line number>`, counted from 1.
        rows: lines (from 0) that belong to this split.
        links: by line.
    """

    name: str
    source: TextLines
    target: TextLines
    rows: np.ndarray
    links: Mapping[int, Links] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, index: int) -> Pair: ...
    @overload
    def __getitem__(self, index: slice) -> LinePairs: ...
    def __getitem__(self, index: int | slice) -> Pair | LinePairs:
        if isinstance(index, slice):
            return self.select(self.rows[index])
        row = int(self.rows[index])
        return self._pair(row, self.source[row], self.target[row])

    def __iter__(self) -> Iterator[Pair]:
        chosen = np.zeros(len(self.source), dtype=bool)
        chosen[self.rows] = True
        lines = zip(chosen, self.source, self.target, strict=True)
        if np.all(np.diff(self.rows) > 0):  # in the files' order: one pass over each
            last = int(self.rows[-1]) + 1 if len(self.rows) else 0
            return (
                self._pair(row, source, target)
                for row, (wanted, source, target) in enumerate(islice(lines, last))
                if wanted
            )
        return (self[place] for place in range(len(self)))

    def select(self, rows: np.ndarray, *, name: str | None = None) -> LinePairs:
        """Other lines of the same files."""
        return replace(self, rows=rows, name=name or self.name)

    def _pair(self, row: int, source: str, target: str) -> Pair:
        return Pair(f"{self.name}-{row + 1}", source, target, self.links.get(row))


def read_pairs(source: Path, target: Path, name: str) -> LinePairs:
    """The pairs of two files; lines that are blank in both are left out.

    Raises:
        UsageError: the first of `problems`.
    """
    for problem in problems(source, target):
        raise problem
    pairs = LinePairs(name, TextLines(source), TextLines(target), np.zeros(0, np.int64))
    filled = np.fromiter((bool(line.strip()) for line in pairs.source), bool)
    if not filled.any():
        raise UsageError("every line is blank", where=str(source))
    return pairs.select(np.flatnonzero(filled))


def problems(source: Path, target: Path) -> Iterator[UsageError]:
    """All that keeps two files from being used, each saying where and what would do."""
    readable: list[TextLines] = []
    for path in (source, target):
        try:
            lines = TextLines(path)
            lines.check()
            readable.append(lines)
        except UsageError as error:
            yield error
    if len(readable) == 2:
        yield from _mismatches(*readable)


def _mismatches(source: TextLines, target: TextLines) -> Iterator[UsageError]:
    if len(source) != len(target):
        yield UsageError(
            f"{len(source)} lines, but {target.path.name} has {len(target)}",
            where=str(source.path),
            remedy="line n of one file must translate line n of the other",
        )
        return
    for number, (left, right) in enumerate(zip(source, target, strict=True), start=1):
        if bool(left.strip()) == bool(right.strip()):
            continue
        blank, other = (target, source) if left.strip() else (source, target)
        yield UsageError(
            f"the line is blank, but has a counterpart in {other.path.name}",
            where=f"{blank.path}:{number}",
            remedy="fill it, or remove the line from both files",
        )
