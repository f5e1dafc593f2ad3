"""A mechanism's own page."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sample_results import document_trace, put, sound_trace

from bench.store.cell import Cell
from bench.store.store import Store
from reports import load as frames
from reports.catalogue import Catalogue, TaskEntry
from reports.pages.cell import cell_pages
from reports.pages.explorer import explorer
from reports.pages.report import build_report
from reports.pages.site import write_report
from reports.results import read
from reports.statistics import LEADING, analyse
from reports.tables import Missing, Number, cell_page_name, contender_href

TASK = TaskEntry("translation", length_unit="source words")


def page_of(report, name: str):
    (section,) = report.sections
    return next(one for one in section.cells if one.name == name)


def test_every_seed_is_there(report):
    page = page_of(report, "soft + concat")
    assert [row.label for row in page.seeds.rows] == ["1", "2"]
    (section,) = report.sections
    contender = next(
        one for one in section.analysis.frame.contenders if one.name == "soft + concat"
    )
    for row, result in zip(page.seeds.rows, contender.done, strict=True):
        assert row.entries[0].value == result.primary.value
        assert row.entries[-1].text == result.hash[:12]


def test_failed_seeds_say_why(tmp_path, made):
    store = Store.open(tmp_path, create=True)
    cell = Cell("translation", "synthetic", "soft", "concat")
    put(store, cell, [0.0, 1.0], headline="accuracy")
    maker = replace(made, store=store, examples=2)
    maker.fail(cell.with_seed(2), "diverged", "the loss was nan")
    rows = next(pages_of(store)).seeds.rows
    assert isinstance(rows[0].entries[0], Number)
    assert rows[1].spanning == Missing("failed", "diverged: the loss was nan")


def pages_of(store: Store):
    analysis = analysed(store)
    return cell_pages(analysis, TASK, *explorer(analysis, store))


def analysed(store: Store):
    results, _ = read(store)
    collection = frames.collect(store.address, results, Catalogue())
    return analyse(collection.frames[0], store)


def test_best_and_worst_are_the_ends_of_the_headline_test_set(report, made):
    page = page_of(report, "global + dot")
    (section,) = report.sections
    contender = next(o for o in section.analysis.frame.contenders if o.name == "global + dot")
    rows = [r for r in made.store.predictions(contender.done[0].hash) if r["subset"] == "test"]
    scores = sorted(row["score"] for row in rows)
    assert [one.score for one in page.worst] == scores[:6]
    assert [one.score for one in page.best] == scores[:-7:-1]
    assert not {one.example for one in page.best} & {one.example for one in page.worst}


def test_few_examples_are_never_both_best_and_worst(tmp_path):
    store = Store.open(tmp_path, create=True)
    put(store, Cell("t", "d", "soft", "concat"), [0.1, 0.5, 0.9], headline="accuracy")
    page = next(pages_of(store))
    assert [one.score for one in page.best] == [0.9]
    assert [one.score for one in page.worst] == [0.1]


def test_its_attention_is_a_link_away(tmp_path):
    store = Store.open(tmp_path / "store", create=True)
    cell = Cell("summarization", "synthetic", "self", "scaled-dot")
    traces = [document_trace("free"), document_trace("forced")]
    put(store, cell, [0.2, 0.4], headline="rouge_l", traces=traces)
    write_report(build_report(store, catalogue=Catalogue()), tmp_path / "report")
    (path,) = (tmp_path / "report").glob("cell-*")
    explorer = "attention-summarization-synthetic-laptop.html"
    view = "example=test%2Freport-1&amp;panel=self+%2B+scaled-dot%3B%3B"
    assert f'href="{explorer}#{view}"' in path.read_text("utf-8")


def test_curves_have_a_line_a_seed(report):
    page = page_of(report, "soft + concat")
    panels = page.curves.frame[["quantity", "axis"]].drop_duplicates()
    assert panels.to_records(index=False).tolist() == [
        *(("loss", "step"), ("validation_loss", "step"), ("bleu", "source words")),
    ]
    assert list(page.curves.series) == ["1", "2"]
    assert "(test and long) has a line of its own" in page.curves.caption
    assert page_of(report, "global + dot").curves.series == {}


def test_a_source_that_is_only_a_name_is_not_shown(tmp_path):
    store = Store.open(tmp_path / "store", create=True)
    for cell, trace in (
        (Cell("speech", "synthetic", "soft", "concat"), sound_trace()),
        (Cell("summarization", "synthetic", "soft", "concat"), document_trace()),
    ):
        result = put(store, cell, [0.2, 0.4, 0.6, 0.8], headline="rouge_l", traces=[trace])
        rows = [
            {**row, "source": row["example"] if cell.task == "speech" else "it rained"}
            for row in store.predictions(result.hash)
        ]
        store.put(result, rows, store.traces(result.hash))
    write_report(build_report(store, catalogue=Catalogue()), tmp_path / "report")
    heard, read = (next((tmp_path / "report").glob(f"cell-{name}*")) for name in ("speech", "summ"))
    for page, sources in ((heard.read_text("utf-8"), 0), (read.read_text("utf-8"), 2)):
        assert page.count('<th scope="col">source</th>') == sources, "of its best and its worst"
        assert page.count('<th scope="col">references</th>') == 2
    assert "<dt>source</dt>" not in heard.read_text("utf-8")
    assert "<dt>source</dt>" in read.read_text("utf-8")


def test_unusable_traces_are_noted(tmp_path):
    store = Store.open(tmp_path, create=True)
    cell = Cell("speech", "synthetic", "soft", "concat")
    result = put(store, cell, [0.2, 0.4], headline="per", higher=False, traces=[sound_trace()])
    rows = [{**row, "weights": [[1.0]]} for row in store.traces(result.hash)]
    store.put(result, store.predictions(result.hash), rows)
    page = next(pages_of(store))
    assert page.examples == ()
    assert "unusable" in page.notes[0]


def test_only_so_many_have_a_page(tmp_path):
    store = Store.open(tmp_path, create=True)
    rng = np.random.default_rng(0)
    for number in range(LEADING + 3):
        cell = Cell("t", "d", "soft", "concat", options={"x": number})
        put(store, cell, rng.random(4), headline="accuracy")
    analysis = analysed(store)
    places = list(analysis.leading)
    assert len(places) == LEADING
    least = min(analysis.main.estimates[place].value for place in places)
    others = set(range(LEADING + 3)) - set(places)
    assert all(analysis.main.estimates[place].value <= least for place in others)
    assert all(contender_href(analysis, place) == "" for place in others)


def test_names_with_one_slug_have_pages_of_their_own():
    setting = frames.BenchmarkSetting("t", "d", "laptop")
    one, other = (frames.Contender(name, "concat", (), (), ()) for name in ("a+b", "a b"))
    names = {cell_page_name(setting, one), cell_page_name(setting, other)}
    assert len(names) == 2
    assert all("/" not in name and name.endswith(".html") for name in names)


@pytest.mark.parametrize("name", ["../../x", "<script>"])
def test_names_never_leave_the_folder(name):
    setting = frames.BenchmarkSetting(name, name, name)
    page = cell_page_name(setting, frames.Contender(name, name, (), (), ()))
    assert set(page) <= set("abcdefghijklmnopqrstuvwxyz0123456789-.")
    assert ".." not in page


def test_a_page_tells_all_figures_settings_and_provenance(tmp_path):
    store = Store.open(tmp_path, create=True)
    for seed in (0, 1):
        cell = Cell("t", "d", "soft", "concat", seed=seed, options={"gate": True})
        put(store, cell, [0.2, 0.4], headline="accuracy")
    analysis = analysed(store)
    page = next(pages_of(store))
    results = analysis.frame.contenders[0].done
    assert [column.label for column in page.figures.columns] == ["mean", "seed 0", "seed 1"]
    keys = {key for one in results for key in one.metrics}
    ends = {key for key in keys if key.endswith(("_low", "_high"))}
    assert len(page.figures.rows) == len(keys - ends) > 0
    settings = {fact.label: fact.text for fact in page.settings}
    assert settings["attention"] == "soft" and settings["gate"] == "true"
    told = {fact.label: fact.text for fact in page.provenance}
    assert told["version"] == results[0].provenance.package_version
    assert all(result.hash in told["results"] for result in results)
