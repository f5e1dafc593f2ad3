"""ROUGE against rouge-score and by hand, words of the writer's own, baselines."""

from __future__ import annotations

import numpy as np
import pytest
from rouge_score.rouge_scorer import RougeScorer

from tasks.summarization import evaluate as metrics
from tasks.summarization.baselines import baselines, best_length, first_words
from tasks.summarization.datasets import Document, SummaryCorpus


def test_rouge_by_hand() -> None:
    [row] = metrics.rouge(["the cats sat on mats"], ["The cat sat on the mat."])
    # Stems: the cat sat on mat / the cat sat on the mat.
    precision, recall = 5 / 5, 5 / 6
    assert row[0] == pytest.approx(2 * precision * recall / (precision + recall))
    # the-cat, cat-sat, sat-on of 4 and 5 neighbours.
    assert row[1] == pytest.approx(2 * (3 / 4) * (3 / 5) / (3 / 4 + 3 / 5))
    assert row[2] == pytest.approx(row[0])
    assert (metrics.rouge([""], ["a"]) == 0).all()


def test_words_stemmed_once_give_the_figures_of_rouge_score() -> None:
    texts = [
        "Ministers agreed on national agreements, generously.",
        "A minister's agreement: nations agreeing!",
        "flying flies fly; relational conditional rationalisation",
        "",
    ]
    pairs = [(written, wanted) for written in texts for wanted in texts]
    scorer = RougeScorer(list(metrics.ROUGE.values()), use_stemmer=True)
    expected = [
        [one.fmeasure for one in scorer.score(wanted, written).values()]
        for written, wanted in pairs
    ]
    for _ in range(2):  # what was remembered gives the same
        assert metrics.rouge(*zip(*pairs, strict=True)).tolist() == expected


def test_scores_are_means_with_intervals() -> None:
    rng = np.random.default_rng(0)
    texts = [" ".join(f"w{w}" for w in rng.integers(0, 8, 6)) for _ in range(120)]
    predictions, references = texts[:60], texts[60:]
    scores = metrics.score(predictions, references)
    scorer = RougeScorer(["rougeL"], use_stemmer=True)
    each = [
        scorer.score(reference, prediction)["rougeL"].fmeasure
        for prediction, reference in zip(predictions, references, strict=True)
    ]
    assert scores.interval.value == pytest.approx(np.mean(each))
    assert scores.interval.low < scores.interval.value < scores.interval.high
    figures = scores.metrics
    assert figures["rouge_l"] == scores.interval.value
    assert set(figures) == {f"{n}{s}" for n in metrics.ROUGE for s in ("", "_low", "_high")}
    assert scores.statistics.sum(axis=0)[1] == 60
    # The deviation of the mean, which the interval must match.
    width = 2 * 1.96 * np.std(each) / np.sqrt(60)
    assert scores.interval.high - scores.interval.low == pytest.approx(width, rel=0.2)
    assert metrics.signature().startswith("rouge-score 0.1")
    assert "stemmer:porter" in metrics.signature()


def document(source: str, summary: str, name: str = "x") -> Document:
    return Document(name, (tuple(source.split()),), tuple(summary.split()))


def test_words_of_the_writers_own() -> None:
    sources = [tuple("abcd"), tuple("ef")]
    found = metrics.own_words(
        [("a", "b", "d"), ("e", "z", "z")], [("a", "x"), tuple("efgh")], sources
    )
    assert found["length_ratio"] == pytest.approx(6 / 6)
    assert found["copy_rate"] == pytest.approx(4 / 6)
    assert found["novelty_2"] == pytest.approx(3 / 4)  # b-d, e-z, z-z of four
    assert found["novelty_3"] == pytest.approx(1.0)
    assert found["reference_copy_rate"] == pytest.approx(3 / 6)
    assert found["reference_novelty_2"] == pytest.approx(3 / 4)


def test_writing_nothing_copies_nothing() -> None:
    found = metrics.own_words([()], [("b",)], [("a",)])
    assert found["copy_rate"] == found["length_ratio"] == found["novelty_2"] == 0.0


def corpus() -> SummaryCorpus:
    def part(name: str, count: int) -> tuple[Document, ...]:
        return tuple(
            document(
                " ".join(f"w{n}x{k}" for k in range(20 + n)),
                " ".join(f"w{n}x{k}" for k in range(6)),
            )
            for n in range(count)
        )

    return SummaryCorpus(
        train=part("train", 4),
        validation=part("validation", 5),
        tests={"test": part("test", 8)},
    )


def test_baselines_copy_the_beginning() -> None:
    made = corpus()
    assert best_length(made.validation) == 6
    shortest, oracle = baselines(made)
    assert shortest.name == "first 6 words"
    test = made.tests["test"]
    assert [tuple(words) for words in shortest.predictions["test"]] == [one.summary for one in test]
    assert shortest.predictions == oracle.predictions
    assert first_words(test[0], 2) == ("w0x0", "w0x1")
