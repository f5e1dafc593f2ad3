"""Tables of one frame: all metrics with the baselines, test sets, alignment, cost and failures."""

from __future__ import annotations

from collections.abc import Sequence

from bench.store.result import AlignmentFigures, Cost, Result
from reports import formats
from reports.load import Contender
from reports.metrics import MetricName
from reports.statistics.analysis import Analysis
from reports.statistics.baselines import (
    Baseline,
    against_best_baseline,
    baselines,
    best_baseline,
    metric_names,
)
from reports.statistics.significance import Estimate
from reports.tables import (
    Column,
    Entry,
    Form,
    Label,
    Missing,
    Number,
    Row,
    Table,
    estimate_entry,
    form_of,
    metric_number,
)
from reports.tables.scores import (
    CONTENDER,
    contender_row,
    detectable_note,
    main_entries,
    mean_entry,
)

BASELINE = "baseline: {}"
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
    main, stand = main_entries(analysis), against_best_baseline(analysis)
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
            entries.insert(1, Label(told) if told else Missing("not measured"))
        rows.append(contender_row(analysis, place, entries))
    known = baselines(analysis)
    rows += [_baseline_row(one, names, best is not None) for one in known]
    columns = [_column(one, analysis, several) for one in names]
    if best:
        columns.insert(1, _standing_column(analysis, best, columns[0].group))
    return Table(
        f"{frame.setting.slug}-metrics",
        "Metrics",
        CONTENDER,
        tuple(columns),
        tuple(rows),
        tuple(_notes(analysis, known, best)),
    )


def _baseline_row(baseline: Baseline, names: Sequence[MetricName], stands: bool) -> Row:
    entries = [baseline.entry(one.figure, one.subset) for one in names]
    if stands:
        entries.insert(1, Missing("not applicable"))
    return Row(BASELINE.format(baseline.name), tuple(entries), apart=True)


def _column(one: MetricName, analysis: Analysis, several: bool) -> Column:
    subset = one.subset or analysis.main.subset
    group = f"test set “{subset}”" if several else ""
    return Column(one.key, formats.metric_name(one.figure), group=group)


def _standing_column(analysis: Analysis, best: Baseline, group: str) -> Column:
    value = best.main_figure(analysis)
    assert value is not None, "the best baseline has a main metric"
    told = formats.metric_text(value, analysis.frame.main_metric)
    return Column(
        "against_best_baseline",
        f"against “{best.name}” ({told})",
        "better: the whole interval lies on the better side of the best baseline",
        group=group,
        text=True,
    )


def _notes(analysis: Analysis, known: Sequence[Baseline], best: Baseline | None) -> list[str]:
    notes = ["Means over the seeds that have the metric; best main metric first."]
    notes += detectable_note(analysis.main, analysis.frame.main_metric)
    if known:
        notes.append("Baselines attend to nothing, and most learn nothing: figures to pass.")
    if best:
        better = "higher" if analysis.frame.higher_is_better else "lower"
        notes.append(
            "“Better” than the best baseline: the 95 % interval lies on its better side "
            f"({better}), the baseline's figure taken as exact."
        )
    notes += [text for name, text in _NOTES.items() if any(one.name == name for one in known)]
    return notes


def subsets_table(analysis: Analysis) -> Table:
    """Build the table of the main metric on every test set, and of the changes on the longer
    ones."""
    frame = analysis.frame
    main, others = analysis.main, analysis.subsets[1:]
    columns = [Column(scores.subset, scores.subset) for scores in analysis.subsets]
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
    return Table(
        f"{frame.setting.slug}-test-sets",
        f"{formats.title(frame.main_metric)} by test set",
        CONTENDER,
        tuple(columns),
        tuple(rows),
        (
            "Group numbers are those of each test set by itself.",
            *(note for one in analysis.subsets for note in detectable_note(one, frame.main_metric)),
        ),
    )


def _change(first: Estimate | None, other: Estimate | None, metric: str) -> list[Entry]:
    """Return the difference and the ratio of two test sets as entries."""
    if first is None or other is None:
        return [Missing("not measured")] * 2
    ratio: Entry = Missing("not applicable", "the figure is 0")
    if first.value:
        ratio = Number(other.value / first.value, digits=2)
    return [metric_number(other.value - first.value, metric, signed=True), ratio]


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
            rows.append(Row(contender.name, (*free, *forced)))
    if not rows:
        return None
    rows += _baseline_rows(frame.done)
    columns = [
        Column(f"{mode}_{key}", label, help, group=what)
        for mode, what in (("free", "decoding freely"), ("forced", "reading the reference"))
        for key, label, help in _ALIGNMENT
    ]
    return Table(
        f"{frame.setting.slug}-alignment",
        "Alignment quality against gold links",
        CONTENDER,
        tuple(columns),
        tuple(rows),
        (
            "AER: lower is better; mass on gold and pointing: higher is better. Baselines are "
            "weights that know nothing of the sentence; they decode nothing.",
        ),
    )


def _baseline_rows(results: Sequence[Result]) -> list[Row]:
    names = dict.fromkeys(
        name for result in results if result.alignment for name in result.alignment.baselines
    )
    rows = []
    for name in names:
        held = [
            result.alignment.baselines[name]
            for result in results
            if result.alignment and name in result.alignment.baselines
        ]
        blank = tuple(Missing("not applicable") for _ in _ALIGNMENT)
        rows.append(Row(f"baseline: {name}", (*blank, *_alignment_entries(held)), apart=True))
    return rows


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
    ("peak_memory_bytes", "peak memory", "bytes"),
)


def cost_table(analysis: Analysis, train_unit: str) -> Table:
    """Build the table of each contender's cost beside its main metric."""
    frame = analysis.frame
    main = main_entries(analysis)
    columns = [Column(frame.main_metric, formats.metric_name(frame.main_metric))]
    columns += [Column(key, label) for key, label, _ in _COSTS]
    rows = []
    for place in analysis.order:
        costs = [result.cost for result in frame.contenders[place].done]
        entries = [_cost_entry(costs, key, form) for key, _, form in _COSTS]
        rows.append(contender_row(analysis, place, [main[place], *entries]))
    return Table(
        f"{frame.setting.slug}-cost",
        "Cost beside quality",
        CONTENDER,
        tuple(columns),
        tuple(rows),
        (
            f"Means over seeds. Training speed in {train_unit} a second, decoding speed in "
            "examples a second. Times compare only within one machine.",
        ),
    )


def _cost_entry(costs: Sequence[Cost], key: str, form: Form) -> Entry:
    return mean_entry([getattr(cost, key) for cost in costs], form=form)


def failures_table(contenders: Sequence[Contender], name: str) -> Table | None:
    """Build the table of failed trials with kind and message; None without failures."""
    rows = tuple(
        _failure_row(contender, result) for contender in contenders for result in contender.failed
    )
    if not rows:
        return None
    columns = [
        Column(key, key, text=True) for key in ("task", "data set", "seed", "kind", "message")
    ]
    return Table(name, "Failed trials", CONTENDER, tuple(columns), rows)


def _failure_row(contender: Contender, result: Result) -> Row:
    failure, cell = result.failure, result.cell
    assert failure is not None, "a failed result says why"
    texts = (cell.task, cell.dataset, str(cell.seed), failure.kind, failure.message)
    return Row(contender.name, tuple(map(Label, texts)))
