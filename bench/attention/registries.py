"""Attention mechanisms, scores and normalisers by name.

Importing this imports neither torch nor a mechanism; the first look-up does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.registry import Registry

if TYPE_CHECKING:
    from bench.attention.base import Attention, Normaliser, Score

#: Score of a mechanism that has none. Having no score is no sign of a control: a Gaussian mixture
#: attends without one.
NO_SCORE = "none"

attentions: Registry[type[Attention]] = Registry(
    "attention",
    package="bench.attention.mechanisms",
    group="attnbench.attentions",
    base="bench.attention.base:Attention",
)
scores: Registry[type[Score]] = Registry(
    "score",
    package="bench.attention.scores",
    group="attnbench.scores",
    base="bench.attention.base:Score",
)
normalisers: Registry[Normaliser] = Registry(
    "normaliser",
    package="bench.attention.normalisers",
    group="attnbench.normalisers",
    base="bench.attention.base:Normaliser",
    instances=True,
)


def score_of(kind: type[Attention], score: str | None = None) -> str:
    """Name of the score that a mechanism is built with: the given one or by default its paper's;
    NO_SCORE for a mechanism without, whatever is given."""
    if score is None or kind.classic_score == NO_SCORE:
        return kind.classic_score
    return score


def no_previous_step(mechanism: str, score: str) -> str | None:
    """Why a mechanism that takes all steps at once refuses a score, or None if it does not: the
    score reads the weights of the steps before.

    Raises:
        UsageError: an unknown score.
    """
    if not scores.get(score).reads:
        return None
    return f"{mechanism} takes all steps at once: {score} has no previous step to look at"
