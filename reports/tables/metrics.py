"""Tables of one setting: all metrics with the baselines, test sets, leads by source length,
McNemar's tests, confusion of classes, alignment, cost and failures.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from bench.store.result import AlignmentFigures, Result
from reports import formats
from reports.load import Contender
from reports.statistics import Analysis
from reports.statistics.baselines import (
    Baseline,
    against_best_baseline,
    baselines,
    best_baseline,
    metric_names,
)
from reports.statistics.significance import DifferenceEstimate, Estimate
from reports.tables import (
    Column,
    Entry,
    Form,
    Label,
    Missing,
    Number,
    Row,
    Table,
    better_of,
    estimate_entry,
    form_of,
    mean_known,
    measured,
    measured_metric,
    metric_number,
)
from reports.tables.scores import (
    CONTENDER,
    ONE_SEED,
    contender_row,
    detectable_note,
    main_entries,
    mean_entry,
    overlap_notes,
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
    main = main_entries(analysis)
    stand: list[str | None] = [*against_best_baseline(analysis)]
    best = best_baseline(analysis)
    rows = []
    for place in analysis.order:
        contender = frame.contenders[place]
        entries = [
            main[place]
            if one.key == frame.main_metric
            else mean_entry(
                [result.metrics.get(one.key) for result in contender.done],
                digits=formats.decimals(one.figure),
                form=form_of(one.figure),
            )
            for one in names
        ]
        if best:
            told = stand[place]
            if told in SIDES and not analysis.main.over_seeds([place]):
                told = SIDES[told][frame.higher_is_better]
            elif told == "better" and contender.converged is False:
                told = "better so far"
            entries.insert(1, Label(told) if told else Missing("not measured"))
        rows.append(contender_row(analysis, place, entries))
    known = baselines(analysis)
    for baseline in known:
        entries = [baseline.entry(one.figure, one.subset) for one in names]
        if best:
            entries.insert(1, Missing("not applicable"))
        rows.append(Row(BASELINE.format(baseline.name), tuple(entries), apart=True))
    columns = [
        Column(
            one.key,
            formats.metric_name(one.figure),
            group=f"test set “{one.subset or analysis.main.subset}”" if several else "",
            better=better_of(frame) if one.key == frame.main_metric else "",
        )
        for one in names
    ]
    if best:
        columns.insert(1, _standing_column(analysis, best, columns[0].group))
    return _table(analysis, "metrics", "Metrics", columns, rows, _notes(analysis, known, best))


def _table(
    analysis: Analysis,
    name: str,
    title: str,
    columns: Iterable[Column],
    rows: Iterable[Row],
    notes: Iterable[str],
) -> Table:
    """Return a table of the contenders of one setting."""
    whole = f"{analysis.frame.setting.slug}-{name}"
    return Table(whole, title, CONTENDER, tuple(columns), tuple(rows), tuple(notes))


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


def _notes(analysis: Analysis, controls: Sequence[Baseline], best: Baseline | None) -> list[str]:
    notes = ["Means over the seeds that have the metric; best main metric first."]
    notes += detectable_note(analysis.main, analysis.frame.main_metric)
    if controls:
        notes.append("Baselines attend to nothing, and most learn nothing.")
    run = [place for place, one in enumerate(analysis.main.estimates) if one is not None]
    known = {analysis.main.over_seeds([place]) for place in run}
    if best and False in known:
        notes.append(
            "“Above” or “below” the best baseline: the 95 % interval over test examples does not "
            "hold its figure, with the one seed that was run."
        )
    if best and True in known:
        better = "higher" if analysis.frame.higher_is_better else "lower"
        notes.append(
            "“Better” than the best baseline: the 95 % interval lies on its better side "
            f"({better}), the baseline's figure taken as exact."
        )
    notes += [text for name, text in _NOTES.items() if any(one.name == name for one in controls)]
    return [*notes, *overlap_notes(analysis.frame.done)]


def subsets_table(analysis: Analysis) -> Table:
    """Build the table of the main metric on every test set, and of the changes on the longer
    ones."""
    frame = analysis.frame
    main, others = analysis.main, analysis.subsets[1:]
    better = better_of(frame)
    columns = [Column(one.subset, one.subset, better=better) for one in analysis.subsets]
    for one in others:
        columns.append(Column(f"{one.subset}_minus_{main.subset}", f"{one.subset} − {main.subset}"))
        columns.append(Column(f"{one.subset}_over_{main.subset}", f"{one.subset} / {main.subset}"))
    rows = []
    for place in analysis.order:
        entries = [
            estimate_entry(scores.estimates[place], frame.main_metric, group=scores.groups[place])
            for scores in analysis.subsets
        ]
        for scores in others:
            entries += _change(main.estimates[place], scores.estimates[place], frame.main_metric)
        rows.append(contender_row(analysis, place, entries))
    notes = ["Group numbers are those of each test set by itself."]
    notes += (note for one in analysis.subsets for note in detectable_note(one, frame.main_metric))
    notes += overlap_notes(frame.done)
    title = f"{formats.title(frame.main_metric)} by test set"
    return _table(analysis, "test-sets", title, columns, rows, notes)


def _change(first: Estimate | None, other: Estimate | None, metric: str) -> list[Entry]:
    """Return the difference and the ratio of two test sets as entries."""
    if first is None or other is None:
        return [Missing("not measured")] * 2
    ratio: Entry = Missing("not applicable", "the figure is 0")
    if first.value:
        ratio = Number(other.value / first.value, digits=2)
    return [metric_number(other.value - first.value, metric, signed=True), ratio]


def length_table(analysis: Analysis, length_unit: str) -> Table | None:
    """Build the table of the figure and the lead over the control on every length range, and the
    growth of that lead from the first, shortest range."""
    found, frame = analysis.leads, analysis.frame
    if found is None:
        return None
    control = frame.contenders[found.control].name
    metric = formats.metric_name(frame.main_metric)
    several = analysis.main.over_seeds()
    lead, grows = ("ahead of", "lead grows by") if several else ("difference from", "grows by")
    columns = []
    for number, part in enumerate(found.parts):
        group = f"{part.name} ({part.low} to {part.high})"
        columns.append(Column(f"part{number + 1}", metric, group=group))
        columns.append(Column(f"part{number + 1}_lead", f"{lead} {control}", group=group))
        if number:
            columns.append(Column(f"part{number + 1}_growth", grows, group=group))
    rows = []
    for place in analysis.order:
        entries: list[Entry] = []
        own = place == found.control
        for number, (figures, leads) in enumerate(zip(found.figures, found.leads, strict=True)):
            entries.append(measured_metric(figures[place], frame.main_metric))
            entries.append(_difference(leads[place], frame.main_metric, own))
            if number:
                entries.append(_difference(found.growth[number - 1][place], frame.main_metric, own))
        rows.append(contender_row(analysis, place, entries))
    note = (
        f"Lengths in {length_unit}. A lead is positive where the mechanism is the better one, on "
        "the same examples, with its 95 % interval; one whose interval holds 0 may be chance. "
        "Intervals are each mechanism's own; the findings above count growth, which is from the "
        "first part on, after Holm's correction."
    )
    if not several:
        side = "higher" if frame.higher_is_better else "lower"
        note = (
            f"Lengths in {length_unit}. A difference is positive where the mechanism's figure is "
            f"{side}, on the same examples; its 95 % interval covers other examples. {ONE_SEED}"
        )
    title = f"{'Lead over' if several else 'Difference from'} {control} by source length"
    return _table(analysis, "length", title, columns, rows, [note])


def _difference(found: DifferenceEstimate | None, metric: str, own: bool) -> Entry:
    if own:
        return Missing("not applicable", "the control itself")
    if found is None:
        return Missing("not measured")
    return metric_number(found.value, metric, found.low, found.high, signed=True)


def mcnemar_table(analysis: Analysis) -> Table | None:
    """Build the table of McNemar's tests of every mechanism against the best one and against the
    control."""
    found, frame = analysis.mcnemar, analysis.frame
    if found is None:
        return None
    order = [place for place in analysis.order if not np.isnan(found.only[place]).all()]
    if len(order) < 2:
        return None
    rivals = dict.fromkeys(
        [order[0], *(place for place in order if frame.contenders[place].attention == "none")]
    )
    columns = []
    for rival in rivals:
        name = frame.contenders[rival].name
        group = f"against {name}"
        columns += [
            Column(f"only_this_{name}", "only this is right", group=group),
            Column(f"only_other_{name}", "only the other", group=group),
            Column(f"p_{name}", "p (Holm)", group=group),
        ]
    rows = [
        Row(
            frame.contenders[place].name,
            tuple(entry for rival in rivals for entry in _against(analysis, place, rival)),
            converged=frame.contenders[place].converged,
            axes=frame.contenders[place].axes,
        )
        for place in order
    ]
    pairs = len(order) * (len(order) - 1) // 2
    note = (
        "McNemar's exact test on the main test set, first seed of each; p after Holm's "
        f"correction over all {formats.plural(pairs, 'pair')} of mechanisms. It says nothing "
        "of other seeds."
    )
    title = "Examples that one alone gets right"
    return _table(analysis, "mcnemar", title, columns, rows, [note])


def _against(analysis: Analysis, place: int, rival: int) -> list[Entry]:
    found = analysis.mcnemar
    assert found is not None
    if place == rival:
        return [Missing("not applicable", "the same")] * 3
    only, other = found.only[place, rival], found.only[rival, place]
    if np.isnan(only):
        return [Missing("not applicable", "other test examples")] * 3
    return [
        Number(float(only), form="count"),
        Number(float(other), form="count"),
        Number(float(found.adjusted[place, rival]), form="p"),
    ]


def confusion_table(analysis: Analysis) -> Table | None:
    """Build the confusion matrices, one a row: for every true class the share of its examples
    given each class, means over seeds. None where no confusions were recorded."""
    keys = [one.key for one in metric_names(analysis) if one.kind == "confusion" and not one.subset]
    classes = _classes(keys)
    if not classes:
        return None
    pairs = [(gold, given) for gold in classes for given in classes]
    columns = [
        Column(f"{gold}_as_{given}", f"as {given}", group=f"true {gold}") for gold, given in pairs
    ]
    rows = [
        contender_row(analysis, place, [_share(analysis, place, *pair, classes) for pair in pairs])
        for place in analysis.order
    ]
    note = (
        f"Shares of the examples of each true class, on the test set “{analysis.main.subset}”, "
        "means over seeds. The darker, the more."
    )
    return _table(analysis, "confusion", "Confusion of classes", columns, rows, [note])


def _classes(keys: list[str]) -> list[str]:
    """Return the class names in `confusion_<true>_<given>`: those with an entry on the diagonal."""
    pairs = [key.removeprefix("confusion_") for key in keys]
    halves = [pair[: len(pair) // 2] for pair in pairs if len(pair) % 2]
    return [half for half in dict.fromkeys(halves) if f"{half}_{half}" in pairs]


def _share(analysis: Analysis, place: int, gold: str, given: str, classes: list[str]) -> Entry:
    shares: list[float | None] = []
    for result in analysis.frame.contenders[place].done:
        counts = {each: result.metrics.get(f"confusion_{gold}_{each}") for each in classes}
        one, whole = counts[given], sum(count for count in counts.values() if count is not None)
        shares.append(one / whole if one is not None and whole else None)
    mean, _ = mean_known(shares)
    return measured(mean, form="percent", shade=mean)


_ALIGNMENT = (
    ("aer", "AER", "alignment error rate of the arg-max links (Och and Ney 2003); lower is better"),
    ("mass_on_gold", "mass on gold", "mean weight on gold units; higher is better"),
    (
        "pointing_accuracy",
        "pointing accuracy",
        "share of units whose largest weight is on a gold unit",
    ),
    ("coverage", "coverage", "share of units with gold that could be judged"),
)


def alignment_table(analysis: Analysis) -> Table | None:
    """Build the table of agreement with gold links: decoding freely, reading the reference, and
    baselines."""
    frame = analysis.frame
    rows = []
    for place in analysis.order:
        contender = frame.contenders[place]
        held = [result.alignment for result in contender.done if result.alignment]
        if held:
            free = _alignment_entries(held)
            forced = _alignment_entries([one.forced for one in held])
            row = Row(contender.name, (*free, *forced))
            rows.append(replace(row, converged=contender.converged, axes=contender.axes))
    if not rows:
        return None
    rows += _baseline_rows(frame.done)
    columns = [
        Column(f"{mode}_{key}", label, help, group=what)
        for mode, what in (("free", "decoding freely"), ("forced", "reading the reference"))
        for key, label, help in _ALIGNMENT
    ]
    note = (
        "AER: lower is better; mass on gold and pointing: higher is better. Baselines are "
        "weights that know nothing of the sentence; they decode nothing."
    )
    title = "Alignment quality against gold links"
    return _table(analysis, "alignment", title, columns, rows, [note])


def _baseline_rows(results: Sequence[Result]) -> list[Row]:
    held: dict[str, list[AlignmentFigures]] = defaultdict(list)
    for result in results:
        if result.alignment:
            for name, figures in result.alignment.baselines.items():
                held[name].append(figures)
    blank = [Missing("not applicable")] * len(_ALIGNMENT)
    return [
        Row(BASELINE.format(name), (*blank, *_alignment_entries(own)), apart=True)
        for name, own in held.items()
    ]


def _alignment_entries(held: Sequence[AlignmentFigures | None]) -> list[Entry]:
    return [
        mean_entry([None if one is None else getattr(one, key) for one in held], form="percent")
        for key, _, _ in _ALIGNMENT
    ]


_COSTS: tuple[tuple[str, str, Form], ...] = (
    ("parameters", "parameters", "count"),
    ("attention_parameters", "of them attention", "count"),
    ("train_seconds", "training", "seconds"),
    ("train_tokens_per_second", "training speed", "rate"),
    ("decode_examples_per_second", "decoding speed", "rate"),
    ("macs_per_example", "multiply-accumulates an example", "count"),
    ("real_time_factor", "real-time factor", "plain"),
    ("peak_memory_bytes", "peak memory", "bytes"),
)


#: Columns that only some tasks have, or records of this version.
_SOMETIMES = ("macs_per_example", "real_time_factor")


def cost_table(analysis: Analysis, train_unit: str) -> Table:
    """Build the table of each contender's cost beside its main metric."""
    frame = analysis.frame
    main = main_entries(analysis)
    metric = formats.metric_name(frame.main_metric)
    columns = [Column(frame.main_metric, metric, better=better_of(frame))]
    known = [
        one
        for one in _COSTS
        if one[0] not in _SOMETIMES or any(getattr(each.cost, one[0]) for each in frame.done)
    ]
    columns += [
        Column(key, label, better="higher" if form == "rate" else "lower", is_cost=True)
        for key, label, form in known
    ]
    rows = []
    for place in analysis.order:
        costs = [result.cost for result in frame.contenders[place].done]
        entries = [
            mean_entry([getattr(cost, key) for cost in costs], form=form) for key, _, form in known
        ]
        rows.append(contender_row(analysis, place, [main[place], *entries]))
    note = (
        f"Means over seeds. Training speed in {train_unit} a second, decoding speed in "
        "examples a second. Times compare only within one machine."
    )
    if any(key == "macs_per_example" for key, *_ in known):
        note += (
            " Multiply-accumulates are those of matrix products and convolutions in reading one "
            "example and its reference."
        )
    if any(key == "real_time_factor" for key, *_ in known):
        note += " The real-time factor is seconds of decoding by seconds of sound."
    return _table(analysis, "cost", "Cost beside quality", columns, rows, [note])


def failures_table(contenders: Sequence[Contender], name: str) -> Table | None:
    """Build the table of failed trials with kind and message; None without failures."""
    rows = []
    for contender, result in ((one, each) for one in contenders for each in one.failed):
        failure, cell = result.failure, result.cell
        assert failure is not None, "a failed result says why"
        texts = (cell.task, cell.dataset, str(cell.seed), failure.kind, failure.message)
        rows.append(Row(contender.name, tuple(map(Label, texts)), axes=contender.axes))
    if not rows:
        return None
    keys = ("task", "data set", "seed", "kind", "message")
    columns = tuple(Column(key, key, text=True) for key in keys)
    return Table(name, "Failed trials", CONTENDER, columns, tuple(rows))
