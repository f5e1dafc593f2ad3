"""All pairs, intervals of ranks and practical equality, against simulations with known truths."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from simulated_figures import simulated

from bench.store.store import Store
from reports.catalogue import Catalogue
from reports.load import collect
from reports.results import read
from reports.statistics import analyse
from reports.statistics.equivalence import EQUAL, LARGER, ONE_SEED, OPEN, equivalence
from reports.statistics.frames import differences_of
from reports.statistics.pairs import pairs
from reports.statistics.ranks import ranks

#: 5 % plus what 200 simulations scatter by (99 %).
FIVE_PERCENT = 0.05 + 2.33 * (0.05 * 0.95 / 200) ** 0.5
REPEATS = 200


def test_the_pairs_of_an_analysis_have_its_corrected_p(store: Store, catalogue: Catalogue) -> None:
    results, _ = read(store)
    (frame,) = collect("", results, catalogue).frames
    analysis = analyse(frame, store)
    found = pairs(differences_of([analysis]))
    names = [one.name for one in frame.contenders]
    known = sum(one is not None for one in analysis.main.estimates)
    assert len(found) == known * (known - 1) // 2
    for row in found.itertuples():
        place = names.index(row.first), names.index(row.second)
        first, second = (analysis.main.estimates[one] for one in place)
        assert row.p_holm == pytest.approx(analysis.main.adjusted[place])
        assert row.difference == pytest.approx(first.value - second.value)
        assert row.difference >= 0, "the better figure is the first"
        assert row.low_all <= row.low <= row.difference <= row.high <= row.high_all


def test_intervals_hold_the_true_differences_and_errors_are_rare() -> None:
    rng = np.random.default_rng(1)
    truth = np.array([[0.0, 0.0, 0.0, 1.0, 3.0, 6.0]])
    true = {f"m{place} + dot": value for place, value in enumerate(truth[0])}
    own, all_at_once, wrong, missed_ranks = [], [], [], []
    for _ in range(REPEATS):
        found = pairs(simulated(rng, truth, seeds=3).differences)
        apart = found["first"].map(true) - found["second"].map(true)
        own.append(((found["low"] <= apart) & (apart <= found["high"])).mean())
        all_at_once.append(((found["low_all"] <= apart) & (apart <= found["high_all"])).all())
        wrong.append((found["distinct"] & (apart <= 0)).any())
        placed = ranks(found).set_index("contender")
        for name, value in true.items():
            # Mechanisms that are truly equal share places: any of them is a true rank.
            best = 1 + sum(one > value for one in true.values())
            worst = sum(one >= value for one in true.values())
            if placed.loc[name, "low"] > best or placed.loc[name, "high"] < worst:
                missed_ranks.append(True)
                break
        else:
            missed_ranks.append(False)
    assert np.mean(own) >= 0.94
    assert np.mean(all_at_once) >= 1 - FIVE_PERCENT
    assert np.mean(wrong) <= FIVE_PERCENT
    assert np.mean(missed_ranks) <= FIVE_PERCENT


def test_what_surely_differs_has_a_narrow_rank() -> None:
    truth = np.array([[0.0, 20.0, 40.0]])
    (one, two, three) = ranks(
        pairs(simulated(np.random.default_rng(2), truth).differences)
    ).itertuples()
    assert (one.contender, one.low, one.high) == ("m2 + dot", 1, 1)
    assert (two.low, two.high, three.low, three.high) == (2, 2, 3, 3)


def test_equal_figures_share_a_rank_and_other_examples_are_not_compared() -> None:
    found = simulated(np.random.default_rng(3), np.zeros((1, 2))).differences
    equal = found.assign(difference=0.0)
    assert list(ranks(pairs(equal))["rank"]) == [1.5, 1.5]
    apart = pairs(found.assign(standard_error=np.nan))
    assert apart[["p", "p_holm", "low", "high"]].isna().all(axis=None)
    assert not apart["distinct"].any()


@pytest.mark.parametrize("true", [0.0, 1.0, 2.0, 4.0])
def test_practically_equal_is_claimed_of_small_differences_only(true: float) -> None:
    """The smallest difference that matters is 2: at the border either claim is an error."""
    rng = np.random.default_rng(4)
    said = pd.Series(
        [
            equivalence(
                simulated(rng, np.array([[0.0, true]]), seeds=8, over_examples=0.2).differences, 2.0
            )["verdict"].item()
            for _ in range(REPEATS)
        ]
    ).value_counts(normalize=True)
    if true >= 2:
        assert said.get(EQUAL, 0) <= FIVE_PERCENT
    if true <= 2:
        assert said.get(LARGER, 0) <= FIVE_PERCENT
    if true == 0:
        assert said[EQUAL] >= 0.8
    if true == 4:
        assert said[LARGER] >= 0.8


def test_the_margin_from_which_two_are_equal_is_where_the_verdict_turns() -> None:
    found = simulated(np.random.default_rng(5), np.array([[0.0, 1.0]]), seeds=6).differences
    border = equivalence(found, 1.0)["equal_from"].item()
    assert equivalence(found, border * 1.001)["verdict"].item() == EQUAL
    assert equivalence(found, border * 0.999)["verdict"].item() == OPEN
    with pytest.raises(ValueError, match="above 0"):
        equivalence(found, 0.0)


def test_one_seed_is_no_evidence_of_equality() -> None:
    found = simulated(np.random.default_rng(6), np.zeros((1, 3)), seeds=1).differences
    assert set(equivalence(found, 100.0)["verdict"]) == {ONE_SEED}
    assert not pairs(found)["distinct"].any()
