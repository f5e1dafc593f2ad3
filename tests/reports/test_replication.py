"""Papers' orderings: verdicts on hand-made figures, and a study found in a store."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from sample_results import put

from ablations.expansion import Changes, expand
from ablations.study import Axes, Comparison, Paper, Published, Selector, Study, load_study
from bench.errors import UsageError
from bench.store.store import Store
from reports.catalogue import catalogue_of
from reports.load import benchmark_settings
from reports.pages.replication import (
    command,
    pairs_table,
    rows_table,
    sentence,
    summary_table,
)
from reports.pages.report import build_report
from reports.pages.site import pages
from reports.replication import OurResults, outcome, replicate, settings_of, verdicts
from reports.statistics.significance import Estimate
from reports.tables import Label, Missing, Number
from tasks.plan import make_cell


def published(row: str, value: float) -> Published:
    return Published("A paper", "translation", "a set", "BLEU", True, row, "", "", value, "seen")


ROWS = (published("best", 30.0), published("middle", 20.0), published("worst", 10.0))


def ours(
    values: dict[str, float], p: dict[tuple[str, str], float], higher: bool = True
) -> OurResults:
    both = {**p, **{(b, a): value for (a, b), value in p.items()}}
    return OurResults(
        "bleu",
        higher,
        {name: Estimate(value, None, None, 3, 0, "seeds") for name, value in values.items()},
        dict.fromkeys(values, "a mechanism"),
        dict.fromkeys(values),
        both,
        frozenset(both),
    )


def test_an_ordering_holds_only_beyond_chance():
    found = verdicts(
        ROWS,
        ours(
            {"best": 5, "middle": 4, "worst": 4.5},
            {("best", "middle"): 0.01, ("best", "worst"): 0.2, ("middle", "worst"): 0.02},
        ),
        higher_is_better=True,
    )
    assert [(one.better, one.worse, one.verdict) for one in found] == [
        ("best", "middle", "held"),
        ("best", "worst", "cannot be told apart"),
        ("middle", "worst", "not held"),
    ]
    assert [one.lead for one in found] == pytest.approx([1, 0.5, -0.5])


def test_either_side_may_count_downwards():
    """Perplexity in the paper (the last row is its best), an error rate of ours."""
    p = {("best", "middle"): 0.01, ("best", "worst"): 0.01, ("middle", "worst"): 0.01}
    mine = ours({"best": 0.9, "middle": 0.5, "worst": 0.1}, p, higher=False)
    found = verdicts(ROWS, mine, higher_is_better=False)
    assert [(one.better, one.worse) for one in found] == [
        ("middle", "best"),
        ("worst", "best"),
        ("worst", "middle"),
    ]
    assert {one.verdict for one in found} == {"held"}


def test_rows_that_were_not_run_or_are_equal_or_elsewhere():
    rows = tuple(published(*one) for one in (("a", 2.0), ("b", 2.0), ("c", 1.0), ("d", 0.5)))
    mine = ours({"a": 1, "b": 2, "c": 0}, {("a", "b"): 0.001})
    found = {
        (one.better, one.worse): one.verdict for one in verdicts(rows, mine, higher_is_better=True)
    }
    assert found["a", "b"] == "equal in the paper"
    assert found["a", "c"] == "other test examples"
    assert found["a", "d"] == "not run"
    assert {one.verdict for one in verdicts(rows, None, higher_is_better=True)} == {"not run"}


def test_without_a_p_there_is_no_telling():
    mine = ours({"best": 9, "middle": 1}, {("best", "middle"): float("nan")})
    (found,) = verdicts(ROWS[:2], mine, higher_is_better=True)
    assert (found.verdict, found.p) == ("cannot be told apart", None)


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        (["held", "held", "not run"], "held"),
        (["held", "cannot be told apart"], "partly held"),
        (["held", "not held", "held"], "not held"),
        (["cannot be told apart"], "cannot be told apart"),
        (["one seed", "equal in the paper"], "one seed"),
        (["not run", "other test examples"], "not run"),
        (["equal in the paper", "not run"], "equal in the paper"),
        ([], "not run"),
    ],
)
def test_what_verdicts_come_to(kinds, expected):
    assert outcome(kinds) == expected


@pytest.fixture(scope="module")
def study() -> Study:
    """Two columns of Bahdanau's table, the second one read off another figure."""
    rows = {
        "RNNenc-30": Selector(attention="none"),
        "RNNsearch-30": Selector(attention="soft", score="concat"),
    }
    column = Comparison(dataset="WMT14 en-fr newstest2014", metric="BLEU", rows=rows)
    other = column.model_copy(update={"ours": "chrf"})
    return Study(
        name="mine",
        title="Mine: <does it help?>",
        tasks=("translation",),
        blocks=(Axes(attentions=("none", "soft"), scores=("concat",)),),
        paper=Paper(name="Bahdanau 2015", comparisons=(column, other)),
    )


