"""What is wrong with a data set, and where: every line of it where its files are rows."""

from __future__ import annotations

from pathlib import Path

from bench.errors import UsageError
from tasks.base import DatasetOptions, datasets


def check(dataset: str, data_root: Path | None, options: DatasetOptions) -> list[str]:
    """One line per problem; an empty list means that the data can be used.

    Raises UsageError: there is no such data set.
    """
    kind = datasets("summarization").get(dataset)
    try:
        if hasattr(kind, "problems"):
            found: list[str] = kind.problems(options, data_root).lines()
            if found:
                return found
        corpus = kind.load(options, data_root)
        # Texts that stay on disk are cut into words only now.
        for _, documents in corpus.parts():
            for _ in documents:
                pass
    except UsageError as error:
        return [str(error)]
    return []
