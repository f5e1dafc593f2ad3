"""Caption figures: equal to pycocoevalcap's, resampled without scoring again, baselines."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.captioning.baselines import ConstantCider, baselines, best_constant
from tasks.captioning.datasets import CaptionCorpus
from tasks.captioning.datasets.flickr8k import Flickr8k, Flickr8kOptions
from tasks.captioning.datasets.synthetic import SyntheticDataset, SyntheticOptions
from tasks.captioning.metrics import bleu, meteor, normalised, score, shuffled
from tasks.evaluation.bootstrap import bootstrap

DATA = Path(os.environ.get("ATTNBENCH_DATA") or Path(__file__).parents[4] / "shared" / "data")

WORDS = ("a", "dog", "cat", "runs", "on", "grass", "red")
TEXTS = st.lists(st.sampled_from(WORDS), max_size=9).map(" ".join)
REFERENCES = st.lists(TEXTS.filter(bool), min_size=1, max_size=4)
TEST_SETS = st.lists(st.tuples(TEXTS, REFERENCES), min_size=1, max_size=8)


def library(predictions: list[str], references: list[list[str]]) -> dict[str, object]:
    """The figures as pycocoevalcap itself gives them."""
    from pycocoevalcap.bleu.bleu import Bleu
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.rouge.rouge import Rouge

    truths = dict(enumerate(references))
    found = {number: [text] for number, text in enumerate(predictions)}
    return {
        "cider": Cider().compute_score(truths, found),
        "bleu": Bleu().compute_score(truths, found, verbose=0),
        "rouge": Rouge().compute_score(truths, found),
    }


@settings(max_examples=60, deadline=None)
@given(TEST_SETS)
def test_figures_are_those_of_the_library(examples: list[tuple[str, list[str]]]) -> None:
    predictions, references = [one for one, _ in examples], [some for _, some in examples]
    ours, theirs = score(predictions, references), library(predictions, references)
    metrics = ours.metrics()
    total, each = theirs["cider"]  # type: ignore[misc]
    assert metrics["cider"] == pytest.approx(total) and ours.cider == pytest.approx(each)
    for order, figure in enumerate(theirs["bleu"][0], start=1):  # type: ignore[index]
        assert metrics[f"bleu_{order}"] / 100 == pytest.approx(figure, rel=1e-6, abs=1e-12)
    total, each = theirs["rouge"]  # type: ignore[misc]
    assert metrics["rouge_l"] == pytest.approx(total) and ours.rouge_l == pytest.approx(each)
    assert metrics["distinct_captions"] == len(set(predictions))


def test_bleu_counts_add_up_over_any_pictures() -> None:
    predictions = ["a dog runs on grass", "a cat", "a red dog on red grass runs"]
    references = [
        ["a dog runs on the grass", "dog"],
        ["a red cat runs"],
        ["a red dog runs on grass"],
    ]
    whole = score(predictions, references)
    part = score(predictions[1:], references[1:])
    for order in range(1, 5):
        figure = bleu(whole.bleu[1:].sum(axis=0), order)
        assert figure == pytest.approx(part.metrics()[f"bleu_{order}"])


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    score(["a dog"], [["a dog runs"]])
    assert capfd.readouterr() == ("", "")


def test_text_is_tokenized_before_it_is_scored() -> None:
    plain = score(["the dog 's toy", "a cat"], [["the dog 's toy"], ["one cat"]])
    typed = score(["The dog's toy.", "A cat!"], [["The dog's toy"], ["One, cat."]])
    assert plain.metrics() == typed.metrics()
    assert plain.cider[0] > plain.cider[1]


def test_perfect_captions_and_empty_ones() -> None:
    references = [["a dog runs on grass"], ["the red cat sits here"], ["two men climb a rock"]]
    best = score([texts[0] for texts in references], references).metrics()
    assert best["cider"] == pytest.approx(10) and best["rouge_l"] == 1
    assert best["bleu_4"] == pytest.approx(100)
    worst = score(["", "", ""], references).metrics()
    assert worst == {
        **dict.fromkeys(["cider", "bleu_1", "bleu_2", "bleu_3", "bleu_4", "rouge_l"], 0.0),
        "distinct_captions": 1.0,
    }


def test_intervals_hold_the_figure_and_are_paired_by_picture() -> None:
    corpus = SyntheticDataset.load(SyntheticOptions(train_size=1, validation_size=1, test_size=60))
    references = [picture.references for picture in corpus.tests["test"]]
    mixed = [texts[0] if n % 2 else references[n - 1][0] for n, texts in enumerate(references)]
    scores = score(mixed, references)
    cider, four = scores.cider_interval(), bootstrap(scores.bleu, bleu)
    assert cider.low < cider.value < cider.high
    assert four.low < four.value < four.high
    assert cider.value == pytest.approx(scores.metrics()["cider"])
    assert four.value == pytest.approx(scores.metrics()["bleu_4"])


@given(st.integers(2, 40), st.integers(0, 5))
def test_shuffled_captions_leave_their_pictures(count: int, seed: int) -> None:
    captions = [str(number) for number in range(count)]
    dealt = shuffled(captions, seed)
    assert sorted(dealt) == sorted(captions) and dealt == shuffled(captions, seed)
    assert all(one != other for one, other in zip(captions, dealt, strict=True))


@settings(max_examples=60, deadline=None)
@given(TEXTS, st.lists(REFERENCES, min_size=1, max_size=8))
def test_the_index_gives_the_cider_of_a_constant(text: str, references: list[list[str]]) -> None:
    expected = score([text] * len(references), references).metrics()["cider"]
    assert ConstantCider.of([text], references).cider(0) == pytest.approx(expected)


def test_the_best_constant_is_the_best_of_all_candidates() -> None:
    corpus = SyntheticDataset.load(SyntheticOptions(train_size=12, validation_size=30, test_size=1))
    candidates = [text for picture in corpus.train for text in picture.references]
    references = [picture.references for picture in corpus.validation]
    figures = {
        text: score([text] * len(references), references).metrics()["cider"]
        for text in sorted(set(candidates))
    }
    found = best_constant(candidates, references)
    assert figures[found] == pytest.approx(max(figures.values()))
    assert best_constant(reversed(candidates), references) == found


def test_baselines_of_the_synthetic_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = SyntheticDataset.load(
        SyntheticOptions(train_size=300, validation_size=100, test_size=100)
    )
    found = baselines(corpus, tmp_path)
    assert list(found) == ["test", "long"]
    for figures in found.values():
        assert 0.1 < figures.constant["cider"] < 2 and figures.constant["distinct_captions"] == 1
        assert 0.1 < figures.shuffled["cider"] < 2
        assert figures.human["cider"] > 2 * figures.constant["cider"]
    monkeypatch.setattr("tasks.captioning.baselines._write", None)  # read, not computed again
    assert baselines(corpus, tmp_path) == found


def test_without_java_there_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    scores = score(["a dog"], [["a dog"]], with_meteor=True)
    assert scores.meteor is None and scores.notes == ("no METEOR: there is no java on the PATH",)
    assert "meteor" not in scores.metrics()


def test_a_java_that_fails_is_a_reason_and_blocks_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    java = tmp_path / "java"
    java.write_text("#!/bin/sh\nexit 3\n")
    java.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    found = meteor(["a dog"], [["a dog"]])
    assert isinstance(found, str) and found.startswith("no METEOR: java answered nothing")


@pytest.mark.skipif(shutil.which("java") is None, reason="no java on the PATH")
def test_meteor() -> None:
    predictions = ["a dog runs on grass", "", "the weather"]
    references = [["a dog runs on grass"], ["a cat"], ["two men climb a rock", "men climbing"]]
    scores = score(predictions, references, with_meteor=True)
    assert scores.meteor is not None, scores.notes
    total, each = scores.meteor
    assert each[0] > 0.9 and each[1] < 0.05 and each[2] < 0.2 and each[1] < total < each[0]


@pytest.fixture(scope="module")
def flickr8k() -> CaptionCorpus:
    if not (DATA / "flickr8k").is_dir():
        pytest.skip(f"no flickr8k in {DATA} (set ATTNBENCH_DATA)")
    return Flickr8k.load(Flickr8kOptions(regions="none"), DATA)


@pytest.mark.data
def test_baselines_of_flickr8k(flickr8k: CaptionCorpus, tmp_path: Path) -> None:
    figures = baselines(flickr8k, tmp_path)["test"]
    assert figures.constant["cider"] == pytest.approx(0.137, abs=0.002)
    assert figures.constant["bleu_4"] == pytest.approx(5.2, abs=0.2)
    assert figures.shuffled["cider"] < 0.07 < figures.human["cider"]
    assert figures.caption == normalised(figures.caption)
    assert np.isclose(figures.human["cider"], 0.79, atol=0.05)
