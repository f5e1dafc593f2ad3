"""The synthetic translation set: exact links, honest splits, the same bytes for the same seed."""

from __future__ import annotations

import itertools
import subprocess
import sys
from random import Random

import pytest

from bench.errors import UsageError
from tasks.base import datasets
from tasks.translation import synthetic_grammar as lexicon
from tasks.translation.datasets import Pair, TranslationCorpus
from tasks.translation.datasets import synthetic as synthetic
from tasks.translation.datasets.synthetic import SyntheticDataset, SyntheticOptions
from tasks.translation.synthetic import grow
from tasks.translation.synthetic_grammar import Sentence


def load(**options: object) -> TranslationCorpus:
    sizes = {"train_size": 800, "validation_size": 100, "test_size": 200}
    return SyntheticDataset.load(SyntheticOptions.model_validate({**sizes, **options}))


@pytest.fixture(scope="module")
def corpus() -> TranslationCorpus:
    return load(noise=0.3)


def everything(corpus: TranslationCorpus) -> list[Pair]:
    return [*corpus.train, *corpus.validation, *itertools.chain(*corpus.tests.values())]


def counterparts() -> dict[str, set[str]]:
    """Source words that each target word may stand for, written down without the grammar."""
    table: dict[str, set[str]] = {}

    def add(target: str, *sources: str) -> None:
        table.setdefault(target, set()).update(sources)

    for noun in lexicon.NOUNS:
        add(noun.target, noun.singular)
        add(noun.target + "ru", noun.plural)
        if noun.first:
            add(noun.first, noun.singular, noun.plural)
    for vowel in "aio":
        for verb in lexicon.VERBS:
            add(verb.target + vowel, verb.singular, verb.plural)
        for adjective in lexicon.ADJECTIVES:
            add(adjective.target + vowel, adjective.source)
        for target, source in (("k", "the"), ("h", "this"), ("hur", "these"), ("z", "that")):
            add(target + vowel, source)
    for word in (*lexicon.PREPOSITIONS, *lexicon.ADVERBS, *lexicon.CONJUNCTIONS, lexicon.WILL):
        add(word.target, word.source)
    add("ne", "never")
    add("pas", "never")
    return table


def test_it_is_registered() -> None:
    assert datasets("translation").get("synthetic") is SyntheticDataset
    assert SyntheticDataset.gold and not SyntheticDataset.external


@pytest.mark.parametrize("reordering", [0.0, 0.5, 1.0])
def test_every_link_joins_words_that_translate_each_other(reordering: float) -> None:
    table = counterparts()
    for pair in everything(load(reordering=reordering, noise=0.3)):
        assert pair.links is not None
        for target, source in pair.links:
            assert pair.source[source] in table[pair.target[target]], pair


