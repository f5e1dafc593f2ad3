"""The candidates of a search, from the store beside that of the results (`STORE/search`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from bench.errors import UsageError
from bench.store.cell import Scalar
from bench.store.result import Result
from reports.catalogue import Catalogue
from reports.load import BenchmarkSetting, Contender, benchmark_settings, contender_of, say_once
from tasks.plan import current_results

if TYPE_CHECKING:
    from ablations.hyperparameters import SearchRecord
    from bench.store.store import Store


@dataclass(frozen=True)
class TriedCandidate:
    """A candidate and what became of it.

    Attributes:
        number: its place in the search; 1 has the budget's own settings.
        loss: on validation data, at the last step; None for one that failed.
        seconds: that it ran.
        failure: its kind, "" where it did not fail.
    """

    number: int
    settings: Mapping[str, Scalar]
    outcome: Literal["done", "stopped", "failed"]
    loss: float | None
    steps: float | None
    seconds: float
    failure: str = ""


@dataclass(frozen=True)
class SearchedMechanism:
    """A mechanism with its candidates that were tried.

    Attributes:
        best: place of the winner among them, None where all failed.
    """

    setting: BenchmarkSetting
    contender: Contender
    record: SearchRecord
    tried: tuple[TriedCandidate, ...]
    best: int | None

    @property
    def name(self) -> str:
        return self.contender.name

    @property
    def losses(self) -> list[float | None]:
        return [one.loss for one in self.tried]

    @cached_property
    def core_hours(self) -> float:
        return sum(one.seconds for one in self.tried) * self.record.cores / 3600

    @cached_property
    def gpu_hours(self) -> float:
        return sum(one.seconds for one in self.tried) * self.record.gpus / 3600


def searched_mechanisms(
    store: Store, catalogue: Catalogue, study: str | None = None
) -> list[SearchedMechanism]:
    """The searches beside a store, in the order of the catalogue; none where there is no search.

    Args:
        study: only those for this study.
    """
    from ablations.hyperparameters import read_searches
    from bench.store.store import Store

    try:
        found = Store.open(f"{store.address}/search")
    except UsageError:
        return []
    records = [one for one in read_searches(found) if study in (None, one.study)]
    results = {one.hash: one for one in current_results(found, [])} if records else {}
    settings = benchmark_settings(list(results.values()), catalogue)
    made = [_mechanism(one, results, settings, catalogue) for one in records]
    mechanisms = [one for one in made if one is not None]
    mechanisms = [
        replace(one, contender=contender)
        for own in by_setting(mechanisms).values()
        for one, contender in zip(own, say_once([one.contender for one in own]), strict=True)
    ]
    return sorted(mechanisms, key=lambda one: one.contender.place(catalogue))


def _mechanism(
    record: SearchRecord,
    results: Mapping[str, Result],
    settings: Mapping[str, BenchmarkSetting],
    catalogue: Catalogue,
) -> SearchedMechanism | None:
    from ablations.hyperparameters import winner

    held = [
        (number, one.settings, results[one.hash])
        for number, one in enumerate(record.candidates, start=1)
        if one.hash in results
    ]
    if not held:
        return None
    best = winner(result for _, _, result in held)
    hashes = [result.hash for _, _, result in held]
    return SearchedMechanism(
        setting=settings[hashes[0]],
        contender=contender_of(record.cell, catalogue),
        record=record,
        tried=tuple(_tried(*one) for one in held),
        best=None if best is None else hashes.index(best.hash),
    )


def _tried(number: int, settings: Mapping[str, Scalar], result: Result) -> TriedCandidate:
    from ablations.trial_interface import was_stopped

    seconds = _seconds(result)
    if result.status == "failed":
        failure = result.failure.kind if result.failure else ""
        return TriedCandidate(number, settings, "failed", None, None, seconds, failure)
    loss, steps = result.metrics.get("validation_loss"), result.metrics.get("steps")
    outcome: Literal["done", "stopped"] = "stopped" if was_stopped(result) else "done"
    return TriedCandidate(number, settings, outcome, loss, steps, seconds)


def _seconds(result: Result) -> float:
    """Seconds that a candidate ran. Those that failed or were stopped have no measured cost."""
    if result.cost.total_seconds is not None:
        return result.cost.total_seconds
    ends = (result.provenance.started, result.provenance.finished)
    begun, ended = (datetime.fromisoformat(one) for one in ends)
    return max(0.0, (ended - begun).total_seconds())


def by_setting(
    mechanisms: Sequence[SearchedMechanism],
) -> dict[BenchmarkSetting, list[SearchedMechanism]]:
    """The mechanisms of each setting, settings in order of appearance."""
    found: dict[BenchmarkSetting, list[SearchedMechanism]] = {}
    for one in mechanisms:
        found.setdefault(one.setting, []).append(one)
    return found
