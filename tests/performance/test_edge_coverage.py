"""Coverage of intervals near the end of a figure's range, by a longer simulation than the suite's:
error rates of utterances and mean scores, over sizes of test sets and shares of unlike examples."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.evaluation.bootstrap import bootstrap, ratio

pytestmark = pytest.mark.performance

DRAWS = 2_000


@pytest.mark.parametrize("size", [20, 50, 100, 200])
@pytest.mark.parametrize("share", [0.1, 0.05, 0.02, 0.01])
@pytest.mark.parametrize("kind", ["error rate", "mean score"])
def test_rates_are_covered(size: int, share: float, kind: str) -> None:
    rng, covered = np.random.default_rng(1), 0
    truth = share * (1 + 0.2 * 5.5) / 6.5 if kind == "error rate" else 1 - share / 2
    for _ in range(DRAWS):
        unlike = rng.random(size) < share
        if kind == "error rate":
            lengths = rng.integers(3, 11, size)
            rows = [unlike * (1 + rng.binomial(lengths - 1, 0.2)), lengths]
        else:
            rows = [np.where(unlike, rng.beta(2, 2, size), 1.0), np.ones(size)]
        found = bootstrap(np.stack(rows, axis=1).astype(float), ratio)
        covered += found.low <= truth <= found.high
    assert covered / DRAWS >= 0.93
