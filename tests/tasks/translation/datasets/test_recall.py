"""The recall set: answers that follow from their sequences, exact links, honest splits."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from bench.errors import UsageError
from tasks.base import Paths, datasets
from tasks.plan import make_cell, resolve
from tasks.translation.datasets import Pair, TranslationCorpus
from tasks.translation.datasets.recall import RecallDataset, RecallOptions
from tasks.translation.evaluate import token_accuracy


def load(**options: object) -> TranslationCorpus:
    sizes = {"train_size": 300, "validation_size": 50, "test_size": 80}
    return RecallDataset.load(RecallOptions.model_validate({**sizes, **options}))


def everything(corpus: TranslationCorpus) -> list[Pair]:
    return [*corpus.train, *corpus.validation, *itertools.chain(*corpus.tests.values())]


def read(pair: Pair) -> tuple[dict[str, str], list[str]]:
    """The values by key and the keys asked for, read without the generator."""
    body, asked = pair.source_text.split(" ? ")
    plain = [word for word in body.split() if not word.startswith("n")]
    return dict(zip(plain[::2], plain[1::2], strict=True)), asked.split()


def test_it_is_registered() -> None:
    assert datasets("translation").get("recall") is RecallDataset
    assert RecallDataset.gold and not RecallDataset.external


@pytest.mark.parametrize("noise", [0.0, 0.5])
@pytest.mark.parametrize("repeat_keys", [True, False])
def test_the_answers_and_links_follow_from_the_sequence(noise: float, repeat_keys: bool) -> None:
    for pair in everything(load(noise=noise, repeat_keys=repeat_keys)):
        known, asked = read(pair)
        assert sorted(asked) == sorted(known) and len(set(asked)) == len(asked)
        answers = [(key, known[key]) if repeat_keys else (known[key],) for key in asked]
        assert list(pair.target) == [word for answer in answers for word in answer]
        assert pair.links is not None
        assert [target for target, _ in pair.links] == list(range(len(pair.target)))
        query = pair.source.index("?")
        for target, source in pair.links:
            key = asked[target // 2 if repeat_keys else target]
            assert pair.source[source] == pair.target[target]
            if pair.target[target].startswith("k"):
                assert source > query
            else:  # right behind its key
                assert source < query and pair.source[source - 1] == key


def test_the_long_set_has_more_pairs_than_anything_trained_on() -> None:
    corpus = load(pairs=5)
    assert {len(pair.target) // 2 for pair in corpus.train} == {2, 3, 4, 5}
    assert {len(pair.target) // 2 for pair in corpus.tests["test"]} == {2, 3, 4, 5}
    assert {len(pair.target) // 2 for pair in corpus.tests["long"]} == {6, 7, 8, 9, 10}


def test_noise_stands_between_pairs_at_the_rate_asked_for() -> None:
    def noisy(noise: float) -> float:
        pairs = load(noise=noise).train
        count = sum(word.startswith("n") for pair in pairs for word in pair.source)
        return count / sum(len(pair.target) // 2 for pair in pairs)

    assert noisy(0.0) == 0.0
    assert noisy(0.5) == pytest.approx(1.0, abs=0.15)  # a geometric number before every pair


def test_splits_share_no_sequence_and_tests_do_not_depend_on_how_much_is_trained_on() -> None:
    corpus = load()
    sources = [pair.source_text for pair in everything(corpus)]
    assert len(set(sources)) == len(sources) == 300 + 50 + 2 * 80
    assert load(train_size=100).tests == corpus.tests


def test_the_same_seed_gives_the_same_bytes_in_every_process() -> None:
    program = (
        "from tasks.translation.datasets.recall import RecallDataset, RecallOptions\n"
        "o = RecallOptions(train_size=300, validation_size=50, test_size=80, data_seed=5)\n"
        "print(RecallDataset.load(o).fingerprint)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == load(data_seed=5).fingerprint
    assert load(data_seed=6).fingerprint != load(data_seed=5).fingerprint


def test_what_cannot_be_drawn_is_a_users_error() -> None:
    with pytest.raises(ValidationError, match="raise vocabulary, or lower pairs"):
        RecallOptions(pairs=6, vocabulary=11)
    with pytest.raises(UsageError, match="different sequences of at most 2 pairs"):
        load(pairs=2, vocabulary=4, noise=0.0, train_size=9000)


def test_token_accuracy_counts_words_at_their_places() -> None:
    targets = [("v1", "v2", "v3"), ("v4",)]
    assert token_accuracy(["v1 v3 v3", "v4 v4"], targets) == 3 / 4
    assert token_accuracy(["", "v1 v4"], targets) == 0.0
    pairs = [("k1", "v1", "k2", "v2")]
    assert token_accuracy(["k9 v1 k2 v1 k2"], pairs, every=2) == 1 / 2


def test_a_trial_reports_token_accuracy(tmp_path: Path) -> None:
    plan = resolve(make_cell("translation", "global", dataset="recall", budget="smoke"))
    data = plan.task.prepare(plan, Paths(None, tmp_path))
    with torch.inference_mode():
        found = plan.task.evaluate(plan, plan.task.module(plan, data).eval(), data)
    assert {"token_accuracy", "long_token_accuracy"} <= set(found.metrics)
    assert 0.0 <= found.metrics["token_accuracy"] <= 1.0
