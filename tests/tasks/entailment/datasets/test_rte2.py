"""RTE-2's human alignments: an alignment set for models trained on other pairs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench.errors import UsageError
from tasks.entailment.datasets.rte2 import aligned_sets, judgements, read_alignments, read_rte2

PAIR = {
    "id": "7",
    "source": "Mr. Fazio 's bank bids -LRB- again -RRB- .",
    "target": "Fazio bids .",
    "sureAlign": "1-0 4-1 8-2",
}
XML = (
    '<?xml version="1.0"?><!DOCTYPE entailment-corpus SYSTEM "RTE2_dev.dtd">'
    '<entailment-corpus><pair id="1" entailment="{judged}" task="IE">'
    "<t>Mr. Fazio's bank bids (again).</t><h>Fazio bids.</h></pair></entailment-corpus>"
)


def write(folder: Path, *pairs: Any) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "RTE2_dev_M.align.json"
    path.write_text(json.dumps(pairs), "utf-8")
    return path


def test_links_follow_the_words(tmp_path: Path) -> None:
    [pair] = read_alignments(write(tmp_path, PAIR))
    assert pair.premise == (
        *("mr", ".", "fazio", "'s", "bank", "bids"),
        *("(", "again", ")", "."),
    )
    assert pair.hypothesis == ("fazio", "bids", ".")
    assert pair.links == ((0, 2), (1, 5), (2, 9))
    assert pair.label is None and pair.id == "rte2-7"


def test_pieces_of_a_token_inherit_its_links(tmp_path: Path) -> None:
    one = {**PAIR, "source": "U.S. troops", "target": "U.S. soldiers", "sureAlign": "0-0 1-1"}
    other = {**one, "target": "America 's soldiers", "sureAlign": "0-0"}
    same, different = read_alignments(write(tmp_path, one, other))
    assert same.premise[:4] == ("u", ".", "s", ".")
    assert same.links == ((0, 0), (1, 1), (2, 2), (3, 3), (4, 4))
    assert different.links == ((0, 0), (0, 1), (0, 2), (0, 3))


def test_judgements_are_matched_by_text_since_the_numbers_differ(tmp_path: Path) -> None:
    folder = write(tmp_path, PAIR).parent
    assert [pair.label for pair in read_rte2(folder)] == [None]
    for judged, label in (("YES", "entailment"), ("NO", None)):
        (folder / "rte2_dev.xml").write_text(XML.format(judged=judged), "utf-8")
        assert [pair.label for pair in read_rte2(folder)] == [label]


def test_the_set_is_there_where_its_folder_is(tmp_path: Path) -> None:
    assert aligned_sets(None) == ({}, ())
    assert aligned_sets(tmp_path) == ({}, ())
    write(tmp_path / "rte2_alignments", PAIR)
    sets, notes = aligned_sets(tmp_path)
    assert len(sets["rte2"]) == 1
    assert notes == ("attention is also judged on 1 aligned pairs of RTE-2",)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sureAlign": "1-0 9-1"}, "pair 1: link 9-1 points outside the pair"),
        ({"sureAlign": "1:0"}, "pair 1: '1:0' is no link; links look like 3-0"),
        ({"source": None}, "pair 1: a pair needs the texts id, source, target, sureAlign"),
        ({"source": " ", "sureAlign": ""}, "pair 1: a text of the pair is empty"),
    ],
)
def test_bad_pairs_are_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_alignments(write(tmp_path, {**PAIR, **change}))


def test_bad_alignment_files_are_named(tmp_path: Path) -> None:
    path = write(tmp_path)
    with pytest.raises(UsageError, match="not a list of pairs"):
        read_alignments(path)
    path.write_text('[\n{"id": ')
    with pytest.raises(UsageError, match=r"align\.json:2: not JSON .*truncated"):
        read_alignments(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<a><b></a>", r"not XML \(mismatched tag: line 1"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "defines entities, which is refused"),
        ("<a><pair id='3'><t>x</t><h>y</h></pair></a>", "pair 3: a pair needs <t>, <h> and"),
    ],
)
def test_bad_xml_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "rte2_dev.xml"
    path.write_text(text)
    with pytest.raises(UsageError, match=message):
        judgements(path)


def test_missing_xml_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        judgements(tmp_path / "none.xml")
