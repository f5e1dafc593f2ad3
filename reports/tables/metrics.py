"""All metrics of the mechanisms of one setting, beside those of simple baselines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from bench.store.result import Result
from reports import formats
from reports.statistics import Analysis
from reports.statistics.baselines import (
    Baseline,
    against_best_baseline,
    baselines,
    best_baseline,
    metric_names,
)
from reports.tables import Column, Entry, Label, Missing, Row, Table, better_of, form_of
from reports.tables.scores import (
    contender_table,
    detectable_note,
    main_entries,
    overlap_notes,
    seed_means,
)

BASELINE = "baseline: {}"
#: A verdict against a baseline as it is told of a single seed: where lower is better, and higher.
SIDES = {"better": ("below", "above"), "worse": ("above", "below")}
_NOTES = {
    "human": "“Human”: one reference of each example against its others.",
    "references": "“References”: what is true of the references themselves.",
}


def metrics_table(analysis: Analysis) -> Table:
    """Build the table of all metrics of all contenders, best first, means over seeds; the
    baselines follow."""
    frame = analysis.frame
    names = [one for one in metric_names(analysis) if one.kind == "figure"]
    names.sort(key=lambda one: bool(one.subset))
    several = any(one.subset for one in names)
    best, known = best_baseline(analysis), baselines(analysis)
    columns: dict[Column, list[Entry]] = {}
    controls: list[list[Entry]] = [[] for _ in known]
    for one in names:
        group = f"test set “{one.subset or analysis.main.subset}”" if several else ""
        main = one.key == frame.main_metric
        better = better_of(frame) if main else ""
        column = Column(one.key, formats.metric_name(one.figure), group=group, better=better)
        told = {"digits": formats.decimals(one.figure), "form": form_of(one.figure)}
        columns[column] = (
            main_entries(analysis)
            if main
            else seed_means(analysis, partial(_value, one.key), **told)
        )
        for baseline, entries in zip(known, controls, strict=True):
            entries.append(baseline.entry(one.figure, one.subset))
        if best and len(columns) == 1:
            columns[_standing_column(analysis, best, group)] = _standings(analysis)
            for entries in controls:
                entries.append(Missing("not applicable"))
    after = [
        Row(BASELINE.format(one.name), tuple(entries), apart=True)
        for one, entries in zip(known, controls, strict=True)
    ]
    notes = _notes(analysis, known, best)
    return contender_table(analysis, "metrics", "Metrics", columns, notes, after=after)


def _value(key: str, one: Result) -> float | None:
    return one.metrics.get(key)


def _standings(analysis: Analysis) -> list[Entry]:
    """How each contender stands against the best baseline."""
    entries: list[Entry] = []
    for place, verdict in enumerate(against_best_baseline(analysis)):
        told: str | None = verdict
        if told in SIDES and not analysis.main.over_seeds([place]):
            told = SIDES[told][analysis.frame.higher_is_better]
        elif told == "better" and analysis.frame.contenders[place].converged is False:
            told = "better so far"
        entries.append(Label(told) if told else Missing("not measured"))
    return entries


def _standing_column(analysis: Analysis, best: Baseline, group: str) -> Column:
    value = best.main_figure(analysis)
    assert value is not None, "the best baseline has a main metric"
    told = formats.metric_text(value, analysis.frame.main_metric)
    return Column(
        "against_best_baseline",
        f"against “{best.name}” ({told})",
        "better: the whole interval lies on the better side of the best baseline"
        if analysis.main.over_seeds()
        else "above, below: the whole interval over test examples lies there",
        group=group,
        text=True,
    )


def _notes(
    analysis: Analysis, controls: Sequence[Baseline], best: Baseline | None
) -> Iterator[str]:
    yield "Means over the seeds that have the metric; best main metric first."
    yield from detectable_note(analysis.main, analysis.frame.main_metric)
    if controls:
        yield "Baselines attend to nothing, and most learn nothing."
    run = [place for place, one in enumerate(analysis.main.estimates) if one is not None]
    known = {analysis.main.over_seeds([place]) for place in run}
    if best and False in known:
        yield (
            "“Above” or “below” the best baseline: the 95 % interval over test examples does not "
            "hold its figure, with the one seed that was run."
        )
    if best and True in known:
        better = "higher" if analysis.frame.higher_is_better else "lower"
        yield (
            "“Better” than the best baseline: the 95 % interval lies on its better side "
            f"({better}), the baseline's figure taken as exact."
        )
    yield from (_NOTES[one.name] for one in controls if one.name in _NOTES)
    yield from overlap_notes(analysis.frame.done)
