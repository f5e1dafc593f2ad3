"""The processor of translation: a sentence is read as it stands."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.data.texts import SplitTexts, Texts
from tasks.evaluation.text_processor import TextProcessor
from tasks.processor import OWN
from tasks.translation.datasets import Pair
from tasks.translation.evaluate import TranslationScorer


class TranslationProcessor(TextProcessor):
    """Tokenizers of source and target language."""

    scorer = TranslationScorer()

    def example(self, text: str) -> Pair:
        return Pair(OWN, " ".join(text.split()), "")

    def texts(self, examples: Sequence[Pair]) -> SplitTexts[Pair]:
        return texts_of(examples)


def texts_of(pairs: Sequence[Pair]) -> SplitTexts[Pair]:
    """The texts of pairs."""
    return SplitTexts(pairs, Texts(pairs, "source_text"), Texts(pairs, "target_text"))
