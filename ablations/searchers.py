"""Searchers: which settings the candidates of a cell have. At random, or as Optuna asks for them.

Optuna is asked and told in rounds, without Ray Tune's `OptunaSearch`. A sweep knows its cells
before it starts (they are planned, resumed and shown by name, and run on warm workers). Tune's
searcher makes up settings while trials run, has one study for all trials of a tuner where every
mechanism needs its own, and what it suggests depends on which trial ended first. Here the
candidates of a round follow from the results of the rounds before alone. A search that was stopped
therefore asks for the same ones again, whatever it ran on.
"""

from __future__ import annotations

import contextlib
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any, Literal

from ablations.search_space import (
    Choices,
    Range,
    Space,
    located,
    random_values,
    setting_of,
    with_values,
)
from ablations.trial_interface import was_stopped
from bench.errors import UsageError
from bench.store.cell import Cell, Scalar
from bench.store.result import Result
from tasks.plan import resolve

SearcherName = Literal["random", "optuna"]

#: Candidates of a round. Those of the first are at random, for Optuna too.
ROUND = 4

#: Draws for every candidate: some spaces do not have as many points as there should be candidates.
_PATIENCE = 20


@dataclass(frozen=True)
class Candidate:
    """The cell of a candidate, and its values of the searched settings."""

    cell: Cell
    values: Mapping[str, Scalar]


@dataclass(frozen=True)
class Candidates:
    """The candidates of a cell that are known, in the order of the search.

    Attributes:
        space: the searched settings of this cell.
        complete: whether these are all.
        settled: how many of the first ones have led to later ones and are not tried again, even if
            they failed.
    """

    space: Space
    known: tuple[Candidate, ...]
    complete: bool = True
    settled: int = 0

    @property
    def cells(self) -> list[Cell]:
        return [one.cell for one in self.known]


def random_candidates(cell: Cell, space: Space, count: int) -> Candidates:
    """The budget's own settings and `count - 1` random ones; fewer where the space has fewer."""
    space, plan = located(space, cell), resolve(cell)
    own = Candidate(with_values(cell, {}), {name: setting_of(plan, name) for name in space})
    return Candidates(space, tuple(_distinct(cell, space, [own], count)))


def _distinct(cell: Cell, space: Space, known: Sequence[Candidate], count: int) -> list[Candidate]:
    """These candidates and random ones that differ from them, `count` in all."""
    found = {one.cell.hash: one for one in known}
    for values in islice(random_values(space), _PATIENCE * count if space else 0):
        if len(found) >= count:
            break
        made = with_values(cell, values)
        found.setdefault(made.hash, Candidate(made, values))
    return list(found.values())[:count]


def optuna_candidates(
    cell: Cell, space: Space, count: int, results: Mapping[str, Result]
) -> Candidates:
    """The candidates of Optuna's tree-structured Parzen estimator (Bergstra 2011), as far as they
    follow from the results that there are.

    The first round is that of the random search. A candidate that failed is told as the worst that
    there can be, one that was stopped early as pruned at its last loss.

    Args:
        results: by the hash of the candidate's cell.
    """
    first = random_candidates(cell, space, min(count, ROUND))
    space, known, settled = first.space, list(first.known), 0
    while len(known) < count and all(one.cell.hash in results for one in known):
        told = tuple((tuple(one.values.items()), _told(results[one.cell.hash])) for one in known)
        more = {one.cell.hash: one for one in known}
        for values in _ask(tuple(space.items()), told, len(known)):
            made = with_values(cell, dict(values))
            more.setdefault(made.hash, Candidate(made, dict(values)))
        # Where Optuna repeats itself, chance takes over.
        later = _distinct(cell, space, list(more.values()), min(count, len(known) + ROUND))
        if len(later) == len(known):  # the space has no more
            return Candidates(space, tuple(known), settled=settled)
        settled, known = len(known), later
    return Candidates(space, tuple(known), len(known) >= count, settled)


_Told = tuple[float, float | None]  # loss, and the step at which it was stopped


def _told(result: Result) -> _Told:
    if result.status != "done":
        return math.inf, None
    stopped = result.metrics["steps"] if was_stopped(result) else None
    return result.metrics["validation_loss"], stopped


@cache
def _ask(
    space: tuple[tuple[str, Choices | Range], ...],
    told: tuple[tuple[tuple[tuple[str, Scalar], ...], _Told], ...],
    seed: int,
) -> list[tuple[tuple[str, Scalar], ...]]:
    """Values of the next candidates, a round and some to spare, after what was told."""
    optuna = require_optuna()
    distributions = {name: _distribution(optuna, values) for name, values in space}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # options that may change in later versions
        sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=1, constant_liar=True)
    study = optuna.create_study(sampler=sampler, direction="minimize")
    for values, (loss, stopped) in told:
        outcome: dict[str, Any] = {"value": loss}
        if stopped is not None:
            pruned = optuna.trial.TrialState.PRUNED
            outcome = {"state": pruned, "intermediate_values": {int(stopped): loss}}
        with contextlib.suppress(ValueError):  # the budget's own may lie outside of the space
            trial = optuna.trial.create_trial(
                params=dict(values), distributions=distributions, **outcome
            )
            study.add_trial(trial)
    asked = [study.ask(distributions).params for _ in range(2 * ROUND)]
    return [tuple((name, _written(values, one[name])) for name, values in space) for one in asked]


def _distribution(optuna: Any, values: Choices | Range) -> Any:
    if not isinstance(values, Range):
        return optuna.distributions.CategoricalDistribution(values)
    low, high = values.ends
    if values.integers is not None:
        return optuna.distributions.IntDistribution(int(low), int(high))
    return optuna.distributions.FloatDistribution(low, high, log=values.log_uniform is not None)


def _written(values: Choices | Range, value: Any) -> Any:
    return values.rounded(value) if isinstance(values, Range) else value


@cache
def require_optuna() -> Any:
    """The package, told to be silent. Raises UsageError where it is not installed."""
    try:
        import optuna
    except ImportError:
        raise UsageError(
            "Optuna is not installed",
            where="--searcher optuna",
            remedy="pip install 'attention-bench[optuna]'",
        ) from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna
