"""Reasons that several mechanisms give for refusing a score."""

from __future__ import annotations

from bench.attention.registries import scores


def no_previous_step(mechanism: str, score: str) -> str | None:
    """The reason if that score reads the weights of the step before, None otherwise.

    Raises:
        UsageError: an unknown score.
    """
    if not scores.get(score).needs_previous:
        return None
    return f"{mechanism} takes all steps at once: {score} has no previous step to look at"
