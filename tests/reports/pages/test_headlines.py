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
    assert "other seeds have not been measured" in answer(
        [replace(analysis, subsets=(alone,))], catalogue
    )
