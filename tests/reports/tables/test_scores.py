"""A wide group is explained beside it: by its seeds, and by how little those can show."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from reports.statistics import Analysis, SubsetEstimates
from reports.statistics.significance import Estimate
from reports.tables.scores import detectable_note, group_notes, seeds_text

NAMES = ["soft", "global", "none"]


def estimate(value: float, reach: float, seeds: int = 3) -> Estimate:
    return Estimate(value, value - reach, value + reach, seeds, 100, "seeds and examples")


@pytest.fixture(scope="module")
def told(report):
    """The notes of a table of BLEU with these estimates and groups, in the order of NAMES."""
    frame = report.sections[0].analysis.frame

    def told(estimates, groups, *, higher: bool = True) -> str:
        adjusted = np.full((3, 3), 0.5)
        np.fill_diagonal(adjusted, np.nan)
        scores = SubsetEstimates("test", tuple(estimates), tuple(groups), adjusted, 12.34)
        first = frame.contenders[0]
        results = tuple(
            one.model_copy(
                update={"primary": one.primary.model_copy(update={"higher_is_better": higher})}
            )
            for one in first.done
        )
        judged = replace(frame, contenders=(replace(first, done=results), *frame.contenders[1:]))
        assert judged.higher_is_better == higher
        return " ".join(group_notes(Analysis(judged, (scores,)), NAMES))

    return told


def test_seeds_pairs_and_the_detectable_difference_are_named(report) -> None:
    scores = report.sections[0].analysis.main
    done = sum(one is not None for one in scores.estimates)
    (note,) = detectable_note(scores, "bleu")
    assert note.startswith("With 1 to 2 seeds, a true difference of ")
    assert f"over {done * (done - 1) // 2} pairs" in note
    assert f" of {scores.detectable:.1f} on “test” " in note
    assert detectable_note(replace(scores, detectable=None), "bleu") == []


def test_fractions_are_told_in_percentage_points(report) -> None:
    scores = replace(report.sections[0].analysis.main, detectable=0.3546)
    assert " of 35.5 percentage points on " in detectable_note(scores, "accuracy")[0]


def test_seeds_are_counted_over_all_test_sets() -> None:
    def scores(*seeds: int) -> SubsetEstimates:
        estimates = tuple(estimate(0.0, 1.0, one) for one in seeds)
        return SubsetEstimates("test", (*estimates, None), (1,) * 3, np.zeros((3, 3)), 1.0)

    assert seeds_text(scores(3, 3)) == "3 seeds"
    assert seeds_text(scores(3, 3), scores(1, 2)) == "1 to 3 seeds"
    assert seeds_text(scores(1, 1)) == "1 seed"


@pytest.mark.parametrize("higher", [True, False])
def test_a_wide_group_is_said_to_be_wide(told, higher: bool) -> None:
    sign = 1 if higher else -1
    estimates = [estimate(sign * 40, 2), estimate(sign * 30, 2), estimate(sign * 10, 2)]
    said = told(estimates, [1, 1, 2], higher=higher)
    assert "group 1 spans 10.0." in said and "did better" not in said


def test_who_shares_a_group_past_a_better_one_is_named_with_the_reason(told) -> None:
    unsure = told([estimate(40, 2), estimate(30, 2), estimate(10, 25)], [1, 2, 1])
    assert "none is in it although global did better and is not: its interval is wider." in unsure
    same = told([estimate(40, 2), estimate(30, 2), estimate(10, 2)], [1, 2, 1])
    assert "spans 30.0" in same and "interval is wider" not in same, "that is not the reason"


@pytest.mark.parametrize("groups", [[1, 2, 3], [1, None, 2]])
def test_a_group_of_one_needs_no_width(told, groups) -> None:
    estimates = [estimate(40, 2), estimate(30, 2) if groups[1] else None, estimate(10, 2)]
    said = told(estimates, groups)
    assert "12.3 on “test”" in said and "spans" not in said


def test_the_grid_of_a_task_has_them(report) -> None:
    (section,) = report.sections
    names = [one.name for one in section.analysis.frame.contenders]
    assert set(group_notes(section.analysis, names)) <= set(section.matrix.notes)
