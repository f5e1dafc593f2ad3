"""Every attention with every score, for tests that go through all."""

from __future__ import annotations

from typing import Any

from bench.attention.registries import NO_SCORE, attentions, normalisers, scores


def valid_pairs() -> list[tuple[str, str, str | None]]:
    """Every registered attention with every score: names, and the reason where refused.

    An attention without scores has one pair, with the score "none".
    """
    pairs: list[tuple[str, str, str | None]] = []
    for name, kind in attentions.items():
        if kind.classic_score == NO_SCORE:
            pairs.append((name, NO_SCORE, None))
        else:
            pairs.extend(
                (name, score, kind.refusal(score, kind.backbone)) for score in scores.names()
            )
    return pairs


def refusal(attention: str, score: str, **options: Any) -> str | None:
    """Why the mechanism refuses these options in the backbone of its paper, or None."""
    kind = attentions.get(attention)
    if kind.placement == "fixed":
        return None
    return kind.refusal_of_options(kind.Options(**options), score, kind.backbone)


def normalisers_of(attention: str, **options: Any) -> list[str]:
    """The normalisers that a mechanism takes, under these options."""
    score = attentions.get(attention).classic_score
    return [
        name
        for name in normalisers.names()
        if refusal(attention, score, normaliser=name, **options) is None
    ]
