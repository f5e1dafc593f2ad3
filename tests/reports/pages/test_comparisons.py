"""The page on comparisons: made of the statistics, with what one seed leaves open."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sample_results import put

from bench.store.cell import Cell
from bench.store.store import Store
from reports.catalogue import catalogue_of
from reports.pages.comparisons import Comparisons
from reports.pages.report import Report, build_report
from reports.pages.site import pages, report_text
from reports.statistics.frames import draws_of, figures_of, trials_of
from reports.tables import Number
from reports.tables.scores import ONE_SEED

HEADLINES = {"entailment": "accuracy", "speech": "per", "summarization": "rouge_l"}
RATES = {
    ("soft", "concat"): 0.9,
    ("global", "dot"): 0.7,
    ("global", "concat"): 0.75,
    ("none", "none"): 0.2,
}


def made(folder: Path, seeds: int) -> Report:
    store = Store.open(folder, create=True)
    hard = np.random.default_rng(1).random(150)
    for task, headline in HEADLINES.items():
        for (attention, score), rate in RATES.items():
            for seed in range(1, seeds + 1):
                luck = np.random.default_rng(seed + len(task)).normal(0, 0.02)
                right = (hard < rate + luck).astype(float)
                put(
                    store,
                    Cell(task, "synthetic", attention, score, seed=seed),
                    1 - right if headline == "per" else right,
                    headline=headline,
                    higher=headline != "per",
                    converged=attention != "soft",
                )
    return build_report(store, catalogue=catalogue_of(one.cell for one in store.results([])))


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Report:
    return made(tmp_path_factory.mktemp("several"), 3)


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Report:
    return made(tmp_path_factory.mktemp("single"), 1)


def compared(report: Report) -> Comparisons:
    assert report.comparisons is not None
    return report.comparisons


def test_all_pairs_are_there_and_marked(several: Report) -> None:
    for one in compared(several).settings:
        assert one.pairs is not None and one.ranks is not None
        assert len(one.pairs.rows) == 6
        marked = [row for row in one.pairs.rows if row.converged is False]
        assert len(marked) == 3, "three pairs with what had not converged"
        first = one.pairs.rows[0]
        assert first.label == "soft + concat"
        ranked = [row.entries[0] for row in one.ranks.rows]
        assert [row.label for row in one.ranks.rows][-1] == "none"
        assert all(isinstance(entry, Number) for entry in ranked)


def test_over_tasks_stand_axes_scores_and_improvements(several: Report) -> None:
    names = [table.name for table in compared(several).over_tasks]
    assert names == ["axes", "scores-over-tasks", "improvement"]
    scores = compared(several).over_tasks[1]
    told = {row.label: row.entries[0] for row in scores.rows}
    assert told["soft + concat"].value == pytest.approx(1)
    assert told["none"].value == pytest.approx(0)


def test_with_one_seed_it_says_what_is_open_and_has_no_probabilities(single: Report) -> None:
    names = [table.name for table in compared(single).over_tasks]
    assert names == ["axes", "scores-over-tasks"]
    for table in compared(single).tables:
        if not table.name.endswith("-target"):
            assert any(note.startswith(ONE_SEED) for note in table.notes), table.name


def test_it_is_a_page_of_the_site_and_part_of_the_text(several: Report) -> None:
    page = pages(several)["comparisons.html"]
    for table in compared(several).tables:
        assert f"tables/{table.name}.csv" in page
    assert 'href="comparisons.html"' in pages(several)["index.html"]
    assert "## Which axis matters?" in report_text(several)


def test_the_frames_have_a_row_or_column_for_every_contender(several: Report) -> None:
    analyses = [section.analysis for section in several.sections]
    figures, draws = figures_of(analyses), draws_of(analyses)
    assert len(figures) == draws.shape[1] == len(RATES) * len(HEADLINES)
    assert len(trials_of(analyses)) == 3 * len(figures)
    means = trials_of(analyses).groupby(["setting", "contender"])["value"].mean()
    for row in figures.itertuples():
        assert row.value == pytest.approx(means[row.setting, row.contender])
        assert row.over_seeds and row.seeds == 3
