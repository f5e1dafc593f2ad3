"""The page on the search for hyperparameters: there where a search is, complete, and escaped."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from searched import MECHANISMS, put_search

from ablations.hyperparameters import winner
from ablations.search_space import Range
from bench.cli import main as cli
from bench.store.store import Store
from reports.candidates import searched_mechanisms
from reports.catalogue import Catalogue
from reports.figures.tuning import MECHANISMS as MOST
from reports.figures.tuning import best_of_n_figure, candidates_figure
from reports.pages.report import Report, build_report
from reports.pages.site import write_report
from reports.pages.tuning import candidates_frame, curves_frame, tuning_sections
from tasks.plan import make_cell

CELLS = [make_cell("translation", *names) for names in MECHANISMS]


@pytest.fixture(scope="module")
def searched(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store with results and a search for six mechanisms."""
    folder = tmp_path_factory.mktemp("tuned") / "store"
    shutil.copytree(store.address, folder)
    copied = Store.open(folder)
    put_search(copied, CELLS)
    return copied


@pytest.fixture(scope="module")
def tuned(searched: Store, catalogue: Catalogue) -> Report:
    return build_report(searched, catalogue=catalogue)


@pytest.fixture(scope="module")
def written(tuned: Report, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tuned-report")
    write_report(tuned, folder)
    return folder


def test_without_a_search_there_is_no_page(site: Path) -> None:
    assert not (site / "tuning.html").exists()
    assert "tuning" not in (site / "index.html").read_text("utf-8")


def test_every_page_links_to_it(written: Path) -> None:
    for page in written.glob("*.html"):
        assert '<a href="tuning.html"' in page.read_text("utf-8"), page.name
    text = (written / "report.md").read_text("utf-8")
    assert "## Tuning: translation, synthetic, laptop budget" in text
    assert "6 mechanisms, each given 8 candidates (random)" in text


def test_every_candidate_is_told_with_the_winner(tuned: Report, searched: Store) -> None:
    (section,) = tuned.tuning
    assert len(section.mechanisms.rows) == len(section.by_mechanism) == 6
    assert len(section.candidates.rows) == 48
    found = Store.open(f"{searched.address}/search")
    for table in section.by_mechanism:
        outcomes = [row.entries[-1].text for row in table.rows]
        assert outcomes.count("winner") == 1 and len(outcomes) == 8
    attention = "global"
    best = winner(
        one
        for one in found.results()
        if (one.cell.attention, one.cell.score) == (attention, "dot") and one.status == "done"
    )
    assert best is not None
    (row,) = [one for one in section.mechanisms.rows if one.label == "global + dot"]
    told = dict(zip([one.key for one in section.mechanisms.columns], row.entries, strict=True))
    assert told["best_loss"].value == best.metrics["validation_loss"]
    assert f"learning_rate={best.cell.options['learning_rate']:.4g}" in told["winner"].text
    assert told["influence"].text.startswith("learning_rate (")
    assert told["core_hours"].value == pytest.approx(8 * 18 * 2 / 3600)


def test_failures_are_counted_and_named(tuned: Report) -> None:
    (section,) = tuned.tuning
    (row,) = [one for one in section.mechanisms.rows if one.label == "hard + concat"]
    assert row.entries[0].text == "8, 1 failed"
    (table,) = [one for one in section.by_mechanism if one.title == "hard + concat"]
    assert table.rows[-1].entries[-4].text == "failed: diverged"
    assert any("no better than the worst that finished" in one for one in section.facts)


def test_early_stops_are_told_and_never_win(tmp_path: Path, catalogue: Catalogue) -> None:
    store = Store.open(tmp_path, create=True)
    put_search(store, CELLS[:3], early_stopping=True)
    found = searched_mechanisms(store, catalogue)
    (section,) = tuning_sections(found)
    assert any("stopped early (ASHA)" in fact for fact in section.facts)
    for one in found:
        assert [tried.outcome for tried in one.tried].count("stopped") == 2
        assert one.best is not None and one.tried[one.best].outcome == "done"
    assert {row.entries[0].text for row in section.mechanisms.rows} == {"8, 2 stopped early"}


def test_other_searchers_have_the_best_so_far(tmp_path: Path, catalogue: Catalogue) -> None:
    store = Store.open(tmp_path, create=True)
    put_search(store, CELLS[:2], searcher="optuna")
    put_search(store, CELLS[2:4])
    (section,) = tuning_sections(searched_mechanisms(store, catalogue))
    captions = [one.caption for one in section.figures if one.title == "Best of n candidates"]
    assert len(captions) == 2 and len({one.name for one in section.figures}) == 3
    assert sum("among the first n candidates" in one for one in captions) == 1
    assert sum("Dodge 2019" in one for one in captions) == 1


def test_a_search_that_goes_on_says_so(tmp_path: Path, catalogue: Catalogue) -> None:
    store = Store.open(tmp_path, create=True)
    found = put_search(store, CELLS[1:2])
    (one,) = searched_mechanisms(store, catalogue)
    (Path(found.address) / "trials" / f"{one.record.candidates[0].hash}.json").unlink()
    (section,) = tuning_sections(searched_mechanisms(store, catalogue))
    assert "Not all candidates were tried yet: soft + concat." in section.facts
    assert section.mechanisms.rows[0].entries[1].text == "not run"
    put_search(store, [CELLS[1].with_seed(1)], count=5)
    (section,) = tuning_sections(searched_mechanisms(store, catalogue))
    assert section.mechanisms.rows[0].entries[0].text == "5"


def test_only_the_search_for_a_study_is_shown(searched: Store, catalogue: Catalogue) -> None:
    assert len(searched_mechanisms(searched, catalogue, "overview")) == 6
    assert searched_mechanisms(searched, catalogue, "another") == []


def test_records_that_cannot_be_read_are_left_out(tmp_path: Path, catalogue: Catalogue) -> None:
    store = Store.open(tmp_path, create=True)
    found = put_search(store, CELLS[:1])
    for number, text in enumerate(["", "{}", "[1]", '{"cell": {"version": 1}}', "\udcff"]):
        path = Path(found.address) / "searches" / f"{number}.json"
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
    assert len(searched_mechanisms(store, catalogue)) == 1


def test_figures_are_functions_of_frames_and_stay_small(
    tmp_path: Path, catalogue: Catalogue
) -> None:
    store = Store.open(tmp_path, create=True)
    put_search(store, CELLS[:1], count=1)
    found = searched_mechanisms(store, catalogue)
    assert best_of_n_figure(curves_frame(found), "x", learns=False) is None, "of one nothing varies"
    frame = candidates_frame(found)
    assert candidates_figure(frame.iloc[:0], "x") is None
    assert best_of_n_figure(curves_frame([]), "x", learns=False) is None
    many = frame.loc[frame.index.repeat(MOST + 5)].reset_index(drop=True)
    many["mechanism"] = [f"m{place}" for place in many.index]
    drawn = candidates_figure(many, "x")
    assert drawn is not None and f"The {MOST} best of {MOST + 5} are drawn" in drawn.caption


def test_losses_far_off_do_not_hide_the_others(tmp_path: Path, catalogue: Catalogue) -> None:
    store = Store.open(tmp_path, create=True)
    put_search(store, CELLS[:3])
    frame = candidates_frame(searched_mechanisms(store, catalogue))
    frame.loc[len(frame)] = [frame["mechanism"][0], 9, 1e6, "done", False]
    figure = candidates_figure(frame, "x")
    assert figure is not None and "1 candidate beyond the right end" in figure.caption


def test_a_space_that_differs_is_told(tmp_path: Path, catalogue: Catalogue) -> None:
    store = Store.open(tmp_path, create=True)
    put_search(store, CELLS[:1])
    more = {
        "learning_rate": Range(doublings=1),
        "dropout": (0.1, 0.2),
        "weight_decay": Range(uniform=(0.0, 0.1)),
    }
    put_search(store, CELLS[1:2], space=more, count=6)
    (section,) = tuning_sections(searched_mechanisms(store, catalogue))
    first = section.facts[0]
    assert "given 6 and 8 candidates" in first
    assert "dropout and learning rate; or dropout, learning rate and weight decay" in first
    assert "The mechanisms were not given equal numbers of candidates." in section.facts


def test_the_command_writes_the_page(
    searched: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["report", searched.address, "--out", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "tuning.html").is_file()
    assert (tmp_path / "out" / "tables" / "tuning-translation-synthetic-laptop.csv").is_file()
