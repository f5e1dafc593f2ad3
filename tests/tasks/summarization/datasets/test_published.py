"""The real data set, as it is distributed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tasks.base import datasets
from tasks.data.tokenizer import words
from tasks.summarization.baselines import first_words
from tasks.summarization.datasets import SummaryCorpus
from tasks.summarization.evaluate import own_words, score

DATA = Path(os.environ.get("ATTNBENCH_DATA") or Path(__file__).parents[5] / "shared" / "data")
pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(
        not (DATA / "reuters21578").is_dir(),
        reason=f"no reuters21578 in {DATA} (set ATTNBENCH_DATA)",
    ),
]


@pytest.fixture(scope="module")
def corpus() -> SummaryCorpus:
    kind = datasets("summarization").get("reuters21578")
    return kind.load(kind.Options(), DATA)


def test_about_12900_pairs_remain(corpus: SummaryCorpus) -> None:
    train, validation, test = (len(part) for part in corpus.splits.values())
    assert (validation, test) == (500, 1000)
    assert 12_700 < train + validation + test < 13_100


def test_the_first_ten_words_give_what_others_measured(corpus: SummaryCorpus) -> None:
    test = corpus.tests["test"]
    written = [first_words(one, 10) for one in test]
    scores = score([" ".join(one) for one in written], [one.summary_text for one in test])
    assert scores.interval.value == pytest.approx(0.29, abs=0.01)
    found = own_words(written, [one.summary for one in test], [one.words for one in test])
    assert found["copy_rate"] == 1.0
    assert 0.5 < found["reference_copy_rate"] < 0.7


def test_words_are_words_of_the_tokenizer(corpus: SummaryCorpus) -> None:
    for one in corpus.tests["test"]:
        assert words(one.source_text) == one.words
        assert words(one.summary_text) == one.summary
        assert one.source_text == one.source_text.lower()


def test_no_story_is_on_two_sides(corpus: SummaryCorpus) -> None:
    leads = [{one.source_text for one in part} for part in corpus.splits.values()]
    assert not leads[0] & leads[2] and not leads[1] & leads[2] and not leads[0] & leads[1]
