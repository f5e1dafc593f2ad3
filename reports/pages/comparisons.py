"""The page on comparisons: which axis matters, scores over tasks, and all pairs of a setting."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from reports import formats
from reports.load import BenchmarkSetting, all_converged
from reports.statistics import CONTROL, Analysis
from reports.statistics.aggregate import interquartile_means, normalised
from reports.statistics.axes import NOISE, axis_shares
from reports.statistics.equivalence import equal_from
from reports.statistics.frames import (
    curves_of,
    differences_of,
    draws_of,
    figures_of,
    trials_of,
)
from reports.statistics.improvement import probabilities_of_improvement
from reports.statistics.pairs import pairs
from reports.statistics.profiles import performance_profiles
from reports.statistics.ranks import ranks
from reports.statistics.target import SHARE, over_seeds, time_to_target
from reports.tables import Column, Entry, Label, Missing, Number, Row, Table, metric_number
from reports.tables.scores import CONTENDER, ONE_SEED

#: So many of the leading mechanisms are compared pair by pair.
LEADING = 30
#: Normalised scores that profiles are shown at.
LEVELS = (0.25, 0.5, 0.75, 0.9)


@dataclass(frozen=True)
class SettingComparison:
    """The comparisons within one setting; None where there is nothing to compare."""

    setting: BenchmarkSetting
    ranks: Table | None
    pairs: Table | None
    target: Table | None

    @property
    def tables(self) -> tuple[Table, ...]:
        every = (self.ranks, self.pairs, self.target)
        return tuple(table for table in every if table is not None)


@dataclass(frozen=True)
class Comparisons:
    """Tables over all settings, and those of each."""

    over_tasks: tuple[Table, ...]
    settings: tuple[SettingComparison, ...]

    @property
    def tables(self) -> tuple[Table, ...]:
        return (*self.over_tasks, *(table for one in self.settings for table in one.tables))


def comparisons(analyses: Sequence[Analysis]) -> Comparisons | None:
    """Compare everything with everything; None where nothing can be compared."""
    figures, draws = figures_of(analyses), draws_of(analyses)
    found = [axes_table(axis_shares(figures, draws)), *_over_tasks(analyses, figures, draws)]
    settings = [_of_setting(analysis) for analysis in analyses]
    compared = tuple(one for one in settings if one.tables)
    tables = tuple(table for table in found if table is not None)
    return Comparisons(tables, compared) if tables or compared else None


def _over_tasks(
    analyses: Sequence[Analysis], figures: pd.DataFrame, draws: pd.DataFrame
) -> Iterator[Table | None]:
    """Compare mechanisms over several settings."""
    if figures["setting"].nunique() < 2:
        return
    scores = interquartile_means(figures, draws)
    if len(scores) < 2:
        return
    leading = figures[figures["contender"].isin(scores["contender"].head(LEADING))]
    profiles = performance_profiles(leading, trials_of(analyses), draws, LEVELS)
    left_out = sorted(set(figures["setting"]) - set(normalised(figures)["setting"]))
    yield scores_table(scores, profiles, left_out)
    yield improvement_table(probabilities_of_improvement(leading, draws))


def _rows(frame: pd.DataFrame) -> Iterator[Any]:
    """The rows of a frame, their columns as attributes."""
    yield from frame.itertuples()


def axes_table(shares: pd.DataFrame) -> Table | None:
    """Build the table of shares of variance by axis; None where no axis has two values."""
    if shares.empty:
        return None
    rows = []
    for one in _rows(shares):
        of_axis: tuple[Entry, ...] = (
            Number(one.alone, form="percent"),
            Number(one.unique, form="percent"),
            Number(one.levels, form="count"),
        )
        if pd.isna(one.levels):
            of_axis = (Missing("not applicable"),) * 3
        share = Number(one.share, one.low, one.high, form="percent")
        label = one.term.replace(" x ", " × ")
        rows.append(Row(label, (share, *of_axis), apart=one.term == NOISE))
    notes = [
        "Share of the variance of the main metrics of the mechanisms that were run, standardised "
        "within each setting; all shares add up to 100 %. “× setting”: what an axis does differs "
        "between settings. What two axes explain together is divided evenly between them; “alone” "
        "and “only it” are the most and the least that may be due to one. What noise explains is "
        "taken off, so that a share can be a little below 0.",
    ]
    if not shares["over_seeds"].all():
        notes.append(f"{ONE_SEED} Its noise stands in the shares.")
    columns = (
        Column("share", "share", "mean over all orders of entering the model"),
        Column("alone", "alone", "share where it enters first"),
        Column("unique", "only it", "share where it enters last"),
        Column("levels", "values", "how many values or pairs of values were run"),
    )
    return Table("axes", "Which axis matters?", "axis", columns, tuple(rows), tuple(notes))


def scores_table(scores: pd.DataFrame, profiles: pd.DataFrame, left_out: Sequence[str]) -> Table:
    """Build the table of scores over tasks: interquartile means and performance profiles."""
    shares: Any = profiles.set_index(["contender", "threshold"])
    rows = []
    for one in _rows(scores):
        entries: list[Entry] = [
            Number(one.iqm, one.low, one.high, digits=2),
            Number(one.mean, digits=2),
        ]
        for level in LEVELS:
            if (one.contender, level) in shares.index:
                told = shares.loc[(one.contender, level)]
                ends = float(told["low"]), float(told["high"])
                entries.append(Number(float(told["share"]), *ends, form="percent"))
            else:
                entries.append(Missing("not measured"))
        rows.append(Row(one.contender, tuple(entries)))
    notes = [
        f"Scores are normalised in each setting: 0 is the control {CONTROL}, 1 the highest mean of "
        "that setting. The interquartile mean is that of the middle half of a mechanism's "
        f"{formats.plural(int(scores['settings'].max()), 'setting')}. Only mechanisms that "
        "finished in all of them are here. “Above 0.5”: share of runs, mean over settings. "
        "Intervals (95 %) tell of these settings.",
    ]
    if left_out:
        notes.append(f"Without a scale, since the control is missing: {'; '.join(left_out)}.")
    if not scores["over_seeds"].all():
        notes.append(f"{ONE_SEED} Intervals cover other test examples only.")
    columns = [Column("iqm", "interquartile mean"), Column("mean", "mean")]
    columns += [Column(f"above_{level:g}", f"above {level:g}", group="runs") for level in LEVELS]
    title = "Scores over tasks"
    return Table("scores-over-tasks", title, CONTENDER, tuple(columns), tuple(rows), tuple(notes))


def improvement_table(found: pd.DataFrame) -> Table | None:
    """Build the table of probabilities of improvement; None where there is one seed."""
    if found.empty:
        return None
    rows = tuple(
        Row(one.first, (Label(one.second), Number(one.probability, one.low, one.high, digits=2)))
        for one in _rows(found.sort_values("probability", ascending=False))
    )
    columns = (
        Column("second", "against", text=True),
        Column("probability", "probability", "that a seed does better than one of the other"),
    )
    settings = formats.plural(int(found["settings"].max()), "setting")
    note = (
        f"How often a seed of the first does better than one of the other, mean over {settings}; "
        "0.50 is no difference. Seeds are taken for normal."
    )
    title = "Probability of improvement"
    return Table("improvement", title, CONTENDER, columns, rows, (note,))


def _of_setting(analysis: Analysis) -> SettingComparison:
    converged = {one.name: one.converged for one in analysis.frame.contenders}
    differences, curves = pairs(differences_of([analysis])), curves_of([analysis])
    return SettingComparison(
        analysis.frame.setting,
        ranks_table(analysis, ranks(differences), converged),
        pairs_table(analysis, differences, converged),
        target_table(analysis, curves, converged),
    )


def ranks_table(
    analysis: Analysis, found: pd.DataFrame, converged: Mapping[str, bool | None]
) -> Table | None:
    """Build the table of ranks with their intervals; None with fewer than two mechanisms."""
    if found.empty:
        return None
    rows = tuple(
        Row(
            one.contender,
            (Number(one.rank, one.low, one.high, digits=0 if one.rank % 1 == 0 else 1),),
            converged=converged[one.contender],
        )
        for one in _rows(found)
    )
    notes = [
        "Rank by the main metric, 1 is the best, and the ranks that the tests of all pairs leave "
        "open: all intervals of this table hold together in 95 of 100 reports (Mogstad 2023)."
    ]
    if not found["over_seeds"].all():
        notes.append(f"{ONE_SEED} Intervals tell of the models that were trained.")
    name = f"{analysis.frame.setting.slug}-ranks"
    columns = (Column("rank", "rank"),)
    return Table(name, "Intervals of ranks", CONTENDER, columns, rows, tuple(notes))


def pairs_table(
    analysis: Analysis, differences: pd.DataFrame, converged: Mapping[str, bool | None]
) -> Table | None:
    """Build the table of all pairs of the leading mechanisms.

    Args:
        differences: of all (`reports.statistics.pairs.pairs`).
    """
    frame = analysis.frame
    metric = frame.main_metric
    leading = [frame.contenders[place].name for place in analysis.order[:LEADING]]
    count = len(differences)
    found = differences[differences["first"].isin(leading) & differences["second"].isin(leading)]
    found = found.assign(equal_from=equal_from(found))
    if found.empty:
        return None
    rows = []
    for one in _rows(found):
        both = all_converged([converged[one.first], converged[one.second]])
        if pd.isna(one.p):
            told: tuple[Entry, ...] = (Missing("not applicable", "other test examples"),) * 4
        else:
            told = (
                metric_number(one.difference, metric, one.low, one.high, signed=True),
                metric_number(one.difference, metric, one.low_all, one.high_all, signed=True),
                Number(one.p_holm, form="p"),
                metric_number(one.equal_from, metric),
            )
        rows.append(Row(one.first, (Label(one.second), *told), converged=both))
    side = "higher" if frame.higher_is_better else "lower"
    notes = [
        f"The first has the {side} {formats.metric_name(metric)}. Intervals (95 %) of each pair "
        "alone, and wider ones that hold for all pairs at once (Bonferroni); p is two-sided, after "
        f"Holm's correction over {formats.plural(count, 'pair')}. “Equal from”: whoever takes "
        "differences of this size for irrelevant can call the two practically equal (two "
        "one-sided tests, 5 %, for this pair alone)."
    ]
    if len(found) < count:
        notes.append(f"Of the {LEADING} first by their figure.")
    if not found["over_seeds"].all():
        notes.append(f"{ONE_SEED} All of this tells of the models that were trained.")
    columns = (
        Column("second", "against", text=True),
        Column("difference", "difference"),
        Column("all_pairs", "for all pairs"),
        Column("p", "p (Holm)"),
        Column("equal_from", "equal from"),
    )
    name = f"{frame.setting.slug}-pairs"
    return Table(name, "All pairs", CONTENDER, columns, tuple(rows), tuple(notes))


def target_table(
    analysis: Analysis, curves: pd.DataFrame, converged: Mapping[str, bool | None]
) -> Table | None:
    """Build the table of training times to a target quality; None without curves."""
    if curves.empty:
        return None
    found = over_seeds(time_to_target(curves))
    rows = []
    for one in _rows(found):
        entry: Entry = Number(one.at_least_seconds, form="seconds")
        if pd.isna(one.seconds):
            entry = Label(f"more than {formats.seconds(one.at_least_seconds)}")
        reached = Label(f"{one.reached} of {one.seeds}")
        rows.append(Row(one.contender, (entry, reached), converged=converged[one.contender]))
    figure = curves["figure"].iloc[0]
    target = float(found["target"].iloc[0])
    note = (
        f"Seconds of training until the first validation with a {formats.metric_name(figure)} of "
        f"{formats.metric_text(target, figure)}: {formats.percent(SHARE)} of the best that any "
        "mechanism had, or of the way to it where less is better. "
        "Where a seed never reached it, the time is more than the mean of what was trained. Times "
        "compare only within one machine."
    )
    columns = (Column("seconds", "training"), Column("reached", "seeds that reached it", text=True))
    name = f"{analysis.frame.setting.slug}-target"
    return Table(name, "Time to a target quality", CONTENDER, columns, tuple(rows), (note,))
