"""The synthetic speech set: reproducible, without leaks, with spans that are where the sound is."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.signal import lfilter

from bench.errors import UsageError
from tasks.base import datasets
from tasks.speech import synthetic as module
from tasks.speech.datasets import SpeechCorpus, Utterance
from tasks.speech.datasets.synthetic import SyntheticDataset, SyntheticOptions, _syllables
from tasks.speech.synthetic import (
    CODAS,
    CONSONANTS,
    HOP,
    NAMES,
    PHONES,
    RATE,
    VOWELS,
    Recipe,
    Synthesiser,
    Voice,
)

VOWEL_NAMES = {phone.name for phone in VOWELS}
CONSONANT_NAMES = {phone.name for phone in CONSONANTS}
SMALL = {"train_size": 160, "validation_size": 20, "test_size": 30}


@pytest.fixture(scope="module")
def corpus() -> SpeechCorpus:
    return SyntheticDataset.load(SyntheticOptions(**SMALL), None)


def _sound_bytes(corpus: SpeechCorpus) -> list[bytes]:
    return [sound.tobytes() for sound in corpus.reader.read(list(corpus.examples()))]


def test_it_is_registered() -> None:
    assert datasets("speech").get("synthetic") is SyntheticDataset
    assert not SyntheticDataset.external and SyntheticDataset.gold


def test_the_same_seed_gives_the_same_bytes(corpus: SpeechCorpus) -> None:
    again = SyntheticDataset.load(SyntheticOptions(**SMALL), None)
    assert again == corpus
    assert _sound_bytes(again) == _sound_bytes(corpus)
    other = SyntheticDataset.load(SyntheticOptions(**SMALL, data_seed=2), None)
    assert other.train[0].units != corpus.train[0].units
    assert other.reader != corpus.reader


def test_no_sequence_is_in_two_places(corpus: SpeechCorpus) -> None:
    sequences = [one.units for one in corpus.examples()]
    assert len(set(sequences)) == len(sequences)
    assert len({one.id for one in corpus.examples()}) == len(sequences)


def test_sizes_and_lengths(corpus: SpeechCorpus) -> None:
    assert {name: len(part) for name, part in corpus.splits.items()} == {
        "train": 160,
        "validation": 20,
        "test": 30,
        "long": 30,
    }
    lengths = {name: {len(one.units) for one in part} for name, part in corpus.splits.items()}
    assert lengths["train"] == lengths["test"] == set(range(3, 11))
    assert min(lengths["long"]) == 11 and max(lengths["long"]) == 15


def test_half_of_the_test_voices_are_new(corpus: SpeechCorpus) -> None:
    heard = {one.speaker for one in (*corpus.train, *corpus.validation)}
    assert len(heard) == 8
    for part in corpus.tests.values():
        assert np.mean([one.speaker not in heard for one in part]) == 0.5


def test_training_holds_every_symbol(corpus: SpeechCorpus) -> None:
    assert corpus.symbols == tuple(sorted(NAMES))
    assert {unit for one in corpus.train for unit in one.units} == set(NAMES)


def test_spans_follow_each_other_inside_the_utterance(corpus: SpeechCorpus) -> None:
    for one in corpus.examples():
        assert one.spans is not None and len(one.spans) == len(one.units)
        assert one.spans[0][0] >= 0.04 - 1 / RATE and one.spans[-1][1] <= one.seconds - 0.03
        assert all(end == start for (_, end), (start, _) in pairwise(one.spans))
        assert all(end - start > 0.03 for start, end in one.spans)


def test_long_phones_last_about_twice_as_long_and_overlap_with_short_ones() -> None:
    durations = {"a": [], "aa": []}  # type: dict[str, list[float]]
    for one in SyntheticDataset.load(
        SyntheticOptions(**{**SMALL, "train_size": 500}), None
    ).examples():
        for unit, (start, end) in zip(one.units, one.spans or (), strict=True):
            if unit in durations:
                durations[unit].append(end - start)
    assert 1.6 < np.mean(durations["aa"]) / np.mean(durations["a"]) < 2.0
    # No threshold tells them apart: the speaking rate must be heard.
    assert max(durations["a"]) > min(durations["aa"])


def test_pairs_that_only_context_tells_apart() -> None:
    phones = {phone.name: phone for phone in PHONES}
    assert phones["a"].parts[0].formants == phones["aa"].parts[0].formants
    first, second = phones["ai"].parts
    assert (second.formants, first.formants) == tuple(p.formants for p in phones["ia"].parts)


@given(st.lists(st.integers(4, 30), min_size=1, max_size=40), st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_sequences_are_syllables_of_the_lengths_asked_for(lengths: list[int], seed: int) -> None:
    rows = _syllables(np.array(lengths), 30, np.random.default_rng(seed))
    for row, length in zip(rows, lengths, strict=True):
        assert (row[:length] >= 0).all() and (row[length:] == -1).all()
        names = [NAMES[phone] for phone in row[:length]]
        assert names[0] in CONSONANT_NAMES
        for before, after in pairwise(names):
            if before in VOWEL_NAMES:
                assert after in CONSONANT_NAMES
            elif after in CONSONANT_NAMES:  # a closed syllable and the next one's beginning
                assert before in CODAS and before != after
        if names[-1] in CONSONANT_NAMES:
            assert names[-1] in CODAS


def test_sound_does_not_depend_on_the_batch(corpus: SpeechCorpus) -> None:
    together = corpus.reader.read(corpus.tests["long"][:20])
    for place in (0, 7, 19):
        (alone,) = corpus.reader.read([corpus.tests["long"][place]])
        assert np.abs(alone - together[place]).max() <= 1.5 / 32767


def test_sound_is_as_long_as_it_says_and_stays_in_range(corpus: SpeechCorpus) -> None:
    for one, sound in zip(corpus.train, corpus.reader.read(corpus.train), strict=True):
        assert len(sound) == round(one.seconds * RATE) and sound.dtype == np.float32
        assert 0.1 < np.abs(sound).max() <= 1.0


def test_noise_is_as_far_below_the_speech_as_asked_for() -> None:
    for snr in (0.0, 20.0):
        corpus = SyntheticDataset.load(SyntheticOptions(**SMALL, snr=snr), None)
        sounds = corpus.reader.read(corpus.train)
        # Nothing but noise is there before the first phone.
        starts = [int((one.spans or ())[0][0] * RATE) - 2 * HOP for one in corpus.train]
        quiet = [sound[:start] for sound, start in zip(sounds, starts, strict=True)]
        noise = np.mean(np.concatenate(quiet) ** 2)
        assert 20 * np.log10(0.06) - 10 * np.log10(noise) == pytest.approx(snr, abs=0.5)


def test_vowels_sound_where_their_spans_are() -> None:
    corpus = SyntheticDataset.load(SyntheticOptions(**SMALL, snr=60.0), None)
    inside, outside = [], []
    for one, sound in zip(corpus.train, corpus.reader.read(corpus.train), strict=True):
        for unit, (start, end) in zip(one.units, one.spans or (), strict=True):
            level = np.mean(sound[round(start * RATE) + 80 : round(end * RATE) - 80] ** 2)
            if unit in VOWEL_NAMES:
                inside.append(level)
            elif unit in ("p", "t", "k"):
                release = start + 0.6 * (end - start)
                closure = sound[round(start * RATE) + 160 : round(release * RATE)]
                outside.append(np.mean(closure**2))
    assert np.median(inside) > 300 * np.median(outside)


def _held_vowel(name: str, voice: Voice, seconds: float = 0.6) -> Utterance:
    recipe = Recipe((0,), 0, (1.0, 1.0), 200.0)
    return Utterance("x", (name,), name, "v", seconds, ((0.05, seconds),), recipe)


@pytest.mark.parametrize("name", ["a", "i", "u"])
def test_a_held_vowel_equals_resonators_in_the_time_domain(name: str) -> None:
    voice = Voice(pitch=110.0, tract=1.0, tempo=1.0, bright=0.4, breath=0.0)
    utterance = _held_vowel(name, voice)
    line = module._line([utterance])
    pulses = module._pulses([utterance], line, [voice])
    silence = np.zeros_like(pulses)
    got = module._filtered(line, [voice], pulses, silence)
    expected = lfilter([1, -0.4], [0.6], pulses.astype(np.float64))
    formants = next(phone for phone in PHONES if phone.name == name).parts[0].formants
    for frequency, bandwidth in zip(formants, (70.0, 100.0, 150.0), strict=True):
        c = -np.exp(-2 * np.pi * bandwidth / RATE)
        b = 2 * np.exp(-np.pi * bandwidth / RATE) * np.cos(2 * np.pi * frequency / RATE)
        expected = lfilter([1 - b - c], [1, -b, -c], expected)
    middle = slice(1600, 4000)
    error = got[middle] - expected[middle]
    # What rings longer than a frame's span is folded back: a few per cent.
    assert np.std(error) < 0.06 * np.std(expected[middle])


def test_the_pitch_is_the_voice_s() -> None:
    voice = Voice(pitch=125.0, tract=1.0, tempo=1.0, bright=0.4, breath=0.0)
    (sound,) = Synthesiser((voice,)).read([_held_vowel("a", voice)])
    spectrum = np.abs(np.fft.rfft(sound[1600:4000] * np.hanning(2400)))
    harmonics = np.abs(np.fft.rfft(np.log(spectrum + 1e-6) - np.log(spectrum + 1e-6).mean()))
    spacing = len(spectrum) / (5 + harmonics[5:60].argmax()) * RATE / 2400
    assert spacing == pytest.approx(125.0, rel=0.05)


def test_identity_names_everything_that_is_heard(corpus: SpeechCorpus) -> None:
    one = corpus.train[0]
    reader = corpus.reader
    assert isinstance(reader, Synthesiser)
    louder = replace(one, sound=replace(one.sound, snr=one.sound.snr + 1))
    moved = replace(one, spans=tuple((a + 1 / RATE, b + 1 / RATE) for a, b in one.spans or ()))
    deeper = Synthesiser(tuple(replace(voice, pitch=voice.pitch / 2) for voice in reader.voices))
    names = {reader.identity(x) for x in (one, louder, moved)} | {deeper.identity(one)}
    assert len(names) == 4


def test_too_many_utterances_for_the_language() -> None:
    with pytest.raises(UsageError, match="different utterances of 3 to 3 phones"):
        SyntheticDataset.load(SyntheticOptions(length=3, train_size=9_900), None)


@pytest.mark.parametrize("options", [{"length": 2}, {"snr": 100}, {"voices": 0}, {"lenght": 5}])
def test_knobs_are_checked(options: dict[str, int]) -> None:
    with pytest.raises(ValidationError):
        SyntheticOptions(**options)
