"""The transcript that is right most often without listening."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tasks.base import datasets
from tasks.speech.baselines import constant_rate, constant_transcript
from tasks.speech.datasets import SpeechCorpus, Utterance
from tasks.speech.datasets.synthetic import SyntheticOptions


def utterances(*texts: str) -> tuple[Utterance, ...]:
    return tuple(
        Utterance(str(index), tuple(text.split()), text, "", 1.0)
        for index, text in enumerate(texts)
    )


@pytest.fixture(scope="module")
def corpus() -> SpeechCorpus:
    options = SyntheticOptions(train_size=300, validation_size=40, test_size=40)
    return datasets("speech").get("synthetic").load(options, None)


def test_the_most_frequent_unit_of_each_place(corpus: SpeechCorpus) -> None:
    train = utterances("a b", "a c", "b c c", "a b c")
    known = replace(corpus, train=train, validation=utterances("a b c", "a b"))
    # "b" and "c" are equally frequent second; the first in order is taken.
    assert constant_transcript(known) == ("a", "b")
    assert constant_transcript(replace(known, validation=utterances("a"))) == ("a",)


def test_the_rate_is_that_of_all_units() -> None:
    heard = utterances("a b", "c", "a x b y")
    assert constant_rate(("a", "b"), heard) == pytest.approx((0 + 2 + 2) / 7)


def test_on_the_synthetic_set_it_is_far_from_right_and_better_than_nothing(
    corpus: SpeechCorpus,
) -> None:
    units = constant_transcript(corpus)
    for name, part in corpus.tests.items():
        assert 0.75 < constant_rate(units, part) < 1.0, name
    assert constant_rate((), corpus.tests["test"]) == 1.0
