"""What happens in a worker of a sweep: trial after trial in one warm process.

A trial that raises would cost the worker its life, and the next trial eight seconds of imports;
so everything short of the process dying becomes a result.
"""

from __future__ import annotations

import importlib
import logging
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from ablations.cancellation import Interrupted, StopFlag, time_limit
from ablations.context import TrialContext
from ablations.distributed import RankLost
from ablations.outcome import (
    NOT_STORED,
    OUT_OF_MEMORY,
    Outcome,
    failed_trial,
    held_result,
    store_quietly,
)
from bench.store.cell import Cell
from bench.store.provenance import utc_now
from bench.store.result import Result

TrialFunction = Callable[[Cell, TrialContext], Result]

_log = logging.getLogger(__name__)


def trainable(context: TrialContext, trial_function: str) -> Callable[[Mapping[str, Any]], None]:
    """The function that Ray Tune calls with a configuration of `GivenCells`, once per trial. It
    reports that it began, what each validation gave, and what became of the cell.

    Args:
        trial_function: dotted name "package.module:function" of the trial; workers import it.
    """

    def work(config: Mapping[str, Any]) -> None:
        import ray
        from ray import tune

        node = ray.get_runtime_context().get_node_id()
        tune.report({"node": node_name(platform.node(), node)})
        # No handler around reports: Tune ends stopped trials by raising SystemExit there.
        problems: list[str] = []
        told = replace(
            context, report=lambda figures: tune.report(dict(figures)), tell=problems.append
        )
        outcome = run_cell(Cell.from_json(config["cell"]), told, trial_function)
        tune.report(replace(outcome, problem=next(iter(problems), None)).to_json())

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
        with time_limit(cell, context, started):
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
        from ablations.worker_group import team

        return partial(team(context).run, name)
    module, _, function = name.partition(":")
    loaded: TrialFunction = getattr(importlib.import_module(module), function)
    return loaded
