"""When training may end, and whether it had converged: what a curve of validations says.

A curve is a list of points with a `validation_loss`, evenly spaced in steps
(`TrainingModule.curve`). docs/statistics.md states the rule of convergence and its error rates.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from scipy import stats

Curve = Sequence[Mapping[str, float]]

#: What validations are judged by, in every task.
WATCHED = "validation_loss"
#: Decimals of a recorded curve. Losses are compared as recorded, so that records can be checked.
DECIMALS = 6
#: Fewer validations than this say nothing about the end of training.
FEWEST = 4
#: Level of the test for a trend.
LEVEL = 0.05
#: Share of what was gained since the first third of training. A smaller gain is not worth more
#: training.
MATERIAL = 0.02


def best_validation(curve: Curve) -> int:
    """Place of the point with the lowest validation loss, the first one of several."""
    losses = [round(point[WATCHED], DECIMALS) for point in curve]
    return losses.index(min(losses))


def out_of_patience(curve: Curve, patience: int) -> bool:
    """Whether the last `patience` validations were no better than the best one before them."""
    return bool(patience and curve) and len(curve) - 1 - best_validation(curve) >= patience


def converged(curve: Curve) -> bool | None:
    """Whether the validation loss had stopped improving by the end of a curve; None where there
    are too few validations to say."""
    if len(curve) < FEWEST or not all(WATCHED in point for point in curve):
        return None
    return not _still_improving([point[WATCHED] for point in curve])


def _still_improving(losses: Sequence[float]) -> bool:
    """Whether the last third of the losses falls beyond chance, and the last quarter of them
    brought a material share of what was gained since the first third."""
    third, quarter = math.ceil(len(losses) / 3), len(losses) // 4
    ending = losses[-max(third, FEWEST) :]
    # Kendall's rank correlation with time (Mann 1945), exact where no two losses are equal.
    trend = stats.kendalltau(range(len(ending)), ending, alternative="less")
    if not trend.pvalue < LEVEL:  # NaN where all are equal
        return False
    gained = min(losses[:-quarter]) - min(losses[-quarter:])
    return gained > MATERIAL * (losses[third - 1] - min(losses))
