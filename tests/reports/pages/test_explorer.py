"""The attention explorer of a setting: which examples and mechanisms it has, and its files."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from sample_results import document_trace, photo_trace, put, sound_trace

from bench.store.cell import Cell
from bench.store.result import Trace
from bench.store.store import Store
from reports.catalogue import Catalogue
from reports.pages import explorer as explorers
from reports.pages.explorer import choose_examples
from reports.pages.report import build_report
from reports.pages.site import write_report


def trace(**changes) -> Trace:
    fields = {
        "example": "e1",
        "subset": "test",
        "mode": "free",
        "kind": "words",
        "source": ("der", "hund", "</s>"),
        "target": ("the", "<b>dog</b>"),
        "weights": np.array([[0.9, 0.09, 0.01], [0.2, 0.8, 0.0]]),
        "gold": ((0, 0), (1, 1)),
    }
    return Trace(**{**fields, **changes})


def data_of(text: str) -> dict:
    return json.loads(text.partition("]=")[2].removesuffix(";\n"))


def test_examples_with_gold_that_most_have_and_that_are_short_come_first():
    long = tuple("abcdefghijklmnopqrst")
    traces = [
        trace(example="seen once"),
        trace(example="seen twice"),
        trace(example="seen twice", mode="forced"),
        trace(example="too long", source=long, weights=np.full((2, 20), 0.05)),
        trace(example="too long", mode="forced", source=long, weights=np.full((2, 20), 0.05)),
        *[trace(example="no gold", gold=None) for _ in range(5)],
        trace(example="other", subset="long"),
    ]
    assert choose_examples(traces, "test") == [
        ("test", "seen twice"),
        ("test", "too long"),
        ("test", "seen once"),
        ("test", "no gold"),
        ("long", "other"),
    ]


def test_a_test_set_has_only_so_many_examples():
    traces = [trace(example=f"e{n}") for n in range(40)]
    assert len(choose_examples(traces, "test")) == explorers.EXAMPLES


def test_every_example_has_all_mechanisms_in_both_modes(report):
    (section,) = report.sections
    found = section.explorer
    assert [len(own) for own in found.by_test_set.values()] == [4, 4]
    assert list(found.by_test_set) == ["test", "long"]
    names = list(found.mechanisms)
    assert len(names) == 12 and "none" not in names
    best = section.analysis.frame.contenders[section.analysis.order[0]].name
    assert names[0] == best
    for one in found.examples:
        maps = data_of(found.files[one.file])["maps"]
        assert sorted((m["mechanism"], m["mode"]) for m in maps) == sorted(
            (name, mode) for name in names for mode in ("free", "forced")
        )
        assert one.gold and one.references and set(one.outputs) >= {"none", "soft + concat"}
    assert [one.listed for one in found.examples] == [True, True, False, False, True] + [False] * 3


def test_files_are_beside_the_pages(report, site):
    (section,) = report.sections
    for name, text in section.explorer.files.items():
        assert (site / name).read_text("utf-8") == text
        assert len(text) < 40_000
    assert (site / "explorer.js").exists()


def test_a_site_without_traces_has_no_explorer(tmp_path):
    store = Store.open(tmp_path / "store", create=True)
    put(store, Cell("entailment", "synthetic", "none", "none"), [0.2, 0.4], headline="accuracy")
    write_report(build_report(store, catalogue=Catalogue()), tmp_path / "report")
    assert not list((tmp_path / "report").glob("attention*"))
    assert not (tmp_path / "report" / "explorer.js").exists()


def explorer_of(folder, *traces: Trace):
    store = Store.open(folder, create=True)
    cell = Cell("speech", "synthetic", "soft", "concat")
    put(store, cell, [0.2, 0.4], headline="rouge_l", traces=traces)
    (section,) = build_report(store, catalogue=Catalogue()).sections
    return section.explorer


@pytest.mark.parametrize("make", [document_trace, photo_trace, sound_trace])
@pytest.mark.parametrize("gold", [True, False])
def test_frames_are_explained_only_where_there_is_gold(tmp_path, make, gold):
    given = make() if gold else make(gold=None)
    found = explorer_of(tmp_path, given)
    assert found.examples[0].gold is gold
    assert ("gold alignment" in found.hint) is gold


def test_an_output_without_a_word_is_left_out(tmp_path):
    empty = replace(document_trace(), target=(), weights=np.zeros((0, 14)), gold=None)
    found = explorer_of(tmp_path, empty, document_trace("forced"))
    (one,) = found.examples
    assert [m["mode"] for m in data_of(found.files[one.file])["maps"]] == ["forced"]


def test_mechanisms_that_are_left_out_are_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(explorers, "CONTENDERS", 2)
    store = Store.open(tmp_path, create=True)
    for attention in ("soft", "global", "hard"):
        cell = Cell("summarization", "synthetic", attention, "concat")
        put(store, cell, [0.2, 0.4], headline="rouge_l", traces=[document_trace()])
    (section,) = build_report(store, catalogue=Catalogue()).sections
    assert len(section.explorer.mechanisms) == 2
    assert "The explorer has the 2 best of 3 mechanisms." in section.notes
