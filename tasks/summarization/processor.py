"""The processor of summarization: a document is cut into sentences and words as its data set is."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.data.texts import SplitTexts, Texts
from tasks.evaluation.text_processor import TextProcessor
from tasks.processor import OWN
from tasks.summarization.datasets import Document, Preprocessing, Segments
from tasks.summarization.evaluate import SummaryScorer


class SummarizationProcessor(TextProcessor):
    """Tokenizers of documents and summaries, and the data set's preprocessing."""

    scorer = SummaryScorer()

    def example(self, text: str) -> Document:
        options, dataset = self.plan.dataset_options, self.plan.dataset
        preprocessing = Preprocessing(  # of data sets of running text; others have words already
            source_words=getattr(options, "source_words", 0),
            lower=getattr(options, "lower", True),
            replacements=getattr(dataset, "replacements", ()),
        )
        return Document(OWN, preprocessing.sentences(text), ())

    def texts(self, examples: Sequence[Document]) -> SplitTexts[Document]:
        return texts_of(examples)


def texts_of(documents: Sequence[Document]) -> SplitTexts[Document]:
    """The texts of documents, whose segments are sentences."""
    return SplitTexts(
        documents,
        source=Texts(documents, "source_text"),
        target=Texts(documents, "summary_text"),
        segments=Segments(documents),
    )
