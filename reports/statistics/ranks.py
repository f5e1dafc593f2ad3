"""Intervals of ranks: between which places of a table a mechanism may stand.

A rank says nothing of how sure it is. Mogstad, Romano, Shaikh and Wilhelm (2023, "Inference for
ranks") take it from the tests of all pairs: whoever is surely better than j stands before it,
whoever is surely worse after it, and every other place is possible. As the tests hold for all pairs
at once (Holm), the intervals hold all true ranks of a setting at once in 95 of 100 reports.
Mechanisms that are truly equal share the places that they take up."""

from __future__ import annotations

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
    rows = []
    for setting, own in pairs.groupby("setting", sort=False):
        sure = own["p_holm"] < 1 - LEVEL
        names = list(dict.fromkeys([*own["first"], *own["second"]]))
        equal = own["difference"] == 0
        for name in names:
            before = own["second"] == name
            after = own["first"] == name
            tied = (equal & (before | after)).sum()
            rows.append(
                (
                    setting,
                    name,
                    1 + (before & ~equal).sum() + tied / 2,
                    1 + (before & sure).sum(),
                    len(names) - (after & sure).sum(),
                    bool(own.loc[before | after, "over_seeds"].all()),
                )
            )
    columns = ["setting", "contender", "rank", "low", "high", "over_seeds"]
    found = pd.DataFrame(rows, columns=columns)
    return found.sort_values(["setting", "rank"], kind="stable", ignore_index=True)
