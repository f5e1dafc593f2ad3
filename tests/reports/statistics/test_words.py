"""Words by frequency and examples by difference, against counts by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from reports.statistics.examples import examples_by_difference
from reports.statistics.words import words_by_frequency, words_of

EXAMPLES = pd.DataFrame(
    [
        ("soft", 1, "a", "x", ["the dog barks ."], "the dog barks .", 1.0),
        ("soft", 1, "b", "y", ["the cat sleeps ."], "the the sleeps .", 0.6),
        ("none", 1, "a", "x", ["the dog barks ."], "the the the", 0.2),
        ("none", 1, "b", "y", ["the cat sleeps ."], "the cat .", 0.8),
    ],
    columns=["contender", "seed", "example", "source", "references", "prediction", "score"],
)


def test_words_are_counted_by_how_often_references_have_them() -> None:
    found = words_by_frequency(EXAMPLES).set_index(["contender", "bucket"])
    # Once in the references: dog, barks, cat, sleeps. Twice: the, and the full stop.
    soft, none = found.loc[("soft", "1")], found.loc[("none", "1")]
    assert (soft["words"], soft["precision"], soft["recall"]) == (4, 1.0, 0.75)
    assert soft["f1"] == pytest.approx(6 / 7)
    assert (none["precision"], none["recall"]) == (1.0, 0.25)
    often = found.loc[("none", "2-4")]  # the, the, the; the, full stop
    assert (often["precision"], often["recall"]) == (3 / 5, 3 / 4)
    assert (found["low"] <= found["f1"]).all() and (found["f1"] <= found["high"]).all()


def test_frequencies_of_training_have_a_bucket_for_unseen_words() -> None:
    known = {"the": 5000, ".": 4000, "dog": 3, "barks": 3, "cat": 3}
    found = words_by_frequency(EXAMPLES, known).set_index(["contender", "bucket"])
    assert found.loc[("soft", "0"), "recall"] == 1.0  # sleeps
    assert found.loc[("none", "0"), "recall"] == 0.0
    assert found.loc[("soft", "1000 or more"), "words"] == 4


def test_every_reference_counts_and_seeds_are_pooled() -> None:
    one = EXAMPLES[EXAMPLES["contender"] == "soft"].head(1)
    several = one.assign(
        references=[[["the dog barks ."], ["a dog bites ."]][0] + ["a dog bites ."]]
    )
    found = words_by_frequency(pd.concat([several, several.assign(seed=2)]))
    assert found["words"].sum() == 8, "of one seed"
    right = (found["recall"] * found["words"]).sum()
    assert right == pytest.approx(4 + 2)


def test_texts_without_blanks_between_words_and_marks() -> None:
    assert words_of("Don't go, Übung!") == ["Don", "'", "t", "go", ",", "Übung", "!"]
    assert words_by_frequency(EXAMPLES.head(0)).empty


def test_intervals_hold_the_true_recall() -> None:
    """Words are found with a probability of 0.7 in 150 examples of two rare words each."""
    held = []
    for repeat in range(60):
        rng = np.random.default_rng(repeat)
        rows = []
        for place in range(60):
            words = [f"w{2 * place}", f"w{2 * place + 1}"]
            kept = [word if rng.random() < 0.7 else "other" for word in words]
            rows.append(("soft", 1, f"e{place}", "", [" ".join(words)], " ".join(kept), 0.0))
        found = words_by_frequency(pd.DataFrame(rows, columns=EXAMPLES.columns), edges=(0, 1))
        (row,) = found[found["bucket"] == "1 or more"].itertuples()
        held.append(row.low <= 2 * 0.7 / 1.7 <= row.high)  # precision is 1 without other words
    assert np.mean(held) >= 0.88


def test_examples_are_sorted_by_the_difference_of_two() -> None:
    found = examples_by_difference(EXAMPLES, "soft", "none")
    assert list(found["example"]) == ["a", "b"]
    assert found["difference"].to_numpy() == pytest.approx([0.8, -0.2])
    assert found.loc[0, "prediction_second"] == "the the the"
    turned = examples_by_difference(EXAMPLES, "none", "soft")
    assert list(turned["example"]) == ["b", "a"]
    with pytest.raises(ValueError, match="no examples of 'hard'; there are those of soft, none"):
        examples_by_difference(EXAMPLES, "hard", "soft")


def test_scores_are_means_over_seeds_and_only_shared_examples_are_compared() -> None:
    second = EXAMPLES.head(1).assign(seed=2, score=0.0, prediction="")
    found = examples_by_difference(pd.concat([EXAMPLES.drop(index=3), second]), "soft", "none")
    (row,) = found.itertuples()
    assert (row.example, row.score_first) == ("a", 0.5)
    assert row.prediction_first == "the dog barks .", "of the lowest seed"
