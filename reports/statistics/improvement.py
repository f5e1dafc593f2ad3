"""The probability of improvement: how often a seed of one mechanism does better than a seed of
another, mean over settings (Agarwal 2021).

A mean says how much, this says how often. rliable counts pairs of runs (Mann and Whitney 1947),
which needs many; of two or three seeds the count has few values. Seeds are therefore taken for
normal, with the variance that the mechanisms of a table show together
(`reports.statistics.significance.moderated_variance`): P(X > Y) = Phi((mean_x - mean_y) /
sqrt(var_x + var_y)), and with many seeds both agree. The interval draws means, variances and
examples anew. One seed says nothing of how often: NaN."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
from scipy import special

from reports.statistics.frames import in_all_settings, seed_draws
from tasks.evaluation.bootstrap import percentiles


def probabilities_of_improvement(figures: pd.DataFrame, draws: pd.DataFrame) -> pd.DataFrame:
    """Return the probability of improvement of all pairs of mechanisms that finished in every
    setting.

    Args:
        figures, draws: as `reports.statistics.frames` makes them.

    Returns one row a pair, `first` being the one that improves more often:

        first, second
        settings     how many the mean is over
        probability  that a seed of first does better than one of second; 0.5 where they are equal
        low, high    95 % interval, for other examples and seeds in the same settings
    """
    known = figures[figures["over_seeds"].astype(bool)]
    common = (
        in_all_settings(known) if set(known["setting"]) == set(figures["setting"]) else known[:0]
    )
    columns = ["first", "second", "settings", "probability", "low", "high"]
    if common.empty:
        return pd.DataFrame(columns=columns)
    drawn, deviations = seed_draws(common, draws)
    sign = np.where(common["higher_is_better"], 1.0, -1.0)
    values = common["value"].to_numpy(float) * sign
    variances = common["seed_variance"].to_numpy(float)
    settings = list(common["setting"].unique())
    place = {
        name: own.set_index("setting").loc[settings, "at"].to_numpy()
        for name, own in common.assign(at=range(len(common))).groupby("contender", sort=False)
    }
    rows = []
    for first, second in combinations(place, 2):
        x, y = place[first], place[second]
        seen = float(_improves(values[x] - values[y], variances[x] + variances[y]).mean())
        apart = (drawn[:, x] - drawn[:, y]) * sign[x]
        spread = deviations[:, x] ** 2 + deviations[:, y] ** 2
        low, high = percentiles(_improves(apart, spread).mean(axis=1))
        if seen < 0.5:
            first, second, seen, low, high = second, first, 1 - seen, 1 - high, 1 - low
        rows.append((first, second, len(settings), seen, low, high))
    return pd.DataFrame(rows, columns=columns)


def _improves(apart: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """P(X > Y) of two normals whose means lie so far apart; 0.5 of equal ones without variance."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = apart / np.sqrt(variance)
    return np.asarray(special.ndtr(np.where(np.isnan(ratio), 0.0, ratio)))
