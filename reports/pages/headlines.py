"""The front page in words: one sentence over all settings, and at most three a setting.

They count and name; how sure each is stands on the page of its task. With a single seed they say
what was measured, and call nothing better.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from reports import formats
from reports.catalogue import Catalogue
from reports.pages.findings import NOTHING, best_of, fastest, figure_text
from reports.statistics import Analysis

_NAMED = 3


def answer(analyses: Sequence[Analysis], catalogue: Catalogue) -> str:
    """Say which attentions lead, or cannot be told apart from what leads, in most settings."""
    known = [one for one in analyses if any(one.main.estimates)]
    if not known:
        return "Nothing has finished yet."
    leading = Counter(name for one in known for name in _leading(one))
    rivals = {name: n for name, n in leading.items() if name not in catalogue.controls}
    controls = sum(n for name, n in leading.items() if name in catalogue.controls)
    most = max(rivals.values(), default=0)
    names = [name for name, n in rivals.items() if n == most]
    shown = formats.some(names, 5)
    share = "all" if most == len(known) else f"{most} of"
    where = f"In {share} {len(known)} settings" if len(known) > 1 else "In this setting"
    parts = [
        f"{where}, {shown} {_lead(known, len(names))}"
        if rivals
        else "No attention reaches the control without attention"
    ]
    if controls and rivals:
        parts.append(f"in {controls} the control without attention is level with the best")
    lone = sum(not one.main.over_seeds() for one in known)
    if lone:
        where = "" if lone == len(known) else f"in {lone} of them "
        parts.append(f"{where}other seeds have not been measured")
    return "; ".join(parts) + "."


def _lead(analyses: Sequence[Analysis], count: int) -> str:
    """The verb of that sentence; with one seed it tells what was measured."""
    if all(one.main.over_seeds() for one in analyses):
        return f"{'leads' if count == 1 else 'lead'} or cannot be told apart from what does"
    verb = "has" if count == 1 else "have"
    return f"{verb} the best figure, or one not told apart from it on these test examples"


def headlines(analysis: Analysis, catalogue: Catalogue) -> tuple[str, ...]:
    """At most three sentences on a setting: what is highest, what attention adds, and what a
    reader must know before choosing."""
    if not any(analysis.main.estimates):
        return NOTHING
    found = (
        _best(analysis),
        _without(analysis, catalogue),
        _unfinished(analysis) or _cheapest(analysis),
    )
    return tuple(filter(None, found))


def _best(analysis: Analysis) -> str:
    frame = analysis.frame
    first, *others = analysis.group_one
    told = f"{best_of(analysis)}: {figure_text(analysis, first)}"
    sentence = f"{told}, {frame.contenders[first].name}."
    if not others:
        return sentence
    level = (
        "Level with it"
        if analysis.main.over_seeds([first, *others])
        else "On these test examples not told apart from it"
    )
    return f"{sentence} {level}: {_names(analysis, others)}."


def _without(analysis: Analysis, catalogue: Catalogue) -> str:
    """Count what passes the best control, as far as can be told."""
    contenders, main = analysis.frame.contenders, analysis.main
    run = [place for place in analysis.order if main.estimates[place] is not None]
    control = next((p for p in run if contenders[p].attention in catalogue.controls), None)
    rivals = [p for p in run if contenders[p].attention not in catalogue.controls]
    if control is None or not rivals:
        return ""
    before = run[: run.index(control)]
    ahead = [p for p in rivals if p in before]
    higher = "higher" if analysis.frame.higher_is_better else "lower"
    if main.over_seeds(run):
        ahead = [p for p in ahead if main.adjusted[p, control] < 0.05]
        told = f"{'is' if len(ahead) == 1 else 'are'} clearly {higher}"
    else:
        told = f"{'has' if len(ahead) == 1 else 'have'} a {higher} figure with one seed"
    return (
        f"Without attention: {figure_text(analysis, control)}; {len(ahead)} of "
        f"{formats.plural(len(rivals), 'mechanism')} {told}."
    )


def _unfinished(analysis: Analysis) -> str:
    places = [p for p in analysis.order if analysis.frame.contenders[p].converged is False]
    if not places:
        return ""
    return (
        f"{len(places)} of {formats.plural(len(analysis.order), 'mechanism')} would have gained "
        "from longer training, so their places are not final."
    )


def _cheapest(analysis: Analysis) -> str:
    if (found := fastest(analysis)) is None:
        return ""
    place, seconds, most = found
    return (
        f"Fastest to train of these: {analysis.frame.contenders[place].name}, "
        f"{formats.seconds(seconds)}; the slowest takes {formats.seconds(most)}."
    )


def _leading(analysis: Analysis) -> set[str]:
    return {analysis.frame.contenders[place].attention for place in analysis.group_one}


def _names(analysis: Analysis, places: Sequence[int]) -> str:
    return formats.some([analysis.frame.contenders[place].name for place in places], _NAMED)
