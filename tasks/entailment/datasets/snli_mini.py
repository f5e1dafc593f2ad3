"""The mini edition of SNLI, made of its dev set."""

from __future__ import annotations

from typing import Any, ClassVar

from tasks.base import DatasetOptions, datasets
from tasks.data.archives import Distribution
from tasks.entailment.datasets.snli import MINI, Snli


@datasets("entailment").register("snli_mini")
class SnliMini(Snli):
    """SNLI's dev set cut into 8,848 training and 994 test pairs, no premise in both."""

    name: ClassVar[str] = "snli_mini"
    summary: ClassVar[str] = "SNLI's dev set alone, cut into training and test pairs"
    card: ClassVar[Distribution | None] = None  # made of SNLI's dev set, distributed by nobody
    places: ClassVar[tuple[str, ...]] = MINI
    Options: ClassVar[type[DatasetOptions]] = DatasetOptions

    @classmethod
    def folders(cls, options: Any) -> tuple[str, ...]:
        return MINI
