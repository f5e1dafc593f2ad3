"""The synthetic set keeps its promises: news that can be told, exact links, no leakage, the same
bytes."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from bench.errors import UsageError
from tasks.base import datasets
from tasks.data.tokenizer import words
from tasks.summarization.baselines import baselines
from tasks.summarization.datasets import Document, SummaryCorpus
from tasks.summarization.datasets.synthetic import SyntheticOptions, generate
from tasks.summarization.evaluate import score
from tasks.summarization.synthetic import (
    ACTIONS,
    AGENTS,
    CERTAIN,
    GOODS,
    NUMBERS,
    PLACES,
    UNCERTAIN,
)

SMALL = SyntheticOptions(train_size=150, validation_size=20, test_size=50)


@pytest.fixture(scope="module")
def corpus() -> SummaryCorpus:
    """Of one piece of news a report."""
    return generate(SyntheticOptions(train_size=1500, validation_size=100, test_size=300, news=1))


def everything(corpus: SummaryCorpus) -> list[Document]:
    return [document for part in corpus.splits.values() for document in part]


def news(document: Document) -> list[tuple[str, ...]]:
    """The sentences told as certain and not taken back later, read without the generator's help."""
    certain = [s for s in document.sentences if set(s) & set(CERTAIN)]
    kept = []
    for sentence in certain:
        [agent] = set(sentence) & set(AGENTS)
        after = document.sentences[document.sentences.index(sentence) + 1 :]
        if not any(s[:2] == (agent, "later") for s in after):
            kept.append(sentence)
    return kept


def test_there_is_exactly_one_piece_of_news(corpus: SummaryCorpus) -> None:
    for document in everything(corpus):
        [sentence] = news(document)
        assert document.links is not None
        # All that the headline takes comes from that sentence.
        segments = {document.segments[place] for _, place in document.links}
        assert [document.sentences[segment] for segment in segments] == [sentence]


def test_headlines_say_the_news_in_other_words(corpus: SummaryCorpus) -> None:
    figures = {value: number for number, value in NUMBERS.items()}
    for document in everything(corpus):
        [sentence] = news(document)
        agent, verb, number, goods, *where = document.summary
        [action] = [one for one in ACTIONS if verb in (one.headline, one.rare)]
        assert agent in sentence and goods in sentence and goods in GOODS
        assert set(action.told) & set(sentence) and verb not in sentence
        at = sentence.index(goods)
        assert sentence[at - 1] == figures[number]
        assert not where or (where[0] == "in" and where[1] in PLACES and where[1] in sentence)
        assert len(where) == 2 * bool(set(PLACES) & set(sentence))


