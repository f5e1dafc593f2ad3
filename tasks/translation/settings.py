"""Settings of translation."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tasks.settings import TextSettings


class TranslationSettings(TextSettings):
    """Settings of all tasks on text, and what BLEU counts."""

    bleu_tokenize: Literal[
        "auto", "13a", "intl", "zh", "char", "ja-mecab", "ko-mecab", "flores101", "flores200"
    ] = Field("auto", description="sacrebleu's tokeniser; auto: by the script of the references")
