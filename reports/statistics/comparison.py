"""Two stores beside each other: what got better, what got worse, what cannot be told apart.

Compared are the cells that both stores have, so with the same options, seeds and data, and example
by example where predictions are kept. Holm's correction runs over all comparisons made.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import pandas as pd

from bench.errors import UsageError
from bench.store.result import Primary, Result
from reports import load as frames
from reports.catalogue import Catalogue
from reports.data import DIGITS, UNKNOWN, differences, fingerprint_of, without_data
from reports.load import BenchmarkSetting, Contender, all_converged
from reports.results import read
from reports.samples import Sample, main_sample
from reports.statistics.bootstrap import (
    Drawn,
    Resampler,
    candidates,
    fitting,
    mean_drawn,
    paired_variances,
    stored_figure,
)
from reports.statistics.significance import (
    LEVEL,
    difference_estimate,
    holm,
    moderated_variance,
)

if TYPE_CHECKING:
    from bench.store.store import Store


Change = Literal["better", "worse", "cannot be told apart", "identical", "not comparable"]


@dataclass(frozen=True)
class CellDifference:
    """The difference of one contender between two stores. Figures are means over the shared seeds.

    Attributes:
        low, high: 95 % interval of after - before, None where the two are not comparable.
        p: two-sided, after Holm's correction; None likewise.
        basis: what the interval covers ("seeds and examples", "examples", ...).
        reason: why the two are not comparable, else "".
        converged: whether training had in both; False where any seed had not, None where that is
            not known.
        shared: the options that all contenders of the setting have, in a sentence.
    """

    setting: BenchmarkSetting
    contender: str
    metric: str
    higher_is_better: bool
    seeds: tuple[int, ...]
    examples: int
    before: float
    after: float
    reason: str
    low: float | None = None
    high: float | None = None
    p: float | None = None
    verdict: Change = "not comparable"
    basis: str = "none"
    converged: bool | None = None
    shared: str = ""

    @property
    def told(self) -> str:
        """The verdict in words; one on training that had not converged holds until there, and one
        on a single seed says which figure is higher."""
        if self.verdict in ("better", "worse") and not self.basis.startswith("seeds"):
            return f"{'higher' if self.after > self.before else 'lower'} with one seed"
        if self.converged is False and self.verdict in ("better", "worse"):
            return f"{self.verdict} so far"
        return self.verdict


_COLUMNS = tuple(one.name for one in fields(CellDifference)[1:])


@dataclass(frozen=True)
class StoreComparison:
    """All shared cells of two stores, and what only one of them has or could finish."""

    before: str
    after: str
    differences: tuple[CellDifference, ...]
    only_before: tuple[str, ...]
    only_after: tuple[str, ...]
    newly_failed: tuple[str, ...]
    newly_finished: tuple[str, ...]
    other_data: tuple[str, ...] = ()
    unusable: tuple[str, ...] = ()

    @property
    def frame(self) -> pd.DataFrame:
        """The differences, one row a contender: task, setting, and the fields of `CellDifference`,
        with `seeds` their number."""
        rows = [
            {
                "task": one.setting.task,
                "setting": one.setting.label,
                **{name: getattr(one, name) for name in _COLUMNS},
                "seeds": len(one.seeds),
            }
            for one in self.differences
        ]
        found = pd.DataFrame(rows, columns=["task", "setting", *_COLUMNS])
        return found.astype({"low": float, "high": float, "p": float, "converged": "boolean"})

    @property
    def apart(self) -> dict[str, tuple[str, ...]]:
        """Labels of cells that are not compared, by reason."""
        every = {
            "only in the first": self.only_before,
            "only in the second": self.only_after,
            "on different data, so not compared": self.other_data,
            "finished in the first, failed in the second": self.newly_failed,
            "failed in the first, finished in the second": self.newly_finished,
            "left out, since they cannot be read": self.unusable,
        }
        return {why: names for why, names in every.items() if names}

    @property
    def counts(self) -> str:
        """The number of each verdict: `2 better, 1 worse, 10 cannot be told apart`."""
        counted = Counter(one.told for one in self.differences)
        order = [word for name in get_args(Change) for word in (name, f"{name} so far")]
        order += [f"{side} with one seed" for side in ("higher", "lower")]
        told = ", ".join(f"{counted[name]} {name}" for name in order if counted[name])
        return told or "no shared cell has finished in both"


@dataclass(frozen=True)
class _Measured:
    """The difference of one contender before it is tested, and what it varies by.

    Attributes:
        per_seed: after - before.
        before, after: the means over seeds.
    """

    per_seed: tuple[float, ...]
    before: Drawn
    after: Drawn

    @property
    def example_variance(self) -> float:
        if self.before.test_set and np.array_equal(self.before.codes, self.after.codes):
            return 0.0
        return float(self._paired[0][0, 1])

    @property
    def least_p(self) -> float:
        """The least p that paired examples can give."""
        return float(self._paired[1][0, 1])

    @cached_property
    def _paired(self) -> tuple[np.ndarray, np.ndarray]:
        return paired_variances([self.before, self.after])


def compare(
    before: Store | str | os.PathLike[str], after: Store | str | os.PathLike[str]
) -> StoreComparison:
    """Compare the results of two stores, given open or by their folders or URLs.

    Raises UsageError where there is no store, or they share no cell on the same data.
    """
    before, after = frames.load(before).store, frames.load(after).store
    (first, unusable), (second, more_unusable) = read(before), read(after)
    old = {result.hash: result for result in first}
    new = {result.hash: result for result in second}
    shared = [hash for hash in old if hash in new and _same_data(old[hash], new[hash])]
    compared = frozenset(shared)
    other_data = _on_other_data(first, second, compared)
    if not shared:
        told = next(iter(other_data.values()), "")
        raise UsageError(
            "the two stores share no cell" + (f" on the same data ({told})" if told else ""),
            where=f"{before.address}, {after.address}",
            remedy="compare stores of the same study, seeds and data",
        )
    both = [h for h in shared if old[h].status == new[h].status == "done"]
    measured = _measure([old[h] for h in both], new, before, after)

    def changed(was: str, now: str) -> tuple[str, ...]:
        return _labels(new[h] for h in shared if (old[h].status, new[h].status) == (was, now))

    def lone(results: Sequence[Result]) -> tuple[str, ...]:
        alone = (
            one
            for one in results
            if one.hash not in compared and without_data(one.cell).hash not in other_data
        )
        return _labels(alone, tell_failed=True)

    return StoreComparison(
        before=before.address,
        after=after.address,
        differences=tuple(_judge(measured)),
        only_before=lone(first),
        only_after=lone(second),
        newly_failed=changed("done", "failed"),
        newly_finished=changed("failed", "done"),
        other_data=tuple(other_data.values()),
        unusable=(*unusable, *more_unusable),
    )


def _same_data(one: Result, other: Result) -> bool:
    """Whether two results of a cell are of the same data, as far as both know."""
    data = {fingerprint_of(one), fingerprint_of(other)} - {""}
    return len(data) < 2


def _on_other_data(
    first: Sequence[Result], second: Sequence[Result], shared: Collection[str]
) -> dict[str, str]:
    """Return what differs in the data of cells that two stores have on different ones, by the hash
    of the cell without its data.

    Args:
        shared: hashes of the results that are compared.
    """
    found = {}
    old, new = _by_cell(first), _by_cell(second)
    for cell in (cell for cell in old if cell in new):
        # Of those on several data in one store, the ones that are not compared.
        lone = [
            next((one for one in own if one.hash not in shared), None)
            for own in (old[cell], new[cell])
        ]
        if any(lone):
            one, other = lone[0] or old[cell][0], lone[1] or new[cell][0]
            data = " and ".join(fingerprint_of(each)[:DIGITS] or UNKNOWN for each in (one, other))
            told = differences(one.provenance.splits, other.provenance.splits) or data
            found[cell] = f"{one.cell.label}: {told}"
    return found


def _by_cell(results: Iterable[Result]) -> dict[str, list[Result]]:
    """Results by the hash of their cell without its data."""
    found: dict[str, list[Result]] = {}
    for result in results:
        found.setdefault(without_data(result.cell).hash, []).append(result)
    return found


def _measure(
    results: Sequence[Result], new: dict[str, Result], before: Store, after: Store
) -> list[tuple[CellDifference, _Measured | None]]:
    """The differences of all contenders; None where the two are not comparable."""
    found = []
    # No registry is asked: what tells cells apart, besides their seeds, is in the cells.
    for frame in frames.collect("", results, Catalogue()).frames:
        resampler = Resampler()
        for contender in frame.contenders:
            figures: list[tuple[Primary, Primary]] = []
            seeds: list[tuple[Drawn, Drawn]] = []
            reason = ""
            for result in contender.done:
                one, other = result.primary, new[result.hash].primary
                assert one is not None and other is not None, "finished results have a figure"
                figures.append((one, other))
                pair = _pair(
                    (one, other),
                    [main_sample(store, result.hash) for store in (before, after)],
                    resampler,
                )
                if isinstance(pair, str):
                    reason = pair
                else:
                    seeds.append(pair)
            own = None
            if not reason:
                per_seed = tuple(other.value - one.value for one, other in figures)
                own = _Measured(per_seed, *map(mean_drawn, zip(*seeds, strict=True)))
            metric = figures[0][0]
            difference = CellDifference(
                setting=frame.setting,
                contender=contender.name,
                metric=metric.name,
                higher_is_better=metric.higher_is_better,
                seeds=contender.seeds,
                examples=max((len(one.codes) for one, _ in seeds), default=0),
                before=float(np.mean([one.value for one, _ in figures])),
                after=float(np.mean([other.value for _, other in figures])),
                reason=reason,
                converged=_both_converged(contender, new),
                shared=frame.shared,
            )
            found.append((difference, own))
    return found


def _pair(
    figures: tuple[Primary, Primary], samples: Sequence[Sample | None], resampler: Resampler
) -> tuple[Drawn, Drawn] | str:
    """One seed's figures in both stores, or why they are not comparable."""
    (first, second), (old, new) = figures, samples
    if first.name != second.name:
        return f"{first.name} in the one, {second.name} in the other"
    if old is None or new is None:
        return stored_figure(first), stored_figure(second)
    if old.test_set != new.test_set:
        return "tested on different examples"
    before, after = _drawn(old, first, resampler), _drawn(new, second, resampler)
    if before is None or after is None:
        return f"the kept examples do not give the stored {first.name}"
    return before, after


