"""The baselines: right where there is something to find, and always the same."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.sparse import csr_matrix
from scipy.special import log_softmax

from tasks.entailment.baselines import (
    baselines,
    hypothesis_features,
    overlap_features,
    regression,
    vectorizer,
)
from tasks.entailment.datasets import LABELS, EntailmentCorpus, PairExample, gold_classes


def pair(premise: str, hypothesis: str, label: int = 0) -> PairExample:
    return PairExample(
        f"{premise}/{hypothesis}", tuple(premise.split()), tuple(hypothesis.split()), LABELS[label]
    )


def corpus_of(make: list[PairExample]) -> EntailmentCorpus:
    return EntailmentCorpus(
        train=tuple(make[:120]),
        validation=tuple(make[120:150]),
        tests={"test": tuple(make[150:])},
    )


def accuracies(corpus: EntailmentCorpus) -> dict[str, float]:
    gold = gold_classes(corpus.tests["test"])
    return {
        baseline.name: float((gold == baseline.predictions["test"]).mean())
        for baseline in baselines(corpus)
    }


def test_labels_readable_from_the_hypothesis_are_found_by_that_baseline() -> None:
    words = ["outside", "sleeping", "sad"]
    pairs = [pair(f"p{n}", f"somebody is {words[n % 3]}", n % 3) for n in range(210)]
    assert accuracies(corpus_of(pairs))["hypothesis only"] == 1.0


def test_labels_readable_from_overlap_alone_are_found_by_that_baseline() -> None:
    def make(n: int) -> PairExample:
        premise = f"a{n % 7} b{n % 5} c{n % 11}"
        hypothesis = [premise, f"x{n % 5} y{n % 7} z{n % 3}", f"not {premise}"][n % 3]
        return pair(premise, hypothesis, n % 3)

    found = accuracies(corpus_of([make(n) for n in range(210)]))
    assert found["overlap"] == 1.0
    assert found["majority"] == pytest.approx(1 / 3)


def test_the_majority_is_that_of_the_training_pairs() -> None:
    pairs = [pair(f"p{n}", "h", 2 if n < 100 else 1) for n in range(180)]
    assert accuracies(corpus_of(pairs))["majority"] == 0.0


def test_baselines_give_the_same_predictions_twice() -> None:
    rng = np.random.default_rng(0)
    pairs = [
        pair(" ".join(f"w{w}" for w in rng.integers(0, 20, 6)), f"w{rng.integers(20)} h", n % 3)
        for n in range(200)
    ]
    for one, other in zip(baselines(corpus_of(pairs)), baselines(corpus_of(pairs)), strict=True):
        assert (one.predictions["test"] == other.predictions["test"]).all()


def test_overlap_features_of_a_pair() -> None:
    found = overlap_features(pair("a big dog runs fast", "no dog runs"))
    assert found["hypothesis covered"] == pytest.approx(2 / 3)
    assert found["hypothesis covered, squared"] == pytest.approx(4 / 9)
    assert found["premise covered"] == pytest.approx(2 / 5)
    assert found["words shared"] == pytest.approx(2 / 6)
    assert found["neighbours covered"] == pytest.approx(1 / 2)
    assert found["premise longer"] == 2 and "hypothesis longer" not in found
    assert found["only the hypothesis denies"] == 1
    assert found["hypothesis has no"] == 1 and found["premise has big"] == 1
    assert "hypothesis has dog" not in found and "all matched" not in found
    assert overlap_features(pair("a b", "b a"))["all matched"] == 1


def test_hypothesis_features_do_not_look_at_the_premise() -> None:
    found = hypothesis_features(pair("anything at all", "a dog runs"))
    assert set(found) == {"a", "dog", "runs", "a_dog", "dog_runs"}


@pytest.mark.parametrize("penalty", [1e-4, 3e-3])
def test_the_regression_finds_the_optimum_of_the_penalised_mean_cross_entropy(
    penalty: float,
) -> None:
    rng = np.random.default_rng(1)
    inputs = rng.normal(size=(300, 4))
    classes = (inputs @ rng.normal(size=(4, 3)) + rng.gumbel(size=(300, 3))).argmax(axis=1)

    def objective(flat: np.ndarray) -> float:
        weights, bias = flat[:12].reshape(4, 3), flat[12:]
        right = log_softmax(inputs @ weights + bias, axis=1)[np.arange(300), classes]
        return float(-right.mean() + penalty / 2 * (weights**2).sum())

    reference = minimize(objective, np.zeros(15), method="L-BFGS-B", options={"maxiter": 300})
    model = regression(csr_matrix(inputs), classes, penalty)
    found = np.concatenate([model.coef_.T.ravel(), model.intercept_])
    assert objective(found) <= reference.fun
    assert found[:12] == pytest.approx(reference.x[:12], abs=1e-2)
    expected = (inputs @ reference.x[:12].reshape(4, 3) + reference.x[12:]).argmax(axis=1)
    assert (model.predict(csr_matrix(inputs)) == expected).mean() > 0.99


def test_features_unknown_or_rare_in_training_are_left_out() -> None:
    space = vectorizer([{"a": 2.0, "b": 1.0}, {"a": -4.0}, {"a": 1.0, "b": 1.0}])
    assert space is not None
    assert space.transform([{"a": 2.0, "c": 5.0}, {"b": 1.0}]).toarray().tolist() == [[0.5], [0.0]]
    assert vectorizer([{"a": 1.0}, {"b": 1.0}]) is None


@pytest.mark.parametrize("labels", [[2], [1, 2, 2]])
def test_pairs_without_frequent_features_or_of_one_label_get_the_majority(
    labels: list[int],
) -> None:
    words = iter(range(10_000))
    pairs = [
        pair(f"p{next(words)}", f"h{n if labels != [2] else 0}", labels[n % len(labels)])
        for n in range(180)
    ]
    for baseline in baselines(corpus_of(pairs)):
        assert set(baseline.predictions["test"]) == {2}