def test_longer_reports_may_have_more_news() -> None:
    corpus = generate(SyntheticOptions(train_size=600, validation_size=20, test_size=100))
    counts = set()
    for document in everything(corpus):
        told = news(document)
        assert len(told) == min(3, (len(document.sentences) + 1) // 2)
        counts.add(len(told))
        assert document.summary.count("and") == len(told) - 1
        agents = [word for word in document.summary if word in AGENTS]
        assert agents == [next(word for word in one if word in AGENTS) for one in told]
        # Every event's words come from its sentence, and all words but the joints have a source.
        assert document.links is not None
        for word, place in document.links:
            event = document.summary[:word].count("and")
            assert document.sentences[document.segments[place]] == told[event]
        joints = {place for place, word in enumerate(document.summary) if word == "and"}
        linked = {word for word, _ in document.links}
        assert linked == set(range(len(document.summary))) - joints
    assert counts == {1, 2, 3}
    assert words(corpus.train[0].summary_text) == corpus.train[0].summary


def test_links_join_what_tells_the_same(corpus: SummaryCorpus) -> None:
    told = {verb: action for action in ACTIONS for verb in action.told}
    for document in everything(corpus):
        for word, place in document.links or ():
            said, source = document.summary[word], document.words[place]
            if source in told:
                assert said in (told[source].headline, told[source].rare)
            elif said.isdecimal():
                assert said == NUMBERS[source]
            else:
                assert said == source
        linked = {word for word, _ in document.links or ()}
        assert linked == set(range(len(document.summary)))


def test_the_news_may_stand_anywhere(corpus: SummaryCorpus) -> None:
    places = [
        document.sentences.index(news(document)[0]) / (len(document.sentences) - 1)
        for document in corpus.train
        if len(document.sentences) > 2
    ]
    assert np.mean(places) == pytest.approx(0.5, abs=0.05)
    assert np.mean([place == 0 for place in places]) < 0.35


def test_lengths_and_the_long_test_set(corpus: SummaryCorpus) -> None:
    def sentences(part: str) -> set[int]:
        return {
            len(document.sentences)
            for name, p in corpus.splits.items()
            if name == part
            for document in p
        }

    assert sentences("train") == sentences("test") == set(range(1, 7))
    assert sentences("long") == {11, 12}
    lengths = {
        name: np.mean([len(document.words) for document in part])
        for name, part in corpus.splits.items()
    }
    assert lengths["long"] > 1.4 * max(len(document.words) for document in corpus.train)


def test_no_report_occurs_twice_and_words_are_words(corpus: SummaryCorpus) -> None:
    documents = everything(corpus)
    assert len({document.source_text for document in documents}) == len(documents)
    assert len({document.id for document in documents}) == len(documents)
    for document in documents[:300]:
        assert words(document.source_text) == document.words
        assert words(document.summary_text) == document.summary


@pytest.mark.parametrize(("news", "most"), [(1, 0.36), (3, 0.42)])
def test_the_beginning_is_a_poor_headline(news: int, most: float) -> None:
    corpus = generate(SMALL.model_copy(update={"test_size": 300, "news": news}))
    for baseline in baselines(corpus):
        for name, part in corpus.tests.items():
            written = [" ".join(summary) for summary in baseline.predictions[name]]
            assert score(written, [one.summary_text for one in part]).interval.value < most


def test_knobs() -> None:
    def made(**options: float) -> list[Document]:
        return everything(generate(SMALL.model_copy(update=options)))

    def share(documents: list[Document], word: str) -> float:
        return float(np.mean([word in document.words for document in documents]))

    assert share(made(decoys=0), "later") == 0
    # Three sentences are needed: the news, what is told as certain, its denial.
    longer = [one for one in made(decoys=1, news=1) if len(one.sentences) > 2]
    assert share(longer, "later") == 1
    rare = {action.rare for action in ACTIONS}
    assert all(set(document.summary) & rare for document in made(rewording=1))
    assert not any(set(document.summary) & rare for document in made(rewording=0))
    assert share(made(noise=0), "monday") == 0
    alone = made(same_agent=1, decoys=0, news=1)
    assert all(len(set(document.words) & set(AGENTS)) == 1 for document in alone)
    assert {
        len(one.sentences) for one in generate(SMALL.model_copy(update={"fewest": 6})).train
    } == {6}


def test_uncertain_events_are_told_in_the_same_words(corpus: SummaryCorpus) -> None:
    # No word but the adverb tells the news from the rest.
    inside, outside = set(), set()
    for document in corpus.train:
        [sentence] = news(document)
        inside |= set(sentence)
        outside |= {word for other in document.sentences if other != sentence for word in other}
    assert inside - outside == set()
    assert outside - inside <= {
        *UNCERTAIN,
        "later",
        "denied",
        "withdrew",
        "this",
        "corrected",
        "that",
    }


def test_the_same_options_give_the_same_bytes() -> None:
    assert generate(SMALL).fingerprint == generate(SMALL).fingerprint
    other = SMALL.model_copy(update={"data_seed": 2})
    assert generate(other).fingerprint != generate(SMALL).fingerprint
    # Pinned: another value means that earlier figures were about other data.
    pinned = SyntheticOptions(
        fewest=3, sentences=8, noise=0.3, same_agent=0.2, decoys=0.4, rewording=0.1,
        train_size=10, validation_size=2, test_size=3, news=1,
    )  # fmt: skip
    assert generate(pinned).fingerprint.startswith("7993104f2b185124")
    three = pinned.model_copy(update={"news": 3})
    assert generate(three).fingerprint.startswith("86de7a77b76df66e")


def test_test_sets_do_not_depend_on_the_number_of_training_reports() -> None:
    more = generate(SMALL.model_copy(update={"train_size": 300}))
    fewer = generate(SMALL)
    assert more.tests == fewer.tests and more.validation == fewer.validation
    assert more.train[:150] == fewer.train


def test_bad_knobs_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValidationError, match="fewest must not be above sentences"):
        SyntheticOptions(fewest=9)
    monkeypatch.setattr("tasks.summarization.datasets.synthetic.AGENTS", ("norden",))
    monkeypatch.setattr("tasks.summarization.synthetic.NUMBERS", {"two": "2"})
    with pytest.raises(UsageError, match="ask for fewer reports or more sentences"):
        generate(SyntheticOptions(fewest=1, sentences=1, noise=0, train_size=9000))


def test_it_is_registered_and_loads_without_a_data_root() -> None:
    synthetic = datasets("summarization").get("synthetic")
    assert synthetic.gold and not synthetic.external
    assert synthetic.load(SMALL, None) == generate(SMALL)


def test_a_corpus_can_be_limited(corpus: SummaryCorpus) -> None:
    limited = corpus.limited(train=10, test=5)
    assert len(limited.train) == 10
    assert {name: len(part) for name, part in limited.tests.items()} == {"test": 5, "long": 5}
    assert limited.fingerprint != corpus.fingerprint
