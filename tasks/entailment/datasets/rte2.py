"""RTE-2 with human word alignments: a set on which the attention of models trained elsewhere
(snli, sick) is judged.

Its judgements are two-way: what is not entailed may be neutral or contradicted. Pairs judged YES
carry the label entailment, all others none, and the set counts towards no accuracy.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import accumulate, chain, pairwise, product, starmap
from pathlib import Path
from typing import Any

from bench.errors import UsageError
from tasks.data.files import require_file, unreadable
from tasks.data.readers import read_json
from tasks.data.tokenizer import plain_words
from tasks.entailment.datasets import PairExample, Pairs

_PLACE = re.compile(r"\d{1,9}")
FOLDER = "rte2_alignments"
ALIGNMENTS = "RTE2_dev_M.align.json"
LABELLED = "rte2_dev.xml"
# How the Penn Treebank writes brackets and quotation marks.
_TREEBANK = {"-LRB-": "(", "-RRB-": ")", "``": '"', "''": '"'}


def aligned_sets(data_root: Path | None) -> tuple[Mapping[str, Pairs], tuple[str, ...]]:
    """The alignment sets that lie in the data root, by name, and a note on them."""
    if data_root is None or not (data_root / FOLDER / ALIGNMENTS).is_file():
        return {}, ()
    pairs = read_rte2(data_root / FOLDER)
    return {"rte2": pairs}, (f"attention is also judged on {len(pairs)} aligned pairs of RTE-2",)


def read_rte2(folder: Path) -> Pairs:
    """The aligned pairs, with the judgements of `rte2_dev.xml` where that file is there.

    The two files number their pairs differently, so pairs are matched by their texts.

    Raises UsageError naming file and line or pair.
    """
    path = folder / LABELLED
    entailed = _entailed(path) if path.exists() else frozenset()
    return tuple(
        replace(pair, label="entailment" if _letters(pair) in entailed else None)
        for pair in read_alignments(folder / ALIGNMENTS)
    )


def read_alignments(path: Path) -> Pairs:
    """The pairs of the alignment file with their links; labels are None.

    A token of the file that our words cut further ("Mr.") passes its links on to its pieces, one
    to one where both sides have equally many, else all to all.

    Raises UsageError naming file and pair: fields missing, links that point outside the pair.
    """
    records = read_json(path)
    if not isinstance(records, list) or not records:
        raise UsageError(
            "not a list of pairs", where=str(path), remedy=f"expected {ALIGNMENTS} of MSR RTE-2"
        )
    return tuple(_aligned(record, f"{path}, pair {n}") for n, record in enumerate(records, start=1))


def judgements(path: Path) -> list[tuple[PairExample, bool]]:
    """The pairs of RTE-2's XML file and whether the premise entails the hypothesis.

    Raises UsageError: unreadable, not XML (with the line), a pair without text or judgement.
    """
    from defusedxml import DefusedXmlException, ElementTree

    require_file(path)
    try:
        root = ElementTree.parse(path).getroot()
    except OSError as error:
        raise unreadable(path, error) from None
    except ElementTree.ParseError as error:
        raise UsageError(f"not XML ({error})", where=str(path)) from None
    except DefusedXmlException:
        raise UsageError("the XML defines entities, which is refused", where=str(path)) from None
    assert root is not None, "a parsed document has a root"
    found = []
    for element in root.iter("pair"):
        name, judged = element.get("id", "?"), element.get("entailment")
        premise, hypothesis = (plain_words(element.findtext(tag) or "") for tag in ("t", "h"))
        if judged not in ("YES", "NO") or not premise or not hypothesis:
            raise UsageError(
                "a pair needs <t>, <h> and entailment YES or NO", where=f"{path}, pair {name}"
            )
        found.append((PairExample(f"rte2-xml-{name}", premise, hypothesis, None), judged == "YES"))
    return found


def _entailed(path: Path) -> frozenset[tuple[str, str]]:
    judged = [(_letters(pair), entails) for pair, entails in judgements(path)]
    denied = {key for key, entails in judged if not entails}
    return frozenset(key for key, entails in judged if entails) - denied


def _letters(pair: PairExample) -> tuple[str, str]:
    """Both texts without what tokenisers change."""
    premise, hypothesis = (
        "".join(filter(str.isalnum, "".join(words))) for words in (pair.premise, pair.hypothesis)
    )
    return premise, hypothesis


def _aligned(record: Any, where: str) -> PairExample:
    fields = ("id", "source", "target", "sureAlign")
    if not isinstance(record, dict) or not all(isinstance(record.get(f), str) for f in fields):
        raise UsageError(f"a pair needs the texts {', '.join(fields)}", where=where)
    premise, premise_at = _cut(record["source"].split())
    hypothesis, hypothesis_at = _cut(record["target"].split())
    if not premise or not hypothesis:
        raise UsageError("a text of the pair is empty", where=where)
    links: set[tuple[int, int]] = set()
    for source, target in _token_links(record["sureAlign"], where):
        if source >= len(premise_at) or target >= len(hypothesis_at):
            raise UsageError(f"link {source}-{target} points outside the pair", where=where)
        pieces, others = hypothesis_at[target], premise_at[source]
        alike = len(pieces) == len(others)
        links.update(zip(pieces, others, strict=True) if alike else product(pieces, others))
    return PairExample(f"rte2-{record['id']}", premise, hypothesis, None, tuple(sorted(links)))


def _cut(tokens: list[str]) -> tuple[tuple[str, ...], list[range]]:
    """Our words of tokens, and the places of each token's words."""
    pieces = [plain_words(_TREEBANK.get(token, token)) for token in tokens]
    ends = accumulate(map(len, pieces), initial=0)
    return tuple(chain.from_iterable(pieces)), list(starmap(range, pairwise(ends)))


def _token_links(text: str, where: str) -> Iterator[tuple[int, int]]:
    for link in text.split():
        source, _, target = link.partition("-")
        if not (_PLACE.fullmatch(source) and _PLACE.fullmatch(target)):
            raise UsageError(f"'{link}' is no link", where=where, remedy="links look like 3-0")
        yield int(source), int(target)
