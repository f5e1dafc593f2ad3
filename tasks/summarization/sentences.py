"""Sentences of running text, by rules that suit English news."""

from __future__ import annotations

import re

# Abbreviations after which a full stop ends no sentence. Months and titles as agencies write them.
_ABBREVIATIONS = frozenset(
    [
        *("mr", "mrs", "ms", "dr", "st", "gen", "col", "lt", "sgt", "sen", "rep", "gov", "prof"),
        *("rev", "jr", "sr", "vs", "no", "inc", "corp", "co", "ltd", "plc", "cie", "bros", "jan"),
        *("feb", "mar", "apr", "jun", "jul", "aug", "sep", "sept", "oct", "nov", "dec", "ave"),
        *("etc", "approx", "dept", "est", "fig"),
    ]
)
# A stop, quotation marks or brackets that close with it, white space, and a new beginning.
_BORDER = re.compile(r"""([.!?]+["'”’)\]]*)\s+(?=["'“‘(\[]?[A-Z0-9<])""")
_LAST_WORD = re.compile(r"([\w.]+)\.\Z")


def split_sentences(text: str) -> list[str]:
    """The sentences of a text. Text without capitals or figures is left whole."""
    sentences = []
    begin = 0
    for border in _BORDER.finditer(text):
        if border.group(1) == "." and _abbreviated(text[begin : border.end(1)]):
            continue
        sentences.append(text[begin : border.end(1)])
        begin = border.end()
    sentences.append(text[begin:])
    return [sentence.strip() for sentence in sentences if sentence.strip()]


def _abbreviated(sentence: str) -> bool:
    found = _LAST_WORD.search(sentence)
    if found is None:
        return False
    word = found.group(1).lower()
    # "U.S." and initials have a single letter before the stop.
    return word in _ABBREVIATIONS or (len(word.rsplit(".", 1)[-1]) == 1 and not word.isdigit())
