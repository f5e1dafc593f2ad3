"""Intervals where most examples are alike: they cover the truth, of every task's figures."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tasks.captioning import metrics as captions
from tasks.entailment import evaluate as entailment
from tasks.evaluation.bootstrap import (
    FEWEST_UNLIKE,
    FRACTIONS,
    Interval,
    bootstrap,
    edge_interval,
    percentiles,
    ratio,
    resampled_sums,
)
from tasks.speech import evaluate as speech
from tasks.summarization import evaluate as summarization
from tasks.translation import evaluate as translation

SIZES, ACCURACIES = (20, 50, 100, 200, 1000), (0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 1.0)


def answers(right: int, size: int) -> np.ndarray:
    """N,2 statistics of so many right answers and else wrong ones."""
    return np.stack([np.arange(size) < right, np.ones(size)], axis=1).astype(float)


@pytest.mark.parametrize("size", SIZES)
def test_accuracies_are_covered_wherever_they_lie(size: int) -> None:
    """No simulation: the intervals of all numbers of right answers, by how likely each is."""
    right = np.arange(size + 1)
    likely = stats.binom.pmf(right, size, np.array(ACCURACIES)[:, None])  # accuracies,size+1
    asked = right[likely.max(axis=0) > 1e-5]
    found = [bootstrap(answers(int(one), size), ratio) for one in asked]
    low, high = (np.array([getattr(one, end) for one in found]) for end in ("low", "high"))
    assert ((low <= asked / size) & (asked / size <= high)).all()
    for accuracy, weights in zip(ACCURACIES, likely[:, asked], strict=True):
        covers = (low <= accuracy + 1e-12) & (accuracy - 1e-12 <= high)
        assert weights[covers].sum() >= 0.93, (size, accuracy)


def test_few_errors_give_the_exact_interval_of_a_share() -> None:
    for right in (50, 49, 45, 5, 0):
        exact = stats.binomtest(right, 50).proportion_ci(method="exact")
        found = bootstrap(answers(right, 50), ratio)
        assert (found.low, found.high) == pytest.approx((exact.low, exact.high))


def test_the_bootstrap_is_left_alone_in_the_interior() -> None:
    for right in (FEWEST_UNLIKE, 25, 50 - FEWEST_UNLIKE):
        statistics = answers(right, 50)
        found = bootstrap(statistics, ratio)
        assert edge_interval(statistics, ratio, FRACTIONS) is None
        assert (found.low, found.high) == percentiles(ratio(resampled_sums(statistics)))


def words_wrong(rng: np.random.Generator, size: int, share: float) -> np.ndarray:
    """N,2: errors and lengths of utterances, of which this share has errors, one or a few each."""
    lengths = rng.integers(3, 11, size)
    wrong = rng.random(size) < share
    return np.stack([wrong * (1 + rng.binomial(lengths - 1, 0.2)), lengths], axis=1).astype(float)


def spoilt(rng: np.random.Generator, size: int, share: float) -> np.ndarray:
    """N,2: scores of which this share is not 1 but lies anywhere between 0 and 1, mostly midway."""
    wrong = rng.random(size) < share
    return np.stack([np.where(wrong, rng.beta(2, 2, size), 1.0), np.ones(size)], axis=1)


@pytest.mark.parametrize(
    ("draw", "truth"),
    [(words_wrong, lambda share: share * (1 + 0.2 * 5.5) / 6.5), (spoilt, lambda s: 1 - s / 2)],
)
@pytest.mark.parametrize(("size", "share"), [(20, 0.05), (50, 0.02), (100, 0.05), (200, 0.01)])
def test_rates_and_scores_near_their_end_are_covered(
    draw: Callable[..., np.ndarray], truth: Callable[[float], float], size: int, share: float
) -> None:
    rng = np.random.default_rng(5)
    found = [bootstrap(draw(rng, size, share), ratio) for _ in range(200)]
    covered = np.mean([one.low <= truth(share) <= one.high for one in found])
    assert covered >= 0.93


TEXTS = ["one two three four five six", "a b c d e f", "so it is", "yes"] * 8
CLASSES = np.arange(32) % 3


def translated(right: int) -> Interval:
    return translation.score(TEXTS[:right] + ["zzz"] * (32 - right), TEXTS).interval


def captioned(right: int) -> Interval:
    texts = TEXTS[:right] + ["zzz"] * (32 - right)
    return captions.score(texts, [[text] for text in TEXTS]).cider_interval()


def summarized(right: int) -> Interval:
    return summarization.score(TEXTS[:right] + ["zzz"] * (32 - right), TEXTS).interval


def heard(right: int) -> Interval:
    units = [text.split() for text in TEXTS]
    return speech.score(units[:right] + [["zzz"]] * (32 - right), units, "words").interval


def classified(right: int) -> Interval:
    predicted = np.where(np.arange(32) < right, CLASSES, (CLASSES + 1) % 3)
    return entailment.score(CLASSES, predicted).interval


def classified_by_label(right: int) -> Interval:
    predicted = np.where(np.arange(32) < right, CLASSES, (CLASSES + 1) % 3)
    statistics = entailment.confusion_statistics(CLASSES, predicted)
    return bootstrap(statistics, entailment.macro_f1, entailment.CONFUSION_EXTREMES)


FIGURES = [translated, captioned, summarized, heard, classified, classified_by_label]


@pytest.mark.parametrize("figure", FIGURES)
@pytest.mark.parametrize("right", [0, 1, 16, 31, 32])
def test_every_figure_lies_in_its_interval_which_has_a_width(
    figure: Callable[[int], Interval], right: int
) -> None:
    found = figure(right)
    assert found.low <= found.value <= found.high and found.low < found.high


@pytest.mark.parametrize("figure", FIGURES)
def test_nothing_but_right_answers_is_no_certainty(figure: Callable[[int], Interval]) -> None:
    """The best there can be is in the interval, and not alone: three wrong ones of a hundred
    would not have shown among 32 examples."""
    found, worst = figure(32), figure(0)
    best, far = (found.low, worst.high) if figure is heard else (found.high, worst.low)
    if figure is not captioned:  # CIDEr of a caption's own reference depends on the other captions
        assert found.value == pytest.approx(best)
    assert abs(worst.value - far) < 1e-9 or figure is heard
    assert (found.high - found.low) > 0.03 * abs(found.value - worst.value)


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(1, 4)), min_size=1, max_size=40),
    st.sampled_from([1.0, 0.1, 1 / 3]),
)
@settings(max_examples=60, deadline=None)
def test_low_value_high_are_in_order(rows: list[tuple[int, int]], scale: float) -> None:
    found = bootstrap(np.array(rows, dtype=float) * [scale, 1.0], ratio)
    assert found.low <= found.value <= found.high


def test_one_example_says_next_to_nothing() -> None:
    found = bootstrap(answers(1, 1), ratio)
    assert found.value == 1.0 and found.low == pytest.approx(0.025) and found.high == 1.0
