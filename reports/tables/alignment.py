"""How well attention weights agree with gold alignments."""

from __future__ import annotations

from collections.abc import Sequence

from bench.store.result import AlignmentFigures
from reports.statistics import Analysis
from reports.tables import Column, Entry, Missing, Row, Table
from reports.tables.metrics import BASELINE
from reports.tables.scores import contender_table, mean_entry

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
    held = [[one.alignment for one in each.done if one.alignment] for each in frame.contenders]
    measured = [place for place in analysis.order if held[place]]
    if not measured:
        return None
    forced = [[one.forced for one in own] for own in held]
    columns = {
        Column(f"{mode}_{key}", label, help, group=group): [_mean(own, key) for own in every]
        for mode, group, every in (
            ("free", "decoding freely", held),
            ("forced", "reading the reference", forced),
        )
        for key, label, help in _ALIGNMENT
    }
    baselines: dict[str, list[AlignmentFigures]] = {}
    for one in (result.alignment for result in frame.done):
        for name, figures in one.baselines.items() if one else ():
            baselines.setdefault(name, []).append(figures)
    blank = [Missing("not applicable")] * len(_ALIGNMENT)
    after = [
        Row(
            BASELINE.format(name),
            (*blank, *(_mean(own, key) for key, *_ in _ALIGNMENT)),
            apart=True,
        )
        for name, own in baselines.items()
    ]
    note = (
        "AER: lower is better; mass on gold and pointing: higher is better. Baselines are "
        "weights that know nothing of the sentence; they decode nothing."
    )
    title = "Alignment quality against gold links"
    return contender_table(analysis, "alignment", title, columns, [note], measured, after)


def _mean(held: Sequence[AlignmentFigures | None], key: str) -> Entry:
    return mean_entry([None if one is None else getattr(one, key) for one in held], form="percent")
