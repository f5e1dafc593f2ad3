"""What is wrong with a data set, and where: all of it, not only the first thing."""

from __future__ import annotations

from pathlib import Path

from bench.errors import UsageError
from tasks.base import DatasetOptions, datasets
from tasks.translation.datasets import line_problems


def check(dataset: str, data_root: Path | None, options: DatasetOptions) -> list[str]:
    """One line per problem; an empty list means that the data can be used.

    Raises:
        UsageError: there is no such data set.
    """
    kind = datasets("translation").get(dataset)
    found: list[str] = []
    try:
        # Data sets made of line-parallel files name them; others can only be tried.
        files = kind.files(options, data_root) if hasattr(kind, "files") else {}
        for source, target in files.values():
            found += [str(problem) for problem in line_problems(source, target)]
        if not found:
            kind.load(options, data_root)
    except UsageError as error:
        found.append(str(error))
    return found
