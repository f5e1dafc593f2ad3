"""Running text to plain words: the words of corpora whose gold alignments count words."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from tasks.text.words import words


def plain_words(text: str, *, lower: bool = True) -> tuple[str, ...]:
    """The words of a text, lower-cased unless told otherwise.

    Joined by blanks and cut again they stay the same words, so positions counted in them are the
    positions a tokeniser reports for the joined text.
    """
    found: Iterable[str] = words(text.lower() if lower else text)
    if "'" in text or "’" in text:
        # A clitic that loses its neighbour is cut further ("d'" before a blank).
        found = words(" ".join(found))
    # Interned, since a corpus says the same few words over and over.
    return tuple(map(sys.intern, filter(None, found)))
