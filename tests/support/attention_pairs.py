"""Every attention with every score, for tests that go through all."""

from __future__ import annotations

from bench.attention.registries import NO_SCORE, attentions, scores


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
