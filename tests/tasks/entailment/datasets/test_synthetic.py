"""The synthetic set keeps its promises: rules, balance, no leakage, the same bytes, hard for
baselines."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import pairwise

import numpy as np
import pytest
from pydantic import ValidationError
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from bench.errors import UsageError
from tasks.base import datasets
from tasks.data.tokenizer import words
from tasks.entailment.baselines import baselines
from tasks.entailment.datasets import LABELS, EntailmentCorpus, PairExample, gold_classes
from tasks.entailment.datasets.synthetic import SyntheticOptions, generate
from tasks.entailment.synthetic import LEXICONS
from tasks.entailment.synthetic_logic import Statement, Term, relation

SMALL = SyntheticOptions(train_size=600, validation_size=60, test_size=150)


@pytest.fixture(scope="module")
def corpus() -> EntailmentCorpus:
    return generate(SyntheticOptions(train_size=4500, validation_size=300, test_size=900))


def everything(corpus: EntailmentCorpus) -> list[PairExample]:
    return [pair for pairs in corpus.splits.values() for pair in pairs]


def parsed(text: list[str], size: str) -> tuple[str, Statement]:
    """Place and claim of "in <place> <quantifier> ...", read without the generator's help."""
    lexicon = LEXICONS[size]
    introduction, place, quantifier, *rest = text
    assert introduction == "in" and place in lexicon.places
    adjective = rest.pop(0) if rest[0] in lexicon.adjectives else None
    noun = rest.pop(0)
    negated = rest[:2] == ["do", "not"]
    verb, *adverb = rest[2 * negated :]
    return place, Statement(quantifier, Term(noun, adjective), Term(verb, *adverb), negated)


def clauses(premise: tuple[str, ...]) -> list[list[str]]:
    return [part.split() for part in " ".join(premise).split(" , ")]


@pytest.mark.parametrize("size", LEXICONS)
def test_labels_follow_from_the_one_clause_about_the_place(size: str) -> None:
    lexicon = LEXICONS[size]
    made = generate(
        SyntheticOptions(train_size=600, validation_size=60, test_size=150, lexicon=size, noise=0)
    )
    for pair in everything(made):
        place, hypothesis = parsed(list(pair.hypothesis), size)
        claims = [parsed(part, size) for part in clauses(pair.premise)]
        assert len({where for where, _ in claims}) == len(claims)
        [claim] = [claim for where, claim in claims if where == place]
        assert relation(claim, hypothesis, lexicon.nouns, lexicon.verbs) == pair.label


def test_every_hypothesis_comes_with_all_three_labels(corpus: EntailmentCorpus) -> None:
    for pairs in corpus.splits.values():
        triples = [pairs[start : start + 3] for start in range(0, len(pairs), 3)]
        for triple in triples:
            assert len({pair.hypothesis for pair in triple}) == 1
            assert {pair.label for pair in triple} == set(LABELS)
            assert len({len(clauses(pair.premise)) for pair in triple}) == 1


def test_a_bag_of_words_and_bigrams_learns_nothing_from_hypotheses(
    corpus: EntailmentCorpus,
) -> None:
    counts = CountVectorizer(ngram_range=(1, 2), token_pattern=r"\S+")
    train = counts.fit_transform(" ".join(pair.hypothesis) for pair in corpus.train)
    model = LogisticRegression(max_iter=500).fit(train, gold_classes(corpus.train))
    for pairs in corpus.tests.values():
        test = counts.transform(" ".join(pair.hypothesis) for pair in pairs)
        accuracy = (model.predict(test) == gold_classes(pairs)).mean()
        # Three equal hypotheses get one answer, which is right for exactly one of them.
        assert accuracy == pytest.approx(1 / 3)


def test_premises_alone_tell_little(corpus: EntailmentCorpus) -> None:
    counts = CountVectorizer(ngram_range=(1, 2), token_pattern=r"\S+")
    train = counts.fit_transform(" ".join(pair.premise) for pair in corpus.train)
    model = LogisticRegression(max_iter=500, C=0.1).fit(train, gold_classes(corpus.train))
    pairs = corpus.tests["test"]
    test = counts.transform(" ".join(pair.premise) for pair in pairs)
    assert (model.predict(test) == gold_classes(pairs)).mean() < 0.6


def test_overlap_of_words_is_no_way_out(corpus: EntailmentCorpus) -> None:
    [overlap] = [baseline for baseline in baselines(corpus) if baseline.name == "overlap"]
    right = {
        name: (gold_classes(pairs) == overlap.predictions[name]).mean()
        for name, pairs in corpus.tests.items()
    }
    assert 0.4 < right["test"] < 0.65
    assert right["long"] < 0.5


def test_links_join_words_of_the_same_role(corpus: EntailmentCorpus) -> None:
    lexicon = LEXICONS["small"]
    kinds = [
        {"all", "most", "some", "no"},
        set(lexicon.nouns.parents),
        set(lexicon.verbs.parents),
        set(filter(None, lexicon.adjectives)),
        {"not"},
    ]
    for pair in everything(corpus):
        assert pair.links is not None
        linked = dict(pair.links)
        assert linked[1] and pair.premise[linked[1]] == pair.hypothesis[1]
        for word, other in pair.links:
            said, found = pair.hypothesis[word], pair.premise[other]
            assert said == found or any({said, found} <= kind for kind in kinds)
        # All links lead into one clause.
        border = [place for place, word in enumerate(pair.premise) if word == ","]
        assert len({np.searchsorted(border, other) for _, other in pair.links}) == 1


