"""Features: the same whatever the batch, in time with the sound, kept once on disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchaudio.functional import melscale_fbanks

from bench.attention.base import lengths_to_mask
from bench.errors import UsageError
from tasks.speech import features as module
from tasks.speech.datasets import SoundReader, SpeechCorpus, Utterance
from tasks.speech.features import (
    Extractor,
    FeatureOptions,
    FeatureStore,
    SpecAugment,
    SpeedPerturbation,
    normalised,
    prepare_features,
)

RATE = 8000


@dataclass(frozen=True)
class Given(SoundReader):
    """Utterances whose sound is the number of an array."""

    arrays: tuple[np.ndarray, ...]
    kind: str = "waveforms"  # type: ignore[misc]

    def read(self, utterances: Sequence[Utterance]) -> list[np.ndarray]:
        return [self.arrays[one.sound] for one in utterances]

    def identity(self, utterance: Utterance) -> str:
        return self.arrays[utterance.sound].tobytes().hex()


def _corpus(
    arrays: Sequence[np.ndarray], kind: str = "waveforms", rate: int = RATE
) -> SpeechCorpus:
    everyone = tuple(
        Utterance(f"u{place}", ("a", "b"), "a b", "me", len(array) / rate, sound=place)
        for place, array in enumerate(arrays)
    )
    cut = max(1, len(everyone) - 4)
    return SpeechCorpus(
        train=everyone[:cut],
        validation=everyone[cut : cut + 2],
        tests={"test": everyone[cut + 2 :]},
        unit="phones",
        symbols=("a", "b"),
        rate=rate,
        reader=Given(tuple(arrays), kind),
    )


def _noises(count: int, seed: int = 0, low: int = 400, high: int = 6000) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(low, high, size=count)
    return [rng.normal(0, 0.1, size=size).astype(np.float32) for size in sizes]


def test_features_do_not_depend_on_the_batch() -> None:
    sounds = _noises(6)
    extractor = Extractor(_corpus(sounds), FeatureOptions(deltas=2))
    together = extractor(sounds)
    for sound, features in zip(sounds, together, strict=True):
        assert features.shape == (1 + len(sound) // 80, 120)
        np.testing.assert_allclose(extractor([sound])[0], features, atol=2e-4)


def test_long_utterances_are_split_over_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    sounds = _noises(6)
    extractor = Extractor(_corpus(sounds), FeatureOptions())
    expected = extractor(sounds)
    monkeypatch.setattr(module, "BATCH", 3000)
    for got, want in zip(extractor(sounds), expected, strict=True):
        np.testing.assert_allclose(got, want, atol=2e-4)


@pytest.mark.parametrize("rate", [8000, 16000, 22050])
def test_frames_are_centred_on_multiples_of_the_hop(rate: int) -> None:
    click = np.zeros(rate, dtype=np.float32)
    click[rate // 2] = 1.0
    corpus, options = _corpus([click], rate=rate), FeatureOptions(normalise=False)
    (features,) = Extractor(corpus, options)([click])
    loudest = features.sum(axis=1).argmax() * options.frame_seconds(corpus)
    assert loudest == pytest.approx(0.5, abs=0.006)


def test_a_tone_is_loudest_in_its_band() -> None:
    time = np.arange(RATE) / RATE
    low, high = (np.sin(2 * np.pi * f * time).astype(np.float32) for f in (300, 3000))
    options = FeatureOptions(normalise=False)
    first, second = Extractor(_corpus([low, high]), options)([low, high])
    mel = 2595 * np.log10(1 + np.array([300, 3000]) / 700)
    expected = mel / (2595 * np.log10(1 + 4000 / 700)) * 41 - 1
    assert (
        abs(first[50].argmax() - expected[0]) <= 1 and abs(second[50].argmax() - expected[1]) <= 1
    )


def test_each_utterance_is_normalised_over_its_own_frames() -> None:
    sounds = _noises(4)
    for features in Extractor(_corpus(sounds), FeatureOptions())(sounds):
        np.testing.assert_allclose(features.mean(axis=0), 0, atol=1e-4)
        np.testing.assert_allclose(features.std(axis=0), 1, atol=1e-3)


def test_a_band_that_never_changes_becomes_zero() -> None:
    features = torch.full((1, 5, 2), 3.0)
    assert normalised(features, torch.tensor([4])).abs().max() < 1e-4


def test_loudness_does_not_matter() -> None:
    (sound,) = _noises(1, low=4000)
    extractor = Extractor(_corpus([sound]), FeatureOptions())
    loud, soft = extractor([sound, sound / 20])
    np.testing.assert_allclose(loud, soft, atol=0.01)


def test_deltas_are_the_regression_over_five_frames() -> None:
    matrix = np.random.default_rng(1).normal(size=(9, 3)).astype(np.float32)
    corpus = _corpus([matrix], "features", 100)
    (got,) = Extractor(corpus, FeatureOptions(deltas=1, normalise=False))([matrix])
    held = np.pad(matrix, ((2, 2), (0, 0)), mode="edge")
    expected = sum(n * (held[2 + n : 11 + n] - held[2 - n : 11 - n]) for n in (1, 2)) / 10
    np.testing.assert_array_equal(got[:, :3], matrix)
    np.testing.assert_allclose(got[:, 3:], expected, atol=1e-5)


def test_given_features_keep_their_frames() -> None:
    matrices = [
        np.random.default_rng(n).normal(size=(n + 3, 13)).astype(np.float32) for n in (0, 5)
    ]
    corpus = _corpus(matrices, "features", 100)
    options = FeatureOptions(normalise=False)
    for got, want in zip(Extractor(corpus, options)(matrices), matrices, strict=True):
        np.testing.assert_array_equal(got, want)
    assert options.frame_seconds(corpus) == 0.01


@given(st.sampled_from([8000, 11025, 16000, 44100]), st.integers(8, 128), st.floats(0.01, 0.05))
@settings(max_examples=40, deadline=None)
def test_no_mel_band_is_empty(rate: int, n_mels: int, window: float) -> None:
    size = module._fft_size(rate, round(window * rate), n_mels)
    assert size >= round(window * rate)
    assert bool((melscale_fbanks(size // 2 + 1, 0.0, rate / 2, n_mels, rate).amax(dim=0) > 0).all())


def test_masks_depend_on_the_seed_alone() -> None:
    augment = SpecAugment(20, bands=5, frames=10)
    features = torch.ones(6, 80, 20)
    torch.manual_seed(1)
    state = torch.random.get_rng_state()
    first = augment(features, (1, 2))
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.manual_seed(99)
    assert torch.equal(augment(features, (1, 2)), first)
    assert not torch.equal(augment(features, (1, 3)), first)


def test_masks_cover_bands_and_stretches_within_their_widths() -> None:
    masked = SpecAugment(20, bands=5, frames=10, masks=1)(torch.ones(64, 80, 40), (0,)) == 0
    base, deltas = masked[:, :, :20], masked[:, :, 20:]
    assert torch.equal(base, deltas)
    whole_bands, whole_frames = base.all(dim=1), base.all(dim=2)  # B,M and B,S
    assert torch.equal(base, whole_bands[:, None, :] | whole_frames[:, :, None])
    assert 0 < whole_bands.sum(dim=1).max() < 5 and 0 < whole_frames.sum(dim=1).max() < 10
    assert len({tuple(row.tolist()) for row in whole_bands}) > 10  # each utterance has its own


def test_masks_of_no_width_change_nothing() -> None:
    features = torch.randn(3, 30, 20)
    assert torch.equal(SpecAugment(20, bands=0, frames=0)(features, (5,)), features)


@given(st.integers(1, 40), st.floats(0.01, 0.5), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_speed_changes_by_at_most_what_it_may_and_padding_stays(
    size: int, largest: float, seed: int
) -> None:
    lengths = torch.tensor([size, max(1, size // 2)])
    ramp = torch.arange(size, dtype=torch.float32)[None, :, None].repeat(2, 1, 3)
    slower = SpeedPerturbation(largest)
    features, mask = slower(ramp, lengths_to_mask(lengths, size), (seed,))
    assert features.shape == (2, mask.shape[1], 3)
    assert abs(mask.shape[1] / size - 1) <= largest + 0.5 / size
    assert bool(mask[0].all()) and bool(mask.any(dim=1).all())
    assert torch.all(mask.sum(dim=1)[1:] <= mask.sum(dim=1)[:-1])
    # Frames keep their order and their range.
    assert bool((features.diff(dim=1) >= 0).all()) and features.max() <= size - 1
    again, _ = slower(ramp, lengths_to_mask(lengths, size), (seed,))
    assert torch.equal(again, features)


def test_the_store_gives_the_features_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ROWS", 4)
    sounds = _noises(11)
    corpus = _corpus(sounds)
    store = prepare_features(corpus, FeatureOptions(), tmp_path)
    expected = Extractor(corpus, FeatureOptions())(sounds)
    assert len(store) == 11 and store.size == 40 and store.frame_seconds == 0.01
    assert store.rows == {"train": range(7), "validation": range(7, 9), "test": range(9, 11)}
    rows = np.array([10, 0, 5, 5, 3])
    batch = store.batch(rows)
    assert batch.values.dtype == np.float32
    assert batch.values.shape == (5, max(len(expected[row]) for row in rows), 40)
    for place, row in enumerate(rows):
        size = len(expected[row])
        assert batch.lengths[place] == size and batch.mask[place].sum() == size
        np.testing.assert_allclose(batch.values[place, :size], expected[row], atol=4e-3)
        assert (batch.values[place, size:] == 0).all()
        np.testing.assert_array_equal(store.features(row), batch.values[place, :size])


def test_features_are_computed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = _corpus(_noises(6))
    first = prepare_features(corpus, FeatureOptions(), tmp_path)

    def fail(self: Given, utterances: Sequence[Utterance]) -> list[np.ndarray]:
        raise AssertionError("read again")

    monkeypatch.setattr(Given, "read", fail)
    again = prepare_features(corpus, FeatureOptions(), tmp_path)
    assert again.fingerprint == first.fingerprint
    with pytest.raises(AssertionError, match="read again"):
        prepare_features(corpus, FeatureOptions(n_mels=20), tmp_path)


def test_the_fingerprint_names_sounds_and_options(tmp_path: Path) -> None:
    sounds = _noises(6)
    corpus = _corpus(sounds)
    changed = [
        replace(corpus, train=corpus.train[::-1]),
        _corpus([sounds[0] * 2, *sounds[1:]]),
    ]
    stores: list[FeatureStore] = [
        prepare_features(corpus, FeatureOptions(), tmp_path),
        prepare_features(corpus, FeatureOptions(deltas=1), tmp_path),
        *(prepare_features(one, FeatureOptions(), tmp_path) for one in changed),
    ]
    assert len({store.fingerprint for store in stores}) == len(stores)
    # The same data in another cache has the same fingerprint: no times and places are in it.
    elsewhere = prepare_features(_corpus(sounds), FeatureOptions(), tmp_path / "other")
    assert elsewhere.fingerprint == stores[0].fingerprint


def test_a_cache_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot write prepared data"):
        prepare_features(_corpus(_noises(6)), FeatureOptions(), tmp_path / "file")
