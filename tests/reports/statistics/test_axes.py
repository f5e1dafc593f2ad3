"""Shares of variance by axis: recovered where known, divided where the grid cannot tell."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from simulated_figures import simulated

from reports.statistics.axes import NOISE, REST, axis_shares

GRID = tuple(product(("soft", "global", "local-m", "self"), ("dot", "general", "concat")))
SETTINGS, REPEATS = 4, 40


def truth(attention: float, score: float, setting: float = 0.0) -> np.ndarray:
    """S,V true figures: effects of attention, of score, and of attention that differ by setting,
    as the standard deviations of their levels."""
    rng = np.random.default_rng(8)

    def levels(size: int) -> np.ndarray:
        drawn = rng.normal(size=size)
        return np.asarray((drawn - drawn.mean()) / drawn.std())

    attentions, scores = list(dict.fromkeys(a for a, _ in GRID)), ("dot", "general", "concat")
    main, other = levels(len(attentions)), levels(len(scores))
    found = []
    for _ in range(SETTINGS):
        own = levels(len(attentions))
        found.append(
            [
                attention * main[attentions.index(a)]
                + score * other[scores.index(s)]
                + setting * own[attentions.index(a)]
                for a, s in GRID
            ]
        )
    return np.array(found)


def explained(true: np.ndarray) -> dict[str, float]:
    """Sums of squares of true figures by term, for the balanced grid."""
    cube = (true - true.mean(axis=1, keepdims=True)).reshape(SETTINGS, 4, 3)
    attention, score = cube.mean(axis=(0, 2)), cube.mean(axis=(0, 1))
    by_setting = cube.mean(axis=2)
    return {
        "attention": 12 * float((attention**2).sum()),
        "score": 16 * float((score**2).sum()),
        "attention x setting": 3 * float(((by_setting - attention) ** 2).sum()),
    }


def test_known_shares_are_recovered_and_intervals_hold_them() -> None:
    true = truth(3.0, 1.5, 1.5)
    known = explained(true)
    rng, held, seen = np.random.default_rng(9), [], []
    # Every mean varies by 1 / 3 over seeds and 0.25 over examples.
    noise = (1 / 3 + 0.25) * (len(GRID) - 1) * SETTINGS
    total = sum(known.values()) + noise
    for _ in range(REPEATS):
        made = simulated(rng, true, GRID, seeds=3)
        found = axis_shares(made.figures, made.draws).set_index("term")
        assert found["share"].sum() == pytest.approx(1)
        seen.append(found["share"])
        for term, squares in known.items():
            held.append(found.loc[term, "low"] <= squares / total <= found.loc[term, "high"])
    means = sum(seen) / len(seen)
    # Standardised within each setting, so that settings weigh alike: near, not equal.
    for term, squares in known.items():
        assert means[term] == pytest.approx(squares / total, abs=0.04), term
    assert means[NOISE] == pytest.approx(noise / total, abs=0.03)
    assert abs(means["score x setting"]) < 0.02 and abs(means["attention x score"]) < 0.02
    assert np.mean(held) >= 0.88


def test_noise_alone_gives_no_axis_a_share() -> None:
    rng, seen, beyond = np.random.default_rng(10), [], []
    for _ in range(REPEATS):
        made = simulated(rng, np.zeros((SETTINGS, len(GRID))), GRID, seeds=3)
        found = axis_shares(made.figures, made.draws).set_index("term")
        seen.append(found["share"])
        beyond += list(found.loc[["attention", "score"], "low"] > 0)
    # Scaled by the variance that was seen, which is all noise, its share is near 1 or above.
    means = sum(seen) / len(seen)
    assert means[NOISE] > 0.9 and means.drop(NOISE).max() < 0.03
    assert np.mean(beyond) <= 0.08


def test_one_seed_leaves_the_noise_of_seeds_in_the_shares() -> None:
    made = simulated(np.random.default_rng(11), truth(3.0, 1.5), GRID, seeds=1, over_examples=0.01)
    found = axis_shares(made.figures, made.draws).set_index("term")
    assert not found["over_seeds"].any()
    assert found.loc[NOISE, "share"] < 0.01
    assert found.loc[REST, "share"] > 0.01, "where it falls to no term"


def test_what_a_grid_cannot_tell_apart_is_divided_evenly() -> None:
    """Each attention with a score of its own: either may be the reason."""
    mechanisms = [("soft", "concat"), ("global", "general"), ("self", "dot")]
    made = simulated(np.random.default_rng(12), np.array([[0.0, 10.0, 20.0]] * 3), mechanisms)
    found = axis_shares(made.figures, made.draws).set_index("term")
    assert found.loc["attention", "share"] == pytest.approx(found.loc["score", "share"])
    assert found.loc["attention", "unique"] == pytest.approx(0, abs=1e-9)
    assert found.loc["attention", "alone"] > 0.9


def test_the_order_of_rows_does_not_matter_and_controls_are_no_level() -> None:
    mechanisms = [("none", "none"), *GRID]
    true = np.column_stack([np.full(SETTINGS, -50.0), truth(3.0, 1.5)])
    made = simulated(np.random.default_rng(13), true, mechanisms)
    found = axis_shares(made.figures, made.draws)
    assert found.set_index("term").loc["attention", "levels"] == 4
    turned = axis_shares(made.figures.iloc[::-1], made.draws)
    assert turned["share"].to_numpy() == pytest.approx(found["share"].to_numpy(), abs=0.02)
    assert axis_shares(made.figures[made.figures["contender"] == "none"], made.draws).empty
