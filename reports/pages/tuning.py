"""The page on the search for hyperparameters: what each mechanism was given, what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bench.store.cell import Scalar
from reports import formats
from reports.candidates import SearchedMechanism, TriedCandidate, by_setting
from reports.figures import Figure
from reports.figures.tuning import CANDIDATES, CURVES, best_of_n_figure, candidates_figure
from reports.load import BenchmarkSetting, shared_text, slug
from reports.statistics.tuning import (
    NEAR,
    best_so_far,
    expected_best,
    expected_best_band,
    filled,
    sensitivity,
)
from reports.tables import Column, Entry, Label, Missing, Number, Row, Table, measured

_OWN = "the budget's own"


@dataclass(frozen=True)
class TuningSection:
    """Everything shown of the searches of one setting.

    Attributes:
        facts: how was searched, in sentences.
        mechanisms: one row for each mechanism: winner, sensitivity and cost.
        candidates: all of them, for the files.
        by_mechanism: the same for pages, a table for each mechanism.
    """

    setting: BenchmarkSetting
    facts: tuple[str, ...]
    mechanisms: Table
    candidates: Table
    by_mechanism: tuple[Table, ...]
    figures: tuple[Figure, ...]

    @property
    def slug(self) -> str:
        return f"tuning-{self.setting.slug}"


def tuning_sections(mechanisms: Sequence[SearchedMechanism]) -> tuple[TuningSection, ...]:
    """One section for each setting."""
    return tuple(_section(setting, found) for setting, found in by_setting(mechanisms).items())


def _section(setting: BenchmarkSetting, found: Sequence[SearchedMechanism]) -> TuningSection:
    name = f"tuning-{setting.slug}"
    figures = [
        candidates_figure(candidates_frame(found), f"{name}-losses"),
        *(
            best_of_n_figure(
                curves_frame([one for one in found if one.record.searcher == searcher]),
                f"{name}-best-of-n{'' if searcher == 'random' else f'-{searcher}'}",
                learns=searcher != "random",
            )
            for searcher in dict.fromkeys(one.record.searcher for one in found)
        ),
    ]
    return TuningSection(
        setting=setting,
        facts=_facts(found),
        mechanisms=_mechanisms_table(found, name),
        candidates=_candidates_table(found, name),
        by_mechanism=tuple(_own_table(one) for one in found),
        figures=tuple(one for one in figures if one is not None),
    )


def candidates_frame(found: Sequence[SearchedMechanism]) -> pd.DataFrame:
    """One row for each candidate with a loss (`reports.figures.tuning.CANDIDATES`)."""
    rows = [
        (one.name, tried.number, tried.loss, tried.outcome, place == one.best)
        for one in found
        for place, tried in enumerate(one.tried)
        if tried.loss is not None
    ]
    return pd.DataFrame(rows, columns=list(CANDIDATES))


def curves_frame(found: Sequence[SearchedMechanism]) -> pd.DataFrame:
    """The curves of the best of n candidates (`reports.figures.tuning.CURVES`)."""
    rows = []
    for one in found:
        if one.best is None:
            continue
        losses = filled(one.losses)
        if one.record.searcher == "random":
            curve, (low, high) = expected_best(losses), expected_best_band(losses)
        else:
            curve = best_so_far(losses)
            low = high = np.full(len(curve), np.nan)
        rows += [
            (one.contender.attention, one.name, one.name, "", n, *values)
            for n, values in enumerate(zip(curve, low, high, strict=True), start=1)
        ]
    return pd.DataFrame(rows, columns=list(CURVES))


def _facts(found: Sequence[SearchedMechanism]) -> tuple[str, ...]:
    counts = sorted({one.record.count for one in found})
    spaces = {str(sorted(one.record.space)): sorted(one.record.space) for one in found}
    searched = "; or ".join(
        formats.listed([name.replace("_", " ") for name in names]) for names in spaces.values()
    )
    searchers = formats.listed(sorted({one.record.searcher for one in found}))
    core_hours, gpu_hours = (
        sum(getattr(one, key) for one in found) for key in ("core_hours", "gpu_hours")
    )
    took = f"{_hours(core_hours)} core-hours"
    took += f" and {_hours(gpu_hours)} GPU-hours" if gpu_hours else ""
    facts = [
        f"{formats.plural(len(found), 'mechanism')}, each given "
        f"{formats.listed([str(count) for count in counts])} candidates ({searchers}), the first "
        f"of them with the budget's own settings. Searched: {searched}. The whole search "
        f"took {took}.",
        "The winner has the lowest validation loss after the last step; the cells of the report "
        "ran with its settings and other seeds. No test data were used.",
    ]
    if len(counts) > 1:
        facts.append("The mechanisms were not given equal numbers of candidates.")
    unfinished = [one.name for one in found if len(one.tried) < len(one.record.candidates)]
    if unfinished:
        facts.append(f"Not all candidates were tried yet: {formats.listed(unfinished[:12])}.")
    if any(tried.outcome == "stopped" for one in found for tried in one.tried):
        facts.append(
            "Candidates that fell behind were stopped early (ASHA). They count with the loss that "
            "they had then, which more training would mostly have lowered: medians and curves are "
            "no lower than they would be without early stops. None of them can win while another "
            "ran to the end."
        )
    if any(tried.outcome == "failed" for one in found for tried in one.tried):
        facts.append("A candidate that failed counts as no better than the worst that finished.")
    if shared := shared_text(found[0].contender):
        facts.append(shared)
    return tuple(facts)


def _hours(value: float) -> str:
    return "< 0.01" if value < 0.01 else formats.number(value, 2 if value < 10 else 0)


def _mechanisms_table(found: Sequence[SearchedMechanism], name: str) -> Table:
    near = f"within {100 * NEAR:.0f} %"
    columns = (
        Column("candidates", "candidates", "tried; and how many failed or were stopped", text=True),
        Column("own_loss", "loss of the budget's own settings"),
        Column("best_loss", "lowest loss"),
        Column("gap", "median above it", "median minus lowest loss: how sensitive it is"),
        Column("near", near, "share of the candidates with a loss so near to the lowest"),
        Column("influence", "setting that matters most", text=True),
        Column("winner", "settings of the winner", text=True),
        Column("core_hours", "core-hours"),
    )
    notes = (
        "A setting matters where it alone explains more of the ranks of the losses than chance "
        "does (F test, 5 % over all settings of a mechanism); the share is adjusted for the number "
        "of candidates. Few candidates can show only large influences.",
    )
    rows = tuple(Row(one.name, _summary(one)) for one in found)
    return Table(name, "What the search found", "mechanism", columns, rows, notes)


def _summary(one: SearchedMechanism) -> tuple[Entry, ...]:
    told = [str(len(one.tried))]
    for outcome, word in (("failed", "failed"), ("stopped", "stopped early")):
        count = sum(tried.outcome == outcome for tried in one.tried)
        told += [f"{count} {word}"] if count else []
    head, cost = Label(", ".join(told)), Number(one.core_hours, digits=2)
    if one.best is None:
        failed = Missing("failed", "no candidate finished")
        return (head, *[failed] * 6, cost)
    best = one.tried[one.best]
    assert best.loss is not None
    own = one.tried[0] if one.tried[0].number == 1 else None
    own_loss = None if own is None else own.loss
    found = sensitivity([tried.settings for tried in one.tried], one.losses)
    influence = found.influence
    return (
        head,
        Missing("failed" if own else "not run") if own_loss is None else Number(own_loss),
        Number(best.loss),
        Number(found.gap),
        Number(found.near, form="percent"),
        Label(
            "none beyond chance"
            if influence is None
            else f"{influence.setting} ({formats.percent(influence.share)})"
        ),
        Label(_OWN if best.number == 1 else settings_text(best)),
        cost,
    )


def settings_text(candidate: TriedCandidate) -> str:
    """The settings of a candidate: `learning_rate=0.004, dropout=0.1`."""
    return ", ".join(f"{name}={_text(value)}" for name, value in candidate.settings.items())


def _text(value: Scalar) -> str:
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _candidates_table(found: Sequence[SearchedMechanism], name: str) -> Table:
    columns = (
        Column("candidate", "candidate", text=True),
        Column("settings", "settings", text=True),
        *_OUTCOME,
    )
    rows = tuple(
        Row(one.name, (Label(_number(tried)), Label(settings_text(tried)), *_outcome(one, place)))
        for one in found
        for place, tried in enumerate(one.tried)
    )
    return Table(f"{name}-candidates", "All candidates", "mechanism", columns, rows)


_OUTCOME = (
    Column("validation_loss", "validation loss"),
    Column("steps", "steps"),
    Column("seconds", "time"),
    Column("outcome", "outcome", text=True),
)


def _own_table(one: SearchedMechanism) -> Table:
    names = list(one.record.space)
    columns = (*(Column(name, name, text=True) for name in names), *_OUTCOME)
    rows = tuple(
        Row(
            _number(tried),
            (
                *(Label(_text(tried.settings.get(name))) for name in names),
                *_outcome(one, place),
            ),
        )
        for place, tried in enumerate(one.tried)
    )
    notes = tuple(f"{name}: {values}." for name, values in one.record.space.items())
    return Table(slug(one.name), one.name, "candidate", columns, rows, notes)


def _number(tried: TriedCandidate) -> str:
    return "1 (own)" if tried.number == 1 else str(tried.number)


def _outcome(one: SearchedMechanism, place: int) -> tuple[Entry, ...]:
    tried, time = one.tried[place], Number(one.tried[place].seconds, form="seconds")
    if tried.loss is None:
        return Missing("failed", tried.failure), Missing("failed"), time, Label("failed")
    told = "winner" if place == one.best else "stopped early" if tried.outcome == "stopped" else ""
    steps = measured(tried.steps, form="count")
    return Number(tried.loss, digits=4), steps, time, Label(told or "finished")
