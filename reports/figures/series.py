"""How the mechanisms and metrics of a frame look and are called in all its figures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench.attention.registries import NO_SCORE
from reports import formats
from reports.figures.theme import Style, styles
from reports.load import Frame


class Styles:
    """Colour, dash and marker by score, the same in every figure of a frame."""

    def __init__(self, frame: Frame, scores: Sequence[str]) -> None:
        run = [contender.score for contender in frame.contenders]
        named = [*scores, *(name for name in run if name != NO_SCORE), NO_SCORE]
        self._by_score = styles(score_name(one) for one in named)

    def of(self, scores: Iterable[str]) -> dict[str, Style]:
        """The styles of these scores (`score_name`), in the order of the catalogue."""
        used = set(scores)
        return {name: one for name, one in self._by_score.items() if name in used}


def score_name(score: str) -> str:
    """What a score function is called in a legend."""
    return "no score function" if score == NO_SCORE else score


def metric_scale(metric: str) -> float:
    """100 for fractions, which are drawn as percentages, else 1."""
    return 100.0 if formats.is_fraction(metric) else 1.0


def axis_name(metric: str) -> str:
    """The title of an axis: `accuracy (%)`."""
    percent = " (%)" if formats.is_fraction(metric) else ""
    return f"{formats.metric_name(metric)}{percent}"
