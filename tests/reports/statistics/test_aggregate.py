"""Normalised scores, interquartile means, probabilities of improvement and performance profiles."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from simulated_figures import Simulated, simulated

from reports.statistics.aggregate import interquartile_means, normalised
from reports.statistics.frames import seed_draws
from reports.statistics.improvement import probabilities_of_improvement
from reports.statistics.profiles import performance_profiles

REPEATS = 100
#: 95 % less what so many simulations scatter by (99 %).
COVERED = 0.95 - 2.33 * (0.05 * 0.95 / REPEATS) ** 0.5
MECHANISMS = (("none", "none"), ("soft", "concat"), ("global", "dot"), ("hard", "concat"))
#: By setting; the control first, the best of each setting far ahead of it.
TRUTH = np.array(
    [
        [0.0, 40.0, 36.0, 30.0],
        [10.0, 30.0, 31.0, 22.0],
        [5.0, 65.0, 60.0, 40.0],
        [0.0, 20.0, 24.0, 19.0],
        [2.0, 50.0, 47.0, 12.0],
    ]
)


def measured(rng: np.random.Generator, seeds: int = 3, **noise: float) -> Simulated:
    return simulated(rng, TRUTH, MECHANISMS, seeds=seeds, **noise)


def test_scores_have_no_unit_and_run_from_the_control_to_the_best() -> None:
    found = measured(np.random.default_rng(0)).figures
    scores = normalised(found)
    assert (scores.loc[scores["attention"] == "none", "score"] == 0).all()
    assert (scores.groupby("setting")["score"].max() == 1).all()
    other = found["setting"] == "task 1"
    scaled = found.assign(value=found["value"].where(~other, 100 - 3 * found["value"]))
    scaled["higher_is_better"] = ~other
    assert normalised(scaled)["score"].to_numpy() == pytest.approx(scores["score"].to_numpy())


def test_a_setting_without_a_scale_is_left_out() -> None:
    found = measured(np.random.default_rng(0)).figures
    lost = (found["setting"] == "task 2") & (found["attention"] == "none")
    assert "task 2" not in set(normalised(found[~lost])["setting"])
    best = found.assign(value=found["value"].where(~lost, 1000.0))
    assert "task 2" not in set(normalised(best)["setting"])
    assert interquartile_means(found[found["attention"] != "none"], found).empty


def test_the_draws_of_a_mean_are_its_t_interval() -> None:
    made = simulated(np.random.default_rng(1), np.zeros((1, 40)), over_examples=1e-6)
    drawn, deviations = seed_draws(made.figures, 0 * made.draws)
    error = np.sqrt(made.figures["seed_variance"] / made.figures["seeds"]).to_numpy()
    pooled = ((drawn - made.figures["value"].to_numpy()) / error).ravel()
    freedom = made.figures["freedom"].iloc[0]
    for q in (0.05, 0.5, 0.95):
        assert np.quantile(pooled, q) == pytest.approx(stats.t.ppf(q, freedom), abs=0.1)
    assert np.isfinite(deviations).all()


def test_intervals_of_interquartile_means_hold_the_truth() -> None:
    """The truth is that of the true figures on the scale of each table."""
    rng, held = np.random.default_rng(2), []
    for _ in range(REPEATS):
        made = measured(rng)
        found = interquartile_means(made.figures, made.draws).set_index("contender")
        scores = normalised(made.figures)
        true = scores.assign(value=TRUTH.ravel() + 0 * scores["value"])
        # What examples shift all mechanisms of a setting by alike is no part of the truth's scale.
        shift = (made.figures["value"] - TRUTH.ravel()).groupby(made.figures["setting"])
        true["value"] = true["value"] + shift.transform("mean")
        true["score"] = (true["value"] - true["zero"]) / (true["one"] - true["zero"])
        for name, own in true.groupby("contender"):
            middle = stats.trim_mean(own["score"], 0.25)
            held.append(found.loc[name, "low"] <= middle <= found.loc[name, "high"])
    assert np.mean(held) >= 0.93


def test_the_interquartile_mean_cuts_what_goes_wrong_once() -> None:
    found = measured(np.random.default_rng(3), over_seeds=0.01, over_examples=0.01)
    told = interquartile_means(found.figures, found.draws).set_index("contender")
    hard = normalised(found.figures).query("attention == 'hard'")["score"]
    assert told.loc["hard + concat", "iqm"] == pytest.approx(np.sort(hard)[1:-1].mean())
    assert told.loc["hard + concat", "mean"] == pytest.approx(hard.mean())
    assert told["over_seeds"].all()


def test_the_probability_of_improvement_holds_the_truth() -> None:
    truth = np.array([[0.0, 1.0], [0.0, 0.0], [0.0, -0.5]])
    true = stats.norm.cdf(truth[:, 1] / 2**0.5).mean()
    rng, held, seen = np.random.default_rng(4), [], []
    for _ in range(REPEATS):
        made = simulated(rng, truth, seeds=5, over_examples=0.1)
        (row,) = probabilities_of_improvement(made.figures, made.draws).itertuples()
        turned = row.first != "m1 + dot"
        low, high = (1 - row.high, 1 - row.low) if turned else (row.low, row.high)
        held.append(low <= true <= high)
        seen.append(1 - row.probability if turned else row.probability)
    assert np.mean(held) >= COVERED
    assert np.mean(seen) == pytest.approx(true, abs=0.03)


def test_with_many_seeds_it_is_the_count_of_pairs_of_runs() -> None:
    made = simulated(np.random.default_rng(5), np.array([[0.0, 1.0], [0.0, 0.3]]), seeds=400)
    (row,) = probabilities_of_improvement(made.figures, made.draws).itertuples()
    runs = made.trials.groupby(["setting", "contender"])["value"].apply(np.array)
    counted = np.mean(
        [
            stats.mannwhitneyu(runs[setting, row.first], runs[setting, row.second]).statistic
            / 400**2
            for setting in ("task 0", "task 1")
        ]
    )
    assert row.probability == pytest.approx(counted, abs=0.02)


def test_one_seed_has_no_probability_of_improvement() -> None:
    made = measured(np.random.default_rng(6), seeds=1)
    assert probabilities_of_improvement(made.figures, made.draws).empty
    assert not interquartile_means(made.figures, made.draws)["over_seeds"].any()


def test_profiles_are_shares_of_runs_and_their_bands_hold_the_truth() -> None:
    rng, held = np.random.default_rng(7), []
    for repeat in range(40):
        made = measured(rng, seeds=5)
        found = performance_profiles(made.figures, made.trials, made.draws, (0.2, 0.5, 0.9))
        scores = normalised(made.figures)
        if not repeat:
            (row,) = found.query("contender == 'hard + concat' and threshold == 0.5").itertuples()
            own = made.trials.merge(scores, on=["setting", "contender"], suffixes=("", "_mean"))
            own["score"] = (own["value"] - own["zero"]) / (own["one"] - own["zero"])
            runs = own[own["contender"] == "hard + concat"]
            assert row.share == pytest.approx((runs["score"] > 0.5).mean())
            assert found.groupby("contender")["share"].is_monotonic_decreasing.all()
        shift = (made.figures["value"] - TRUTH.ravel()).groupby(made.figures["setting"])
        true = TRUTH.ravel() + shift.transform("mean")
        read = found.set_index(["contender", "threshold"])
        for threshold in (0.2, 0.5, 0.9):
            needed = scores["zero"] + threshold * (scores["one"] - scores["zero"])
            tails = (needed - true).map(stats.norm.sf).groupby(scores["contender"]).mean()
            for name, tail in tails.items():
                row = read.loc[(name, threshold)]
                held.append(row["low"] - 1e-6 <= tail <= row["high"] + 1e-6)
    assert np.mean(held) >= 0.9
