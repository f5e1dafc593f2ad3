"""CIDEr, BLEU, ROUGE-L and METEOR as pycocoevalcap computes them, over all references.

CIDEr (Vedantam et al. 2015; CIDEr-D as in the COCO evaluation) is a mean over pictures, BLEU
(Papineni et al. 2002) a function of counts that add up over pictures: both are resampled without
scoring a caption twice. Document frequencies of CIDEr are those of the whole test set, also in
resamples and length bins. METEOR (Denkowski and Lavie 2014) runs in Java.

Captions are tokenised first. The field's scripts run captions through the Stanford PTB tokeniser in
lower case and drop punctuation. The same tokens are made here without Java, for what occurs in
captions:

- lower case; typographic quotes and dots made plain; HTML entities (`&amp;`) resolved;
- clitics are tokens of their own: `dog's` -> `dog 's`, `don't` -> `do n't`, `cannot` -> `can not`;
- hyphenated words (`t-shirt`), numbers (`3.5`, `1,000`, `10:30`), initials (`u.s.`) and a few
  abbreviations (`mr.`) stay whole;
- the punctuation that pycocoevalcap drops is dropped, and that of other scripts (`。`, `।`, `؟`);
  other signs (`&`, `%`, `#`) are tokens;
- words of all scripts are whole, with their vowel signs; in scripts without blanks every letter is
  a token.

Joined by blanks and tokenised again, tokens stay the same. Brackets are dropped as well, which
the Java tool means to do but fails to in lower case; apart from that, fewer than 1 in 3,000
captions come out differently (web addresses, single initials).
"""

from __future__ import annotations

import html
import re
import shutil
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import regex

from tasks.data.unicode import EXTENDS, UNSPACED, lowered
from tasks.evaluation.bootstrap import Interval, bootstrap, rates_up_to, ratio

ORDER = 4
# pycocoevalcap's guards against empty sums.
_TINY, _SMALL = 1e-15, 1e-9

SIGNATURE = "pycocoevalcap 1.2, PTB-like tokens in lower case without punctuation"
#: CIDEr-D of a picture is at most this.
EXTREMES = rates_up_to(10.0)
#: What is said besides where references have other letters.
UNICODE = ", words by Unicode"
#: Seconds after which a Java process that gives no answer is ended.
PATIENCE = 600.0

_PLAIN = str.maketrans(
    {"‘": "'", "’": "'", "“": '"', "”": '"', "´": "'", "…": " ... ", "–": " -- ", "—": " -- "}
)

_CLITIC = r"'(?:s|m|d|re|ve|ll)(?!\w)"
_ABBREVIATIONS = r"(?:mr|mrs|ms|dr|st|jr|sr|vs|etc)\.(?!\w)"

# Verbs that the Penn Treebank writes as two words.
_JOINED = re.compile(r"\b(can)(not)\b|\b(gon|wan)(na)\b|\b(got)(ta)\b|\b(gim|lem)(me)\b")
_NEGATION = re.compile(r"(?<=\w)n't\b")

_TOKENS = rf"""
    {_CLITIC}
  | n't(?!\w)
  | \d+(?:[.,:]\d+)+(?!\w)             # 3.5  1,000  10:30
  | (?:[^\W\d_]\.){{{{2,}}}}             # u.s.  a.m.
  | {_ABBREVIATIONS}
  | {{word}}(?:(?!{_CLITIC})[-'&@/]{{word}})*    # t-shirt  o'clock  r&b
  | {{others}}
    """
_ASCII_TOKEN = re.compile(_TOKENS.format(word=r"\w+", others=r"\S"), re.VERBOSE)
_TOKEN = regex.compile(
    _TOKENS.format(
        word=rf"[\w\p{{N}}--{UNSPACED}]++",
        others=rf"""
    {UNSPACED}{EXTENDS}*+
  | \p{{Regional_Indicator}}{{2}}
  | \S{EXTENDS}*+(?:(?<=\u200d)\S{EXTENDS}*+)*+""",
    ),
    regex.VERBOSE | regex.V1,
)
_DROPPED = frozenset("'\"`()[]{}.?!,:;-")
_PUNCTUATION = regex.compile(r"[\p{P}--[\x00-\x7f]]+", regex.V1)


@dataclass(frozen=True)
class CaptionScores:
    """Figures of N captions.

    Attributes:
        cider: N, CIDEr-D of each picture, 0 to 10; the test set's figure is their mean.
        bleu: N,10: tokens, length of the closest reference, matches and totals of 1- to 4-grams.
        rouge_l: N, fractions.
        meteor: of the test set and of each picture, or None.
        distinct: number of different captions.
        notes: why a figure is missing.
    """

    cider: np.ndarray
    bleu: np.ndarray
    rouge_l: np.ndarray
    distinct: int
    meteor: tuple[float, np.ndarray] | None = None
    notes: tuple[str, ...] = ()

    @property
    def cider_statistics(self) -> np.ndarray:
        """N,2 for `tasks.evaluation.bootstrap` with the figure `ratio`."""
        return np.stack([self.cider, np.ones_like(self.cider)], axis=1)

    def cider_interval(self) -> Interval:
        return bootstrap(self.cider_statistics, ratio, EXTREMES)

    def metrics(self) -> dict[str, float]:
        """The figures by name: `cider`; `bleu_1` to `bleu_4` (0 to 100); `rouge_l`, `meteor`
        (fractions); `distinct_captions`."""
        sums = self.bleu.sum(axis=0)
        figures = {
            "cider": float(self.cider.mean()),
            **{f"bleu_{order}": float(bleu(sums, order)) for order in range(1, ORDER + 1)},
            "rouge_l": float(self.rouge_l.mean()),
            "distinct_captions": float(self.distinct),
        }
        if self.meteor is not None:
            figures["meteor"] = self.meteor[0]
        return figures


