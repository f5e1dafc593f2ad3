"""Examples sorted by the difference of two mechanisms: what one wrote well and another did not."""

from __future__ import annotations

import pandas as pd


def examples_by_difference(examples: pd.DataFrame, first: str, second: str) -> pd.DataFrame:
    """Sort the examples that two mechanisms were tested on by the difference of their scores.

    Args:
        examples: columns `contender`, `seed`, `example`, `source`, `references`, `prediction`,
            `score` (of the example; more is better), of one test set.
        first, second: names of contenders.

    Returns one row an example that both have, those where `first` has most over `second` first:

        example, source, references
        score_first, score_second            means over seeds
        difference                           score_first - score_second
        prediction_first, prediction_second  of the lowest seed

    Ties keep the order of the names of examples. Raises ValueError for a contender that wrote
    nothing.
    """
    sides = {}
    for side, name in (("first", first), ("second", second)):
        own = examples[examples["contender"] == name].sort_values("seed", kind="stable")
        if own.empty:
            known = ", ".join(map(str, examples["contender"].unique()))
            raise ValueError(f"no examples of '{name}'; there are those of {known}")
        grouped = own.groupby("example", sort=True)
        sides[f"score_{side}"] = grouped["score"].mean()
        sides[f"prediction_{side}"] = grouped["prediction"].first()
    texts = examples.drop_duplicates("example").set_index("example")[["source", "references"]]
    found = texts.join(pd.DataFrame(sides).dropna(), how="inner").sort_index()
    found["difference"] = found["score_first"] - found["score_second"]
    order = ["source", "references", "score_first", "score_second", "difference"]
    found = found[[*order, "prediction_first", "prediction_second"]]
    return found.sort_values("difference", ascending=False, kind="stable").reset_index(
        names="example"
    )
