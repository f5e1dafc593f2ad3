"""Sentences that say what happened, and never the opposite of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from reports.catalogue import Catalogue
from reports.load import Frame
from reports.pages.findings import answer, findings, headlines
from reports.pages.report import Report
from reports.statistics import Analysis, SubsetEstimates
from reports.statistics.lengths import LeadsByLength, LengthRange
from reports.statistics.significance import Basis, DifferenceEstimate, Estimate


@pytest.fixture(scope="module")
def said(report):
    """The findings on three mechanisms with these figures on two test sets."""

    def said(
        test: list[float],
        long: list[float],
        *,
        higher: bool,
        leads: LeadsByLength | None = None,
        basis: Basis = "seeds and examples",
    ) -> str:
        frame = report.sections[0].analysis.frame
        three = [
            replace(
                one,
                done=tuple(
                    result.model_copy(
                        update={
                            "primary": result.primary.model_copy(
                                update={"higher_is_better": higher}
                            )
                        }
                    )
                    for result in one.done
                ),
            )
            for one in [one for one in frame.contenders if one.done][:3]
        ]
        judged = Frame(frame.setting, tuple(three))
        subsets = tuple(
            SubsetEstimates(
                name,
                tuple(Estimate(value, value - 1, value + 1, 3, 9, basis) for value in values),
                (1,) * 3,
                np.full((3, 3), 0.5),
                1.0,
            )
            for name, values in (("test", test), ("long", long))
        )
        found = " ".join(findings(Analysis(judged, subsets, leads=leads), Catalogue()))
        for place, one in enumerate(three):
            found = found.replace(one.name, f"m{place}")
        return found

    return said


@pytest.mark.parametrize(
    ("test", "long", "higher", "sentence"),
    [
        ([40, 40, 40], [20, 30, 36], True, "m0 loses most, 50\xa0% of its BLEU, and m2 least, 10"),
        ([40, 40, 40], [20, 30, 44], True, "m0 loses most, 50\xa0% of its BLEU, and m2 gains 10"),
        ([40, 40, 40], [60, 44, 50], False, "of m0 grows most, by 50\xa0%, and that of m1 least, "),
        (
            [40, 40, 40],
            [60, 30, 50],
            False,
            "of m0 grows most, by 50\xa0%, and that of m1 falls by",
        ),
        ([40, 40, 40], [50, 44, 40], True, "On the test set “long”, no mechanism does worse."),
        ([40, 40, 40], [30, 20, 40], False, "On the test set “long”, no mechanism does worse."),
    ],
)
def test_who_loses_and_who_gains_on_longer_inputs(said, test, long, higher, sentence) -> None:
    assert sentence in said(test, long, higher=higher)


def test_a_tie_names_how_many_seeds_could_not_tell(said) -> None:
    found = said([40, 39, 38], [20, 20, 20], higher=True)
    assert "Highest BLEU: m0" in found
    assert "Not to be told apart from it with 3 seeds: m1 and m2." in found


@pytest.mark.parametrize("higher", [True, False])
def test_with_one_seed_what_was_seen_is_described(said, higher) -> None:
    found = said([40, 39, 38], [20, 20, 20], higher=higher, basis="examples")
    assert "On these test examples not told apart from it: m" in found
    assert "what varies most, another seed, has not been measured" in found
    assert "better" not in found and "ahead" not in found and "beyond chance" not in found


def test_growth_on_lengths_as_in_training_is_told_from_that_on_longer_ones(said) -> None:
    parts = tuple(LengthRange(name, 1, 9, 50) for name in ("test, shorter", "test, longer", "long"))
    lead, sure = DifferenceEstimate(2.0, 1.0, 3.0, 0.01), (float("nan"), 0.02, 0.01)
    lower = DifferenceEstimate(-2.0, -3.0, -1.0, 0.01)
    leads = LeadsByLength(
        control=0,
        parts=parts,
        figures=((40.0, 40.0, 40.0),) * 3,
        leads=((None, lead, lead),) * 3,
        growth=((None, lead, lead), (None, lead, lower)),
        adjusted=(sure, (float("nan"), 0.3, 0.01)),
    )
    figures = [40, 41, 42], [20, 20, 20]
    found = said(*figures, higher=True, leads=leads)
    assert (
        "From “test, shorter” inputs, the lead over m0 grows beyond chance to “test, longer” for "
        "2 of 2 mechanisms; to “long” for 0 of 2 mechanisms (it shrinks for m2)."
    ) in found
    assert (
        "With one seed, the difference from m0 is larger than on “test, shorter” inputs on “test, "
        "longer” ones for 2 of 2 mechanisms; on “long” ones for 1 of 2 mechanisms."
    ) in said(*figures, higher=True, leads=leads, basis="examples")


def test_at_most_three_short_sentences_a_setting(report: Report):
    for section in report.sections:
        assert 2 <= len(section.headlines) <= 3
        assert all(len(one) < 200 and one.endswith(".") for one in section.headlines)
        first = section.analysis.frame.contenders[section.analysis.order[0]]
        assert section.headlines[0].startswith("Highest BLEU: ")
        assert first.name in section.headlines[0]


def test_the_control_is_counted_against(report: Report, catalogue):
    analysis = report.sections[0].analysis
    frame, main = analysis.frame, analysis.main
    control = next(p for p, one in enumerate(frame.contenders) if one.attention == "none")
    own = main.estimates[control]
    assert own is not None
    clearly = [
        place
        for place, one in enumerate(main.estimates)
        if one and one.value > own.value and main.adjusted[place, control] < 0.05
    ]
    told = next(one for one in headlines(analysis, catalogue) if one.startswith("Without"))
    assert f"; {len(clearly)} of " in told


def test_the_answer_names_who_leads_and_what_is_not_known(report: Report, catalogue):
    analysis = report.sections[0].analysis
    leading = {
        one.attention
        for one, group in zip(analysis.frame.contenders, analysis.main.groups, strict=True)
        if group == 1
    }
    told = answer([analysis], catalogue)
    assert told.startswith("In this setting, ")
    assert all(name in told for name in leading - {"none"})
    best_first = dict.fromkeys(
        analysis.frame.contenders[place].attention for place in analysis.group_one
    )
    named = [name for name in best_first if name != "none"]
    assert named == sorted(named, key=told.index)
    assert answer([analysis, analysis], catalogue).startswith("In all 2 settings, ")
    assert answer([], catalogue) == "Nothing has finished yet."
    alone = replace(
        analysis.main,
        estimates=tuple(one and replace(one, basis="examples") for one in analysis.main.estimates),
    )
    told = answer([replace(analysis, subsets=(alone,))], catalogue)
    assert "other seeds have not been measured" in told
    assert " lead" not in told


def test_with_one_seed_figures_are_higher_and_none_is_clearly_so(report: Report, catalogue):
    analysis = report.sections[0].analysis
    alone = replace(
        analysis.main,
        estimates=tuple(one and replace(one, basis="examples") for one in analysis.main.estimates),
    )
    names = [one.attention for one in analysis.frame.contenders]
    own = alone.estimates[names.index("none")]
    assert own is not None
    higher = sum(one is not None and one.value > own.value for one in alone.estimates)
    told = " ".join(headlines(replace(analysis, subsets=(alone,)), catalogue))
    assert f"; {higher} of " in told
    assert "a higher figure with one seed" in told
    assert "clearly" not in told
