"""Summarization data made ready."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from tasks.base import Paths
from tasks.summarization.controls import figures
from tasks.summarization.corpus import Document, Segments, SummaryCorpus
from tasks.text.texts import Texts
from tasks.text_to_text.data import Part, TextCorpus, TextData, prepare_texts
from tasks.text_to_text.settings import TextSettings


def prepare(corpus: SummaryCorpus, settings: TextSettings, paths: Paths) -> TextData[Document]:
    """As `tasks.text_to_text.data.prepare_texts`; segments are sentences."""
    corpus = corpus.limited(settings.train_limit, settings.test_limit)
    controls = partial(figures, corpus, paths.cache)
    texts = TextCorpus.of(corpus, _part, controls=controls)
    return prepare_texts("summarization", texts, settings, paths.cache)


def _part(documents: Sequence[Document]) -> Part[Document]:
    return Part(
        documents,
        source=Texts(documents, "source_text"),
        target=Texts(documents, "summary_text"),
        segments=Segments(documents),
    )
