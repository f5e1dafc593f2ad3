"""A worker of a sweep: trial after trial in one warm process, or in one of several. Imports Ray.

`ablations.cell_runner` makes results of all that a trial raises: an exception would cost the worker
its life, and the next trial eight seconds of imports.

A trial may be trained by several processes. The worker that Tune starts is then rank 0. The other
ranks are actors of its own in the placement group that Tune holds for its trials. They stay warm
from trial to trial, as the worker does, and end when it does.

The process that drives a sweep imports this file as well, so torch is imported where trials run.
"""

from __future__ import annotations

import logging
import os
import pkgutil
import platform
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from functools import partial
from typing import Any

import ray
from ray import tune
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from ablations.cancellation import Interrupted, RankFailed, RankLost
from ablations.cell_runner import run_cell
from ablations.trial_interface import (
    TrialHooks,
    TrialOptions,
    failed_result,
    store_result,
)
from bench.store.cell import Cell
from bench.store.result import Result, utc_now

#: Seconds that ranks have to end once one of them has.
_PATIENCE = 5.0

#: Seconds that rank 0 waits for the others' account of what went wrong.
EXPLANATION_SECONDS = 30.0

#: Seconds between two reports of progress, each of which costs some 10 ms.
_PROGRESS_SECONDS = 5.0

_RANK_LOST_STATUS = 18

_log = logging.getLogger(__name__)


def trainable(options: TrialOptions, trial_function: str) -> Callable[[Mapping[str, Any]], None]:
    """The function that Ray Tune calls with a configuration of `GivenCells`, once per trial. It
    reports that it began, how far it has come, what each validation gave, and what became of the
    cell.

    Args:
        trial_function: dotted name "package.module:function" of the trial; workers import it.
    """

    def work(config: Mapping[str, Any]) -> None:
        tune.report({"node": node_name(platform.node(), ray.get_runtime_context().get_node_id())})
        # No handler around reports: Tune ends stopped trials by raising SystemExit there.
        problems: list[str] = []
        hooks = TrialHooks(
            lambda figures: tune.report(dict(figures)),
            problems.append,
            progress=lambda progress: tune.report({"progress": asdict(progress)}),
            progress_seconds=_PROGRESS_SECONDS,
        )
        outcome = run_cell(
            Cell.from_json(config["cell"]), options, trial_function, hooks, together=_train_together
        )
        tune.report(outcome.with_problem(problems).to_json())

    return work


def node_name(host: str, id: str) -> str:
    """The name of a machine of the cluster; several of Ray's nodes may share a host."""
    return f"{host} {id[:6]}"


class Rank:
    """The actor of a rank above 0."""

    def join(self, host: str, port: int, number: int, options: TrialOptions) -> None:
        """Join the process group of that number."""
        from ablations.distributed import choose_interface, find_rendezvous, join_process_group

        choose_interface(ray.util.get_node_ip_address())
        join_process_group(find_rendezvous(host, port, options.ranks), number, options)

    def run(
        self, trial_function: str, cell: dict[str, Any], options: TrialOptions
    ) -> tuple[str, str] | None:
        """Train a cell. Returns kind and message of a failure; never raises Exception."""
        from ablations.trial import failure_kind

        try:
            module = pkgutil.resolve_name(trial_function.partition(":")[0])
            module.run_rank(Cell.from_json(cell), options)
        except Interrupted:
            return None
        except Exception as error:
            _log.exception("rank %d failed", options.rank)
            return failure_kind(error), str(error) or type(error).__name__
        return None