def test_every_word_with_a_counterpart_is_linked(corpus: TranslationCorpus) -> None:
    for pair in everything(corpus):
        assert pair.links is not None
        assert [target for target, _ in pair.links] == list(range(len(pair.target)))
        linked = {source for _, source in pair.links}
        without = {place for place in range(len(pair.source)) if place not in linked}
        dropped = {"a", *lexicon.FILLERS}
        plain = {place for place in without if pair.source[place] in dropped}
        # The rest was taken back: an article and a noun before "sorry".
        taken_back = [pair.source[place] for place in sorted(without - plain)]
        assert taken_back[2::3] == ["sorry"] * (len(taken_back) // 3)
        assert taken_back[0::3] == ["the"] * (len(taken_back) // 3)
        assert len(taken_back) % 3 == 0


def test_agreement_follows_the_noun(corpus: TranslationCorpus) -> None:
    """In the target the vowel of a noun's class ends what belongs to it, wherever it stands."""
    vowels = {}
    for noun in lexicon.NOUNS:
        for form in (noun.target, f"{noun.target}ru"):
            vowels[form] = lexicon.ENDINGS[noun.kind]
    firsts = {noun.first for noun in lexicon.NOUNS}
    after = {f"{stem}{vowel}" for vowel in "aio" for stem in ("h", "hur", "rubek", "vetul")}
    verbs = {verb.target + vowel for verb in lexicon.VERBS for vowel in "aio"}
    checked = {"after": 0, "relative": 0, "verb": 0, "article": 0}
    for pair in everything(corpus):
        words = [word for word in pair.target if word not in firsts]
        for left, right in itertools.pairwise(words):
            if left in vowels and right in after:
                assert right[-1] == vowels[left]
                checked["after"] += 1
            if left in {"za", "zi", "zo"}:
                assert left[-1] == vowels[right]
                checked["relative"] += 1
        simple = not {"that", "and", "but", "because"} & set(pair.source)
        if simple:
            subject = next(word for word in words if word in vowels)
            (verb,) = (word for word in words if word in verbs)
            assert verb[-1] == vowels[subject]
            checked["verb"] += 1
            for left, right in itertools.pairwise(words):
                if left in {"ka", "ki", "ko"}:
                    assert left[-1] == vowels[right]
                    checked["article"] += 1
    assert min(checked.values()) > 100, checked


def test_one_translation_follows_from_the_sentence() -> None:
    """Whatever means nothing taken out, equal sources have equal targets."""
    pairs = everything(load(length=6, noise=0.3, train_size=4000))
    known: dict[str, str] = {}
    repeated = 0
    for pair in pairs:
        words = [word for word in pair.source if word not in lexicon.FILLERS]
        while "sorry" in words:
            place = words.index("sorry")
            del words[place - 2 : place + 1]
        text = " ".join(words)
        repeated += text in known
        assert known.setdefault(text, pair.target_text) == pair.target_text
    assert repeated > 50


def test_splits_share_no_sentence(corpus: TranslationCorpus) -> None:
    sources = [pair.source_text for pair in everything(corpus)]
    assert len(set(sources)) == len(sources) == 800 + 100 + 2 * 200
    ids = [pair.id for pair in everything(corpus)]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("length", [8, 12])
def test_the_long_set_is_longer_than_anything_trained_on(length: int) -> None:
    corpus = load(length=length)
    trained = {len(pair.source) for pair in [*corpus.train, *corpus.validation]}
    assert trained == set(range(4, length + 1))
    assert {len(pair.source) for pair in corpus.tests["test"]} == trained
    assert {len(pair.source) for pair in corpus.tests["long"]} == set(
        range(length + 1, 2 * length + 1)
    )


def test_vocabularies_are_small_and_known_from_training() -> None:
    corpus = load(train_size=6000)
    for side in ("source", "target"):
        trained = {word for pair in corpus.train for word in getattr(pair, side)}
        assert 60 <= len(trained) <= 150
        tested = {
            word for pairs in corpus.tests.values() for p in pairs for word in getattr(p, side)
        }
        assert tested <= trained


def _crossings(corpus: TranslationCorpus) -> float:
    """Share of neighbouring target words whose source words stand the other way round."""
    turned = total = 0
    for pair in corpus.train:
        sources = [s for t, s in pair.links or () if pair.target[t] != "pas"]
        turned += sum(a > b for a, b in itertools.pairwise(sources))
        total += len(sources) - 1
    return turned / total


def test_the_knob_reordering() -> None:
    none, half, full = (_crossings(load(reordering=share)) for share in (0.0, 0.5, 1.0))
    assert none == 0.0
    assert 0.05 < half < full
    assert full > 0.2


def test_the_knob_noise() -> None:
    def unaligned(noise: float) -> float:
        pairs = load(noise=noise).train
        words = sum(len(pair.source) for pair in pairs)
        return 1 - sum(len({s for _, s in pair.links or ()}) for pair in pairs) / words

    shares = [unaligned(noise) for noise in (0.0, 0.3, 0.8)]
    assert shares == sorted(shares)
    assert shares[0] < 0.1 and shares[2] > 0.35
    silent = {*lexicon.FILLERS, lexicon.REPAIR}
    assert not any(silent & set(pair.source) for pair in load(noise=0.0).train)


def test_the_same_seed_gives_the_same_bytes_in_every_process() -> None:
    program = (
        "from tasks.translation.datasets.synthetic import SyntheticDataset, SyntheticOptions\n"
        "o = SyntheticOptions(train_size=300, validation_size=50, test_size=50, data_seed=5)\n"
        "print(SyntheticDataset.load(o).fingerprint)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    here = load(train_size=300, validation_size=50, test_size=50, data_seed=5)
    assert done.stdout.strip() == here.fingerprint
    assert load(data_seed=6).fingerprint != load(data_seed=5).fingerprint


def test_test_sets_do_not_depend_on_how_much_is_trained_on() -> None:
    small, large = load(train_size=100), load(train_size=2000)
    assert small.tests == large.tests


def test_more_sentences_than_there_are_is_a_users_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def same(_: Random, length: int, noise: float) -> Sentence:
        return grow(Random(0), length, noise)

    monkeypatch.setattr(synthetic, "grow", same)
    with pytest.raises(UsageError, match="found only 9 of 200 different sentences") as caught:
        load()
    assert "\n" not in str(caught.value)
