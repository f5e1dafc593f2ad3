"""The board's table of one setting, and figures as scores."""

from __future__ import annotations

from dataclasses import dataclass

from scipy import stats

from reports.formats import metric_name
from reports.frames import slug
from reports.group_notes import group_notes
from reports.leaderboard.board import Standing
from reports.leaderboard.references import ReferenceSetting
from reports.significance import Estimate
from reports.tables import Column, Label, Missing, Number, Row, Table, estimated

# Half the width of a 95 % interval, in standard errors.
_REACH = float(stats.norm.isf(0.025))


@dataclass(frozen=True)
class Score:
    """A score with the ends of its interval; more is better."""

    value: float
    low: float
    high: float

    @property
    def variance(self) -> float:
        return ((self.high - self.low) / (2 * _REACH)) ** 2


def score_of(estimate: Estimate | None, reference: ReferenceSetting | str) -> Score | None:
    """An estimate as a score, with the same interval."""
    if estimate is None or isinstance(reference, str):
        return None
    ends = [reference.score(end) for end in (estimate.low, estimate.high) if end is not None]
    value = reference.score(estimate.value)
    return Score(value, min(ends, default=value), max(ends, default=value))


def setting_table(standing: Standing, kind: str) -> Table:
    """The entries of one setting, the best first."""
    analysis, frame = standing.analysis, standing.analysis.frame
    subsets = analysis.subsets
    columns = [
        Column("entry", "entry", "what its bundle is called", text=True),
        *(
            Column(f"{frame.headline}_{one.subset}", one.subset, group=metric_name(frame.headline))
            for one in subsets
        ),
        Column("score", "score", "how far above the suite's own mechanisms, in their spreads"),
        Column("parameters", "parameters"),
    ]
    rows = []
    for place in analysis.order:
        entry, contender = standing.entries[place], frame.contenders[place]
        figures = [
            estimated(one.estimates[place], frame.headline, group=one.groups[place])
            for one in subsets
        ]
        score = score_of(analysis.headline.estimates[place], standing.reference)
        size = contender.done[0].cost.parameters if contender.done else None
        rows.append(
            Row(
                entry.name,
                (
                    Label(entry.title),
                    *figures,
                    score_entry(score, standing.reference),
                    Missing("not measured")
                    if size is None
                    else Number(size, form="count", note=f"{size:,}"),
                ),
            )
        )
    return Table(
        name=slug(f"{kind} {standing.setting.slug}"),
        title=f"{standing.setting.task.capitalize()}: {standing.setting.label}",
        corner="mechanism",
        columns=tuple(columns),
        rows=tuple(rows),
        notes=tuple(_setting_notes(standing)),
    )


def score_entry(
    score: Score | None, reference: ReferenceSetting | str, group: int | None = None
) -> Number | Missing:
    """A score as an entry, or why there is none."""
    if score is None:
        reason = reference if isinstance(reference, str) else ""
        return Missing("not measured", reason)
    return Number(score.value, score.low, score.high, 2, group=group, signed=True)


def _setting_notes(standing: Standing) -> list[str]:
    reference = standing.reference
    notes = list(standing.analysis.notes)
    notes += group_notes(standing.analysis, [entry.name for entry in standing.entries])
    if isinstance(reference, str):
        notes.append(f"Scores: {reference}.")
    else:
        notes.append(
            f"A score of 0 is {metric_name(reference.metric)} {reference.mean:.4g}, the mean of "
            f"{reference.mechanisms} of the suite's own mechanisms; 1 is their spread, "
            f"{reference.spread:.4g}, better."
        )
    return notes
