"""One figure over several tasks: normalised scores and their interquartile mean.

Figures of different tasks have unlike units, and a mean of them says which unit is the largest. A
*normalised score* has none: 0 is the control without attention, 1 the best mechanism of the
setting, so it says how much of what attention gained at most a mechanism gained. Both ends are
means over seeds of this very table. They move nobody's place within a setting, they only weigh
settings against each other, and they are kept fixed when examples and seeds are drawn anew. A
setting whose control is the best, or that has none, has no such scale and is left out.

The *interquartile mean* (Agarwal 2021, "Deep reinforcement learning at the edge of the statistical
precipice") is the mean of the middle half of a mechanism's scores over settings: one setting in
which everything goes wrong, or right, does not decide. Of fewer than four settings none can be cut
off, and it is the mean. Intervals draw examples and seeds anew within every setting (stratified):
they tell of these tasks, not of others.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from reports.statistics import CONTROL
from reports.statistics.frames import in_all_settings, seed_draws
from tasks.evaluation.bootstrap import percentiles

#: The share that is cut off at each end.
CUT = 0.25


def normalised(figures: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of settings that have a scale, with the columns `zero` and `one` (the figures
    that stand for both) and `score`: 0 as the control, 1 as the best mechanism; the control may be
    passed downwards.

    Args:
        figures: the columns `reports.statistics.frames.FIGURES`.
    """
    by_setting = figures.groupby("setting")["value"]
    best = by_setting.transform("max").where(
        figures["higher_is_better"].astype(bool), by_setting.transform("min")
    )
    control = figures["value"].where(figures["attention"] == CONTROL)
    zero = control.groupby(figures["setting"]).transform("mean")
    found = figures.assign(zero=zero, one=best, score=(figures["value"] - zero) / (best - zero))
    return found[(best - zero).abs() > 0].reset_index(drop=True)


def score_draws(scores: pd.DataFrame, draws: pd.DataFrame) -> np.ndarray:
    """Return normalised scores under other examples and seeds, R,V, for the V rows of
    `normalised`."""
    drawn, _ = seed_draws(scores, draws)
    zero, one = scores["zero"].to_numpy(float), scores["one"].to_numpy(float)
    return np.asarray((drawn - zero) / (one - zero))


def interquartile_means(figures: pd.DataFrame, draws: pd.DataFrame) -> pd.DataFrame:
    """Return the interquartile mean of every mechanism that finished in all settings, best first.

    Args:
        figures, draws: as `reports.statistics.frames` makes them.

    Returns one row a mechanism:

        contender
        settings    how many its scores are of
        iqm         interquartile mean of its normalised scores over settings
        low, high   95 % interval, for other examples and seeds in the same settings
        mean        of all its scores
        over_seeds  whether the interval covers other seeds
    """
    scores = in_all_settings(normalised(figures))
    columns = ["contender", "settings", "iqm", "low", "high", "mean", "over_seeds"]
    if scores.empty:
        return pd.DataFrame(columns=columns)
    drawn = score_draws(scores, draws)
    rows = []
    for name, own in scores.groupby("contender", sort=False):
        low, high = percentiles(stats.trim_mean(drawn[:, own.index], CUT, axis=1))
        values = own["score"].to_numpy(float)
        middle = float(stats.trim_mean(values, CUT))
        known = bool(own["over_seeds"].all())
        rows.append((name, len(own), middle, low, high, float(values.mean()), known))
    found = pd.DataFrame(rows, columns=columns)
    return found.sort_values("iqm", ascending=False, kind="stable", ignore_index=True)
