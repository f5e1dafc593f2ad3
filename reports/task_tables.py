"""Tables of one frame: test sets, alignment, cost, failures."""

from __future__ import annotations

from collections.abc import Sequence

from bench.result import AlignmentFigures, Cost, Result
from reports import formats
from reports.analysis import Analysis
from reports.frames import Contender
from reports.group_notes import detectable_note
from reports.matrix import headline_entries
from reports.significance import Estimate
from reports.tables import (
    Column,
    Entry,
    Form,
    Label,
    Missing,
    Number,
    Row,
    Table,
    estimated,
    form_of,
)
from reports.task_rows import CONTENDER, contender_row, mean_entry


def subsets_table(analysis: Analysis) -> Table:
    """The headline figure on every test set, and what is lost on the longer ones."""
    frame = analysis.frame
    main, others = analysis.headline, analysis.subsets[1:]
    columns = [Column(scores.subset, scores.subset) for scores in analysis.subsets]
    for one in others:
        columns.append(Column(f"{one.subset}_minus_{main.subset}", f"{one.subset} − {main.subset}"))
        columns.append(Column(f"{one.subset}_over_{main.subset}", f"{one.subset} / {main.subset}"))
    rows = []
    for place in analysis.order:
        entries = [
            estimated(scores.estimates[place], frame.headline, group=scores.groups[place])
            for scores in analysis.subsets
        ]
        for scores in others:
            entries += _change(main.estimates[place], scores.estimates[place], frame.headline)
        rows.append(contender_row(analysis, place, entries))
    return Table(
        f"{frame.setting.slug}-test-sets",
        f"{formats.title(frame.headline)} by test set",
        CONTENDER,
        tuple(columns),
        tuple(rows),
        (
            "Group numbers are those of each test set by itself.",
            *(note for one in analysis.subsets for note in detectable_note(one, frame.headline)),
        ),
    )


def _change(first: Estimate | None, other: Estimate | None, metric: str) -> list[Entry]:
    """Difference and ratio of two test sets."""
    if first is None or other is None:
        return [Missing("not measured")] * 2
    ratio: Entry = Missing("not applicable", "the figure is 0")
    if first.value:
        ratio = Number(other.value / first.value, digits=2)
    digits, form = formats.decimals(metric), form_of(metric)
    return [Number(other.value - first.value, digits=digits, form=form, signed=True), ratio]


_ALIGNMENT = (
    ("aer", "AER", "alignment error rate of the arg-max links (Och and Ney 2003); lower is better"),
    ("mass_on_gold", "mass on gold", "mean weight on gold units; higher is better"),
    ("pointing", "pointing", "share of units whose largest weight is on a gold unit"),
    ("covered", "covered", "share of units with gold that could be judged"),
)


def alignment_table(analysis: Analysis) -> Table | None:
    """Agreement with gold links: decoding freely, reading the reference, and controls."""
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
    rows += _control_rows(frame.done)
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
            "AER: lower is better; mass on gold and pointing: higher is better. Controls are "
            "weights that know nothing of the sentence; they decode nothing.",
        ),
    )


def _control_rows(results: Sequence[Result]) -> list[Row]:
    names = dict.fromkeys(
        name for result in results if result.alignment for name in result.alignment.controls
    )
    rows = []
    for name in names:
        held = [
            result.alignment.controls[name]
            for result in results
            if result.alignment and name in result.alignment.controls
        ]
        blank = tuple(Missing("not applicable") for _ in _ALIGNMENT)
        rows.append(Row(f"control: {name}", (*blank, *_alignment_entries(held)), apart=True))
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
    ("train_units_per_second", "training speed", "rate"),
    ("decode_per_second", "decoding speed", "rate"),
    ("peak_memory_bytes", "peak memory", "bytes"),
)


def cost_table(analysis: Analysis, train_unit: str) -> Table:
    """What each contender costs, beside its headline figure."""
    frame = analysis.frame
    headline = headline_entries(analysis)
    columns = [Column(frame.headline, formats.metric_name(frame.headline))]
    columns += [Column(key, label) for key, label, _ in _COSTS]
    rows = []
    for place in analysis.order:
        costs = [result.cost for result in frame.contenders[place].done]
        entries = [_cost_entry(costs, key, form) for key, _, form in _COSTS]
        rows.append(contender_row(analysis, place, [headline[place], *entries]))
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
    """Every failed trial with kind and message."""
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
    failure, cell = result.failure, result.key
    assert failure is not None, "a failed result says why"
    texts = (cell.task, cell.dataset, str(cell.seed), failure.kind, failure.message)
    return Row(contender.name, tuple(map(Label, texts)))
