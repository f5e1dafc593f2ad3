"""Scoring of texts in scripts other than Latin: one rule for all tasks."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rouge_score.tokenize import tokenize

from bench.errors import UsageError
from tasks.captioning import metrics as captions
from tasks.speech import evaluate as speech
from tasks.speech.datasets import split_text
from tasks.summarization import evaluate as summaries
from tasks.translation import evaluate as translation

#: Two texts without a common word, by language.
TEXTS = {
    "hi": ("एक लाल चौकोर बड़ा पुल", "कुछ नीली चीज़ें यहाँ हैं"),
    "zh": ("女孩卖红色的汽车", "医生想要一本书"),
    "ja": ("町は橋を建てた", "これ長くない"),
    "th": ("ฉันชอบกินข้าวผัด", "เธอดื่มนมเย็น"),
    "ko": ("여자아이가 빨간 새 자동차를 판다", "의사는 오늘 책 한권 원한다"),
    "ru": ("город построил красный мост сегодня", "ёлка стояла у нашего дома"),
    "el": ("η πόλη έχτισε κόκκινη γέφυρα", "ένας γιατρός θέλει νέο βιβλίο"),
    "ar": ("بنت المدينة جسرا أحمر جديدا", "إنّه طويل جدّا وليس قصيرا"),
    "fa": ("او می‌خواهد کتاب خوب بخرد", "ما به خانه‌ها رفتیم دیروز عصر"),
    "fr": ("la pêche est très mûre déjà", "un garçon mangeait œufs frits"),
    "tr": ("İstanbul'da ışık yandı dün gece", "küçük çocuk ağaca çıktı hemen"),
    "vi": ("cô gái bán xe đỏ", "bác sĩ muốn một quyển sách"),
}
Figures = Callable[[Sequence[str], Sequence[str]], dict[str, float]]


def caption_figures(texts: Sequence[str], references: Sequence[str]) -> dict[str, float]:
    found = captions.score(texts, [[text] for text in references]).metrics()
    return {"cider": found["cider"] / 10, "bleu": found["bleu_1"] / 100, "rouge": found["rouge_l"]}


def summary_figures(texts: Sequence[str], references: Sequence[str]) -> dict[str, float]:
    found = summaries.score(texts, references).metrics
    return {name: found[name] for name in summaries.ROUGE}


def translation_figures(texts: Sequence[str], references: Sequence[str]) -> dict[str, float]:
    found = translation.score(texts, references).metrics
    return {name: found[name] / 100 for name in ("bleu", "chrf")} | {"exact": found["exact"]}


def speech_figures(texts: Sequence[str], references: Sequence[str]) -> dict[str, float]:
    composed = [
        [split_text(unicodedata.normalize("NFC", text), "words") for text in side]
        for side in (texts, references)
    ]
    return {"right": 1 - speech.score(*composed, "words").metrics["wer"]}


TASKS: dict[str, Figures] = {
    "captioning": caption_figures,
    "summarization": summary_figures,
    "translation": translation_figures,
    "speech": speech_figures,
}
EVERY = pytest.mark.parametrize("task", TASKS)


@EVERY
@pytest.mark.parametrize("language", TEXTS)
def test_identical_texts_have_full_marks_in_either_form(task: str, language: str) -> None:
    texts = list(TEXTS[language])
    decomposed = [unicodedata.normalize("NFD", text) for text in texts]
    for written in (texts, decomposed):
        for references in (texts, decomposed):
            figures = TASKS[task](written, references)
            assert figures == pytest.approx(dict.fromkeys(figures, 1.0)), figures


@EVERY
@pytest.mark.parametrize("language", sorted(TEXTS.keys() - {"th"}))  # whose letters count as words
def test_texts_without_a_common_word_score_nothing(task: str, language: str) -> None:
    texts = TEXTS[language]
    figures = TASKS[task](texts, texts[::-1])
    figures.pop("chrf", None)  # letters in common count
    if language in ("ja", "ko"):
        figures.pop("bleu", None)  # characters in common count
    assert all(value <= 1e-6 for value in figures.values()), figures


@pytest.mark.parametrize(
    ("text", "other"),
    [("une pèche", "une pêche"), ("une peche", "une pêche"), ("पुल", "पल"), ("мёд", "мед")],
)
def test_words_that_differ_by_a_mark_differ(text: str, other: str) -> None:
    same = summaries.rouge([other], [other])[0, 0]
    assert summaries.rouge([text], [other])[0, 0] < same == 1
    assert captions.caption_tokens(text) != captions.caption_tokens(other)


@pytest.mark.parametrize(
    ("text", "tokenizer"),
    [
        ("女孩卖红色的汽车。", "zh"),
        ("他用 PyTorch 训练模型。", "zh"),
        ("町は橋を建てた。", "char"),
        ("ฉันชอบกินข้าว", "char"),
        ("여자아이가 차를 판다.", "char"),
        ("Ein Mädchen verkauft ein Auto.", "13a"),
        ("He wrote 漢字 on the wall of the house.", "13a"),
        ("नगर ने एक पुल बनाया।", "13a"),
        ("", "13a"),
    ],
)
def test_bleu_counts_what_suits_the_script(text: str, tokenizer: str) -> None:
    assert translation.suitable_tokenizer([text]) == tokenizer
    scores = translation.score([text], [text])
    assert f"tok:{tokenizer}|" in scores.signatures["bleu"]
    if text:
        assert scores.metrics["bleu"] == pytest.approx(100)


def test_the_choice_of_tokens_can_be_made_by_hand() -> None:
    scores = translation.score(["a red car"], ["a red car"], "char")
    assert scores.metrics["bleu"] == pytest.approx(100)
    assert "tok:char|" in scores.signatures["bleu"]
    with pytest.raises(UsageError, match="bleu_tokenize=flores200"):
        translation.require_tokenizer("flores200")


def test_a_figure_that_cannot_be_computed_says_so() -> None:
    [note] = translation.score(["a red car"], ["a red car"]).notes
    assert "no reference has 4 tokens" in note
    [note] = summaries.score(["!", "a"], ["?", "a"]).notes
    assert "1 references have no letter" in note
    units = [split_text("女孩卖汽车", "characters")]
    scores = speech.score(units, units, "characters")
    assert "wer" not in scores.metrics and "no WER" in scores.notes[0]
    assert speech.score([("a",)], [("a",)], "characters").notes == ()


def test_signatures_tell_of_words_beyond_ascii() -> None:
    assert summaries.signature(["plain “text”"]) == summaries.signature()
    assert "words:unicode" in summaries.signature(["plain", "pêche"])
    assert captions.signature(["a dog"]) == captions.SIGNATURE
    assert captions.signature(["a dog", "एक"]) == captions.SIGNATURE + captions.UNICODE


@given(st.text())
def test_rouge_of_latin_letters_is_the_librarys(text: str) -> None:
    own = summaries._tokenizer().tokenize(text)
    if not summaries._BEYOND_ASCII.search(unicodedata.normalize("NFC", text.lower())):
        from rouge_score.tokenizers import porter

        assert own == tokenize(unicodedata.normalize("NFC", text), porter.PorterStemmer())
    assert all(own)


@given(st.lists(st.text(), min_size=1, max_size=3))
def test_any_text_is_itself_in_either_form(texts: list[str]) -> None:
    forms = [[unicodedata.normalize(form, text) for text in texts] for form in ("NFC", "NFD")]
    assert translation.score(forms[0], forms[1]).metrics["exact"] == 1
    scores = summaries.rouge(*forms)
    worded = [bool(summaries._tokenizer().tokenize(text)) for text in texts]
    assert np.array_equal(scores[:, 2] == 1, worded)
    assert [captions.normalised(t) for t in forms[0]] == [captions.normalised(t) for t in forms[1]]
