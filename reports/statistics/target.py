"""Time to a target quality: when training first reached a share of the best figure of a setting.

The target is the same for all mechanisms of a setting: `share` times the best validation figure
that any of them ever had. Where less is better (a loss may come near 0, so that no multiple of it
means anything) it is that share of the way from the worst first validation to the best of all.
A training that never reached it is
*censored*: it would have taken longer than it was given, and nobody knows how long. Its time is
then a lower bound, and no mean is made of it."""

from __future__ import annotations

import pandas as pd

SHARE = 0.95


def time_to_target(curves: pd.DataFrame, share: float = SHARE) -> pd.DataFrame:
    """Return when every trial first reached the target of its setting.

    Args:
        curves: one row a validation: `setting`, `contender`, `seed`, `step`, `seconds` (of
            training until then), `value` (the validation figure) and `higher_is_better`.
        share: of the best figure; above 0 and at most 1.

    Returns one row a trial:

        setting, contender, seed
        target         the figure to reach
        reached        whether it did
        step, seconds  of the first validation that reached it; of the last one where none did

    Raises ValueError for another share.
    """
    if not 0 < share <= 1:
        raise ValueError(
            f"the share of the best figure must be above 0 and at most 1, got {share:g}"
        )
    run = ["contender", "seed"]
    columns = ["setting", *run, "target", "reached", "step", "seconds"]
    parts = [pd.DataFrame(columns=columns)]
    for _, own in curves.groupby("setting", sort=False):
        own = own.sort_values("step", kind="stable")
        higher = bool(own["higher_is_better"].iloc[0])
        best = own["value"].max() if higher else own["value"].min()
        first = own.groupby(run)["value"].first().max()
        target = best * share if higher else best + (1 - share) * (first - best)
        there = own["value"] >= target if higher else own["value"] <= target
        last = ~own.duplicated(run, keep="last")
        marked = own.assign(target=float(target), reached=there, step=own["step"].astype(float))
        parts.append(marked[there | last].drop_duplicates(run)[columns])
    return pd.concat(parts[1:] or parts, ignore_index=True)


def over_seeds(times: pd.DataFrame) -> pd.DataFrame:
    """Summarize `time_to_target` over seeds, the quickest first.

    Returns one row a contender of a setting:

        setting, contender, target, seeds
        reached            how many of its seeds did
        seconds            mean over seeds; NaN where one was censored
        at_least_seconds   mean with censored trials at their end: a lower bound
    """
    found = times.groupby(["setting", "contender"], sort=False, as_index=False).agg(
        target=("target", "first"),
        seeds=("seconds", "size"),
        reached=("reached", "sum"),
        all_reached=("reached", "all"),
        at_least_seconds=("seconds", "mean"),
    )
    found.insert(
        5, "seconds", found["at_least_seconds"].where(found.pop("all_reached").astype(bool))
    )
    order = ["setting", "seconds", "at_least_seconds"]
    return found.sort_values(order, kind="stable", na_position="last", ignore_index=True)
