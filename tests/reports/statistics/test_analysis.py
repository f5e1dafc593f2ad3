"""Statistics of a frame from what a store keeps."""

from __future__ import annotations

import json

import numpy as np
import pytest

from bench.store.store import Store
from reports import load as frames
from reports.load import Frame
from reports.results import read
from reports.statistics import analyse


def frame_of(store: Store, catalogue) -> Frame:
    results, problems = read(store)
    return frames.collect(store.address, results, catalogue, problems).frames[0]


@pytest.fixture(scope="module")
def analysis(store, catalogue):
    return analyse(frame_of(store, catalogue), store)


def setting_href(analysis, name: str) -> int:
    return [one.name for one in analysis.frame.contenders].index(name)


def test_estimates_are_means_of_the_stored_figures(analysis):
    place = setting_href(analysis, "soft + concat")
    stored = [result.primary.value for result in analysis.frame.contenders[place].done]
    estimate = analysis.main.estimates[place]
    assert estimate.value == pytest.approx(np.mean(stored))
    assert estimate.low < estimate.value < estimate.high
    assert (estimate.seeds, estimate.examples) == (2, 120)
    assert estimate.basis == "seeds and examples"


def test_the_first_test_set_is_the_headline_and_all_are_there(analysis):
    assert [scores.subset for scores in analysis.subsets] == ["test", "long"]
    assert analysis.main.subset == "test"
    long = analysis.subsets[1].estimates[setting_href(analysis, "none")]
    assert long.value < analysis.main.estimates[setting_href(analysis, "none")].value


def test_a_failure_has_neither_figure_nor_group(analysis):
    place = setting_href(analysis, "global + location-aware")
    assert analysis.main.estimates[place] is None
    assert analysis.main.groups[place] is None
    assert np.isnan(analysis.main.adjusted[place]).all()


def test_the_control_is_told_apart_from_the_best(analysis):
    none = setting_href(analysis, "none")
    best = analysis.main.best()
    assert analysis.main.groups[none] > 1
    assert none not in best
    top = max(best, key=lambda place: analysis.main.estimates[place].value)
    assert analysis.main.adjusted[top, none] < 0.001


def test_single_seeds_alone_cover_examples_only(made, tmp_path, catalogue, single_seed_store):
    analysis = analyse(frame_of(single_seed_store, catalogue), single_seed_store)
    bases = {one.basis for one in analysis.main.estimates if one}
    assert bases == {"examples"}


def test_pairing_makes_equal_mistakes_equal(made, tmp_path, catalogue, single_seed_store):
    """Predictions of one contender, filed under another: no difference can be found."""
    frame = frame_of(single_seed_store, catalogue)
    twins = [one for one in frame.contenders if one.done][:2]
    folder = tmp_path / "trials"
    copied = Store.open(tmp_path, create=True)
    first, second = (one.done[0] for one in twins)
    rows = single_seed_store.predictions(first.hash)
    copied.put(first, rows)
    copied.put(second.model_copy(update={"primary": first.primary}), rows)
    analysis = analyse(frame_of(copied, catalogue), copied)
    assert analysis.main.groups == (1, 1)
    assert analysis.main.adjusted[0, 1] == 1.0
    assert folder.is_dir()


def test_other_references_are_never_paired(tmp_path, catalogue, single_seed_store):
    frame = frame_of(single_seed_store, catalogue)
    first, second = (one.done[0] for one in frame.contenders if one.done)
    copied = Store.open(tmp_path, create=True)
    copied.put(first, single_seed_store.predictions(first.hash))
    changed = [
        {**row, "references": ["something else"]}
        for row in single_seed_store.predictions(second.hash)
    ]
    copied.put(second, changed)
    analysis = analyse(frame_of(copied, catalogue), copied)
    assert np.isnan(analysis.main.adjusted[0, 1])
    assert sorted(map(str, analysis.main.groups)) == ["1", "None"]


def test_without_predictions_the_stored_interval_is_shown(tmp_path, catalogue, single_seed_store):
    frame = frame_of(single_seed_store, catalogue)
    copied = Store.open(tmp_path, create=True)
    for contender in frame.contenders:
        for result in contender.done:
            copied.put(result)
            (tmp_path / "trials" / f"{result.hash}.predictions.jsonl").unlink()
    analysis = analyse(frame_of(copied, catalogue), copied)
    for contender, estimate in zip(analysis.frame.contenders, analysis.main.estimates, strict=True):
        primary = contender.done[0].primary
        assert (estimate.value, estimate.low, estimate.high) == (
            primary.value,
            primary.low,
            primary.high,
        )
        assert estimate.examples == 0


@pytest.mark.parametrize("damage", ["figure", "duplicate", "json", "fields"])
def test_predictions_that_do_not_fit_are_noted_and_not_used(
    tmp_path, catalogue, single_seed_store, damage
):
    frame = frame_of(single_seed_store, catalogue)
    result = frame.done[0]
    rows = single_seed_store.predictions(result.hash)
    copied = Store.open(tmp_path, create=True)
    if damage == "figure":
        rows = [{**row, "statistics": [9, 9, 1, 1, 1, 1, 9, 8, 7, 6]} for row in rows]
    elif damage == "duplicate":
        rows = [rows[0], *rows]
    elif damage == "fields":
        rows = [{"subset": "test"}]
    copied.put(result, rows)
    if damage == "json":
        (tmp_path / "trials" / f"{result.hash}.predictions.jsonl").write_text("{")
    analysis = analyse(frame_of(copied, catalogue), copied)
    assert len(analysis.notes) == 1
    (estimate,) = analysis.main.estimates
    assert estimate.low == result.primary.low


@pytest.fixture(scope="module")
def single_seed_store(made, tmp_path_factory) -> Store:
    """Two mechanisms with one seed each."""
    store = Store.open(tmp_path_factory.mktemp("single"), create=True)
    results = {result.hash: result for result in made.store.results()}
    wanted = [("global", "dot"), ("over", "dot")]
    for result in results.values():
        if (result.cell_json["attention"], result.cell_json["score"]) in wanted:
            store.put(result, made.store.predictions(result.hash))
    return store


def test_the_store_of_these_tests_is_what_a_sweep_writes(store):
    result = next(result for result in store.results() if result.status == "done")
    row = store.predictions(result.hash)[0]
    assert set(row) >= {"example", "subset", "source", "references", "prediction", "statistics"}
    assert json.dumps(result.to_json())