def filled(folder, *, seeds: int, budget: str = "laptop", rate: float = 0.8) -> Store:
    store = Store.open(folder, create=True)
    rng = np.random.default_rng(0)
    for attention, own in (("none", 0.3), ("soft", rate)):
        for seed in range(1, seeds + 1):
            cell = make_cell("translation", attention, None, budget=budget, seed=seed)
            put(
                store,
                cell,
                (rng.random(150) < own).astype(float),
                headline="accuracy",
                metrics={"chrf": 50 + 20 * own + seed / 10},
            )
    return store


def results(store: Store):
    return list(store.results())


def measured(study: Study, store: Store):
    """Results of the study's cells, by the label of their setting."""
    found = results(store)
    known = catalogue_of(result.cell for result in found)
    return settings_of(study, found, benchmark_settings(found, known))


@pytest.mark.parametrize("budget", ["laptop", "smoke"])
def test_cells_are_found_whatever_their_seed_and_budget(study, tmp_path, budget):
    store = filled(tmp_path, seeds=2, budget=budget)
    ((label, members),) = measured(study, store).items()
    assert (label, len(members)) == (f"synthetic, {budget} budget", 4)


def test_other_cells_are_not_the_studys(study, tmp_path):
    store = Store.open(tmp_path, create=True)
    for options in ({"max_steps": 7}, {}):
        cell = make_cell("translation", "global", "dot", options=options)
        put(store, cell, [1.0, 0.0], headline="accuracy")
    assert measured(study, store) == {}


def test_columns_beside_the_paper(study, tmp_path):
    store = filled(tmp_path, seeds=2)
    (found,) = replicate([study], results(store), store)
    primary, chrf = found.columns
    assert primary.outcome == chrf.outcome == "held"
    assert [row.row for row in primary.rows] == ["RNNsearch-30", "RNNenc-30"]
    assert primary.ours.names == {"RNNsearch-30": "soft + concat", "RNNenc-30": "none"}
    assert chrf.ours.estimates["RNNsearch-30"].value == pytest.approx(66.15)
    assert chrf.ours.estimates["RNNsearch-30"].low < 66.15
    table = rows_table(found, primary, 1)
    assert [row.label for row in table.rows] == ["RNNsearch-30", "RNNenc-30"]
    published, mine, who = table.rows[0].entries
    assert (published.text, who.text) == ("21.5", "soft + concat")
    assert isinstance(mine, Number) and mine.form == "percent"
    (pair,) = pairs_table(found, primary, 1).rows
    assert pair.entries[-1] == Label("held")
    assert pair.entries[1].text.startswith("+")


def test_a_reversal_is_said(study, tmp_path):
    store = filled(tmp_path, seeds=2, rate=0.05)
    (found,) = replicate([study], results(store), store)
    assert found.columns[0].outcome == "not held"
    assert "the other way round in 1" in sentence(found.columns[0])


