"""What happens in a worker of a sweep: trial after trial in one warm process.

A trial that raises would cost the worker its life, and the next trial eight seconds of imports;
so everything short of the process dying becomes a result.
"""

from __future__ import annotations

import importlib
import logging
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from ablations.context import TrialContext
from ablations.interruption import Interrupted, StopFlag, time_limit
from ablations.outcome import (
    NOT_STORED,
    OUT_OF_MEMORY,
    Outcome,
    failed_trial,
    held_result,
    store_quietly,
)
from ablations.rank_errors import RankLost
from bench.cell import Cell
from bench.provenance import utc_now
from bench.result import Result

TrialFunction = Callable[[Cell, TrialContext], Result]

_log = logging.getLogger(__name__)


def trainable(context: TrialContext, trial_function: str) -> Callable[[Mapping[str, Any]], None]:
    """The function that Ray Tune calls with a configuration of `GivenCells`, once per trial. It
    reports that it began, what each validation gave, and what became of each cell, of the
    configuration's "cell" last.

    Args:
        trial_function: dotted name "package.module:function" of the trial; workers import it.
    """

    def work(config: Mapping[str, Any]) -> None:
        import ray
        from ray import tune

        from ablations.handing import cells_of

        node = ray.get_runtime_context().get_node_id()
        tune.report({"node": node_name(platform.node(), node)})
        # No handler around reports: Tune ends stopped trials by raising SystemExit there.
        problems: list[str] = []
        told = replace(
            context, report=lambda figures: tune.report(dict(figures)), tell=problems.append
        )
        first, *beside = cells_of(config)
        outcomes = run_cells([*beside, first], told, trial_function)
        problem = next(iter(problems), None)
        for outcome in outcomes:
            tune.report(replace(outcome, problem=problem).to_json())
            problem = None

    return work


def node_name(host: str, id: str) -> str:
    """One name for a machine of the cluster; several of Ray's nodes may share a host."""
    return f"{host} {id[:6]}"


def run_cell(cell: Cell, context: TrialContext, trial_function: str) -> Outcome:
    """Run the trial of a cell unless the store holds its result by now.

    The store may hold it because a worker died after storing, or another sweep was faster.

    Raises:
        RankLost: the process of another rank died, which counts as the death of this one. No other
            Exception is raised.
    """
    held = held_result(cell, context)
    if held is not None:
        return Outcome.of(held)
    flag = StopFlag.of(context)
    if flag is not None and flag():
        return Outcome(cell.hash, "interrupted")
    clock, started = time.perf_counter(), utc_now()
    try:
        with time_limit([cell], context, started):
            trial = _trial(trial_function, context)
            result = trial(cell, replace(context, asked_to_stop=flag))
    except Interrupted:
        return Outcome(cell.hash, "interrupted", seconds=time.perf_counter() - clock)
    except RankLost:
        raise
    except Exception as error:
        _log.exception("the trial of %s raised", cell.label)
        return _failure(cell, context, error, started, time.perf_counter() - clock)
    return Outcome.of(result, time.perf_counter() - clock)


def run_cells(cells: Sequence[Cell], context: TrialContext, trial_function: str) -> list[Outcome]:
    """Run a cell, or several that differ in their seeds alone side by side: those that the store
    does not hold. What cannot be done side by side is done one by one.

    Raises as `run_cell` does.
    """
    if len(cells) == 1:
        return [run_cell(cells[0], context, trial_function)]
    from ablations.stack import run_stack

    left = [cell for cell in cells if held_result(cell, context) is None]
    flag = StopFlag.of(context)
    found: dict[str, Outcome] = {}
    if len(left) > 1 and not (flag is not None and flag()):
        clock, started = time.perf_counter(), utc_now()
        try:
            with time_limit(left, context, started):
                results = run_stack(left, replace(context, asked_to_stop=flag, report=None))
        except Interrupted:
            return [_interrupted(cell, context) for cell in cells]
        share = (time.perf_counter() - clock) / len(left)
        found = {result.hash: Outcome.of(result, share) for result in results}
    return [found.get(cell.hash) or run_cell(cell, context, trial_function) for cell in cells]


def _interrupted(cell: Cell, context: TrialContext) -> Outcome:
    held = held_result(cell, context)
    return Outcome(cell.hash, "interrupted") if held is None else Outcome.of(held)


def _failure(
    cell: Cell, context: TrialContext, error: Exception, started: str, seconds: float
) -> Outcome:
    # A trial makes results of its own failures; what it raises is mostly the store's.
    kind = NOT_STORED if isinstance(error, OSError) else type(error).__name__
    kind = OUT_OF_MEMORY if isinstance(error, MemoryError) else kind
    message = str(error) or type(error).__name__
    result = failed_trial(cell, context, kind, message, started=started)
    return Outcome.of(result, seconds, stored=store_quietly(result, context))


def _trial(name: str, context: TrialContext) -> TrialFunction:
    if context.ranks > 1:
        from ablations.team import team

        return partial(team(context).run, name)
    module, _, function = name.partition(":")
    loaded: TrialFunction = getattr(importlib.import_module(module), function)
    return loaded
