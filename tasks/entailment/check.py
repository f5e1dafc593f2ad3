"""What is wrong with a data set, and where: every line of it, not only the first."""

from __future__ import annotations

from pathlib import Path

from bench.errors import UsageError
from tasks.base import DatasetOptions, datasets
from tasks.data.readers import Gathered


def check(dataset: str, data_root: Path | None, options: DatasetOptions) -> list[str]:
    """One line per problem; an empty list means that the data can be used.

    Raises UsageError: there is no such data set.
    """
    kind = datasets("entailment").get(dataset)
    problems = Gathered()
    try:
        # Data sets made of rows go on after one that cannot be used; others can only be tried.
        if hasattr(kind, "read"):
            kind.read(options, data_root, problems)
        else:
            kind.load(options, data_root)
    except UsageError as error:
        problems(error)
    return problems.lines()
