"""Attention mechanisms, scores and normalisers by name.

Importing this imports neither torch nor a mechanism; the first look-up does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.errors import NotApplicable
from bench.registry import Registry

if TYPE_CHECKING:
    from bench.attention.base import Attention, AttentionOptions, Normaliser, Score, Sizes

#: Score of a mechanism that has none.
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


def build_attention(
    attention: str | type[Attention],
    sizes: Sizes,
    score: str | None = None,
    options: AttentionOptions | None = None,
) -> Attention:
    """Build the mechanism of that name or class.

    Args:
        score: name of the score; None for the mechanism's classic one.
        options: an instance of the mechanism's `Options`; None for their defaults.

    Raises:
        UsageError: unknown names.
        NotApplicable: a score that the mechanism or the sizes refuse.
    """
    kind = attentions.get(attention) if isinstance(attention, str) else attention
    score = kind.classic_score if score is None else score
    reason = None if kind.placement == "fixed" else kind.refusal(score)
    if reason:
        raise NotApplicable(reason, where=f"{attention} with {score}")
    return kind(sizes, score, kind.Options() if options is None else options)


def no_previous_step(mechanism: str, score: str) -> str | None:
    """Why a mechanism that takes all steps at once refuses a score, or None if it does not: the
    score reads the weights of the step before.

    Raises:
        UsageError: an unknown score.
    """
    if not scores.get(score).needs_previous:
        return None
    return f"{mechanism} takes all steps at once: {score} has no previous step to look at"
