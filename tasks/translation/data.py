"""Translation data made ready."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.base import Paths
from tasks.text.texts import Texts
from tasks.text_to_text.data import Part, TextCorpus, TextData, prepare_texts
from tasks.text_to_text.settings import TextSettings
from tasks.translation.corpus import Corpus, Pair


def prepare(corpus: Corpus, settings: TextSettings, paths: Paths) -> TextData[Pair]:
    """As `tasks.text_to_text.data.prepare_texts`."""
    corpus = corpus.limited(settings.train_limit, settings.test_limit)
    texts = TextCorpus.of(corpus, _part, sure=corpus.sure)
    return prepare_texts("translation", texts, settings, paths.cache)


def _part(pairs: Sequence[Pair]) -> Part[Pair]:
    return Part(pairs, Texts(pairs, "source_text"), Texts(pairs, "target_text"))
