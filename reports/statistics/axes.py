"""Which axis matters: the share of the variance of figures that attention, score, backbone and
their interactions explain.

Headline figures are standardised within their setting (task, data set, budget): mean 0, variance 1,
more is better. A setting therefore has no main effect; what a task changes is which mechanism is
good there, the *interaction* of an axis with the setting. A linear model of these figures has the
main effects, then all interactions of two, and what neither explains.

Grids are not balanced: `global` is run with five scores and `hard` with one, so a good figure may
be due to either. The sum of squares that two axes share is divided evenly: the share of an axis is
the mean of what it adds, over all orders in which axes can enter (Lindeman, Merenda and Gold 1980;
Shapley 1953). Beside it stand what it explains *alone*, entering first, and what only it explains,
entering last; where these lie far apart the grid cannot tell the axes apart. Interactions share
likewise what the main effects leave.

Noise explains something, too: a term with many levels fits chance. What other examples and seeds
add to each term's sum of squares is known from the draws, and is taken off and told as *noise* (as
omega squared does with residuals; Hays 1963). Shares can then be below 0, which means none. With
one seed the noise of seeds is unknown and stands in all the shares.

Shares tell of the mechanisms and settings that were run, as fixed effects; they add up to 1.
Intervals draw examples and seeds anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from math import factorial

import numpy as np
import pandas as pd

from reports.statistics.frames import seed_draws, without_controls
from tasks.evaluation.bootstrap import percentiles

#: The axes whose values mechanisms differ in.
AXES = ("attention", "score", "backbone", "options")
SETTING = "setting"
REST, NOISE = "higher interactions", "noise"
#: Settings with fewer mechanisms say nothing.
FEWEST = 3
#: More interactions than this would need too many orders; those with the fewest values are kept. In
#: a table of many figures each order takes longer.
MOST_INTERACTIONS, MOST_OF_MANY, MANY = 7, 3, 400


def axis_shares(figures: pd.DataFrame, draws: pd.DataFrame) -> pd.DataFrame:
    """Return the shares of variance of all axes and interactions.

    Args:
        figures, draws: as `reports.statistics.frames` makes them. Mechanisms without a score
            function are left out where others have one: they have no value on that axis.

    Returns one row a term, in the order of the model, ending with "higher interactions" (what no
    term explains) and "noise" (other examples, and other seeds where several were run):

        term        "attention", "attention x score", "attention x setting"
        levels      how many values, or pairs of values, were run
        share       of the variance; all shares add up to 1
        low, high   95 % interval, for other examples and seeds
        alone       share where it enters before all others of its kind
        unique      share where it enters after all others of its kind
        over_seeds  whether noise and intervals cover other seeds

    Empty where no axis has two values.
    """
    columns = ["term", "levels", "share", "low", "high", "alone", "unique", "over_seeds"]
    scored = without_controls(figures)
    own = scored if len(scored) >= FEWEST else figures.reset_index(drop=True)
    size = own.groupby(SETTING)["contender"].transform("size")
    spread = own.groupby(SETTING)["value"].transform("std", ddof=0)
    own = own[(size >= FEWEST) & (spread > 0)].reset_index(drop=True)
    mains = [name for name in AXES if own[name].nunique() > 1]
    if not mains:
        return pd.DataFrame(columns=columns)
    model = _Model(_with_pooled_variance(own), draws)
    interactions = _interactions(own, mains)
    first, given_mains = model.shares(mains, [])
    second, residual = model.shares(interactions, mains) if interactions else ([], given_mains)
    noise = model.noise_share
    rows = [*first, *second, (REST, np.nan, *residual), (NOISE, np.nan, *noise)]
    found = pd.DataFrame(rows, columns=columns[:-1])
    return found.assign(over_seeds=bool(own["over_seeds"].all()))


def _with_pooled_variance(own: pd.DataFrame) -> pd.DataFrame:
    """Replace each mechanism's variance over seeds by the mean one of its setting, which unlike the
    cautious one of tests is right on average."""
    freedom = (own["seeds"] - 1).where(own["own_variance"].notna(), 0)
    squares = (own["own_variance"].fillna(0.0) * freedom).groupby(own[SETTING]).transform("sum")
    total = freedom.groupby(own[SETTING]).transform("sum")
    return own.assign(seed_variance=squares / total.where(total > 0), freedom=total)


def _interactions(own: pd.DataFrame, mains: Sequence[str]) -> list[str]:
    """Name the interactions of two that have more pairs of values than their main effects need."""
    factors = [*mains, SETTING] if own[SETTING].nunique() > 1 else list(mains)
    found = {}
    for one, other in combinations(factors, 2):
        values = len(own[[one, other]].drop_duplicates())
        if values > own[one].nunique() + own[other].nunique() - 1:
            found[f"{one} x {other}"] = values
    most = MOST_OF_MANY if len(own) > MANY else MOST_INTERACTIONS
    kept = sorted(found, key=lambda name: found[name])[:most]
    return [name for name in found if name in kept]


class _Model:
    """Sums of squares of standardised figures by the terms that explain them: of the figures as
    they are (the first of 1 + R columns), and of each of R draws."""

    def __init__(self, own: pd.DataFrame, draws: pd.DataFrame) -> None:
        self.own = own
        self.places = pd.factorize(own[SETTING])[0]
        scale = own.groupby(SETTING)["value"].transform("std", ddof=0).to_numpy(float)
        to_scale = (np.where(own["higher_is_better"], 1.0, -1.0) / scale)[:, None]
        drawn, _ = seed_draws(own, draws)
        both = np.column_stack([own["value"].to_numpy(float), drawn.T])
        self.figures = self._centred(both * to_scale)  # n,1+R
        keys = list(zip(own[SETTING], own["contender"], strict=True))
        examples = draws[keys].to_numpy(float).T
        apart = (examples - examples.mean(axis=1, keepdims=True)) * to_scale
        self.deviations = self._centred(apart)  # n,R
        seeds = own["seed_variance"].fillna(0.0).to_numpy(float) / own["seeds"].to_numpy(float)
        self.variance = seeds / scale**2
        dummies = np.eye(self.places.max() + 1)[self.places]
        inside = 1 - 1 / dummies.sum(axis=0)[self.places]
        self.noise = float((self.deviations**2).sum(axis=0).mean() + self.variance @ inside)
        # The draws vary around figures that hold noise themselves: theirs counts twice.
        self.again = np.minimum(np.arange(self.figures.shape[1]), 1)  # 0, 1, 1, ...
        self.totals = (self.figures**2).sum(axis=0) - self.again * self.noise

    def _centred(self, columns: np.ndarray) -> np.ndarray:
        """n,k columns without their means over each setting."""
        means = pd.DataFrame(columns).groupby(self.places).transform("mean").to_numpy()
        return np.asarray(columns - means)

    def _told(self, squares: np.ndarray | float) -> tuple[float, float, float]:
        """The share of 1 + R sums of squares with its interval."""
        shares = squares / self.totals
        return float(shares[0]), *percentiles(shares[1:])

    @property
    def noise_share(self) -> tuple[float, ...]:
        share, low, high = self._told(self.noise)
        return share, low, high, share, share

    def columns(self, term: str) -> np.ndarray:
        """n,k indicators of a term's values, without the means over settings."""
        keys = self.own[term.split(" x ")].astype(str).agg("\0".join, axis=1)
        codes = pd.factorize(keys)[0]
        return self._centred(np.eye(codes.max() + 1)[codes])

    def explained(self, blocks: Sequence[np.ndarray]) -> np.ndarray:
        """What some terms explain less what noise adds to it: 1+R sums of squares."""
        if not blocks:
            return np.zeros(len(self.totals))
        left, values, _ = np.linalg.svd(np.concatenate(blocks, axis=1), full_matrices=False)
        basis = left[:, values > 1e-9 * max(1.0, values[0])]  # n,k
        over_examples = ((basis.T @ self.deviations) ** 2).sum(axis=0).mean()
        noise = over_examples + (basis**2).sum(axis=1) @ self.variance
        squares = ((basis.T @ self.figures) ** 2).sum(axis=0)
        return np.asarray(squares - (1 + self.again) * noise)

    def shares(
        self, terms: Sequence[str], given: Sequence[str]
    ) -> tuple[list[tuple[object, ...]], tuple[float, ...]]:
        """Divide what terms explain beyond the given ones; return a row each, and the share that
        is left after them."""
        blocks = {term: self.columns(term) for term in (*given, *terms)}
        found = {
            frozenset(chosen): self.explained([blocks[name] for name in (*given, *chosen)])
            for count in range(len(terms) + 1)
            for chosen in combinations(terms, count)
        }
        rows: list[tuple[object, ...]] = []
        every, none = frozenset(terms), frozenset[str]()
        for term in terms:
            share = sum(
                _weight(len(before), len(terms)) * (found[before | {term}] - squares)
                for before, squares in found.items()
                if term not in before
            )
            alone, *_ = self._told(found[frozenset({term})] - found[none])
            unique, *_ = self._told(found[every] - found[every - {term}])
            levels = len(self.own[term.split(" x ")].drop_duplicates())
            rows.append((term, levels, *self._told(share), alone, unique))
        left, low, high = self._told(self.totals - self.noise - found[every])
        return rows, (left, low, high, left, left)


def _weight(before: int, count: int) -> float:
    """Share of all orders in which exactly these terms stand before one."""
    return factorial(before) * factorial(count - before - 1) / factorial(count)
