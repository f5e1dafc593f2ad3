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
from tasks.evaluation.bootstrap import Extremes, bootstrap
from tasks.evaluation.scoring import Outputs, Scores
from tasks.evaluation.text import TextScorer, WordPair
from tasks.settings import TextSettings
from tasks.translation.datasets import Pair, TranslationCorpus
from tasks.translation.settings import TranslationSettings

ORDER = 4
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


def bleu_statistics(
    predictions: Sequence[str], references: Sequence[str], tokenizer: str = "13a"
) -> np.ndarray:
    """N,10 counts per sentence: lengths of output and reference, matches and totals of 1- to
    4-grams. Their sums over any sentences give that corpus's BLEU."""
    metric = BLEU(
        tokenize=tokenizer, effective_order=True
    )  # of no influence on counts, silences a warning
    rows = []
    for prediction, reference in zip(predictions, references, strict=True):
        counts = metric.sentence_score(prediction, [reference])
        rows.append([counts.sys_len, counts.ref_len, *counts.counts, *counts.totals])
    return np.asarray(rows, dtype=np.float64).reshape(-1, 2 + 2 * ORDER)


def bleu(sums: np.ndarray) -> np.ndarray:
    """BLEU (0 to 100) of summed counts ...,10, with sacrebleu's default smoothing ("exp":
    the k-th order without a match counts as 1/2^k of a match)."""
    system, reference = sums[..., 0], sums[..., 1]
    matches, totals = sums[..., 2 : 2 + ORDER], sums[..., 2 + ORDER :]
    with np.errstate(divide="ignore", invalid="ignore"):
        penalty = np.where(system < reference, np.exp(1 - reference / system), 1.0)
        smoothed = np.where(matches > 0, matches, 0.5 ** np.cumsum(matches == 0, axis=-1))
        value = penalty * np.exp(np.log(100.0 * smoothed / totals).mean(axis=-1))
    # Without any match, or with no 4-gram at all, there is nothing to smooth.
    defined = (matches.sum(axis=-1) > 0) & (totals > 0).all(axis=-1)
    return np.where(defined, value, 0.0)


def _ngram_f1(statistics: np.ndarray) -> np.ndarray:
    """F1 of each sentence's 1- to 4-grams together, N,10 -> N: 1 for the reference's own n-grams,
    0 without any match. (BLEU of single sentences is 0 for the shortest ones, right or not.)"""
    matches, totals = statistics[:, 2 : 2 + ORDER], statistics[:, 2 + ORDER :]
    of_both = totals.sum(axis=1) + _totals(statistics[:, 1]).sum(axis=1)
    return 2 * matches.sum(axis=1) / np.maximum(of_both, 1.0)


def _ends(mean: np.ndarray) -> np.ndarray:
    """The counts of an average sentence without any match, and of its reference: 10 -> 2,10."""
    worst, length = mean.copy(), mean[1]
    worst[2 : 2 + ORDER] = 0.0
    totals = _totals(length)
    return np.stack([worst, np.concatenate([[length, length], totals, totals])])


def _totals(lengths: np.ndarray) -> np.ndarray:
    """The numbers of 1- to 4-grams of sentences of these lengths, ... -> ...,4."""
    return np.maximum(lengths[..., None] - np.arange(ORDER), 0.0)


EXTREMES = Extremes(_ngram_f1, _ends)


def _bleu_signature(tokenizer: str) -> str:
    metric = BLEU(tokenize=tokenizer)
    metric.corpus_score(["."], [["."]])  # the signature names the number of references seen
    return metric.get_signature().format()
