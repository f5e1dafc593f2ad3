"""Scoring of translations: BLEU and chrF as sacrebleu computes them, with intervals.

BLEU's counts are additive over sentences (Papineni et al. 2002), so the corpus figure of any
resample or length bin is computed from summed counts; it equals sacrebleu's to the last digit
that floating point allows. chrF after Popovic (2015).

What BLEU counts depends on how the references are written: words and punctuation ("13a") where
there are blanks between words, sacrebleu's own choice for Chinese ("zh"), and characters ("char")
in Japanese, Korean, Thai and other scripts whose words take a dictionary. The choice is one for a
test set, depends on nothing that is installed, and stands in the signature.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import regex
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from bench.errors import UsageError
from tasks.data.texts import TextData
from tasks.data.tokenizer import words
from tasks.data.unicode import UNSPACED, composed, is_unspaced
from tasks.evaluation.bootstrap import bootstrap
from tasks.evaluation.scoring import Outputs, Scores
from tasks.evaluation.text import TextScorer, WordPair
from tasks.settings import TextSettings
from tasks.translation.datasets import Pair, TranslationCorpus
from tasks.translation.metrics import EXTREMES, ORDER, bleu, bleu_statistics
from tasks.translation.settings import TranslationSettings

_HAN, _OTHER_UNSPACED, _HANGUL, _LETTERS = (
    regex.compile(letter, regex.V1)
    for letter in (r"\p{Han}", rf"[{UNSPACED}--\p{{Han}}]", r"\p{Hangul}", r"\p{L}")
)
# Models of sacrebleu's tokenisers that have one.
_MODELS = {
    "flores101": "sacrebleu_tokenizer_spm.model",
    "flores200": "flores200sacrebleuspm",
}


class TranslationScorer(TextScorer[Pair]):
    """BLEU, chrF, and the share of translations that are the reference to the letter. Where
    targets are made of answers (`TranslationCorpus.answer_every`) also the share of right ones."""

    def word_pair(self, pair: Pair) -> WordPair:
        return WordPair(
            pair.id, pair.source_text, pair.target_text, pair.source, pair.target, pair.links
        )

    def score_texts(
        self, texts: Sequence[str], pairs: Sequence[WordPair], settings: TextSettings
    ) -> Scores:
        assert isinstance(settings, TranslationSettings)
        return score(texts, [pair.target_text for pair in pairs], settings.bleu_tokenize)

    def score(self, data: TextData[Pair], subset: str, outputs: Outputs) -> Scores:
        scores = super().score(data, subset, outputs)
        assert isinstance(data.corpus, TranslationCorpus)
        every = data.corpus.answer_every
        if not every:
            return scores
        targets = [pair.target for pair in data.tests[subset].examples]
        accuracy = token_accuracy(outputs.texts, targets, every)
        return replace(scores, metrics={**scores.metrics, "token_accuracy": accuracy})


def token_accuracy(texts: Sequence[str], targets: Sequence[Sequence[str]], every: int = 1) -> float:
    """Share of every `every`-th target word (1: of all) that the texts have at its place."""
    answers = slice(every - 1, None, every)
    wanted = [target[answers] for target in targets]
    right = sum(
        one == other
        for text, target in zip(texts, wanted, strict=True)
        for one, other in zip(words(text)[answers], target, strict=False)
    )
    return right / sum(map(len, wanted))


def score(texts: Sequence[str], references: Sequence[str], tokenize: str = "auto") -> Scores:
    """Score plain, cased, detokenised text against one reference each.

    BLEU and chrF run to 100. An example's figure is its chrF, its statistics are the counts of
    `bleu_statistics`.

    Args:
        tokenize: name of sacrebleu's tokeniser; "auto": the one that suits the references.
    """
    assert len(texts) == len(references) > 0
    texts, references = list(map(composed, texts)), list(map(composed, references))
    chrf = CHRF()
    tokenizer = suitable_tokenizer(references) if tokenize == "auto" else tokenize
    statistics = bleu_statistics(texts, references, tokenizer)
    sentences = [
        chrf.sentence_score(text, [reference]).score
        for text, reference in zip(texts, references, strict=True)
    ]
    interval = bootstrap(statistics, bleu, EXTREMES)
    exact = np.mean([text == other for text, other in zip(texts, references, strict=True)])
    return Scores(
        name="bleu",
        interval=interval,
        metrics={
            "bleu": interval.value,
            "chrf": chrf.corpus_score(texts, [references]).score,
            "exact": float(exact),
        },
        statistics=statistics,
        figure=bleu,
        examples=np.asarray(sentences),
        signatures={"bleu": _bleu_signature(tokenizer), "chrf": chrf.get_signature().format()},
        notes=tuple(_notes(statistics, tokenizer)),
    )


def suitable_tokenizer(references: Sequence[str]) -> str:
    """The name of the tokeniser of sacrebleu that suits texts by their script."""
    text = "\n".join(references)
    if text.isascii():
        return "13a"
    han, other, hangul, letters = (
        len(kind.findall(text)) for kind in (_HAN, _OTHER_UNSPACED, _HANGUL, _LETTERS)
    )
    if is_unspaced(references):
        # Chinese quotes a Japanese word now and then; Japanese has hiragana in every sentence.
        return "zh" if other < han / 10 else "char"
    return "char" if hangul > letters / 2 else "13a"


def require_tokenizer(name: str) -> None:
    """Raise UsageError where a tokeniser of sacrebleu lacks its library or its model, which would
    be downloaded."""
    from sacrebleu.utils import SACREBLEU_DIR

    where, remedy = f"--set bleu_tokenize={name}", "choose another, or auto"
    model = _MODELS.get(name)
    if model is not None and not (Path(SACREBLEU_DIR) / "models" / model).is_file():
        raise UsageError(
            f"sacrebleu's model {model} is not in {SACREBLEU_DIR}/models",
            where=where,
            remedy=remedy,
        )
    try:
        BLEU(tokenize=name)
    except (ImportError, RuntimeError):
        extra = name.partition("-")[0] if name in ("ja-mecab", "ko-mecab") else ""
        package = f"sacrebleu[{extra}]" if extra else "sentencepiece"
        raise UsageError(
            "a library is missing", where=where, remedy=f"install {package}, or {remedy}"
        ) from None


def _notes(statistics: np.ndarray, tokenizer: str) -> Iterator[str]:
    """What a reader must know of BLEU's tokens.

    Args:
        statistics: N,10 as `bleu_statistics` gives them.
    """
    if tokenizer == "char":
        yield "BLEU counts characters (--set bleu_tokenize chooses other tokens)"
    if (statistics[:, 1] < ORDER).all():
        yield f"no BLEU: no reference has {ORDER} tokens, so it is 0 whatever is written"


def _bleu_signature(tokenizer: str) -> str:
    metric = BLEU(tokenize=tokenizer)
    metric.corpus_score(["."], [["."]])  # the signature names the number of references seen
    return metric.get_signature().format()
