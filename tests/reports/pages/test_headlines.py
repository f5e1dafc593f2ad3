"""The front page in words."""

from __future__ import annotations

from dataclasses import replace

from reports.pages.headlines import answer, headlines
from reports.pages.report import Report


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
    assert "Level with it" not in told
