"""What stands beside tie groups: how small a difference can be found, and how wide group 1 is.

With few seeds a group can hold what lies far apart. A reader must see that this is for want of
evidence, and no claim that its members are equal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from reports import formats
from reports.analysis import Analysis, Scores
from reports.significance import Estimate


def detectable_note(scores: Scores, metric: str) -> list[str]:
    """How small a difference can be found, to be printed under a table; none for one figure."""
    if scores.detectable is None:
        return []
    pairs = int(np.isfinite(scores.adjusted[np.triu_indices(len(scores.adjusted), k=1)]).sum())
    over = f" (Holm's correction over {pairs} pairs)" if pairs > 1 else ""
    return [
        f"With {seeds_text(scores)}, a true difference of {_gap(scores.detectable, metric)} on "
        f"“{scores.subset}” is found four times out of five{over}; smaller ones are easily missed."
    ]


def group_notes(analysis: Analysis, names: Sequence[str]) -> list[str]:
    """The same of the headline figure, and how far apart group 1 is where it has several members.

    Args:
        names: of the frame's contenders.
    """
    notes = detectable_note(analysis.headline, analysis.frame.headline)
    if notes and len(analysis.headline.best()) > 1:
        notes.append(" ".join(_width(analysis, names)))
    return notes


def seeds_text(*several: Scores) -> str:
    """`3 seeds`, or `2 to 3 seeds` where some have fewer."""
    seeds = {one.seeds for scores in several for one in scores.estimates if one is not None}
    least = f"{min(seeds)} to " if len(seeds) > 1 else ""
    return f"{least}{formats.plural(max(seeds), 'seed')}"


def _width(analysis: Analysis, names: Sequence[str]) -> Iterator[str]:
    scores = analysis.headline
    known = {place: one for place in analysis.order if (one := scores.estimates[place]) is not None}
    members = [place for place in known if scores.groups[place] == 1]
    best, worst = members[0], members[-1]
    span = abs(known[best].value - known[worst].value)
    gap = _gap(span, analysis.frame.headline)
    yield f"Sharing a group is not being equal: group 1 spans {gap}."
    for place in known:
        if place == worst:
            return
        # Steadier over seeds, so told apart by a smaller difference.
        if scores.groups[place] != 1 and _reach(known[place]) < _reach(known[worst]):
            yield (
                f"{names[worst]} is in it although {names[place]} did better and is not: "
                "its interval is wider."
            )
            return


def _reach(one: Estimate) -> float:
    return 0.0 if one.low is None or one.high is None else one.high - one.low


def _gap(difference: float, metric: str) -> str:
    if formats.is_fraction(metric):
        return f"{formats.number(100 * difference, 1)} percentage points"
    return formats.figure(difference, metric)
