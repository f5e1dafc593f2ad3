"""The page of results says what the entries show, what is open, and no more than seeds allow."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ablations.study import Study
from bench.errors import UsageError
from reports.figures.static import converted
from reports.leaderboard.curves import curves_figure, curves_frame
from reports.leaderboard.results import (
    BEGIN,
    END,
    Results,
    gather,
    open_lines,
    page_text,
    readme_text,
    results_table,
)
from reports.replication import replicate
from reports.tables import LEGEND, Number


@pytest.fixture(scope="module")
def results(trials) -> Results:
    study = Study.model_validate(
        {
            "name": "tiny",
            "title": "Tiny",
            "tasks": ["translation", "entailment"],
            "budget": "smoke",
            "attentions": ["none", "soft", "global", "over"],
        }
    )
    return gather(trials.rules, study, [trials.of("translation", "entailment", attentions=())])


def test_every_data_set_has_its_table(trials, results: Results) -> None:
    assert [one.frame.setting.task for one in results.analyses] == ["translation", "entailment"]
    for analysis in results.analyses:
        table = results_table(analysis)
        rows = {row.label: row for row in table.rows}
        task = analysis.frame.setting.task
        for attention, name in (("none", "none"), ("soft", "soft + concat")):
            result = trials.results[task, attention]
            figure, minutes = rows[name].entries[0], rows[name].entries[len(analysis.subsets) + 1]
            assert isinstance(figure, Number) and figure.low is not None
            assert figure.value == pytest.approx(result.primary.value, rel=1e-5)
            assert figure.low == pytest.approx(result.primary.low, rel=0.5, abs=0.1)
            assert isinstance(minutes, Number)
            assert minutes.value == pytest.approx((result.cost.core_seconds or 0) / 60)
        assert any(label.startswith("baseline: ") for label in rows) == (task == "entailment")


def test_what_is_open_is_counted(results: Results) -> None:
    assert [(cell.attention, cell.task) for cell in results.open] == [
        ("over", "translation"),
        ("over", "entailment"),
    ]
    assert list(open_lines(results)) == [
        f"{task}, synthetic: 1 of 4 cells are open (1 of seed 1)."
        for task in ("translation", "entailment")
    ]


def test_entries_answer_for_the_rows_of_a_paper(trials, results: Results) -> None:
    rows = {
        "word-by-word attention": {"attention": "soft", "score": "concat"},
        "conditional encoding (k=116)": {"attention": "none"},
    }
    study = Study.model_validate(
        {
            "name": "paper",
            "title": "Paper",
            "tasks": ["entailment"],
            "budget": "smoke",
            "attentions": ["none", "soft"],
            "paper": {
                "name": "Rocktaschel 2016",
                "comparisons": [{"dataset": "SNLI test", "metric": "accuracy", "rows": rows}],
            },
        }
    )
    (found,) = replicate([study], results.results, results.read, results.catalogue)
    assert found.run
    ours = found.columns[0].ours
    assert ours is not None
    for row, attention in zip(rows, ("soft", "none"), strict=True):
        estimate = ours.estimates[row]
        assert estimate is not None
        assert estimate.value == pytest.approx(
            trials.results["entailment", attention].primary.value, rel=1e-5
        )


def test_one_seed_describes_and_claims_nothing(results: Results) -> None:
    page = page_text(results, "By hand: *this*.", ["a.svg", "b.svg"])
    assert "By hand: *this*." in page and "![Validation loss" in page
    assert "the table describes; it claims no order" in page
    told = page.replace(LEGEND, "")
    assert not re.search(r"\b(better|worse)\b", told)


def test_readme_has_its_table_between_the_marks(results: Results) -> None:
    old = f"# Title\n{BEGIN}\nbefore\n{END}\nrest\n"
    new = readme_text(old, results, "README.md")
    assert new.startswith(f"# Title\n{BEGIN}\n| mechanism |") and new.endswith(f"{END}\nrest\n")
    assert "before" not in new and "soft + concat" in new
    assert readme_text(new, results, "README.md") == new
    with pytest.raises(UsageError, match="has no section for results"):
        readme_text("# Title\n", results, "README.md")


def test_curves_are_means_over_seeds(results: Results) -> None:
    contenders = results.analyses[0].frame.contenders
    frame = curves_frame([*contenders, *contenders])
    assert set(frame["mechanism"]) == {one.name for one in contenders if one.done}
    point = contenders[0].done[0].curve[-1]
    own = frame[(frame["mechanism"] == contenders[0].name) & (frame["step"] == point["step"])]
    assert own["loss"].item() == pytest.approx(point["validation_loss"])
    figure = curves_figure("curves", "Title", contenders)
    ((name, picture),) = converted([figure], ("svg",))
    assert name == "curves.svg" and isinstance(picture, str)
    assert picture.startswith("<svg") and "validation loss" in picture and "<script" not in picture
    assert all(f">{one}</text>" in picture for one in figure.series)


def test_without_entries_there_is_one_line(trials, tmp_path: Path) -> None:
    from reports.leaderboard.board import entry_files

    with pytest.raises(UsageError, match="there are no entries yet"):
        entry_files(tmp_path)