def test_a_single_seed_decides_nothing(study, tmp_path):
    store = filled(tmp_path, seeds=1)
    (found,) = replicate([study], results(store), store)
    primary, chrf = found.columns
    assert primary.outcome == chrf.outcome == "one seed"
    assert primary.pairs[0].p < 0.05, "150 examples, paired: of these models, not of others"
    assert sentence(primary).endswith("figures lie the paper's way round in 1 of 1 pairs.")
    assert "single seed" in " ".join(rows_table(found, chrf, 2).notes)


@pytest.mark.parametrize("units", [{"units": 5}, {}])
def test_perplexities_are_compared_by_their_examples(study, tmp_path, units):
    """Where records say how many units a likelihood is of; earlier ones do not."""
    rng = np.random.default_rng(2)
    store = Store.open(tmp_path, create=True)
    for (attention, level), seed in product((("none", 2.0), ("soft", 1.8)), (1, 2)):
        cell = make_cell("translation", attention, seed=seed)
        nll = 5 * level + np.arange(150) % 7 + 0.3 * rng.standard_normal(150)
        extra = [{"nll": round(float(one), 4), **units} for one in nll]
        stored = {"perplexity": float(np.exp(nll.sum() / 750))}
        scores = (nll < 12).astype(float)
        put(store, cell, scores, headline="accuracy", metrics=stored, extra=extra)
    column = study.paper.comparisons[0].model_copy(update={"ours": "perplexity"})
    paper = study.paper.model_copy(update={"comparisons": (column,)})
    (found,) = replicate([study.model_copy(update={"paper": paper})], results(store), store)
    (perplexity,) = found.columns
    # By seeds alone the direction is that of the paper's figure.
    assert perplexity.outcome == ("held" if units else "not held")
    estimate = perplexity.ours.estimates["RNNsearch-30"]
    assert estimate.value == pytest.approx(stored["perplexity"], rel=0.02)
    assert estimate.basis == ("seeds and examples" if units else "seeds")
    if units:
        assert not perplexity.ours.higher_is_better
        assert estimate.low < estimate.value < estimate.high and estimate.examples == 150


def test_what_was_not_run_says_how(study, tmp_path):
    store = Store.open(tmp_path, create=True)
    put(store, make_cell("translation", "soft", None), [1.0, 0.0], headline="accuracy")
    (found,) = replicate([study], results(store), store)
    assert not found.run
    assert command(found, "there") == "attnbench sweep mine --store there"
    for row in summary_table((found,), "there").rows:
        assert row.entries[2] == Label("not run")
        assert "attnbench sweep mine --store there" in row.entries[3].text
    one, *_ = rows_table(found, found.columns[0], 1).rows
    assert isinstance(one.entries[1], Number)  # the one row that was run
    assert isinstance(rows_table(found, found.columns[0], 1).rows[1].entries[1], Missing)


def test_the_page_has_the_verdict_and_escapes_titles(study, tmp_path):
    store = filled(tmp_path / "store", seeds=2)
    never = study.model_copy(update={"name": "never", "tasks": ("speech",), "title": ""})
    made = pages(build_report(store, studies=[study, never]))
    page = made["replication.html"]
    assert "Mine: &lt;does it help?&gt;" in page
    assert "<does" not in page
    assert "The paper&#39;s ordering held in 1 of 1 pairs." in page
    assert f"attnbench sweep never --store {store.address}" in page
    assert 'href="replication.html"' in made["index.html"]


@pytest.mark.parametrize("name", ["bahdanau2015", "luong2015"])
def test_every_row_of_our_studies_has_cells(name):
    """A selector that matches nothing would show as "not run" for ever."""
    study = load_study(name)
    try:
        cells = expand(study, Changes(seeds=1)).cells
    except UsageError as error:  # pragma: no cover
        pytest.fail(str(error))
    for comparison in study.paper.comparisons:
        for row in comparison.rows:
            assert comparison.cells(row, cells), (comparison.dataset, row)
