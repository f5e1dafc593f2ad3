"""Results of different data under one name share no table, mean or comparison."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from sample_results import PROVENANCE, put

from bench.errors import UsageError
from bench.store.cell import Cell
from bench.store.result import Failure, Provenance, Result, SplitIdentity
from bench.store.store import Store
from reports.catalogue import catalogue_of
from reports.data import group_by_data
from reports.load import benchmark_settings
from reports.pages.report import build_report
from reports.pages.site import pages, report_text
from reports.replication import settings_of
from reports.results import wide
from reports.statistics.comparison import compare
from reports.wandb_report import _tables as wandb_tables
from reports.wandb_report import summary
from reports.writers import csv_text

#: Splits as (examples, contents, order).
SPLITS = {"train": (500, "a", "a"), "validation": (50, "b", "b"), "test": (100, "c", "c")}
FIRST, SECOND, THIRD = "1" * 64, "2" * 64, "3" * 64


def provenance(data: str, begun: str = "2025-01-31", **splits: tuple[int, str, str]) -> Provenance:
    """Of data that differ in some splits from those above."""
    identities = {
        name: SplitIdentity(examples=examples, contents=contents, fingerprint=contents + order)
        for name, (examples, contents, order) in {**SPLITS, **splits}.items()
    }
    update = {"data_fingerprint": data or None, "splits": identities, "started": begun}
    return PROVENANCE.model_copy(update=update)


def result(cell: Cell, data: Provenance | None = None) -> Result:
    """A finished result where it has data, else a failed one."""
    outcome = {"status": "failed", "failure": Failure(kind="killed", message="by a signal")}
    if data is not None:
        figure = {"name": "accuracy", "value": 0.5, "low": 0, "high": 1, "higher_is_better": True}
        outcome = {"status": "done", "primary": figure}
    return Result(hash=cell.hash, cell=cell.to_json(), provenance=data or PROVENANCE, **outcome)


SOFT = Cell("entailment", "tabular", "soft", "dot")
NONE = Cell("entailment", "tabular", "none", "none")


@pytest.mark.parametrize(
    ("splits", "told"),
    [
        ({"test": (100, "d", "d")}, "other test examples"),
        ({"test": (100, "c", "d")}, "test examples in another order or with other names"),
        ({"train": (200, "d", "d")}, "200 train examples, not 500"),
        (
            {"train": (200, "d", "d"), "test": (100, "d", "d")},
            "200 train examples, not 500; other test examples",
        ),
        ({"long": (9, "d", "d")}, "a set 'long'"),
        ({}, "22222222"),
    ],
)
def test_labels_say_what_differs(splits, told: str) -> None:
    results = [
        result(SOFT, provenance(SECOND, "2025-02", **splits)),
        result(NONE, provenance(FIRST, "2025-01")),
    ]
    first, second = group_by_data(results)
    assert (first.fingerprint, first.label) == (FIRST, "data 1 of 2")
    assert (second.fingerprint, second.label) == (SECOND, f"data 2 of 2 ({told})")


def test_data_that_differ_alike_have_their_fingerprints_said() -> None:
    other = {"test": (100, "d", "d")}
    found = group_by_data(
        [
            result(SOFT, provenance(FIRST, "2025-01")),
            result(SOFT.with_seed(2), provenance(SECOND, "2025-02", **other)),
            result(SOFT.with_seed(3), provenance(THIRD, "2025-03", **other)),
            result(SOFT.with_seed(4), provenance("", "2025-01")),
        ]
    )
    assert [one.label for one in found] == [
        "data 1 of 4",
        "data 2 of 4 (other test examples, 22222222)",
        "data 3 of 4 (other test examples, 33333333)",
        "data 4 of 4 (not recorded)",
    ]


def test_one_data_changes_no_name() -> None:
    results = [result(SOFT, provenance(FIRST)), result(NONE, provenance(FIRST)), result(SOFT)]
    (group,) = group_by_data(results)
    assert (group.fingerprint, group.label) == ("", "")
    assert group.results == tuple(results)


@pytest.mark.parametrize(
    ("failed", "home"),
    [
        (SOFT.with_seed(9), FIRST),  # of its other seeds
        (replace(SOFT, attention="hard", options={"train_limit": 200}), SECOND),  # of its options
        (replace(SOFT, data=SECOND), SECOND),  # of its own
        (replace(SOFT, options={"train_limit": 7}), "unknown"),  # of two
    ],
)
def test_failures_belong_to_the_only_data_they_can(failed: Cell, home: str) -> None:
    limited = replace(SOFT, options={"train_limit": 200})
    found = group_by_data(
        [
            result(SOFT, provenance(FIRST, "2025-01")),
            result(limited, provenance(SECOND, "2025-02", train=(200, "d", "d"))),
            result(failed),
        ]
    )
    (own,) = [one for one in found if one.results[-1].status == "failed"]
    assert own.fingerprint == home


def fill(store: Store, *data: Provenance) -> None:
    """Two mechanisms with two seeds on each of several data, the first of which `none` wins."""
    for place, origin in enumerate(data):
        fingerprint = origin.data_fingerprint or ""
        for cell, rate in ((SOFT, 0.5 + 0.3 * place), (NONE, 0.8 - 0.3 * place)):
            for seed in (1, 2):
                rng = np.random.default_rng(seed)
                scores = (rng.random(200) < rate).astype(float)
                named = replace(cell, data=fingerprint, seed=seed)
                put(store, named, scores, headline="accuracy", provenance=origin)


@pytest.fixture
def two(tmp_path) -> Store:
    store = Store.open(tmp_path / "two", create=True)
    fill(
        store,
        provenance(FIRST, "2025-01"),
        provenance(SECOND, "2025-02", test=(100, "d", "d")),
    )
    return store


def test_every_part_of_a_report_keeps_data_apart(two: Store) -> None:
    report = build_report(two, studies=[])
    one, other = report.sections
    assert one.setting.label == "tabular, laptop budget, data 1 of 2"
    assert other.setting.label == "tabular, laptop budget, data 2 of 2 (other test examples)"
    assert other.setting.slug == "entailment-tabular-laptop-data-22222222"
    for section, best in ((one, "none"), (other, "soft + dot")):
        frame = section.analysis.frame
        assert {each.provenance.data_fingerprint for each in frame.done} == {frame.data}
        assert [each.seeds for each in frame.contenders] == [(1, 2), (1, 2)]
        assert section.findings[0].startswith(f"Highest accuracy: {best}")
    # Mean over its two seeds, not over four.
    estimates = {section.setting.data: section.analysis.main.estimates for section in (one, other)}
    assert {each.seeds for own in estimates.values() for each in own} == {2}
    assert report.ranks is None
    note = (
        "Results of 2 different data lie in this store under the same name (entailment: tabular, "
        "laptop budget). They stand apart and are not compared."
    )
    made = pages(report)
    assert note in made["index.html"] and note in report_text(report)
    assert {f"{section.setting.slug}.html" for section in report.sections} <= made.keys()
    names = [table.name for section in report.sections for table in section.tables]
    figures = [figure.name for section in report.sections for figure in section.figures]
    assert len(set(names)) == len(names) and len(set(figures)) == len(figures)
    keys = [column.key for column in report.overview.columns]
    assert keys == [one.setting.slug, other.setting.slug]
    assert len({table.name for table in wandb_tables(report)}) == len(wandb_tables(report))
    best = {key: value for key, value in summary(report).items() if key.endswith("/best")}
    assert best == {f"{one.setting.slug}/best": "none", f"{other.setting.slug}/best": "soft + dot"}


def test_files_of_all_trials_name_the_data(two: Store) -> None:
    results = list(two.results())
    rows = list(csv.DictReader(io.StringIO(csv_text(wide(results)))))
    assert {row["hash"]: row["data"] for row in rows} == {
        one.hash: one.cell.data for one in results
    }


def test_one_data_changes_nothing_in_a_report(tmp_path) -> None:
    store = Store.open(tmp_path, create=True)
    fill(store, provenance(FIRST))
    report = build_report(store, studies=[])
    (section,) = report.sections
    assert section.setting.label == "tabular, laptop budget"
    assert section.setting.slug == "entailment-tabular-laptop"
    assert report.collection.data_note == "" and "different data" not in report_text(report)


@pytest.fixture
def stores(tmp_path) -> Callable[..., Store]:
    def made(name: str, *data: Provenance) -> Store:
        store = Store.open(tmp_path / name, create=True)
        fill(store, *data)
        return store

    return made


def test_stores_of_different_data_are_not_compared(stores) -> None:
    first = stores("first", provenance(FIRST))
    second = stores("second", provenance(SECOND, test=(90, "d", "d")))
    with pytest.raises(UsageError, match=r"no cell on the same data .*90 test examples, not 100"):
        compare(first, second)


def test_only_cells_on_the_same_data_are_compared(stores, two: Store) -> None:
    compared = compare(stores("first", provenance(FIRST)), two)
    assert {one.verdict for one in compared.differences} == {"identical"}
    assert [one.seeds for one in compared.differences] == [(1, 2)] * 2
    assert compared.only_before == compared.only_after == ()
    told = compared.apart["on different data, so not compared"]
    assert len(told) == 4 and all(one.endswith(": other test examples") for one in told)


def test_generated_data_are_told_apart_by_their_records(stores) -> None:
    """Cells of generated data do not name them, yet another version may generate others."""
    plain = Cell("entailment", "synthetic", "soft", "dot")
    first, second = (stores(name) for name in "ab")
    for store, data in ((first, FIRST), (second, SECOND)):
        put(store, plain, [1.0, 0.0], headline="accuracy", provenance=provenance(data))
    with pytest.raises(UsageError, match=r"no cell on the same data .*11111111 and 22222222"):
        compare(first, second)


def test_papers_are_replicated_on_one_data_at_a_time(tmp_path) -> None:
    from ablations.study import load_study
    from tasks.plan import make_cell

    store = Store.open(tmp_path, create=True)
    for place, data in enumerate((FIRST, SECOND)):
        for attention in ("none", "soft"):
            cell = make_cell("translation", attention, dataset="parallel")
            origin = provenance(data, f"2025-0{place + 1}")
            named = replace(cell, data=data)
            put(store, named, [1.0, 0.0], headline="bleu", provenance=origin)
    results = list(store.results())
    settings = benchmark_settings(results, catalogue_of(one.cell for one in results))
    study = load_study("bahdanau2015").model_copy(update={"options": {}})
    found = settings_of(study, results, settings)
    assert {label: len(own) for label, own in found.items()} == {
        "parallel, laptop budget, data 1 of 2": 2,
        "parallel, laptop budget, data 2 of 2 (22222222)": 2,
    }


def test_overlaps_stand_beside_the_figures(tmp_path) -> None:
    overlap = "overlap: 12 of 100 examples of test are also in train (inputs alone: 15)"
    data = provenance(FIRST).model_copy(update={"notes": ("words are lower-cased", overlap)})
    store = Store.open(tmp_path, create=True)
    fill(store, data)
    report = build_report(store, studies=[])
    (section,) = report.sections
    told = f"{overlap[:1].upper()}{overlap[1:]}."
    for table in (section.matrix, section.metrics):
        assert [note for note in table.notes if "verlap" in note] == [told]
    assert report.overview.notes[-1] == f"Entailment, tabular, laptop budget: {told}"
    made = pages(report)
    for cell in section.cells:
        assert cell.overlaps == (told,) and "words are lower-cased" in cell.notes
        page = made[cell.href]
        assert page.index(told) < page.index(">Seeds</h2>") < page.index("words are lower-cased")
