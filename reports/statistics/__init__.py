"""The analysis of a frame: estimates, tie groups, and the minimum detectable difference."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.store.result import Result
from reports.load import Frame
from reports.samples import Sample, SampleReader, reader_of
from reports.statistics.bootstrap import (
    Aggregator,
    Drawn,
    Resampler,
    bounds,
    candidates,
    fitting,
    mean_drawn,
    paired_variances,
    stored_figure,
)
from reports.statistics.lengths import (
    LeadsByLength,
    LengthFigure,
    figures_by_length,
    leads_by_length,
)
from reports.statistics.significance import (
    CorrectExamples,
    Estimate,
    McNemarTests,
    PairwiseDifferences,
    correct_examples,
    edge_interval,
    interval,
    mcnemar_tests,
    moderated_variance,
    pairwise_differences,
    tie_groups,
)
from tasks.evaluation.bootstrap import RESAMPLES

if TYPE_CHECKING:
    from bench.store.store import Store

#: What the main test set is called where no examples say so.
MAIN_TEST_SET = "test"
#: So many of the best contenders of a frame are shown one by one.
LEADING = 60
#: Main metrics of which an example is either right or wrong.
BINARY_METRICS = ("accuracy",)
#: The attention that is none, against which the others' leads are measured.
CONTROL = "none"
#: What intervals cover where the spread over seeds is known.
OVER_SEEDS = ("seeds and examples", "seeds")


@dataclass(frozen=True)
class Uncertainty:
    """What the figures of V contenders on a test set vary by.

    Attributes:
        places: V, of the contenders in the frame.
        values: V lists of figures by seed.
        seed_variance: V, variance of a single seed's figure; NaN where it is unknown.
        freedom: V, degrees of freedom of that variance.
        draws: V,R figures of every bootstrap draw of the examples, paired; normal ones of the
            stored interval's variance where no examples are kept.
        differences: of all pairs, over examples and seeds; unknown where two were tested on
            different examples.
    """

    places: tuple[int, ...]
    values: tuple[tuple[float, ...], ...]
    seed_variance: np.ndarray
    freedom: np.ndarray
    draws: np.ndarray
    differences: PairwiseDifferences


@dataclass(frozen=True)
class SubsetEstimates:
    """The main metric of all contenders on one test set.

    Attributes:
        estimates: per contender of the frame, None where there is nothing.
        groups: per contender its tie group; 1 holds the best and what is not separable from it.
        adjusted: V,V p of each pair's difference after Holm over all pairs; NaN where two cannot
            be compared.
        detectable: smallest difference found with 80 % power, None with fewer than two.
        uncertainty: of the figures; None where there are none.
    """

    subset: str
    estimates: tuple[Estimate | None, ...]
    groups: tuple[int | None, ...]
    adjusted: np.ndarray
    detectable: float | None
    uncertainty: Uncertainty | None = None

    def best(self) -> list[int]:
        """Places of the contenders in group 1."""
        return [place for place, group in enumerate(self.groups) if group == 1]

    def over_seeds(self, places: Iterable[int] | None = None) -> bool:
        """Whether the intervals of all of these contenders, or of all there are, cover other seeds.
        Of those whose do not, a report describes what was seen and calls nothing better."""
        found = self.estimates if places is None else [self.estimates[place] for place in places]
        return all(one is None or one.basis in OVER_SEEDS for one in found)


@dataclass(frozen=True)
class Analysis:
    """A frame with its statistics.

    Attributes:
        subsets: starts with the main test set.
        leads: leads over the control without attention by source length, where there is one.
        mcnemar: McNemar's test of every pair, where examples are right or wrong.
    """

    frame: Frame
    subsets: tuple[SubsetEstimates, ...]
    notes: tuple[str, ...] = ()
    leads: LeadsByLength | None = None
    mcnemar: McNemarTests | None = None

    @property
    def main(self) -> SubsetEstimates:
        return self.subsets[0]

    @cached_property
    def losses(self) -> dict[str, float]:
        """The main metric by mechanism, negated where higher is better."""
        return {
            contender.name: -self.frame.sign * estimate.value
            for contender, estimate in zip(self.frame.contenders, self.main.estimates, strict=True)
            if estimate is not None
        }

    @cached_property
    def order(self) -> tuple[int, ...]:
        """Places of the contenders, best main metric first, those without one last."""
        sign = -self.frame.sign
        keys = [(1, 0.0) if one is None else (0, sign * one.value) for one in self.main.estimates]
        return tuple(sorted(range(len(keys)), key=lambda place: keys[place]))

    @property
    def group_one(self) -> list[int]:
        """Places of the contenders in group 1, best first."""
        return [place for place in self.order if self.main.groups[place] == 1]

    @cached_property
    def leading(self) -> dict[int, None]:
        """Places of the best contenders that finished, in order; those have pages of their own."""
        finished = [place for place in self.order if self.frame.contenders[place].done]
        return dict.fromkeys(finished[:LEADING])


class _Analyst:
    """Reads the examples of a frame once and keeps only their bootstrap draws."""

    def __init__(self, frame: Frame, read: SampleReader) -> None:
        self.frame, self.read = frame, read
        self.resampler = Resampler()
        self.aggregator: Aggregator | None = None
        self.first: str | None = None  # the test set of the main metric comes first
        self.notes: list[str] = []
        self.by_length: dict[str, dict[str, LengthFigure]] = {}  # by hash, then by part
        self.right: dict[str, CorrectExamples | None] = {}  # by hash

    def analyse(self) -> Analysis:
        """Analyze the frame on every test set."""
        # Each seed's figures by test set. The main one has the key None until all are read.
        measured = [
            [
                self._result(result)
                for result in contender.done
                if result.primary is not None and result.primary.name == self.frame.main_metric
            ]
            for contender in self.frame.contenders
        ]
        found = [name for one in measured for result in one for name in result]
        names = dict.fromkeys([None, *found])
        subsets = tuple(self._scores(name, measured) for name in names)
        notes = tuple(dict.fromkeys(self.notes))
        return Analysis(self.frame, subsets, notes, self._gaps(), self._disagreements())

    def _gaps(self) -> LeadsByLength | None:
        contenders = self.frame.contenders
        if CONTROL not in [one.attention for one in contenders]:
            return None
        control = [one.attention for one in contenders].index(CONTROL)
        measured = [
            [self.by_length[one.hash] for one in each.done if one.hash in self.by_length]
            for each in contenders
        ]
        return leads_by_length(measured, control, self.frame.sign)

    def _disagreements(self) -> McNemarTests | None:
        first = [one.done[0].hash if one.done else "" for one in self.frame.contenders]
        found = [self.right.get(hash) for hash in first]
        return mcnemar_tests(found) if sum(one is not None for one in found) > 1 else None

    def _result(self, result: Result) -> dict[str | None, Drawn]:
        primary = result.primary
        assert primary is not None
        found, problem = self.read(result.hash)
        if problem:
            self.notes.append(problem)
        if found and self.first is None:
            self.first = next(iter(found))
        aggregator = self._aggregator(found.get(self.first or ""), primary.value)
        if aggregator is None:
            if found:
                self.notes.append(
                    f"{result.cell.label}: its kept examples do not give its stored "
                    f"{primary.name}, so its own interval is shown and nothing is paired"
                )
            return {None: stored_figure(primary)}
        drawn = {
            name: one
            for name, sample in found.items()
            if (one := self.resampler.measure(sample, aggregator)) is not None
        }
        self.by_length[result.hash] = figures_by_length(found, aggregator, self.resampler, drawn)
        if self.frame.main_metric in BINARY_METRICS:
            self.right[result.hash] = correct_examples(found[self.first or ""])
        return {None if name == self.first else name: one for name, one in drawn.items()}

    def _aggregator(self, sample: Sample | None, stored: float) -> Aggregator | None:
        """Return the aggregator that reproduces the stored figure from the examples; one for all
        results."""
        if sample is None:
            return None
        tried = [self.aggregator] if self.aggregator else candidates(self.frame.main_metric)
        found = fitting(tried, sample.statistics, sample.scores, stored)
        self.aggregator = self.aggregator or found
        return found

    def _scores(
        self, key: str | None, measured: list[list[dict[str | None, Drawn]]]
    ) -> SubsetEstimates:
        held = [[one[key] for one in each if key in one] for each in measured]
        present = [place for place, each in enumerate(held) if each]
        means = [mean_drawn(held[place]) for place in present]
        limits = bounds(self.frame.main_metric)
        size = len(held)
        estimates: list[Estimate | None] = [None] * size
        groups: list[int | None] = [None] * size
        adjusted = np.full((size, size), np.nan)
        uncertainty = None
        if present:
            values = [tuple(one.value for one in held[place]) for place in present]
            uncertainty = _uncertainty(present, values, means)
            pairs = uncertainty.differences
            adjusted[np.ix_(present, present)] = pairs.adjusted
            higher = self.frame.higher_is_better
            ties = tie_groups(pairs.values, pairs.adjusted, higher_is_better=higher)
            for index, place in enumerate(present):
                estimates[place] = _estimate(
                    means[index],
                    held[place],
                    float(uncertainty.seed_variance[index]),
                    float(uncertainty.freedom[index]),
                    limits,
                )
                groups[place] = ties[index]
        return SubsetEstimates(
            key or self.first or MAIN_TEST_SET,
            tuple(estimates),
            tuple(groups),
            adjusted,
            uncertainty.differences.detectable if uncertainty else None,
            uncertainty,
        )


def analyse(frame: Frame, source: Store | SampleReader | None) -> Analysis:
    """Analyze a frame from the examples of its results, which give the statistics that its main
    metric is made of.

    Args:
        source: the store that keeps them, or what reads them; None where there are none.
    """
    return _Analyst(frame, reader_of(source)).analyse()


def _uncertainty(
    places: Sequence[int],
    values: Sequence[tuple[float, ...]],
    means: Sequence[Drawn],
) -> Uncertainty:
    """What the figures of V contenders vary by, from those by seed and their means over seeds."""
    spread = moderated_variance(values)
    over_examples, least = paired_variances(means)
    figures, seeds = np.array([one.value for one in means]), np.array([len(own) for own in values])
    return Uncertainty(
        tuple(places),
        tuple(values),
        spread.variance,
        spread.freedom,
        np.stack([_draws(one, place) for place, one in enumerate(means)]),
        pairwise_differences(figures, over_examples, spread, seeds, least),
    )


def _draws(mean: Drawn, place: int) -> np.ndarray:
    """R figures of a contender under other examples, around its mean over seeds."""
    if mean.test_set:
        return mean.draws.astype(np.float64)
    noise = np.random.default_rng(place).standard_normal(RESAMPLES)
    return np.asarray(mean.value + np.sqrt(mean.variance) * noise)


def _estimate(
    mean: Drawn,
    measured: Sequence[Drawn],
    seed_variance: float,
    freedom: float,
    limits: tuple[float, float],
) -> Estimate:
    """A mean over the seeds that were measured, with its interval: over examples alone where the
    variance over seeds is not known (NaN)."""
    seeds, examples = len(measured), max(len(one.codes) for one in measured)
    if np.isnan(seed_variance):
        return Estimate(mean.value, mean.low, mean.high, seeds, examples, "examples")
    known: Any = {
        "seed_variance": seed_variance,
        "seeds": seeds,
        "freedom": freedom,
        "bounds": limits,
    }
    if mean.at_edge:
        low, high = edge_interval(mean.value, mean.low, mean.high, **known)
    else:
        low, high = interval(mean.value, example_variance=mean.variance, **known)
    return Estimate(mean.value, low, high, seeds, examples, "seeds and examples")
