"""Performance profiles: in which share of its runs a mechanism does better than any given score.

The profile of a mechanism is the tail of the distribution of its normalised scores over settings
and seeds (Dolan and Moré 2002; Agarwal 2021): where one curve lies above another throughout, its
mechanism is the better one at every level, and where curves cross, one is better on average and the
other more reliable. Every setting weighs the same, however many seeds it has."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from reports.statistics.aggregate import normalised, score_draws
from reports.statistics.frames import in_all_settings
from tasks.evaluation.bootstrap import percentiles

#: Scores that the profile is read at: from the control to the best.
THRESHOLDS = tuple(round(float(one), 2) for one in np.linspace(0, 1, 21))


def performance_profiles(
    figures: pd.DataFrame,
    trials: pd.DataFrame,
    draws: pd.DataFrame,
    thresholds: Sequence[float] = THRESHOLDS,
) -> pd.DataFrame:
    """Return the performance profiles of all mechanisms that finished in every setting.

    Args:
        figures, trials, draws: as `reports.statistics.frames` makes them.

    Returns one row a mechanism and threshold:

        contender, threshold
        share       of runs with a normalised score above the threshold, mean over settings
        low, high   95 % band, point by point: the runs of a setting are moved together by what
                    other examples and seeds would change their mean
        over_seeds  whether the band covers other seeds
    """
    scores = in_all_settings(normalised(figures))
    columns = ["contender", "threshold", "share", "low", "high", "over_seeds"]
    if scores.empty:
        return pd.DataFrame(columns=columns)
    moved = score_draws(scores, draws) - scores["score"].to_numpy(float)  # R,V
    runs = trials.groupby(["setting", "contender"])["value"].apply(lambda one: one.to_numpy(float))
    levels = np.asarray(thresholds, dtype=float)
    rows = []
    for name, own in scores.groupby("contender", sort=False):
        seen, drawn = np.zeros(len(levels)), np.zeros((len(moved), len(levels)))
        for at, row in own.iterrows():
            run = (runs[row["setting"], name] - row["zero"]) / (row["one"] - row["zero"])
            seen += (run[:, None] > levels).mean(axis=0) / len(own)
            shifted = run[None, :, None] + moved[:, at][:, None, None]  # R,seeds,1
            drawn += (shifted > levels).mean(axis=1) / len(own)
        known = bool(own["over_seeds"].all())
        for level, share, column in zip(levels, seen, drawn.T, strict=True):
            low, high = percentiles(column)
            rows.append((name, float(level), float(share), low, high, known))
    return pd.DataFrame(rows, columns=columns)