class WorkerGroup:
    """The ranks of a trial, in the process of rank 0. Made in a worker that Tune started in a
    placement group with a bundle for every rank.

    Attributes:
        complete: whether the processes of all ranks are there.
    """

    def __init__(self, options: TrialOptions) -> None:
        from ablations.distributed import choose_interface, open_rendezvous

        group = ray.util.get_current_placement_group()
        assert group is not None and group.bundle_count == options.ranks
        self.complete = True
        self._host = ray.util.get_node_ip_address()
        choose_interface(self._host)
        self._rendezvous = open_rendezvous(self._host, options.ranks)
        self._groups, self._in_step = 0, False
        self._others: list[Any] = [
            ray.remote(Rank)
            .options(
                num_cpus=group.bundle_specs[rank].get("CPU", 0),
                num_gpus=group.bundle_specs[rank].get("GPU", 0),
                scheduling_strategy=PlacementGroupSchedulingStrategy(group, rank),
            )
            .remote()
            for rank in range(1, options.ranks)
        ]

    def run(
        self, trial_function: str, cell: Cell, options: TrialOptions, hooks: TrialHooks
    ) -> Result:
        """Run the trial of a cell with all ranks.

        Args:
            trial_function: of rank 0, "package.module:function"; others call the `run_rank` of its
                module.

        Raises:
            RankLost: a process died; the group is of no use any more.
        """
        if not self._in_step:
            self._join(options)
        self._in_step = False  # unless all goes well
        under_way = self._call("run", trial_function, cell.to_json(), options=options)
        store_failure = partial(_store_failure, cell, options, utc_now())
        watch = _PeerWatch(under_way, self.shutdown, store_failure)
        patience = _PATIENCE
        try:
            hooks = replace(hooks, peer_failure=watch.failure)
            result: Result = pkgutil.resolve_name(trial_function)(cell, options, hooks)
            self._in_step = result.status == "done"
            return result
        except SystemExit:  # Tune ends the trial: the others would wait for this rank
            patience = 0.0
            raise
        finally:
            if not watch.end(patience):
                self.shutdown()

    def shutdown(self) -> None:
        """End the processes of the other ranks."""
        self.complete = False
        for other in self._others:
            ray.kill(other)

    def _join(self, options: TrialOptions) -> None:
        """Make a new process group of all ranks."""
        from ablations.distributed import join_process_group

        self._groups += 1
        place = (self._host, self._rendezvous.port, self._groups)
        joining = self._call("join", *place, options=options)
        watch = _PeerWatch(joining, self.shutdown)
        try:
            join_process_group(self._rendezvous, self._groups, options)
        except RuntimeError as error:
            raise watch.failure() or error from error
        finally:
            watch.end(_PATIENCE)

    def _call(self, method: str, *arguments: Any, options: TrialOptions) -> list[Any]:
        """Call a method of `Rank` in the other ranks; returns Ray's references."""
        return [
            getattr(other, method).remote(*arguments, replace(options, rank=rank))
            for rank, other in enumerate(self._others, start=1)
        ]


def _store_failure(cell: Cell, options: TrialOptions, started: str, failure: Exception) -> None:
    if isinstance(failure, RankFailed):  # where a process died, the trial is run again
        cause = failure.kind, str(failure)
        store_result(failed_result(cell, *cause, started=started, options=options), options)


class _PeerWatch:
    """Watches what other ranks do while this one is busy, and frees it if it waits in vain.

    Args:
        under_way: what they do, as Ray's references.
        shutdown: ends their processes.
        before_exit: called with what went wrong before this process ends itself.
    """

    def __init__(
        self,
        under_way: list[Any],
        shutdown: Callable[[], None],
        before_exit: Callable[[Exception], None] = lambda failure: None,
    ) -> None:
        self._under_way, self._shutdown, self._before_exit = under_way, shutdown, before_exit
        self._failure: Exception | None = None
        self._known, self._over = threading.Event(), threading.Event()
        threading.Thread(target=self._look, name="rank watch", daemon=True).start()

    def failure(self) -> Exception | None:
        """What went wrong elsewhere, which may take some seconds to come out."""
        self._known.wait(EXPLANATION_SECONDS)
        return self._failure

    def end(self, patience: float) -> bool:
        """End the watch, since this rank is done. Returns whether the others are done as well
        within so many seconds."""
        self._over.set()
        count = len(self._under_way)
        done, _ = ray.wait(self._under_way, num_returns=count, timeout=patience or 0.01)
        lost = any(isinstance(_failure_of(one), RankLost) for one in done)
        return len(done) == count and not lost

    def _look(self) -> None:
        waiting = list(self._under_way)
        while waiting and self._failure is None:
            done, waiting = ray.wait(waiting, num_returns=1)
            self._failure = _failure_of(done[0])
        self._known.set()
        if self._failure is None or self._over.wait(_PATIENCE):
            return
        self._shutdown()  # connections break, which ends waiting
        if not self._over.wait(2 * EXPLANATION_SECONDS):
            # Or not: it hangs, or is busy elsewhere. This process is of no use any more.
            self._before_exit(self._failure)
            os._exit(_RANK_LOST_STATUS)


def _failure_of(reference: Any) -> Exception | None:
    """The failure of a call of another rank, or None."""
    try:
        failure = ray.get(reference)
    except ray.exceptions.RayError as error:
        return RankLost(" ".join(str(error).split()))
    if failure is None:
        return None
    kind, message = failure
    # One that lost its connection to a third has not failed itself.
    return RankLost(message) if kind == RankLost.__name__ else RankFailed(kind, message)


_group: WorkerGroup | None = None


def _train_together(
    trial_function: str, cell: Cell, options: TrialOptions, hooks: TrialHooks
) -> Result:
    """Run the trial of a cell with all ranks."""
    return _worker_group(options).run(trial_function, cell, options, hooks)


def _worker_group(options: TrialOptions) -> WorkerGroup:
    """The group of this worker, a new one if it has none that is complete."""
    global _group  # noqa: PLW0603 - as long-lived as the process
    if _group is None or not _group.complete:
        _group = WorkerGroup(options)
    return _group