def _both_converged(before: Contender, new: Mapping[str, Result]) -> bool | None:
    after = replace(before, done=tuple(new[one.hash] for one in before.done))
    return all_converged([before.converged, after.converged])


def _drawn(sample: Sample, figure: Primary, resampler: Resampler) -> Drawn | None:
    """Return a figure with its draws; None where the examples do not give the stored one."""
    tried = candidates(figure.name)
    aggregator = fitting(tried, sample.statistics, sample.scores, figure.value)
    return None if aggregator is None else resampler.measure(sample, aggregator)


def _judge(measured: Sequence[tuple[CellDifference, _Measured | None]]) -> list[CellDifference]:
    comparable = [(one, own) for one, own in measured if own is not None]
    spread = moderated_variance([own.per_seed for _, own in comparable])
    found: list[CellDifference] = []
    for place, (one, own) in enumerate(comparable):
        variance = float(spread.variance[place])
        estimate = difference_estimate(
            float(np.mean(own.per_seed)),
            example_variance=own.example_variance,
            seed_variance=variance,
            seeds=len(own.per_seed),
            freedom=float(spread.freedom[place]),
        )
        paired = "paired examples" if own.before.test_set else "examples, unpaired"
        basis = paired if np.isnan(variance) else f"seeds and {paired}"
        p = max(estimate.p, own.least_p)
        found.append(replace(one, low=estimate.low, high=estimate.high, p=p, basis=basis))
    adjusted = holm(np.array([one.p for one in found], dtype=float))
    judged = [
        replace(one, p=float(p), verdict=_verdict(one, float(p)))
        for one, p in zip(found, adjusted, strict=True)
    ]
    return [*judged, *(one for one, own in measured if own is None)]


def _verdict(one: CellDifference, p: float) -> Change:
    if one.before == one.after and one.low == one.high:
        return "identical"
    if p >= 1 - LEVEL:
        return "cannot be told apart"
    return "better" if (one.after > one.before) == one.higher_is_better else "worse"


def _labels(results: Iterable[Result], tell_failed: bool = False) -> tuple[str, ...]:
    """Return the labels of cells, sorted."""
    ordered = sorted(results, key=lambda one: (one.cell.with_seed(0).label, one.cell.seed))
    return tuple(
        one.cell.label + (", failed" if tell_failed and one.status == "failed" else "")
        for one in ordered
    )
