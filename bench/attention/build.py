"""Mechanisms from names."""

from __future__ import annotations

from bench.attention.base import Attention, AttentionOptions, Sizes
from bench.attention.registries import attentions, scores
from bench.errors import NotApplicable


def build_attention(
    attention: str | type[Attention],
    sizes: Sizes,
    score: str | None = None,
    options: AttentionOptions | None = None,
) -> Attention:
    """The mechanism of that name or class.

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


# Reasons that several mechanisms give for refusing a score.


def no_previous_step(mechanism: str, score: str) -> str | None:
    """The reason if that score reads the weights of the step before, None otherwise.

    Raises:
        UsageError: an unknown score.
    """
    if not scores.get(score).needs_previous:
        return None
    return f"{mechanism} takes all steps at once: {score} has no previous step to look at"
