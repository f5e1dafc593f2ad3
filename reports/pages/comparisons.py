"""The page on comparisons: which axis matters, scores over tasks, and all pairs of a setting."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

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
from reports.tables import Column, Missing, Table, metric_column
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


def axes_table(shares: pd.DataFrame) -> Table | None:
    """Build the table of shares of variance by axis; None where no axis has two values."""
    if shares.empty:
        return None
    none, share = Missing("not applicable"), partial(Column, form="percent")
    count = "how many values or pairs of values were run"
    columns = (
        share("share", "share", "mean over all orders of entering the model", ends=("low", "high")),
        share("alone", "alone", "share where it enters first", absent=none),
        share("unique", "only it", "share where it enters last", absent=none),
        Column("levels", "values", count, form="count", absent=none),
    )
    of_axis = shares[["alone", "unique"]].where(shares["levels"].notna(), axis="index")
    frame = shares.assign(**of_axis, apart=shares["term"] == NOISE)
    frame.index = shares["term"].str.replace(" x ", " × ")
    notes = [
        "Share of the variance of the main metrics of the mechanisms that were run, standardised "
        "within each setting; all shares add up to 100 %. “× setting”: what an axis does differs "
        "between settings. What two axes explain together is divided evenly between them; “alone” "
        "and “only it” are the most and the least that may be due to one. What noise explains is "
        "taken off, so that a share can be a little below 0.",
    ]
    if not shares["over_seeds"].all():
        notes.append(f"{ONE_SEED} Its noise stands in the shares.")
    return Table.of_frame(("axes", "Which axis matters?", "axis"), columns, frame, notes)


def scores_table(scores: pd.DataFrame, profiles: pd.DataFrame, left_out: Sequence[str]) -> Table:
    """Build the table of scores over tasks: interquartile means and performance profiles."""
    columns = [
        Column("iqm", "interquartile mean", digits=2, ends=("low", "high")),
        Column("mean", "mean", digits=2),
    ]
    frame = scores.set_index("contender")
    for level in LEVELS:
        key, ends = f"above_{level:g}", (f"low_{level:g}", f"high_{level:g}")
        label = f"above {level:g}"
        columns.append(Column(key, label, group="runs", form="percent", ends=ends))
        own = profiles[profiles["threshold"] == level].set_index("contender")
        frame = frame.join(own[["share", "low", "high"]].set_axis([key, *ends], axis="columns"))
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
    head = ("scores-over-tasks", "Scores over tasks", CONTENDER)
    return Table.of_frame(head, columns, frame, notes)


def improvement_table(found: pd.DataFrame) -> Table | None:
    """Build the table of probabilities of improvement; None where there is one seed."""
    if found.empty:
        return None
    meant = "that a seed does better than one of the other"
    columns = (
        Column("second", "against", text=True),
        Column("probability", "probability", meant, digits=2, ends=("low", "high")),
    )
    settings = formats.plural(int(found["settings"].max()), "setting")
    note = (
        f"How often a seed of the first does better than one of the other, mean over {settings}; "
        "0.50 is no difference. Seeds are taken for normal."
    )
    frame = found.sort_values("probability", ascending=False).set_index("first")
    head = ("improvement", "Probability of improvement", CONTENDER)
    return Table.of_frame(head, columns, frame, [note])


def _of_setting(analysis: Analysis) -> SettingComparison:
    differences, curves = pairs(differences_of([analysis])), curves_of([analysis])
    return SettingComparison(
        analysis.frame.setting,
        ranks_table(analysis, ranks(differences)),
        pairs_table(analysis, differences),
        target_table(analysis, curves),
    )


def _marked(analysis: Analysis, frame: pd.DataFrame, *names: str) -> pd.DataFrame:
    """The frame headed by the first of these columns, and whether the training of the mechanisms
    that they name had converged."""
    known = {one.name: one.converged for one in analysis.frame.contenders}
    converged = [all_converged(map(known.get, row)) for row in frame[[*names]].to_numpy()]
    return frame.assign(converged=pd.Series(converged, frame.index, dtype=object)).set_index(
        names[0]
    )


def ranks_table(analysis: Analysis, found: pd.DataFrame) -> Table | None:
    """Build the table of ranks with their intervals; None with fewer than two mechanisms."""
    if found.empty:
        return None
    notes = [
        "Rank by the main metric, 1 is the best, and the ranks that the tests of all pairs leave "
        "open: all intervals of this table hold together in 95 of 100 reports (Mogstad 2023)."
    ]
    if not found["over_seeds"].all():
        notes.append(f"{ONE_SEED} Intervals tell of the models that were trained.")
    columns = [Column("rank", "rank", form="count", digits=0, ends=("low", "high"))]
    head = (f"{analysis.frame.setting.slug}-ranks", "Intervals of ranks", CONTENDER)
    return Table.of_frame(head, columns, _marked(analysis, found, "contender"), notes)


def pairs_table(analysis: Analysis, differences: pd.DataFrame) -> Table | None:
    """Build the table of all pairs of the leading mechanisms.

    Args:
        differences: of all (`reports.statistics.pairs.pairs`).
    """
    frame, metric = analysis.frame, analysis.frame.main_metric
    leading = [frame.contenders[place].name for place in analysis.order[:LEADING]]
    count = len(differences)
    found = differences[differences["first"].isin(leading) & differences["second"].isin(leading)]
    if found.empty:
        return None
    none = Missing("not applicable", "other test examples")
    difference = partial(metric_column, metric=metric, signed=True, absent=none)
    columns = (
        Column("second", "against", text=True),
        difference("difference", "difference", ends=("low", "high")),
        difference("all_pairs", "for all pairs", ends=("low_all", "high_all")),
        Column("p", "p (Holm)", form="p", absent=none),
        metric_column("equal_from", "equal from", metric, absent=none),
    )
    known = found["difference"].where(found["p"].notna())
    found = found.assign(
        difference=known,
        p=found["p_holm"],
        all_pairs=known,
        equal_from=equal_from(found),
    )
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
    head = (f"{frame.setting.slug}-pairs", "All pairs", CONTENDER)
    return Table.of_frame(head, columns, _marked(analysis, found, "first", "second"), notes)


def target_table(analysis: Analysis, curves: pd.DataFrame) -> Table | None:
    """Build the table of training times to a target quality; None without curves."""
    if curves.empty:
        return None
    found = over_seeds(time_to_target(curves))
    figure, target = curves["figure"].iloc[0], float(found["target"].iloc[0])
    note = (
        f"Seconds of training until the first validation with a {formats.metric_name(figure)} of "
        f"{formats.metric_text(target, figure)}: {formats.percent(SHARE)} of the best that any "
        "mechanism had, or of the way to it where less is better. "
        "Where a seed never reached it, the time is more than the mean of what was trained. Times "
        "compare only within one machine."
    )
    more = "more than " + found["at_least_seconds"].map(formats.seconds)
    frame = found.assign(
        seconds=found["at_least_seconds"].astype(object).where(found["seconds"].notna(), more),
        reached=found["reached"].astype(str) + " of " + found["seeds"].astype(str),
    )
    columns = (
        Column("seconds", "training", form="seconds"),
        Column("reached", "seeds that reached it", text=True),
    )
    head = (f"{analysis.frame.setting.slug}-target", "Time to a target quality", CONTENDER)
    return Table.of_frame(head, columns, _marked(analysis, frame, "contender"), [note])
