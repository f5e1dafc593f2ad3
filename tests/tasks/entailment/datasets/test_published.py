"""The real data sets, as their publishers distribute them."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from tasks.base import DatasetOptions, datasets
from tasks.data.tokenizer import words
from tasks.entailment.baselines import baselines
from tasks.entailment.datasets import EntailmentCorpus, gold_classes


def check(name: str, root: Path | None, options: DatasetOptions) -> list[str]:
    return datasets("entailment").get(name).check(options, root)


DATA = Path(os.environ.get("ATTNBENCH_DATA") or Path(__file__).parents[5] / "shared" / "data")


def needs(folder: str) -> pytest.MarkDecorator:
    there = (DATA / folder).is_dir()
    return pytest.mark.skipif(not there, reason=f"no {folder} in {DATA} (set ATTNBENCH_DATA)")


pytestmark = pytest.mark.data


def load(name: str) -> EntailmentCorpus:
    kind = datasets("entailment").get(name)
    return kind.load(kind.Options(), DATA)


def accuracies(corpus: EntailmentCorpus) -> dict[str, float]:
    gold = gold_classes(corpus.tests["test"])
    return {
        baseline.name: float((gold == baseline.predictions["test"]).mean())
        for baseline in baselines(corpus)
    }


@needs("sick")
def test_sick() -> None:
    corpus = load("sick")
    assert [len(pairs) for pairs in corpus.splits.values()] == [4439, 495, 4906]
    found = accuracies(corpus)
    assert found["majority"] == pytest.approx(0.569, abs=0.001)
    assert found["hypothesis only"] == pytest.approx(0.56, abs=0.03)
    assert found["overlap"] > 0.79


@needs("snli_mini")
def test_snli_mini() -> None:
    corpus = load("snli_mini")
    assert [len(pairs) for pairs in corpus.splits.values()] == [7957, 891, 994]
    assert min(Counter(pair.label for pair in corpus.train).values()) > 2500
    found = accuracies(corpus)
    assert found["majority"] == pytest.approx(0.34, abs=0.01)
    assert found["hypothesis only"] == pytest.approx(0.59, abs=0.03)
    assert found["overlap"] > 0.65


@needs("rte2_alignments")
@needs("sick")
def test_rte2_is_an_alignment_set_of_models_trained_elsewhere() -> None:
    pairs = load("sick").aligned["rte2"]
    assert len(pairs) == 800
    assert sum(len(pair.links or ()) for pair in pairs) > 5791
    for pair in pairs:
        assert words(" ".join(pair.premise)) == pair.premise
        assert words(" ".join(pair.hypothesis)) == pair.hypothesis
        for word, other in pair.links or ():
            assert word < len(pair.hypothesis) and other < len(pair.premise)
    # Most links join words that look alike: the indices mean what we take them to mean.
    alike = [
        pair.hypothesis[word][:4] == pair.premise[other][:4]
        for pair in pairs
        for word, other in pair.links or ()
    ]
    assert sum(alike) / len(alike) > 0.8
    assert Counter(pair.label for pair in pairs)["entailment"] == 202


@pytest.mark.parametrize("name", ["sick", "snli", "snli_mini"])
def test_nothing_is_wrong_with_them(name: str) -> None:
    if not (DATA / "sick").is_dir() or not (DATA / "snli_mini").is_dir():
        pytest.skip(f"no sick and snli_mini in {DATA} (set ATTNBENCH_DATA)")
    assert check(name, DATA, datasets("entailment").get(name).Options()) == []
