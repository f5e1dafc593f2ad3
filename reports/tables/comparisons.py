"""Tables that compare mechanisms: leads by source length, McNemar's tests, confusion matrices."""

from __future__ import annotations

import numpy as np

from reports import formats
from reports.statistics.analysis import Analysis
from reports.statistics.baselines import metric_names
from reports.statistics.significance import DifferenceEstimate
from reports.tables import Column, Entry, Missing, Number, Row, Table, mean_known, metric_number
from reports.tables.scores import CONTENDER, contender_row


def length_table(analysis: Analysis, length_unit: str) -> Table | None:
    """Build the table of the figure and the lead over the control on every length range, and the
    growth of that lead from the first, shortest range."""
    found, frame = analysis.leads, analysis.frame
    if found is None:
        return None
    control = frame.contenders[found.control].name
    metric = formats.metric_name(frame.main_metric)
    columns = []
    for number, part in enumerate(found.parts):
        group = f"{part.name} ({part.low} to {part.high})"
        columns.append(Column(f"part{number + 1}", metric, group=group))
        columns.append(Column(f"part{number + 1}_lead", f"ahead of {control}", group=group))
        if number:
            columns.append(Column(f"part{number + 1}_growth", "lead grows by", group=group))
    rows = []
    for place in analysis.order:
        entries: list[Entry] = []
        own = place == found.control
        for number, (figures, leads) in enumerate(zip(found.figures, found.leads, strict=True)):
            value = figures[place]
            entries.append(
                Missing("not measured")
                if value is None
                else metric_number(value, frame.main_metric)
            )
            entries.append(_difference(leads[place], frame.main_metric, own))
            if number:
                entries.append(_difference(found.growth[number - 1][place], frame.main_metric, own))
        rows.append(contender_row(analysis, place, entries))
    unit = f"Lengths in {length_unit}. "
    return Table(
        f"{frame.setting.slug}-length",
        f"Lead over {control} by source length",
        CONTENDER,
        tuple(columns),
        tuple(rows),
        (
            f"{unit}A lead is positive where the mechanism is the better one, on the same "
            "examples, with its 95 % interval; one whose interval holds 0 may be chance. Intervals "
            "are each mechanism's own; the findings above count growth, which is from the first "
            "part on, after Holm's correction.",
        ),
    )


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
        )
        for place in order
    ]
    pairs = len(order) * (len(order) - 1) // 2
    return Table(
        f"{frame.setting.slug}-mcnemar",
        "Examples that one alone gets right",
        CONTENDER,
        tuple(columns),
        tuple(rows),
        (
            "McNemar's exact test on the main test set, first seed of each; p after Holm's "
            f"correction over all {formats.plural(pairs, 'pair')} of mechanisms. It says nothing "
            "of other seeds.",
        ),
    )


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
    columns = tuple(
        Column(f"{gold}_as_{given}", f"as {given}", group=f"true {gold}")
        for gold in classes
        for given in classes
    )
    rows = []
    for place in analysis.order:
        entries: list[Entry] = [
            _share(analysis, place, gold, given, classes) for gold in classes for given in classes
        ]
        rows.append(contender_row(analysis, place, entries))
    notes = (
        f"Shares of the examples of each true class, on the test set “{analysis.main.subset}”, "
        "means over seeds. The darker, the more.",
    )
    name = f"{analysis.frame.setting.slug}-confusion"
    return Table(name, "Confusion of classes", CONTENDER, columns, tuple(rows), notes)


def _classes(keys: list[str]) -> list[str]:
    """Return the class names in `confusion_<true>_<given>`: those with an entry on the diagonal."""
    pairs = [key.removeprefix("confusion_") for key in keys]
    halves = [pair[: len(pair) // 2] for pair in pairs if len(pair) % 2]
    return [half for half in dict.fromkeys(halves) if f"{half}_{half}" in pairs]


def _share(analysis: Analysis, place: int, gold: str, given: str, classes: list[str]) -> Entry:
    shares: list[float | None] = []
    for result in analysis.frame.contenders[place].done:
        counts = [result.metrics.get(f"confusion_{gold}_{other}") for other in classes]
        known = [count for count in counts if count is not None]
        one, whole = result.metrics.get(f"confusion_{gold}_{given}"), sum(known)
        shares.append(one / whole if one is not None and whole else None)
    mean, _ = mean_known(shares)
    if mean is None:
        return Missing("not measured")
    return Number(mean, form="percent", shade=mean)