def test_words_are_words_of_the_tokenizer(corpus: EntailmentCorpus) -> None:
    for pair in corpus.tests["long"]:
        assert words(" ".join(pair.premise)) == pair.premise


def test_long_premises_are_about_twice_the_longest_trained_on(corpus: EntailmentCorpus) -> None:
    def count(pairs: tuple[PairExample, ...]) -> list[int]:
        return [len(clauses(pair.premise)) for pair in pairs]

    assert set(count(corpus.train)) == {1, 2, 3} == set(count(corpus.tests["test"]))
    assert set(count(corpus.tests["long"])) == {5, 6}
    longest = max(len(pair.premise) for pair in corpus.train)
    mean = np.mean([len(pair.premise) for pair in corpus.tests["long"]])
    assert 1.3 * longest < mean < 2.2 * longest


def test_no_pair_occurs_twice(corpus: EntailmentCorpus) -> None:
    pairs = everything(corpus)
    assert len({(pair.premise, pair.hypothesis) for pair in pairs}) == len(pairs)
    assert len({pair.id for pair in pairs}) == len(pairs)


def test_the_same_options_give_the_same_bytes() -> None:
    assert generate(SMALL).fingerprint == generate(SMALL).fingerprint
    # Pinned: another value means that earlier figures were about other data.
    pinned = SyntheticOptions(
        clauses=3,
        negation=0.35,
        noise=0.03,
        near=0.2,
        train_size=30,
        validation_size=3,
        test_size=6,
    )
    assert generate(pinned).fingerprint.startswith("9d712d45244f2c07")
    other = SMALL.model_copy(update={"data_seed": 2})
    assert generate(other).fingerprint != generate(SMALL).fingerprint


def test_test_sets_do_not_depend_on_the_number_of_training_pairs() -> None:
    more = generate(SMALL.model_copy(update={"train_size": 900}))
    fewer = generate(SMALL)
    assert more.tests == fewer.tests and more.validation == fewer.validation
    assert more.train[: len(fewer.train)] == fewer.train


def test_noise_exchanges_labels_of_so_many_hypotheses() -> None:
    clean = generate(SyntheticOptions(noise=0, train_size=3000, validation_size=3, test_size=3))
    for pair in clean.train:
        assert pair.id.endswith(f"-{pair.label}")
    noisy = generate(SyntheticOptions(noise=0.3, train_size=3000, validation_size=3, test_size=3))
    wrong = np.mean([not pair.id.endswith(f"-{pair.label}") for pair in noisy.train])
    assert wrong == pytest.approx(0.3 * 2 / 3, abs=0.05)
    assert Counter(pair.label for pair in noisy.train) == dict.fromkeys(LABELS, 1000)


def test_negation_is_a_share_and_can_be_left_out() -> None:
    without = generate(SMALL.model_copy(update={"negation": 0.0}))
    assert not {"no", "not"} & {word for pair in everything(without) for word in pair.premise}
    always = generate(SMALL.model_copy(update={"negation": 1.0}))
    assert all({"no", "not"} & set(pair.hypothesis) for pair in everything(always))


def test_near_variants_share_more_words_with_the_hypothesis() -> None:
    def overlap(near: float) -> float:
        made = generate(SMALL.model_copy(update={"near": near}))
        shared = [
            len(set(part) & set(pair.hypothesis)) / len(pair.hypothesis)
            for pair in made.tests["long"]
            for part in clauses(pair.premise)
            if part[1] != pair.hypothesis[1]
        ]
        return float(np.mean(shared))

    assert overlap(1.0) > overlap(0.0) + 0.2


def test_sizes_are_rounded_up_to_threes() -> None:
    made = generate(SyntheticOptions(train_size=7, validation_size=4, test_size=3))
    assert [len(pairs) for pairs in made.splits.values()] == [9, 6, 3, 3]


def test_more_clauses_than_places_are_refused() -> None:
    with pytest.raises(ValidationError, match="places for 4 clauses"):
        SyntheticOptions(clauses=5)
    assert SyntheticOptions(clauses=5, lexicon="large").clauses == 5


def test_it_is_registered_and_loads_without_a_data_root() -> None:
    synthetic = datasets("entailment").get("synthetic")
    assert synthetic.gold and not synthetic.external
    assert synthetic.load(SMALL, None) == generate(SMALL)


def test_parts_of_a_corpus_can_be_limited(corpus: EntailmentCorpus) -> None:
    limited = corpus.limited(train=30, test=9)
    assert limited.train == corpus.train[:30]
    assert {name: len(pairs) for name, pairs in limited.tests.items()} == {"test": 9, "long": 9}
    assert corpus.limited() == corpus
    assert limited.fingerprint != corpus.fingerprint


def test_triples_stand_together(corpus: EntailmentCorpus) -> None:
    groups: dict[str, list[int]] = defaultdict(list)
    for place, pair in enumerate(corpus.train):
        groups[pair.id.rsplit("-", 1)[0]].append(place)
    assert all(b - a == 1 for places in groups.values() for a, b in pairwise(places))


def test_more_pairs_than_there_can_be_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    # With one hypothesis to draw, a few dozen pairs are all there are.
    statement = Statement("all", Term("dogs"), Term("run"))
    monkeypatch.setattr(
        "tasks.entailment.synthetic.PairWriter._statement", lambda writer, rng: statement
    )
    with pytest.raises(
        UsageError, match=r"found only \d+ of 900 different pairs .* ask for fewer pairs"
    ):
        generate(SyntheticOptions(clauses=1, near=0))
