"""Gold links between phrases: from phrases as listed to words of the lines themselves.

The phrases come from annotations made on other tokenisations (lower case, apostrophes set apart),
so each is looked up again in its line, letter by letter without white space and case.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from bench.errors import UsageError
from tasks.text.words import words
from tasks.translation.corpus import Links

_APOSTROPHES = str.maketrans({"’": "'", "`": "'"})


@dataclass(frozen=True)
class PhraseLinks:
    """Links of one file.

    Attributes:
        by_line: links between words, by line counted from 0; lines without any are left out.
        found, listed: phrase pairs that could be placed in their lines, and all.
    """

    by_line: dict[int, Links]
    found: int
    listed: int


def read_phrase_links(
    path: Path, source: Sequence[str], target: Sequence[str], languages: tuple[str, str]
) -> PhraseLinks:
    """Link all words of a source phrase with all words of its target phrase.

    Args:
        path: JSON list of {"line": n, "links": [[English phrase, French phrase], ...]}.
        source, target: the lines.
        languages: codes of source and target; "en" is the first phrase of a listed pair.

    Raises:
        UsageError: the file is not such a list, or its lines are not those of the text.
    """
    by_line: dict[int, Links] = {}
    found = listed = 0
    for line, pairs in _records(path, len(source)):
        if languages[0] != "en":
            pairs = [(second, first) for first, second in pairs]
        placed = _place(pairs, words(source[line]), words(target[line]))
        found, listed = found + len(placed), listed + len(pairs)
        links = sorted({link for spans in placed for link in product(spans[1], spans[0])})
        if links:
            by_line[line] = tuple(links)
    return PhraseLinks(by_line, found, listed)


def find_phrase(phrase: str, line: Sequence[str]) -> list[range]:
    """Every run of words of the line that spells the phrase."""
    wanted = _letters(phrase)
    if not wanted:
        return []
    starts, total = {}, 0
    spelled = [_letters(word) for word in line]
    for place, word in enumerate(spelled):
        starts[total] = place
        total += len(word)
    starts[total] = len(line)
    text = "".join(spelled)
    runs, at = [], text.find(wanted)
    while at >= 0:
        if at in starts and at + len(wanted) in starts:
            runs.append(range(starts[at], starts[at + len(wanted)]))
        at = text.find(wanted, at + 1)
    return runs


def _place(
    pairs: Sequence[tuple[str, str]], source: Sequence[str], target: Sequence[str]
) -> list[tuple[range, range]]:
    """The word spans of the pairs whose phrases both stand in the line exactly once."""
    placed = []
    for first, second in pairs:
        left, right = find_phrase(first, source), find_phrase(second, target)
        if len(left) == 1 and len(right) == 1:
            placed.append((left[0], right[0]))
    return placed


def _letters(text: str) -> str:
    return "".join(text.translate(_APOSTROPHES).lower().split())


def _records(path: Path, lines: int) -> list[tuple[int, list[tuple[str, str]]]]:
    try:
        data = json.loads(path.read_text("utf-8"))
        records = [
            (record["line"], [(str(first), str(second)) for first, second in record["links"]])
            for record in data
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"not a list of lines with their links ({type(error).__name__}: {error})",
            where=str(path),
        ) from None
    for line, _ in records:
        if not isinstance(line, int) or not 0 <= line < lines:
            raise UsageError(f"there is no line {line} (of {lines})", where=str(path))
    return records
