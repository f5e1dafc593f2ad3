"""Words of a text, and the way back.

A text is cut at white space and around punctuation. Every piece that followed white space carries
a mark in front, so that joining the pieces gives the text back exactly, up to runs of white space:
no rules are needed to undo the cutting, and figures are computed on real text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

#: Stands for the white space before a piece (U+2581, as in SentencePiece).
MARK = "\u2581"

# An elided word keeps its apostrophe (l'eau: l' eau); otherwise an apostrophe stays with what
# follows (man's: man 's). Runs of word characters are words, any other character is one too.
_WORD = re.compile(
    rf"""{MARK}?(?:
        (?:[cdjlmnst]|qu)['’](?=\w)
      | ['’](?:s|m|d|t|re|ve|ll)\b
      | (?:(?!{MARK})\w)+
      | [^\w{MARK}]
    )|{MARK}""",
    re.VERBOSE | re.IGNORECASE,
)


def marked(text: str) -> str:
    """The text with marks for white space: "a man's" -> "▁a▁man's"."""
    return "".join(f"{MARK}{part}" for part in text.replace(MARK, "_").split())


def unmarked(pieces: Iterable[str]) -> str:
    """The text of marked pieces; undoes `marked` and `split_words`."""
    return "".join(pieces).replace(MARK, " ").strip()


def split_words(text: str) -> list[str]:
    """Marked words: "a man's." -> ["▁a", "▁man", "'s", "."]."""
    return _WORD.findall(marked(text))


def words(text: str) -> tuple[str, ...]:
    """Words without marks, as people read them: ("a", "man", "'s", ".")."""
    return tuple(word.removeprefix(MARK) for word in split_words(text))


def word_starts(text: str) -> list[int]:
    """Where the words of an already marked text begin."""
    return [found.start() for found in _WORD.finditer(text)]
