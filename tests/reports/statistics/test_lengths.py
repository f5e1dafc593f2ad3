"""Leads over the control by source length, against figures worked out by hand and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from reports.samples import Sample
from reports.statistics.bootstrap import MEAN, Resampler
from reports.statistics.lengths import figures_by_length, leads_by_length, length_ranges


def sample(scores, lengths, name: str = "ab") -> Sample:
    scores = np.asarray(scores, dtype=float)
    return Sample(name * 32, scores, np.zeros((len(scores), 0)), np.asarray(lengths))


def measured(scores_by_set):
    found = {name: sample(*one, key) for name, (one, key) in scores_by_set.items()}
    return figures_by_length(found, MEAN, Resampler(400), {})


def test_the_first_test_set_is_cut_at_its_median():
    lengths = np.arange(40)
    found = length_ranges({"test": sample(np.zeros(40), lengths)})
    assert list(found) == ["test, shorter", "test, longer"]
    assert found["test, shorter"].lengths.tolist() == list(range(20))
    digests = {one.test_set for one in found.values()}
    assert len(digests) == 2


def test_many_equal_lengths_leave_nobody_out():
    lengths = [5] * 10 + [9] * 30
    found = length_ranges({"test": sample(np.zeros(40), lengths)})
    assert {name: len(one) for name, one in found.items()} == {
        "test, shorter": 10,
        "test, longer": 30,
    }


def test_other_test_sets_count_where_they_are_longer():
    found = length_ranges(
        {
            "test": sample(np.zeros(40), np.arange(40)),
            "long": sample(np.zeros(20), np.full(20, 90)),
            "short": sample(np.zeros(20), np.full(20, 3)),
        }
    )
    assert list(found) == ["test, shorter", "test, longer", "long"]


@pytest.mark.parametrize("lengths", [[4] * 40, [1, 2, 3]])
def test_nothing_to_cut(lengths):
    assert length_ranges({"test": sample(np.zeros(len(lengths)), lengths)}) == {}


def test_leads_are_differences_of_means():
    lengths = np.arange(100)
    control = np.where(lengths < 50, 0.5, 0.2)
    other = np.where(lengths < 50, 0.6, 0.7)
    found = leads_by_length(
        [[measured({"test": ((each, lengths), "ab")})] for each in (control, other)], 0, sign=1
    )
    assert found.figures[0] == (pytest.approx(0.5), pytest.approx(0.6))
    assert found.figures[1] == (pytest.approx(0.2), pytest.approx(0.7))
    assert [one[1].value for one in found.leads] == pytest.approx([0.1, 0.5])
    assert found.growth[0][1].value == pytest.approx(0.4)
    assert found.leads[0][0] is None and found.growth[0][0] is None
    # The same difference on every example leaves nothing to chance.
    assert found.leads[0][1].low == pytest.approx(0.1)


def test_a_lead_is_as_sure_as_the_seeds_of_both():
    lengths = np.arange(100)
    control, other = (
        [measured({"test": ((np.full(100, figure), lengths), "ab")}) for figure in figures]
        for figures in ((0.4, 0.5, 0.6), (0.7, 0.8, 0.9, 0.8))
    )
    found = leads_by_length([control, other], 0, sign=1)
    variances = 0.01 / 3, np.var([0.7, 0.8, 0.9, 0.8], ddof=1) / 4
    low, high = stats.t.interval(0.95, 2, loc=0.3, scale=np.sqrt(sum(variances)))
    lead, grown = found.leads[0][1], found.growth[0][1]
    assert (lead.low, lead.high) == pytest.approx((low, high), rel=1e-5)
    # Of the growth, the seeds of both parts count.
    reach = (high - low) / 2 * np.sqrt(2)
    assert (grown.low, grown.high) == pytest.approx((-reach, reach), rel=1e-5)


def test_a_lead_may_grow_on_lengths_as_in_training_and_not_beyond():
    lengths = np.arange(100)
    control = np.where(lengths < 50, 0.5, 0.2), np.full(50, 0.1)
    other = np.where(lengths < 50, 0.6, 0.7), np.full(50, 0.15)
    sets = [
        measured({"test": ((own, lengths), "ab"), "long": ((far, np.full(50, 300)), "cd")})
        for own, far in (control, other)
    ]
    found = leads_by_length([[one] for one in sets], 0, sign=1)
    assert [part.name for part in found.parts] == ["test, shorter", "test, longer", "long"]
    assert [part[1].value for part in found.growth] == pytest.approx([0.4, -0.05])


def test_of_an_error_rate_less_is_ahead():
    lengths = np.arange(100)
    errors = [np.full(100, 0.5), np.full(100, 0.3)]
    found = leads_by_length(
        [[measured({"test": ((e, lengths), "ab")})] for e in errors], 0, sign=-1
    )
    assert found.leads[0][1].value == pytest.approx(0.2)


def test_other_examples_are_not_compared():
    lengths = np.arange(100)
    one = measured({"test": ((np.zeros(100), lengths), "ab")})
    other = measured({"test": ((np.ones(100), lengths), "cd")})
    found = leads_by_length([[one], [other]], 0, sign=1)
    assert found.leads[0][1] is None and found.growth[0][1] is None


@pytest.mark.parametrize("spoilt", [0, 1])
@pytest.mark.parametrize("name", ["cd", "ab"], ids=["another set", "other lengths"])
def test_seeds_with_other_examples_are_not_compared(spoilt: int, name: str):
    lengths = np.arange(100)
    whole = measured({"test": ((np.arange(100) % 2, lengths), "ab")})
    fewer = measured({"test": ((np.arange(99) % 2, lengths[:99]), name)})
    seeds = [[whole, whole], [whole, whole]]
    seeds[spoilt] = [whole, fewer]
    found = leads_by_length(seeds, 0, sign=1)
    assert found.leads[1][1] is None and found.growth[0][1] is None


def test_a_control_without_examples_gives_nothing():
    lengths = np.arange(100)
    one = measured({"test": ((np.zeros(100), lengths), "ab")})
    assert leads_by_length([[], [one]], 0, sign=1) is None


def test_without_growth_it_is_claimed_in_about_one_of_twenty():
    rng = np.random.default_rng(1)
    lengths = np.arange(120)
    claimed = 0
    for _ in range(300):
        difficulty = rng.random(120)
        right = [(difficulty + 0.3 * rng.random(120) < rate).astype(float) for rate in (0.6, 0.8)]
        found = leads_by_length(
            [[measured({"test": ((r, lengths), "ab")})] for r in right], 0, sign=1
        )
        grown = found.growth[0][1]
        outside = not grown.low <= 0 <= grown.high
        assert outside == (grown.p < 0.05) or abs(grown.p - 0.05) < 1e-6
        assert found.adjusted[0][1] == pytest.approx(grown.p)  # a single comparison
        claimed += outside
    assert claimed / 300 <= 0.085  # 5 % and three standard errors of 300 trials
