"""The base of data sets whose pairs are rows of files."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.base import Dataset, DatasetOptions
from tasks.entailment.budgets import sentences_settings
from tasks.entailment.corpus import EntailmentCorpus
from tasks.rows import OnError, fail

if TYPE_CHECKING:
    from bench.attention.base import Placement


class PairsDataset(Dataset):
    """Real sentences, row by row. Subclasses write `read`, which can go on after a bad row."""

    @classmethod
    def settings(cls, budget: str, placement: Placement) -> Mapping[str, Any]:
        return sentences_settings(budget, placement)

    @classmethod
    def load(cls, options: DatasetOptions, data_root: Path | None) -> EntailmentCorpus:
        """All pairs. Raises UsageError naming file and line of the first that cannot be used."""
        return cls.read(options, data_root, fail)

    @classmethod
    @abstractmethod
    def read(
        cls, options: DatasetOptions, data_root: Path | None, on_error: OnError
    ) -> EntailmentCorpus:
        """All pairs that can be used.

        Args:
            on_error: told of those that cannot; they are passed over if it returns.

        Raises UsageError: a file is missing, or holds nothing that can be used.
        """
