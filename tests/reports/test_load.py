"""Sorting results into frames and contenders."""

from __future__ import annotations

import pytest

from bench.store.cell import Cell
from bench.store.result import Failure, Result
from bench.store.store import Store
from reports import load as frames
from reports.catalogue import Catalogue
from reports.load import slug
from reports.results import read


def collected(store: Store, catalogue: Catalogue) -> frames.Collection:
    results, problems = read(store)
    return frames.collect(store.address, results, catalogue, problems)


def test_contenders_differ_in_nothing_but_the_seed(made, store, catalogue):
    (frame,) = collected(store, catalogue).frames
    names = [one.name for one in frame.contenders]
    assert len(names) == len(set(names)) == 14
    soft = next(one for one in frame.contenders if one.name == "soft + concat")
    assert soft.seeds == (1, 2)
    assert {result.cell_json["attention"] for result in soft.done} == {"soft"}


def test_order_follows_the_catalogue(made, store, catalogue):
    (frame,) = collected(store, catalogue).frames
    attentions = list(dict.fromkeys(one.attention for one in frame.contenders))
    assert attentions == [entry.name for entry in catalogue.attentions]
    scores = [one.score for one in frame.contenders if one.attention == "global"]
    assert scores == ["dot", "scaled-dot", "general", "concat", "location-aware"]


def test_failures_belong_to_their_contender(made, store, catalogue):
    (frame,) = collected(store, catalogue).frames
    (failed,) = [one for one in frame.contenders if one.failed]
    assert failed.name == "global + location-aware"
    assert not failed.done
    assert frame.main_metric == "bleu"
    assert frame.seeds == (1, 2)


def test_data_options_make_settings_and_others_make_contenders(made, catalogue):
    cells = [
        Cell("translation", "synthetic", "soft", "dot", options={"length": 9}),
        Cell("translation", "synthetic", "soft", "dot", options={"hidden_dim": 9}),
        Cell("translation", "synthetic", "soft", "dot", options={"length": 9, "hidden_dim": 9}),
        Cell("translation", "synthetic", "soft", "dot", budget="gpu"),
    ]
    results = [failed(made, cell) for cell in cells]
    collection = frames.collect("here", results, catalogue)
    labels = {frame.setting.label: len(frame.contenders) for frame in collection.frames}
    assert labels == {
        "synthetic (length=9), laptop budget": 2,
        "synthetic, laptop budget": 1,
        "synthetic, gpu budget": 1,
    }


def test_unknown_names_come_last_and_break_nothing(made, catalogue):
    cells = [
        Cell("translation", "synthetic", "zeta", "mine"),
        Cell("translation", "synthetic", "soft", "dot"),
        Cell("music", "mine", "soft", "dot"),
    ]
    collection = frames.collect("here", [failed(made, cell) for cell in cells], catalogue)
    assert collection.tasks == ("translation", "music")
    assert [one.name for one in collection.frames[0].contenders] == ["soft + dot", "zeta + mine"]


def test_names_and_labels_of_options():
    contender = frames.Contender("soft", "concat", (("gate", True), ("num_heads", 2)), (), ())
    assert contender.name == "soft + concat (gate=true, num_heads=2)"
    assert frames.Contender("none", "none", (), (), ()).name == "none"


def test_what_all_contenders_share_is_said_once(made, catalogue):
    sizes = {"hidden": 64, "steps": 500}
    cells = [
        Cell("translation", "synthetic", "soft", "dot", options={**sizes, "gate": True}),
        Cell("translation", "synthetic", "soft", "concat", options={**sizes, "gate": False}),
        Cell("translation", "synthetic", "none", "none", options=sizes),
    ]
    frame = frames.collect("here", [failed(made, cell) for cell in cells], catalogue).frames[0]
    assert frame.shared == "All with hidden=64, steps=500."
    names = ["none", "soft + concat (gate=false)", "soft + dot (gate=true)"]
    assert sorted(one.name for one in frame.contenders) == names
    assert all(dict(one.axes)["hidden"] == "64" for one in frame.contenders)
    alone = frames.collect("here", [failed(made, Cell("t", "d", "soft", "dot"))], catalogue)
    assert alone.frames[0].shared == ""


def test_values_that_are_written_differently_are_not_shared(made, catalogue):
    cells = [Cell("t", "d", name, "dot", options={"x": x}) for name, x in (("a", True), ("b", 1))]
    frame = frames.collect("here", [failed(made, cell) for cell in cells], catalogue).frames[0]
    assert [one.name for one in frame.contenders] == ["a + dot (x=true)", "b + dot (x=1)"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("../../etc/passwd", "etc-passwd"), ("A b_C", "a-b-c"), ("", "unnamed"), ("日本", "unnamed")],
)
def test_slugs_are_safe_file_names(text, expected):
    assert slug(text) == expected


def test_unreadable_records_are_problems_not_gaps(tmp_path, catalogue):
    store = Store.open(tmp_path, create=True)
    (tmp_path / "trials" / ("0" * 64 + ".json")).write_text("{}")
    results, problems = read(store)
    assert results == []
    assert len(problems) == 1
    assert "0" * 64 in problems[0]


def failed(made, cell: Cell) -> Result:
    return Result(
        hash=cell.hash,
        cell_json=cell.to_json(),
        status="failed",
        failure=Failure(kind="x", message="y"),
        provenance=made.provenance(),
    )
