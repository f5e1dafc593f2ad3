"""One cell of a sweep: claimed, run unless the store holds its result, and told of as an outcome.

`run_cell` is called by the workers of Ray (`ablations.worker`) and by sweeps without it
(`ablations.in_process`), `run_claimed` for a single cell (`attnbench run`, `ablations.api`).
"""

from __future__ import annotations

import contextlib
import logging
import os
import pkgutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from ablations.cancellation import Interrupted, RankLost, StopFlag, time_limit
from ablations.trial_interface import (
    NO_HOOKS,
    NOT_STORED,
    OUT_OF_MEMORY,
    Outcome,
    TrialHooks,
    TrialOptions,
    failed_result,
    store_result,
    stored_result,
)
from bench.errors import UsageError
from bench.store.cell import Cell
from bench.store.claims import ClaimedError, HeldClaim, claim, release_of
from bench.store.result import Result, utc_now

#: Runs a trial, named as "package.module:function", by several processes.
Together = Callable[[str, Cell, TrialOptions, TrialHooks], Result]

_log = logging.getLogger(__name__)


def run_cell(
    cell: Cell,
    options: TrialOptions,
    trial_function: str,
    hooks: TrialHooks = NO_HOOKS,
    *,
    together: Together | None = None,
) -> Outcome:
    """Run the trial of a cell unless the store holds its result by now, or another process runs it.

    The store may hold it because a worker died after storing, or another sweep was faster.

    Args:
        trial_function: dotted name "package.module:function" of the trial.
        together: for options with more than one rank.

    Raises:
        RankLost: the process of another rank died, which counts as the death of this one. No other
            Exception is raised.
    """
    result = stored_result(cell, options)
    if result is not None:
        release_left(cell, options)
        return Outcome.of(result)
    flag = StopFlag.of(options)
    if flag is not None and flag():
        return Outcome(cell.hash, "interrupted")
    clock, started = time.perf_counter(), utc_now()
    held: HeldClaim | None = None
    try:
        with claimed(cell, options) as held:
            result = stored_result(cell, options)  # by whom held it a moment ago
            if result is not None:
                return Outcome.of(result)
            hooks = replace(hooks, asked_to_stop=_any(hooks.asked_to_stop, flag, held))
            with time_limit(cell, options, started):
                if together is not None and options.ranks > 1:
                    result = together(trial_function, cell, options, hooks)
                else:
                    result = pkgutil.resolve_name(trial_function)(cell, options, hooks)
    except ClaimedError as error:
        return Outcome(cell.hash, "elsewhere", problem=str(error))
    except Interrupted:
        if held is not None and held.lost:
            return Outcome(cell.hash, "elsewhere", problem="taken over by another process")
        return Outcome(cell.hash, "interrupted", seconds=time.perf_counter() - clock)
    except RankLost:
        raise
    except Exception as error:
        # A trial makes results of its own failures; what it raises is mostly the store's.
        _log.exception("the trial of %s raised", cell.label)
        kind = NOT_STORED if isinstance(error, OSError) else type(error).__name__
        kind = OUT_OF_MEMORY if isinstance(error, MemoryError) else kind
        message = str(error) or type(error).__name__
        result = failed_result(cell, kind, message, started=started, options=options)
        stored = store_result(result, options)
        return Outcome.of(result, time.perf_counter() - clock, stored=stored)
    return Outcome.of(result, time.perf_counter() - clock)


def release_left(cell: Cell, options: TrialOptions) -> None:
    """Remove claims that processes of this sweep left when they were killed, or ended themselves
    as `time_limit` does."""
    store = options.store()
    if store is not None and options.sweep is not None:
        release_of(store, cell.hash, options.sweep)


def run_claimed(
    cell: Cell, options: TrialOptions, hooks: TrialHooks = NO_HOOKS, *, again: bool = False
) -> Result:
    """Run the trial of one cell in this process, unless the store holds its result by now.

    Args:
        again: run it even if the store holds a result.

    Raises:
        UsageError: another process runs the cell, or has taken it over.
        Interrupted: the hooks asked to stop.
        NotStoredError: the store cannot hold the result.
    """
    from ablations.trial import run_trial

    address = options.store_address or ""
    taken = "another process has taken the cell over, since this one was not heard of for minutes"
    try:
        with claimed(cell, options) as held:
            result = None if again else stored_result(cell, options)
            if result is not None:  # by whom held the claim a moment ago
                return result
            try:
                asked = _any(hooks.asked_to_stop, None, held)
                return run_trial(cell, options, replace(hooks, asked_to_stop=asked))
            except Interrupted:
                if held is not None and held.lost:
                    raise UsageError(taken, where=address) from None
                raise
    except ClaimedError as error:
        remedy = "wait for its result"
        raise UsageError(f"the cell is {error}", where=address, remedy=remedy) from None


@contextlib.contextmanager
def claimed(cell: Cell, options: TrialOptions) -> Iterator[HeldClaim | None]:
    """Hold the claim to a cell, if there is a store, for as long as the block lasts.

    Raises:
        ClaimedError: another process runs it.
        OSError: the store cannot be written.
    """
    store = options.store()
    if store is None:
        yield None
        return
    with claim(store, cell.hash, options.sweep or f"process {os.getpid()}") as held:
        yield held


def _any(
    asked: Callable[[], bool], flag: StopFlag | None, held: HeldClaim | None
) -> Callable[[], bool]:
    """Whether a trial is to stop: by a signal, through the store, or as its claim is lost."""
    return lambda: asked() or (flag is not None and flag()) or (held is not None and held.lost)
