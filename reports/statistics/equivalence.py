"""Practically equal: the difference of two mechanisms is smaller than one that matters.

"Cannot be told apart" is for want of evidence; "practically equal" is evidence. What difference
matters only the reader knows: a BLEU point, half a percentage point. Two one-sided tests (TOST,
Schuirmann 1987) ask whether the true difference lies above minus that and below plus that; the
larger p counts. A third test asks whether the difference is surely larger than what matters."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from reports.statistics.significance import LEVEL, holm

EQUAL, LARGER, OPEN, ONE_SEED = "practically equal", "differ by more", "open", "one seed"


def equivalence(differences: pd.DataFrame, smallest: float) -> pd.DataFrame:
    """Judge all pairs against the smallest difference that matters.

    Args:
        differences: the columns `reports.statistics.frames.DIFFERENCES`.
        smallest: in units of the figures; above 0.

    Returns the same rows with the columns

        p_equal     of two one-sided tests, after Holm over the pairs of the setting
        p_larger    that the true difference is no larger than `smallest`, after Holm
        verdict     "practically equal", "differ by more", "open" where neither is shown, or
                    "one seed" where nothing is known of others
        equal_from  the smallest difference that matters from which on this pair alone is called
                    practically equal: both ends of its 90 % interval lie within

    Raises ValueError where `smallest` is not above 0.
    """
    if not smallest > 0:
        raise ValueError(f"the smallest difference that matters must be above 0, got {smallest:g}")
    found = differences.reset_index(drop=True)
    error, freedom = found["standard_error"].to_numpy(float), found["freedom"].to_numpy(float)
    size = np.abs(found["difference"].to_numpy(float))
    equal = _tail(smallest - size, error, freedom)
    larger = _tail(size - smallest, error, freedom) + _tail(size + smallest, error, freedom)
    found["p_equal"], found["p_larger"] = equal, np.minimum(larger, 1.0)
    for name in ("p_equal", "p_larger"):
        found[name] = found.groupby("setting")[name].transform(lambda one: holm(one.to_numpy()))
    found["equal_from"] = equal_from(found)
    found["verdict"] = np.select(
        [
            ~found["over_seeds"].astype(bool),
            found["p_equal"] < 1 - LEVEL,
            found["p_larger"] < 1 - LEVEL,
        ],
        [ONE_SEED, EQUAL, LARGER],
        OPEN,
    )
    return found


def equal_from(differences: pd.DataFrame) -> np.ndarray:
    """Return the smallest differences that matter from which on each pair alone is practically
    equal; arguments as for `equivalence`."""
    error, freedom = (differences[name].to_numpy(float) for name in ("standard_error", "freedom"))
    size = np.abs(differences["difference"].to_numpy(float))
    return np.asarray(size + stats.t.isf(1 - LEVEL, freedom) * error)


def _tail(distance: np.ndarray, error: np.ndarray, freedom: np.ndarray) -> np.ndarray:
    """One-sided p of a distance in the direction that is to be shown."""
    with np.errstate(divide="ignore", invalid="ignore"):
        p = stats.t.sf(distance / error, freedom)
    return np.where(error <= 0, np.where(distance > 0, 0.0, 1.0), p)
