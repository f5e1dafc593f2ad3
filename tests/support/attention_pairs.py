"""Every attention with every score, for tests that go through all."""

from __future__ import annotations

from bench.attention.registries import attentions, scores


def valid_pairs() -> list[tuple[str, str, str | None]]:
    """Every registered attention with every score: names, and the reason where refused.

    An attention without scores has one pair, with the score "none".
    """
    pairs: list[tuple[str, str, str | None]] = []
    for name, kind in attentions.items():
        if kind.placement == "fixed":
            pairs.append((name, "none", None))
        else:
            pairs.extend(
                (name, score, kind.refusal(score, kind.backbone)) for score in scores.names()
            )
    return pairs
