"""Did a paper's ordering hold? Its rows beside ours, and a verdict for every two of them.

Sizes, data and training differ from the papers', so figures are not compared, only orderings.
An ordering of two rows holds where ours differ the same way beyond chance (Holm's correction over
the pairs of a column), does not hold where they differ the other way beyond chance, and is left
open otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np

from reports.significance import LEVEL, Estimate

Verdict = Literal[
    "held",
    "not held",
    "cannot be told apart",
    "equal in the paper",
    "other test examples",
    "not run",
]
Outcome = Literal[
    "held", "partly held", "not held", "cannot be told apart", "equal in the paper", "not run"
]


@dataclass(frozen=True)
class Ours:
    """What we measured for the rows of a column.

    Attributes:
        metric: name of our figure.
        higher_is_better: of our figure.
        estimates: by row, None where nothing was run.
        names: by row, the mechanism that stands for it.
        adjusted: p of the difference of two rows, both ways round; absent or NaN where there is
            no telling.
        comparable: pairs of rows that were tested on the same examples, both ways round.
    """

    metric: str
    higher_is_better: bool
    estimates: Mapping[str, Estimate | None]
    names: Mapping[str, str]
    adjusted: Mapping[tuple[str, str], float]
    comparable: frozenset[tuple[str, str]]


@dataclass(frozen=True)
class PairVerdict:
    """Two rows of a paper, the better one first.

    Attributes:
        lead: how far ours is ahead the same way; negative the other way round. None where one
            was not run.
        p: of our difference, after Holm.
    """

    better: str
    worse: str
    verdict: Verdict
    lead: float | None = None
    p: float | None = None


@dataclass(frozen=True)
class PaperRow:
    """A row of a published table.

    Attributes:
        certainty: "seen" for figures read in the paper itself, "secondary" for others.
    """

    name: str
    value: float
    certainty: str = ""


@dataclass(frozen=True)
class Column:
    """A column of a published table beside ours.

    Attributes:
        dataset, metric: the paper's.
        setting: ours, for people; "" where nothing was run.
        rows: best first, as the paper has them.
    """

    dataset: str
    metric: str
    higher_is_better: bool
    setting: str
    rows: tuple[PaperRow, ...]
    ours: Ours | None
    pairs: tuple[PairVerdict, ...]

    @property
    def outcome(self) -> Outcome:
        return outcome([pair.verdict for pair in self.pairs])


@dataclass(frozen=True)
class Replication:
    """A study named after a paper: its columns beside ours."""

    study: str
    title: str
    paper: str
    description: str
    columns: tuple[Column, ...]

    @property
    def run(self) -> bool:
        """Whether two rows of any column were run."""
        return any(column.outcome != "not run" for column in self.columns)


def verdicts(
    rows: Sequence[PaperRow], ours: Ours | None, *, higher_is_better: bool
) -> tuple[PairVerdict, ...]:
    """A verdict for every two rows.

    Args:
        higher_is_better: of the paper's figure.
    """
    return tuple(
        _verdict(*_better_first(one, other, higher_is_better), ours)
        for one, other in combinations(rows, 2)
    )


def outcome(found: Sequence[Verdict]) -> Outcome:
    """What the verdicts of a column come to: one reversal is enough for "not held"; it held only
    where every pair that could be judged did."""
    judged = [one for one in found if one in ("held", "not held", "cannot be told apart")]
    if not judged:
        return "equal in the paper" if "equal in the paper" in found else "not run"
    if "not held" in judged:
        return "not held"
    if all(one == "held" for one in judged):
        return "held"
    return "partly held" if "held" in judged else "cannot be told apart"


def sentence(column: Column) -> str:
    """`The paper's ordering held in 4 of 6 pairs; 2 cannot be told apart.`"""
    if column.outcome == "not run":
        return "Fewer than two of these rows were run on the same examples, so nothing is compared."
    kinds = [pair.verdict for pair in column.pairs]
    if column.outcome == "equal in the paper":
        return "The paper has equal figures here, so there is no ordering to hold."
    judged = [kind for kind in kinds if kind in ("held", "not held", "cannot be told apart")]
    told = [f"The paper's ordering held in {judged.count('held')} of {len(judged)} pairs"]
    for kind, text in (
        ("not held", "the other way round in {}"),
        ("cannot be told apart", "{} cannot be told apart"),
        ("equal in the paper", "{} equal in the paper"),
        ("other test examples", "{} tested on other examples"),
        ("not run", "{} not run"),
    ):
        if number := kinds.count(kind):  # type: ignore[arg-type]  # a str that is a Verdict
            told.append(text.format(number))
    return "; ".join(told) + "."


def _better_first(
    one: PaperRow, other: PaperRow, higher_is_better: bool
) -> tuple[PaperRow, PaperRow]:
    swapped = (other.value > one.value) if higher_is_better else (other.value < one.value)
    return (other, one) if swapped else (one, other)


def _verdict(better: PaperRow, worse: PaperRow, ours: Ours | None) -> PairVerdict:
    first = ours.estimates.get(better.name) if ours else None
    second = ours.estimates.get(worse.name) if ours else None
    if ours is None or first is None or second is None:
        return PairVerdict(better.name, worse.name, "not run")
    lead = (first.value - second.value) * (1 if ours.higher_is_better else -1)
    pair = better.name, worse.name
    p = ours.adjusted.get(pair)
    known = p if p is not None and not np.isnan(p) else None
    if pair not in ours.comparable:
        return PairVerdict(*pair, "other test examples")
    if better.value == worse.value:
        return PairVerdict(*pair, "equal in the paper", lead, known)
    if known is None or known >= 1 - LEVEL:
        return PairVerdict(*pair, "cannot be told apart", lead, known)
    return PairVerdict(*pair, "held" if lead > 0 else "not held", lead, known)