def score(
    predictions: Sequence[str], references: Sequence[Sequence[str]], *, with_meteor: bool = False
) -> CaptionScores:
    """Score one caption a picture against all its references.

    Args:
        predictions: N texts; may be empty.
        references: N times one text or more.
        with_meteor: ask Java for METEOR; without it the scores carry a note.
    """
    assert len(predictions) == len(references) > 0
    found = [normalised(text) for text in predictions]
    known = [[normalised(text) for text in texts] for texts in references]
    extra = meteor(found, known) if with_meteor else None
    return CaptionScores(
        cider=_cider(found, known),
        bleu=_bleu_statistics(found, known),
        rouge_l=_rouge_l(found, known),
        distinct=len(set(found)),
        meteor=None if isinstance(extra, str) else extra,
        notes=(extra,) if isinstance(extra, str) else (),
    )


def caption_tokens(text: str) -> list[str]:
    """The tokens of a caption as scored: lower case, without punctuation."""
    plain = lowered(html.unescape(text)).translate(_PLAIN)
    plain = _JOINED.sub(lambda found: " ".join(filter(None, found.groups())), plain)
    plain = _NEGATION.sub(" n't", plain)
    if plain.isascii():
        return [token for token in _ASCII_TOKEN.findall(plain) if token not in _DROPPED]
    return [
        token
        for token in _TOKEN.findall(" ".join(plain.split()))  # \s differs in the two engines
        if token not in _DROPPED and not _PUNCTUATION.fullmatch(token)
    ]


def signature(references: Iterable[str]) -> str:
    """How captions are scored."""
    return SIGNATURE if all(map(str.isascii, references)) else SIGNATURE + UNICODE


def normalised(text: str) -> str:
    """The tokens of a caption, joined by blanks: what models read and write."""
    return " ".join(caption_tokens(text))


def bleu(sums: np.ndarray, order: int = ORDER) -> np.ndarray:
    """BLEU-`order` (0 to 100) of summed counts ...,10: a figure to resample. Other than
    sacrebleu's, it smooths nothing, and guards its sums as pycocoevalcap does."""
    tokens, closest = sums[..., 0], sums[..., 1]
    matches, totals = sums[..., 2 : 2 + order], sums[..., 2 + ORDER : 2 + ORDER + order]
    precision = np.prod((matches + _TINY) / (totals + _SMALL), axis=-1) ** (1.0 / order)
    ratio = (tokens + _TINY) / (closest + _SMALL)
    with np.errstate(over="ignore"):
        return 100.0 * precision * np.exp(np.minimum(0.0, 1.0 - 1.0 / ratio))


def shuffled(captions: Sequence[str], seed: int = 0) -> list[str]:
    """The captions dealt to other pictures, none keeps its own place: what a model's captions are
    worth when they do not belong to the picture. A single caption stays."""
    order = np.random.default_rng(seed).permutation(len(captions))
    return [captions[source] for source in np.roll(order, 1)[np.argsort(order)]]


def _cider(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> np.ndarray:
    from pycocoevalcap.cider.cider_scorer import CiderScorer

    scorer = CiderScorer(n=ORDER, sigma=6.0)
    for pair in zip(predictions, references, strict=True):
        scorer += pair
    return np.asarray(scorer.compute_score()[1])


def _bleu_statistics(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> np.ndarray:
    """N,10: tokens, closest reference's tokens, matches and totals by order."""
    from pycocoevalcap.bleu.bleu_scorer import BleuScorer

    scorer = BleuScorer(n=ORDER)
    for pair in zip(predictions, references, strict=True):
        scorer += pair
    rows = []
    for counts in scorer.ctest:
        tokens = counts["testlen"]
        _, closest = min((abs(length - tokens), length) for length in counts["reflen"])
        rows.append([tokens, closest, *counts["correct"], *counts["guess"]])
    return np.asarray(rows, dtype=np.float64)


def _rouge_l(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> np.ndarray:
    from pycocoevalcap.rouge.rouge import Rouge

    each: Callable[[list[str], Sequence[str]], float] = Rouge().calc_score
    return np.array(
        [each([text], texts) for text, texts in zip(predictions, references, strict=True)]
    )


def meteor(
    predictions: Sequence[str], references: Sequence[Sequence[str]]
) -> tuple[float, np.ndarray] | str:
    """METEOR of a test set and of each picture (N), fractions; or the reason why there is none.

    Takes several seconds to start. Args are tokens joined by blanks.
    """
    if shutil.which("java") is None:
        return "no METEOR: there is no java on the PATH"
    try:
        from pycocoevalcap.meteor.meteor import Meteor

        scorer = Meteor()
    except (ImportError, OSError) as error:
        return f"no METEOR: {error}"
    # The library waits for answers without end: a process that hangs is killed, which it notices.
    watchdog = threading.Timer(PATIENCE, scorer.meteor_p.kill)
    watchdog.start()
    try:
        # An empty caption would put the process out of step; a word no reference has scores the
        # same.
        total, each = scorer.compute_score(
            {number: list(texts) for number, texts in enumerate(references)},
            {number: [text or "-"] for number, text in enumerate(predictions)},
        )
        return float(total), np.asarray(each)
    except (OSError, ValueError) as error:
        return f"no METEOR: java answered nothing that can be read ({error})"
    finally:
        watchdog.cancel()
        # Its destructor takes this lock, which it holds for ever after an error, and closes this
        # pipe, which fails where nobody reads it any more.
        if scorer.lock.locked():
            scorer.lock.release()
        with suppress(OSError):
            scorer.meteor_p.stdin.close()
