"""Texts of any script: the one form they are compared in, lower case, and scripts without blanks.

Everything read is brought to Unicode's composed form (NFC) first, so that what looks the same is
the same. Compatibility forms (full-width and half-width letters, ligatures, superscripts) and
digits of other scripts stay what they are.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

import regex

#: What belongs to the character before it: accents, vowel signs, skin tones, joiners.
EXTENDS = r"[\p{GCB=Extend}\p{GCB=SpacingMark}\u200d]"
#: Letters of scripts written without blanks. Where words end takes a dictionary; without one every
#: letter is a word (Unicode Standard Annex 29, default rules).
UNSPACED = r"[[\p{Han}\p{Ideographic}\p{Hiragana}\p{Line_Break=SA}]--\p{M}]"

_UNSPACED_LETTER = regex.compile(UNSPACED, regex.V1)
_SPACED_WORD = regex.compile(rf"[\p{{L}}--{UNSPACED}][\p{{L}}\p{{M}}--{UNSPACED}]*+", regex.V1)
# Soft hyphens, byte order marks, marks of the direction of writing: nobody sees them, and no word
# differs by them. Joiners stay: words of some scripts do.
_INVISIBLE = re.compile("[\u00ad\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")


def composed(text: str) -> str:
    """The text in composed form (NFC), without soft hyphens, byte order and direction marks."""
    if text.isascii():
        return text
    return unicodedata.normalize("NFC", _INVISIBLE.sub("", text))


def lowered(text: str) -> str:
    """The composed text in lower case, by the rules of no language in particular: a Turkish İ
    becomes an i with a dot above, and a sigma that ends a word is a final one."""
    return text.lower() if text.isascii() else composed(composed(text).lower())


def is_unspaced(texts: Iterable[str]) -> bool:
    """Whether texts are mostly written without blanks between words (Chinese, Japanese, Thai, ...);
    each letter of such a script counts as a word."""
    unspaced = spaced = 0
    for text in texts:
        if not text.isascii():
            unspaced += len(_UNSPACED_LETTER.findall(text))
        spaced += len(_SPACED_WORD.findall(text))
    return unspaced > spaced
