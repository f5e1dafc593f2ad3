"""Intervals of ranks: between which places of a table a mechanism may stand.

A rank says nothing of how sure it is. Mogstad, Romano, Shaikh and Wilhelm (2023, "Inference for
ranks") take it from the tests of all pairs: whoever is surely better than j stands before it,
whoever is surely worse after it, and every other place is possible. As the tests hold for all pairs
at once (Holm), the intervals hold all true ranks of a setting at once in 95 of 100 reports.
Mechanisms that are truly equal share the places that they take up."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd

from reports.statistics.significance import LEVEL


def ranks(pairs: pd.DataFrame) -> pd.DataFrame:
    """Return the intervals of ranks, best rank first.

    Args:
        pairs: what `reports.statistics.pairs.pairs` returns; `first` is the better figure.

    Returns one row a mechanism of a setting:

        setting, contender
        rank        by its figure, 1 is the best; equal figures share the mean
        low, high   interval of its true rank, simultaneous over the setting
        over_seeds  whether it holds for other seeds; without, only for other examples
    """
    parts = []
    for setting, own in pairs.groupby("setting", sort=False):
        codes, names = pd.factorize(np.concatenate([own["first"], own["second"]]))
        sure, equal = (own["p_holm"] < 1 - LEVEL).to_numpy(), (own["difference"] == 0).to_numpy()
        lone = ~own["over_seeds"].to_numpy(bool)
        # How often each is the better or the worse one of some pairs.
        better, worse = (partial(_counts, side, len(names)) for side in codes.reshape(2, -1))

        columns = {
            "contender": names,
            "rank": 1 + worse(~equal) + (better(equal) + worse(equal)) / 2,
            "low": 1 + worse(sure),
            "high": len(names) - better(sure),
            "over_seeds": better(lone) + worse(lone) == 0,
        }
        parts.append(pd.DataFrame({"setting": setting, **columns}))
    empty = pd.DataFrame(columns=["setting", "contender", "rank", "low", "high", "over_seeds"])
    found = pd.concat(parts) if parts else empty
    return found.sort_values(["setting", "rank"], kind="stable", ignore_index=True)


def _counts(codes: np.ndarray, size: int, chosen: np.ndarray) -> np.ndarray:
    return np.bincount(codes[chosen], minlength=size)
