"""Leads over the control by source length: does attention help more on long inputs?

The main test set is cut at its median length; test sets of longer inputs follow. On each part
every mechanism's figure is set against that of the control without attention, on the same
examples.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from reports.samples import Sample
from reports.statistics.bootstrap import Aggregator, Drawn, Resampler, mean_drawn, paired_variances
from reports.statistics.significance import (
    DifferenceEstimate,
    difference_estimate,
    holm,
    moderated_variance,
)

#: Fewer examples than this in a part say nothing.
FEWEST = 10


@dataclass(frozen=True)
class LengthRange:
    """A part of a test set with examples of similar length."""

    name: str
    low: int
    high: int
    examples: int


@dataclass(frozen=True)
class LeadsByLength:
    """Leads of all contenders over a control, by length range.

    Attributes:
        control: place of the control among the contenders.
        parts: P parts, the shortest first.
        figures, leads: P lists over contenders.
        growth: P - 1 lists over contenders: the lead on a later part less that on the first. The
            first part and the second are the halves of one test set, so that the first list tells
            of lengths as in training, and those after it of longer ones.
        adjusted: p of the growths after Holm over all contenders, for each part; NaN where there
            is none.
    """

    control: int
    parts: tuple[LengthRange, ...]
    figures: tuple[tuple[float | None, ...], ...]
    leads: tuple[tuple[DifferenceEstimate | None, ...], ...]
    growth: tuple[tuple[DifferenceEstimate | None, ...], ...]
    adjusted: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class LengthFigure:
    """A model's figure on one length range, with that of every bootstrap draw."""

    part: LengthRange
    drawn: Drawn


def figures_by_length(
    found: Mapping[str, Sample],
    aggregator: Aggregator,
    resampler: Resampler,
    known: Mapping[str, Drawn],
) -> dict[str, LengthFigure]:
    """Compute a model's figures on all length ranges, by the name of the range.

    Args:
        found: samples by test set, the main one first.
        known: what has been measured already, by whole test set.
    """
    measured = {}
    for name, sample in length_ranges(found).items():
        drawn = known.get(name) or resampler.measure(sample, aggregator, intervals=False)
        if drawn is None:
            continue
        part = LengthRange(name, int(sample.lengths.min()), int(sample.lengths.max()), len(sample))
        # Kept for all results of a frame at once, so in single precision.
        drawn = replace(drawn, draws=drawn.draws.astype(np.float32))
        measured[name] = LengthFigure(part, drawn)
    return measured


def length_ranges(found: Mapping[str, Sample]) -> dict[str, Sample]:
    """Split the main test set at its median length, and add the test sets with longer examples;
    empty where lengths hardly differ."""
    if not found:
        return {}
    (first, sample), *others = found.items()
    if not len(sample) or sample.lengths.min() == sample.lengths.max():
        halves = {}
    else:
        middle = float(np.median(sample.lengths))
        # With many equal lengths the median may be the largest one.
        middle = min(middle, float(sample.lengths.max()) - 1)
        short = sample.lengths <= middle
        halves = {
            f"{first}, shorter": _part(sample, short, "shorter"),
            f"{first}, longer": _part(sample, ~short, "longer"),
        }
    longer = {
        name: other
        for name, other in others
        if len(other) and other.lengths.mean() > sample.lengths.mean()
    }
    every = {**halves, **longer}
    return {name: one for name, one in every.items() if len(one) >= FEWEST}


def leads_by_length(
    measured: Sequence[Sequence[Mapping[str, LengthFigure]]], control: int, sign: int
) -> LeadsByLength | None:
    """Compute the leads of all contenders over a control on every length range.

    Args:
        measured: per contender and seed, what `figures_by_length` gave.
        sign: 1 where higher is better, else -1.

    None where the control was measured on fewer than two parts.
    """
    names = [
        name
        for name in dict.fromkeys(name for own in measured[control] for name in own)
        if all(name in own for own in measured[control])
    ]
    if len(names) < 2:
        return None
    parts, figures, leads = [], [], []
    for name in names:
        held = [[own[name] for own in each if name in own] for each in measured]
        parts.append(held[control][0].part)
        figures.append(
            tuple(
                float(np.mean([one.drawn.value for one in each])) if each else None for each in held
            )
        )
        leads.append(_leads(held, control, sign))
    growth = tuple(tuple(map(_growth, leads[0], later)) for later in leads[1:])
    return LeadsByLength(
        control,
        tuple(parts),
        tuple(figures),
        tuple(tuple(lead.estimate if lead else None for lead in own) for own in leads),
        growth,
        tuple(
            tuple(holm(np.array([np.nan if one is None else one.p for one in part])).tolist())
            for part in growth
        ),
    )


@dataclass(frozen=True)
class _Lead:
    """A lead, its variances over examples and over seeds, and the degrees of freedom of the
    latter."""

    value: float
    examples: float
    seeds: float
    freedom: float

    @property
    def estimate(self) -> DifferenceEstimate:
        return difference_estimate(
            self.value,
            example_variance=self.examples,
            seed_variance=self.seeds,
            seeds=1,
            freedom=self.freedom,
        )


def _leads(
    held: Sequence[Sequence[LengthFigure]], control: int, sign: int
) -> tuple[_Lead | None, ...]:
    """The leads of all contenders on one part, of which they have a figure a seed."""
    values = {at: [one.drawn.value for one in each] for at, each in enumerate(held) if each}
    spread = moderated_variance(list(values.values()))
    over_seeds = dict(zip(values, np.nan_to_num(spread.variance).tolist(), strict=True))
    freedom = dict(zip(values, np.maximum(spread.freedom, 1.0).tolist(), strict=True))
    # Where predictions or their lengths differ, the parts have other examples.
    examples = [{(one.drawn.test_set, one.part) for one in each} for each in held]
    same = [at for at in values if len(examples[at] | examples[control]) == 1]
    means = [mean_drawn([one.drawn for one in held[at]]) for at in same]
    variances, _ = paired_variances(means)
    found: list[_Lead | None] = [None] * len(held)
    for mean, variance, at in zip(means, variances, same, strict=True):
        if at != control:
            found[at] = _Lead(
                sign * (mean.value - means[same.index(control)].value),
                float(variance[same.index(control)]),
                over_seeds[at] / len(held[at]) + over_seeds[control] / len(held[control]),
                min(freedom[at], freedom[control]),
            )
    return tuple(found)


def _growth(first: _Lead | None, later: _Lead | None) -> DifferenceEstimate | None:
    if first is None or later is None:
        return None
    # Other examples, the same seeds: taking the seeds for independent is the cautious side.
    return _Lead(
        later.value - first.value,
        first.examples + later.examples,
        first.seeds + later.seeds,
        min(first.freedom, later.freedom),
    ).estimate


def _part(sample: Sample, chosen: np.ndarray, name: str) -> Sample:
    digest = hashlib.sha256(f"{sample.test_set} {name}".encode()).hexdigest()
    return Sample(digest, sample.scores[chosen], sample.statistics[chosen], sample.lengths[chosen])
