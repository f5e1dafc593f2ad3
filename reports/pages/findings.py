"""What was found in words, the answer before the tables: one sentence over all settings and at most
three a setting on the front page (they count and name), all findings on the page of a task.

With a single seed the sentences describe: what varies most, another seed, has not been measured, so
none of them calls a mechanism better than another or speaks of chance.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from reports import formats
from reports.catalogue import Catalogue
from reports.statistics import Analysis
from reports.statistics.baselines import against_best_baseline, best_baseline
from reports.statistics.significance import DifferenceEstimate
from reports.tables import mean_known, metric_number
from reports.tables.scores import seeds_text

_NOTHING = ("Nothing has finished in this setting yet.",)
#: So many mechanisms are named, on the page of a task and on the front page.
_NAMED, _NAMED_IN_FRONT = 6, 3


def answer(analyses: Sequence[Analysis], catalogue: Catalogue) -> str:
    """Say which attentions lead, or cannot be told apart from what leads, in most settings."""
    known = [one for one in analyses if any(one.main.estimates)]
    if not known:
        return "Nothing has finished yet."
    leading = Counter(
        name
        for one in known
        for name in dict.fromkeys(one.frame.contenders[at].attention for at in one.group_one)
    )
    rivals = {name: n for name, n in leading.items() if name not in catalogue.controls}
    controls = sum(n for name, n in leading.items() if name in catalogue.controls)
    most = max(rivals.values(), default=0)
    names = [name for name, n in rivals.items() if n == most]
    shown = formats.some(names, 5)
    share = "all" if most == len(known) else f"{most} of"
    where = f"In {share} {len(known)} settings" if len(known) > 1 else "In this setting"
    parts = [
        f"{where}, {shown} {_leads(known, len(names))}"
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


def _leads(analyses: Sequence[Analysis], count: int) -> str:
    """The verb of that sentence; with one seed it tells what was measured."""
    if all(one.main.over_seeds() for one in analyses):
        return f"{'leads' if count == 1 else 'lead'} or cannot be told apart from what does"
    verb = "has" if count == 1 else "have"
    return f"{verb} the best figure, or one not told apart from it on these test examples"


def headlines(analysis: Analysis, catalogue: Catalogue) -> tuple[str, ...]:
    """At most three sentences on a setting: what is highest, what attention adds, and what a
    reader must know before choosing."""
    if not any(analysis.main.estimates):
        return _NOTHING
    last = _unfinished(analysis) or _cheapest(analysis)
    found = (_best(analysis, in_front=True), _without(analysis, catalogue), last)
    return tuple(filter(None, found))


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
    higher = _side(analysis, "higher", "lower")
    if main.over_seeds(run):
        ahead = [p for p in ahead if main.adjusted[p, control] < 0.05]
        told = f"{'is' if len(ahead) == 1 else 'are'} clearly {higher}"
    else:
        told = f"{'has' if len(ahead) == 1 else 'have'} a {higher} figure with one seed"
    return (
        f"Without attention: {_figure(analysis, control)}; {len(ahead)} of "
        f"{formats.plural(len(rivals), 'mechanism')} {told}."
    )


def _unfinished(analysis: Analysis) -> str:
    places = _open(analysis, analysis.order)
    if not places:
        return ""
    return (
        f"{len(places)} of {formats.plural(len(analysis.losses), 'mechanism')} would have gained "
        "from longer training, so their places are not final."
    )


def findings(analysis: Analysis, catalogue: Catalogue) -> tuple[str, ...]:
    """Summarize a frame in a few sentences, none of which claims a difference that is not
    significant, or calls anything better where training had not converged or there is one seed."""
    if not any(analysis.main.estimates):
        return _NOTHING
    sentences = (
        _best(analysis),
        _cheapest(analysis),
        *_controls(analysis, catalogue),
        _best_baseline(analysis),
        *_longer(analysis),
        _lead(analysis),
        _alignment(analysis),
        _unconverged(analysis),
        _single_seeds(analysis),
    )
    return tuple(filter(None, sentences))


def _best(analysis: Analysis, *, in_front: bool = False) -> str:
    """Name what has the best figure, and what cannot be told apart from it."""
    contenders, main = analysis.frame.contenders, analysis.main
    first, *others = analysis.group_one
    metric = formats.metric_name(analysis.frame.main_metric)
    sentence = (
        f"{_side(analysis, 'Highest', 'Lowest')} {metric}: {contenders[first].name}, "
        f"{_figure(analysis, first, interval=not in_front)}."
    )
    if others:
        level = "On these test examples not told apart from it"
        if main.over_seeds([first, *others]):
            level = f"Not to be told apart from it with {seeds_text(main)}"
        named = _names(analysis, others, _NAMED_IN_FRONT if in_front else _NAMED)
        return f"{sentence} {level}: {named}."
    if in_front or len(analysis.losses) < 2 or not main.over_seeds():
        return sentence
    if ended := _ended(analysis, range(len(contenders))):
        return f"{sentence} It was ahead of everything else beyond chance {ended}."
    return f"{sentence} It is ahead of everything else beyond chance."


def _cheapest(analysis: Analysis) -> str:
    """Name what trains fastest in group 1; "" where fewer than two were measured."""
    contenders = analysis.frame.contenders
    means = {
        contenders[place].name: mean_known(
            [one.cost.train_seconds for one in contenders[place].done]
        )[0]
        for place in analysis.group_one
    }
    known = {name: seconds for name, seconds in means.items() if seconds is not None}
    if len(known) < 2:
        return ""
    name = min(known, key=known.__getitem__)
    return (
        f"Of these, {name} trains fastest: {formats.seconds(known[name])} against up to "
        f"{formats.seconds(max(known.values()))}."
    )


def _controls(analysis: Analysis, catalogue: Catalogue) -> list[str]:
    """Count the mechanisms that beat each control without attention; with a single seed, those
    whose figure lies on its better side."""
    contenders = analysis.frame.contenders
    run = [place for place, one in enumerate(analysis.main.estimates) if one is not None]
    controls = [place for place in run if contenders[place].attention in catalogue.controls]
    rivals = [place for place in run if place not in controls]
    sentences = []
    for place in controls if rivals else ():
        judged = [other for other in rivals if analysis.main.over_seeds([place, other])]
        ahead = [other for other in judged if _ahead(analysis, other, place)]
        better = [other for other in ahead if not _ended(analysis, [place, other])]
        seen = [other for other in ahead if other not in better]
        told = [f"{len(better)} of {len(judged)} mechanisms are better beyond chance"]
        if seen:
            ended = _ended(analysis, [place, *seen])
            told = [*told, f"{len(seen)} were ahead beyond chance {ended}"][0 if better else 1 :]
        lone = [other for other in rivals if other not in judged]
        if lone:
            passing = [other for other in lone if _beyond(analysis, other, place)]
            ahead += passing
            side = _side(analysis, "a higher", "a lower")
            told = told if judged else []
            told.append(
                f"{len(passing)} of {len(lone)} mechanisms with one seed have {side} figure"
            )
        rest = [other for other in rivals if other not in ahead]
        level = f" Not so: {_names(analysis, rest)}." if rest else ""
        sentences.append(
            f"The control {contenders[place].name} (one fixed vector instead of attention) reaches "
            f"{_figure(analysis, place, interval=True)}; {'; '.join(told)}.{level}"
        )
    return sentences


def _best_baseline(analysis: Analysis) -> str:
    """Name the mechanisms that beat the best of the simple baselines."""
    baseline = best_baseline(analysis)
    value = baseline.main_figure(analysis) if baseline else None
    if baseline is None or value is None:
        return ""
    known = {place: one for place, one in enumerate(against_best_baseline(analysis)) if one}
    passing = [place for place, one in known.items() if one == "better"]
    judged = analysis.main.over_seeds(known)
    sentence = (
        f"The best baseline, “{baseline.name}”, reaches "
        f"{formats.metric_text(value, analysis.frame.main_metric)}; "
    )
    if not judged:
        side = _side(analysis, "above", "below")
        named = f" ({_names(analysis, passing)})" if 0 < len(passing) < len(known) else ""
        return (
            f"{sentence}with one seed, the intervals over test examples of {len(passing)} of "
            f"{len(known)} mechanisms lie {side} it{named}."
        )
    if not passing:
        return f"{sentence}no mechanism of {len(known)} passes it beyond its interval."
    if len(passing) == len(known):
        ended = _ended(analysis, passing)
        if ended:
            return f"{sentence}every mechanism was beyond it and its interval {ended}."
        return f"{sentence}every mechanism passes it beyond its interval."
    rest = [place for place in known if place not in passing]
    fewer, verb = (passing, "pass it") if len(passing) <= len(rest) else (rest, "do not")
    return (
        f"{sentence}{len(passing)} of {len(known)} mechanisms pass it beyond their intervals "
        f"({verb}: {_names(analysis, fewer)})."
    )


def _share(value: float) -> str:
    return f"{formats.number(100 * value, 0)}\N{NO-BREAK SPACE}%"


def _lead(analysis: Analysis) -> str:
    """Say whether leads over the control grow with the length of the input: within lengths of
    training, and beyond."""
    found, frame = analysis.leads, analysis.frame
    if found is None:
        return ""
    control = frame.contenders[found.control].name
    several, first = analysis.main.over_seeds(), found.parts[0].name
    later = zip(found.parts[1:], found.growth, found.adjusted, strict=True)
    told = [
        f"to “{part.name}” for {_grown(analysis, growth, adjusted)}"
        if several
        else f"on “{part.name}” ones for {_larger(growth)}"
        for part, growth, adjusted in later
        if any(growth)
    ]
    if not told:
        return ""
    if not several:
        return (
            f"With one seed, the difference from {control} is larger than on “{first}” inputs "
            f"{'; '.join(told)}."
        )
    ended = _ended(analysis, range(len(frame.contenders)))
    grows = f"{ended[:1].upper()}{ended[1:]}: from" if ended else "From"
    return (
        f"{grows} “{first}” inputs, the lead over {control} grows beyond chance {'; '.join(told)}."
    )


def _larger(growth: Sequence[DifferenceEstimate | None]) -> str:
    known = [one for one in growth if one is not None]
    return f"{sum(one.value > 0 for one in known)} of {len(known)} mechanisms"


def _grown(
    analysis: Analysis, growth: Sequence[DifferenceEstimate | None], adjusted: Sequence[float]
) -> str:
    """Count growing leads: `12 of 13 mechanisms (it shrinks for self + scaled-dot)`."""
    known = {place: one for place, one in enumerate(growth) if one is not None}
    sure = {place: one for place, one in known.items() if adjusted[place] < 0.05}
    shrinks = [place for place, one in sure.items() if one.value < 0]
    told = f"{len(sure) - len(shrinks)} of {len(known)} mechanisms"
    if not shrinks:
        return told
    named = _names(analysis, shrinks) if len(shrinks) < 4 else str(len(shrinks))
    return f"{told} (it shrinks for {named})"


def _longer(analysis: Analysis) -> list[str]:
    """Say what is lost on the other test sets, as a share of the main metric, and who loses
    most."""
    frame = analysis.frame
    sentences = []
    for scores in analysis.subsets[1:]:
        lost = {
            place: frame.sign * (first.value - other.value) / first.value
            for place, (first, other) in enumerate(
                zip(analysis.main.estimates, scores.estimates, strict=True)
            )
            if first is not None and other is not None and first.value > 0
        }
        if len(lost) < 2:
            continue
        most, least = max(lost, key=lost.__getitem__), min(lost, key=lost.__getitem__)
        name = formats.metric_name(frame.main_metric)
        share = _share(abs(lost[least]))
        worst, best = frame.contenders[most].name, frame.contenders[least].name
        if lost[most] <= 0:
            told = "no mechanism does worse"
        elif frame.higher_is_better:
            told = f"{worst} loses most, {_share(lost[most])} of its {name}, and {best} "
            told += f"least, {share}" if lost[least] >= 0 else f"gains {share}"
        else:
            told = f"the {name} of {worst} grows most, by {_share(lost[most])}, and that of {best} "
            told += f"least, by {share}" if lost[least] >= 0 else f"falls by {share}"
        sentences.append(f"On the test set “{scores.subset}”, {told}.")
    return sentences


def _alignment(analysis: Analysis) -> str:
    rates: dict[str, float] = {}
    baselines: list[float | None] = []
    for contender in analysis.frame.contenders:
        held = [result.alignment for result in contender.done if result.alignment]
        mean, _ = mean_known([one.aer for one in held])
        if mean is not None:
            rates[contender.name] = mean
        baselines += [one.baselines["uniform"].aer for one in held if "uniform" in one.baselines]
    if not rates:
        return ""
    name = min(rates, key=rates.__getitem__)
    uniform, _ = mean_known(baselines)
    against = "" if uniform is None else f", against {formats.percent(uniform)} of uniform weights"
    return (
        f"Weights closest to the gold alignment: {name}, "
        f"alignment error rate {formats.percent(rates[name])}{against}."
    )


def _unconverged(analysis: Analysis) -> str:
    """Name what had not converged."""
    found = _open(analysis, analysis.order)
    if not found:
        return ""
    return (
        f"Not converged: {len(found)} of {len(analysis.losses)} ({_names(analysis, found)}). "
        "Their validation loss was still improving when training ended, so what is said of them "
        "is what was seen until then, and no ranking."
    )


def _single_seeds(analysis: Analysis) -> str:
    """Say what a single seed leaves open."""
    places = [
        place
        for place in analysis.order
        if analysis.main.estimates[place] is not None and not analysis.main.over_seeds([place])
    ]
    if not places:
        return ""
    named = "" if len(places) == len(analysis.losses) else f" ({_names(analysis, places)})"
    return (
        f"One seed{named}: what varies most, another seed, has not been measured. What is said "
        "here describes the models that were trained, and not what training again would give."
    )


def _open(analysis: Analysis, places: Iterable[int]) -> list[int]:
    """Return those of the contenders that had not converged."""
    contenders = analysis.frame.contenders
    return [
        place
        for place in places
        if analysis.main.estimates[place] is not None and contenders[place].converged is False
    ]


def _ended(analysis: Analysis, places: Iterable[int]) -> str:
    """Say when something was seen of contenders of which some had not converged, which the last
    finding names; "" where all had or nothing is known."""
    return "when training ended (not all had converged)" if _open(analysis, places) else ""


def _beyond(analysis: Analysis, place: int, other: int) -> bool:
    """Whether the first contender's figure lies on the better side of the second's."""
    first, second = (analysis.frame.contenders[one].name for one in (place, other))
    return analysis.losses[first] < analysis.losses[second]


def _ahead(analysis: Analysis, place: int, other: int) -> bool:
    """Whether the first contender is significantly better than the second."""
    return analysis.main.adjusted[place, other] < 0.05 and _beyond(analysis, place, other)


def _side(analysis: Analysis, higher: str, lower: str) -> str:
    return higher if analysis.frame.higher_is_better else lower


def _figure(analysis: Analysis, place: int, *, interval: bool = False) -> str:
    """The main metric of a contender that has finished."""
    estimate = analysis.main.estimates[place]
    assert estimate is not None, "it has finished"
    number = metric_number(estimate.value, analysis.frame.main_metric, estimate.low, estimate.high)
    return f"{number.text} {number.interval}".rstrip() if interval else number.text


def _names(analysis: Analysis, places: Sequence[int], most: int = _NAMED) -> str:
    return formats.some([analysis.frame.contenders[place].name for place in places], most)
