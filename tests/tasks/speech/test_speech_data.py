"""Speech made ready for training: batches, and the order of short ones first."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from tasks.base import Paths
from tasks.data.batching import BucketBatches
from tasks.data.vocabulary import PAD
from tasks.speech.data import ShortFirst, SpeechData, prepare
from tasks.speech.datasets.synthetic import SyntheticDataset, SyntheticOptions
from tasks.speech.settings import SpeechSettings

OPTIONS = SyntheticOptions(train_size=60, validation_size=12, test_size=10)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def data(cache: Path) -> SpeechData:
    return prepare(
        SyntheticDataset.load(OPTIONS, None), SpeechSettings(batch_tokens=500), Paths(None, cache)
    )


def test_a_batch_holds_its_utterances(data: SpeechData) -> None:
    split = data.tests["long"]
    indices = np.array([7, 0, 3])
    batch = split.batch(indices)
    assert batch.index.tolist() == indices.tolist()
    for row, index in enumerate(indices):
        frames = split.frames(index)
        assert int(batch.source_mask[row].sum()) == len(frames)
        np.testing.assert_array_equal(batch.source[row, : len(frames)], frames)
        assert not batch.source[row, len(frames) :].any()
        units = split.utterances[index].units
        assert data.vocabulary.decode(batch.inputs[row].tolist()) == units
        assert data.vocabulary.decode(batch.outputs[row].tolist()) == units
    assert batch.units == int((batch.outputs != PAD).sum())


def test_batches_are_bounded_by_frames_and_hold_every_utterance(data: SpeechData) -> None:
    stream = data.datamodule(1).train_dataloader()
    seen: Counter[int] = Counter()
    for batch in stream:
        assert batch.source.shape[0] * batch.source.shape[1] <= 500 or len(batch.source) == 1
        seen.update(batch.index.tolist())
        if sum(seen.values()) >= len(data.train):
            break
    assert seen == Counter(range(len(data.train)))
    whole = [i for batch in data.datamodule(1).val_dataloader() for i in batch.index.tolist()]
    assert sorted(whole) == list(range(len(data.validation)))


def test_the_order_depends_on_the_seed_alone(data: SpeechData) -> None:
    def first(seed: int) -> list[list[int]]:
        stream = data.datamodule(seed).train_dataloader()
        return [batch.index.tolist() for batch in islice(stream, 5)]

    assert first(1) == first(1) != first(2)


def test_short_utterances_first_then_any() -> None:
    lengths = np.array([5, 9, 2, 7, 4, 8])
    batches = BucketBatches(lengths=lengths, batch_tokens=10, seed=3)
    stream = iter(ShortFirst(batches, epochs=2))
    once = []
    while sum(map(len, once)) < 6:
        once.append(next(stream).tolist())
    assert [int(lengths[index]) for batch in once for index in batch] == [2, 4, 5, 7, 8, 9]
    assert [next(stream).tolist() for _ in once] == once
    assert [next(stream).tolist() for _ in range(4)] == [
        batch.tolist() for batch in islice(iter(batches), 4)
    ]


def test_figures_of_the_data(data: SpeechData) -> None:
    frames = np.array([len(data.train.frames(i)) for i in range(len(data.train))])
    units = np.array([len(one.units) for one in data.train.utterances])
    assert data.fastest == pytest.approx((units / frames).max())
    assert data.length_ratio(4) == pytest.approx(np.ceil(frames / 4).mean() / (units + 1).mean())


def test_settings_reach_the_features(data: SpeechData, cache: Path) -> None:
    corpus = SyntheticDataset.load(OPTIONS, None)
    settings = SpeechSettings(n_mels=12, deltas=1)
    other = prepare(corpus.limited(20, 3), settings, Paths(None, cache))
    assert other.store.size == 24 and data.store.size == 40
    assert (len(other.train), len(other.tests["test"])) == (20, 3)
    assert other.preparation != data.preparation
    again = prepare(corpus, SpeechSettings(batch_tokens=500), Paths(None, cache))
    assert again.preparation == data.preparation
    indices = np.arange(4)
    assert torch.equal(again.train.batch(indices).source, data.train.batch(indices).source)
