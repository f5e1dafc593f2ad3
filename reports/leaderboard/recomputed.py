"""Figures worked out again, beside those that a record states: from outputs, or from the statistics
of examples where outputs or data are not here."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from bench.store.result import LengthBin, Primary, Result
from reports.leaderboard.bundle import plain
from reports.leaderboard.examples import Columns, TestSet, predictions, sample
from reports.statistics.bootstrap import Aggregator, candidates, fitting
from tasks.base import Plan
from tasks.evaluation.bootstrap import bootstrap, by_length
from tasks.evaluation.scoring import Prediction, Scorer, TrialScores

#: Figures agree but for rounding (relative): floating point adds in another order on another
#: machine. Perplexity is a sum of likelihoods that predictions have to four places.
TOLERANCE, PERPLEXITY_TOLERANCE = 1e-6, 1e-4
#: The same where figures are made of rounded statistics.
ROUNDED_TOLERANCE = 1e-5


@dataclass(frozen=True)
class Tested:
    """A trial with its examples, by test set, and the plan it shares with others of its data."""

    result: Result
    plan: Plan
    columns: Mapping[str, Columns]
    test_sets: Mapping[str, TestSet]
    digests: Mapping[str, str]

    @cached_property
    def rows(self) -> dict[str, list[Prediction]]:
        """Its examples as predictions, by test set."""
        sets = self.test_sets
        return {name: predictions(name, sets[name], one) for name, one in self.columns.items()}

    @property
    def has_outputs(self) -> bool:
        return all(one.outputs is not None for one in self.columns.values())


def statistics_problems(trial: Tested, scorer: Scorer[Any]) -> Iterator[Iterable[str]]:
    """What a record says of its headline figure that its examples' statistics do not."""
    primary = primary_of(trial.result)
    aggregator: Aggregator | None = None
    bins: list[LengthBin] = []
    for place, (subset, columns) in enumerate(trial.columns.items()):
        one = sample(trial.digests[subset], trial.test_sets[subset], columns)
        name = primary.name if place == 0 else f"{subset}_{primary.name}"
        stated = primary.value if place == 0 else trial.result.metrics.get(name)
        if stated is None:
            yield [f"{name} is missing"]
            continue
        tried = [aggregator] if aggregator else candidates(primary.name)
        aggregator = aggregator or fitting(tried, one.statistics, one.scores, stated) or tried[0]
        table = aggregator.table(one.statistics, one.scores)
        if table is None:
            yield [f"{subset}: its examples do not have the statistics of {plain(primary.name)}"]
            return
        value = aggregator.figure(table)
        if not near(stated, value, ROUNDED_TOLERANCE):
            yield [f"{name} is {value:.6g} by its examples, not {stated:.6g}"]
        if place == 0:
            yield _interval_problems(trial.result, _in_data_order(trial, subset, table), aggregator)
        bins += by_length(subset, one.lengths, table, aggregator.combine)
    if primary.higher_is_better != scorer.higher_is_better:
        yield [f"higher_is_better of the headline figure is {scorer.higher_is_better}"]
    yield bin_problems(trial.result.by_length, bins, "its examples", ROUNDED_TOLERANCE)


def _in_data_order(trial: Tested, subset: str, table: np.ndarray) -> np.ndarray:
    """The rows of a table, which are in the order of the names, in that of the data, by which
    trials draw."""
    names = trial.test_sets[subset].examples
    order = np.argsort(np.array(names, dtype=object), kind="stable")
    found = np.empty_like(table)
    found[order] = table
    return found


def _interval_problems(result: Result, table: np.ndarray, aggregator: Aggregator) -> Iterator[str]:
    primary = primary_of(result)
    interval = bootstrap(table, aggregator.combine, aggregator.extremes)
    for part in ("low", "high"):
        have, want = getattr(primary, part), getattr(interval, part)
        if not near(have, want, ROUNDED_TOLERANCE):
            yield f"{part} of the headline figure is {want:.6g} by its examples, not {have:.6g}"


def prediction_problems(
    rows: Mapping[str, Sequence[Prediction]], scores: TrialScores, scorer: Scorer[Any]
) -> Iterator[str]:
    known = iter(scores.predictions)
    for subset, members in rows.items():
        for place, row in enumerate(members):
            where, wanted = f"{subset} {plain(row.example)}", next(known)
            if not near(row.score, wanted.score):
                yield f"{where}: its score is {wanted.score:.6g}, not {row.score:.6g}"
            counts = wanted.statistics
            if len(counts) != len(row.statistics) or not all(map(near, counts, row.statistics)):
                yield f"{where}: its statistics are not those of its output"
            for what in scorer.contradictions(row, scores.subsets[subset], place):
                yield f"{where}: {plain(what)}"


def figure_problems(result: Result, scores: TrialScores, scorer: Scorer[Any]) -> Iterator[str]:
    for name, value in scores.metrics.items():
        if name not in result.metrics:
            yield f"{name} is missing; the outputs give {value:.6g}"
            continue
        rounded = name.split("_")[-1] == "perplexity"
        tolerance = PERPLEXITY_TOLERANCE if rounded else TOLERANCE
        if not near(result.metrics[name], value, tolerance):
            yield f"{name} is {value:.6g} by the outputs, not {result.metrics[name]:.6g}"
    prefixes = "", *(f"{subset}_" for subset in scores.subsets)
    allowed = {prefix + name for prefix in prefixes for name in scorer.model_metrics}
    for name in sorted(result.metrics.keys() - scores.metrics.keys() - allowed):
        yield f"nobody knows a figure {plain(name)}"
    for part in ("name", "higher_is_better", "value", "low", "high"):
        have, want = getattr(primary_of(result), part), getattr(scores.primary, part)
        if not isinstance(want, float):
            if have != want:
                yield f"{part} of the headline figure is {want}, not {plain(have)}"
        elif not near(have, want):
            yield f"{part} of the headline figure is {want:.6g} by the outputs, not {have:.6g}"
    for name, text in scores.signatures.items():
        stated = result.provenance.signatures.get(name)
        if stated != text:
            yield f"{name} was computed in another way: {plain(stated)}, and {text} here"
    for name in sorted(result.provenance.signatures.keys() - scores.signatures.keys()):
        yield f"nobody knows a signature {plain(name)}"


def bin_problems(
    given: Sequence[LengthBin], wanted: Sequence[LengthBin], by: str, tolerance: float = TOLERANCE
) -> Iterator[str]:
    def place(one: LengthBin) -> tuple[str, int, int, int]:
        return one.subset, one.low, one.high, one.examples

    if list(map(place, given)) != list(map(place, wanted)):
        yield "its curve by length has other bins than the data give"
        return
    for one, other in zip(given, wanted, strict=True):
        if not near(one.value, other.value, tolerance):
            where = f"{one.subset}, length {one.low} to {one.high}"
            yield f"{where}: {other.value:.6g} by {by}, not {one.value:.6g}"


def near(one: float, other: float, tolerance: float = TOLERANCE) -> bool:
    """Whether two figures are equal but for rounding."""
    finite = math.isfinite(one) and math.isfinite(other)
    return finite and math.isclose(one, other, rel_tol=tolerance, abs_tol=tolerance * 1e-6)


def primary_of(result: Result) -> Primary:
    assert result.primary is not None, "the record of a finished trial has a headline figure"
    return result.primary
