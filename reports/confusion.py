"""Confusion matrices, one a row: what became of the examples of each class."""

from __future__ import annotations

from reports.analysis import Analysis
from reports.controls import names_of
from reports.tables import Column, Entry, Missing, Number, Table, mean_known
from reports.task_rows import CONTENDER, contender_row


def confusion_table(analysis: Analysis) -> Table | None:
    """For every mechanism and every true class the share of its examples that was given each
    class, means over seeds; None where no confusions were recorded."""
    keys = [one.key for one in names_of(analysis) if one.kind == "confusion" and not one.subset]
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
        f"Shares of the examples of each true class, on the test set “{analysis.headline.subset}”, "
        "means over seeds. The darker, the more.",
    )
    name = f"{analysis.frame.setting.slug}-confusion"
    return Table(name, "Confusion of classes", CONTENDER, columns, tuple(rows), notes)


def _classes(keys: list[str]) -> list[str]:
    """Class names from `confusion_<true>_<given>`: those with an entry on the diagonal."""
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
