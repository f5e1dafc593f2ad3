"""Where examples are right or wrong: McNemar's tests, and which classes are taken for which."""

from __future__ import annotations

from itertools import product

import numpy as np

from bench.store.result import Result
from reports import formats
from reports.statistics import CONTROL, Analysis
from reports.statistics.baselines import metric_names
from reports.tables import (
    Column,
    Entry,
    Form,
    Missing,
    Number,
    Table,
    mean_known,
    measured,
)
from reports.tables.scores import contender_table


def mcnemar_table(analysis: Analysis) -> Table | None:
    """Build the table of McNemar's tests of every mechanism against the best one and against the
    control."""
    found, contenders = analysis.mcnemar, analysis.frame.contenders
    if found is None:
        return None
    order = [place for place in analysis.order if not np.isnan(found.only[place]).all()]
    if len(order) < 2:
        return None

    columns: dict[Column, list[Entry]] = {}
    controls = [place for place in order if contenders[place].attention == CONTROL]
    for rival in dict.fromkeys([order[0], *controls]):
        name = contenders[rival].name
        told: tuple[tuple[str, str, np.ndarray, Form], ...] = (
            ("only_this", "only this is right", found.only[:, rival], "count"),
            ("only_other", "only the other", found.only[rival], "count"),
            ("p", "p (Holm)", found.adjusted[:, rival], "p"),
        )
        for key, label, values, form in told:
            entries = columns[Column(f"{key}_{name}", label, group=f"against {name}")] = [
                Missing("not applicable", "other test examples")
                if np.isnan(found.only[place, rival])
                else Number(value, form=form)
                for place, value in enumerate(values.tolist())
            ]
            entries[rival] = Missing("not applicable", "the same")
    pairs = len(order) * (len(order) - 1) // 2
    note = (
        "McNemar's exact test on the main test set, first seed of each; p after Holm's "
        f"correction over all {formats.plural(pairs, 'pair')} of mechanisms. It says nothing "
        "of other seeds."
    )
    title = "Examples that one alone gets right"
    return contender_table(analysis, "mcnemar", title, columns, [note], order)


def confusion_table(analysis: Analysis) -> Table | None:
    """Build the confusion matrices, one a row: for every true class the share of its examples
    given each class, means over seeds. None where no confusions were recorded."""
    keys = [one.key for one in metric_names(analysis) if one.kind == "confusion" and not one.subset]
    classes = _classes(keys)
    if not classes:
        return None

    columns: dict[Column, list[Entry]] = {}
    for true, given in product(classes, classes):
        entries = columns[Column(f"{true}_as_{given}", f"as {given}", group=f"true {true}")] = []
        for one in analysis.frame.contenders:
            share, _ = mean_known([_share(each, true, given, classes) for each in one.done])
            entries.append(measured(share, form="percent", shade=share))
    note = (
        f"Shares of the examples of each true class, on the test set “{analysis.main.subset}”, "
        "means over seeds. The darker, the more."
    )
    return contender_table(analysis, "confusion", "Confusion of classes", columns, [note])


def _classes(keys: list[str]) -> list[str]:
    """Return the class names in `confusion_<true>_<given>`: those with an entry on the diagonal."""
    pairs = [key.removeprefix("confusion_") for key in keys]
    halves = [pair[: len(pair) // 2] for pair in pairs if len(pair) % 2]
    return [half for half in dict.fromkeys(halves) if f"{half}_{half}" in pairs]


def _share(result: Result, true: str, given: str, classes: list[str]) -> float | None:
    counts = {each: result.metrics.get(f"confusion_{true}_{each}") for each in classes}
    one, whole = counts[given], sum(count for count in counts.values() if count is not None)
    return one / whole if one is not None and whole else None
