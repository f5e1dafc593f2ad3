"""The mini edition of SNLI, made of its dev set."""

from __future__ import annotations

from typing import Any

from tasks.base import DatasetOptions, datasets
from tasks.entailment.datasets.snli import MINI, Snli


@datasets("entailment").register("snli_mini")
class SnliMini(Snli):
    """SNLI's dev set cut into 8,848 training and 994 test pairs, no premise in both."""

    name = "snli_mini"
    summary = "SNLI's dev set alone, cut into training and test pairs"
    card = None  # made of SNLI's dev set, distributed by nobody
    places = MINI
    Options = DatasetOptions

    @classmethod
    def folders(cls, options: Any) -> tuple[str, ...]:
        return MINI
