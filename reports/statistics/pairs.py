"""All pairs of mechanisms of a setting: the difference, its interval, and p after Holm.

Each difference is judged by Student's t with the standard error over examples (paired) and seeds
(Welch 1947, Satterthwaite 1946; `reports.statistics.significance`). There are two intervals. The
first, 95 % for its own pair alone, says how large this difference may be. Of many such intervals
some miss; those "of all pairs" are wider (Bonferroni), and hold all true differences of a setting
at once in 95 of 100 reports."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from reports.statistics.significance import LEVEL, holm, two_sided_p


def pairs(differences: pd.DataFrame) -> pd.DataFrame:
    """Test all pairs.

    Args:
        differences: the columns `reports.statistics.frames.DIFFERENCES`.

    Returns the same rows with the columns

        low, high          interval of this pair alone
        low_all, high_all  intervals that hold for all pairs of the setting at once
        p                  two-sided
        p_holm             after Holm's correction (1979) over the pairs of the setting
        distinct           whether p_holm is below 5 %, and seeds were measured

    All are NaN for two that were tested on other examples.
    """
    found = differences.reset_index(drop=True)
    error, freedom = found["standard_error"].to_numpy(float), found["freedom"].to_numpy(float)
    value = found["difference"].to_numpy(float)
    p = two_sided_p(value, error, freedom)
    found["p"] = np.maximum(p, found["least_p"].to_numpy(float))
    found["p_holm"] = found.groupby("setting")["p"].transform(lambda one: holm(one.to_numpy()))
    count = found.groupby("setting")["p"].transform("count").to_numpy(float)
    for suffix, alpha in (("", 1 - LEVEL), ("_all", (1 - LEVEL) / np.maximum(count, 1))):
        reach = stats.t.isf(np.asarray(alpha) / 2, freedom) * error
        found[f"low{suffix}"], found[f"high{suffix}"] = value - reach, value + reach
    found["distinct"] = (found["p_holm"] < 1 - LEVEL) & found["over_seeds"].astype(bool)
    return found
