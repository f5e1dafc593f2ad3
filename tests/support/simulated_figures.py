"""Figures of mechanisms whose true figures are known, as an analysis would give them: every setting
has its examples (noise that contenders share, and their own) and every trial its seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from reports.statistics.frames import DIFFERENCES, FIGURES, TRIALS
from reports.statistics.significance import moderated_variance, pairwise_differences

#: Bootstrap draws: fewer than in a report, to be quick.
DRAWS = 300


@dataclass(frozen=True)
class Simulated:
    """The frames that statistics take (`reports.statistics.frames`)."""

    figures: pd.DataFrame
    trials: pd.DataFrame
    differences: pd.DataFrame
    draws: pd.DataFrame


def simulated(
    rng: np.random.Generator,
    truth: np.ndarray,
    mechanisms: Sequence[tuple[str, str]] = (),
    *,
    seeds: int = 3,
    over_seeds: float = 1.0,
    over_examples: float = 0.5,
) -> Simulated:
    """Measure mechanisms once.

    Args:
        truth: S,V true figures by setting.
        mechanisms: V attentions and scores; by default `m0 + dot`, ...
        over_seeds, over_examples: standard deviations of a seed's figure, and of a mean's own
            part that comes from the examples.
    """
    named = list(mechanisms) or [(f"m{place}", "dot") for place in range(truth.shape[1])]
    names = [
        attention if score == "none" else f"{attention} + {score}" for attention, score in named
    ]
    figures, trials, differences, draws = [], [], [], {}
    for at, true in enumerate(truth):
        setting, size = f"task {at}", len(true)
        luck = rng.normal(0, over_examples, size) + rng.normal()
        values = true[:, None] + luck[:, None] + rng.normal(0, over_seeds, (size, seeds))  # V,seeds
        spread, means = moderated_variance(list(values)), values.mean(axis=1)
        head = (setting, setting, "bleu", True)
        known = seeds > 1
        for place, (name, (attention, score)) in enumerate(zip(names, named, strict=True)):
            own = np.var(values[place], ddof=1) if known else np.nan
            told = (means[place], own, spread.variance[place], spread.freedom[place], known)
            figures.append((*head, name, attention, score, "", "", seeds, *told))
            trials += [(setting, name, seed + 1, value) for seed, value in enumerate(values[place])]
        shared = rng.normal(size=DRAWS)
        for place, name in enumerate(names):
            noise = rng.normal(0, over_examples, DRAWS)
            draws[setting, name] = means[place] + noise + shared
        examples = np.full((size, size), 2 * over_examples**2)
        found = pairwise_differences(means, examples, spread, np.full(size, seeds))
        order = np.argsort(-means)
        for row, first in enumerate(order):
            for second in order[row + 1 :]:
                apart = means[first] - means[second]
                error = float(np.sqrt(found.variance[first, second]))
                pair = (names[first], names[second], apart, error, found.freedom[first, second])
                differences.append((setting, "bleu", True, *pair, 0.0, known))
    return Simulated(
        pd.DataFrame(figures, columns=list(FIGURES)),
        pd.DataFrame(trials, columns=list(TRIALS)),
        pd.DataFrame(differences, columns=list(DIFFERENCES)),
        pd.DataFrame(draws),
    )
