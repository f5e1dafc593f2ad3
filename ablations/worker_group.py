"""Trials that several processes train, under Ray. Imports Ray; imported only where it runs.

The worker that Tune starts is rank 0. The other ranks are actors of its own in the placement group
that Tune holds for its trials. They stay warm from trial to trial, as the worker does, and end when
it does.
"""

from __future__ import annotations

import importlib
import logging
import os
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import ray
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from ablations.cancellation import Interrupted
from ablations.context import TrialContext
from ablations.distributed import (
    EXPLANATION_SECONDS,
    RankFailed,
    RankLost,
    choose_interface,
    find_meeting,
    meet,
    open_meeting,
)
from ablations.outcome import failed_trial, store_quietly
from bench.store.cell import Cell
from bench.store.provenance import utc_now
from bench.store.result import Result

#: Seconds that ranks have to end once one of them has.
_PATIENCE = 5.0

_RANK_LOST_STATUS = 18

_log = logging.getLogger(__name__)


class Rank:
    """What the actor of a rank above 0 does."""

    def meet(self, host: str, port: int, number: int, context: TrialContext) -> None:
        choose_interface(ray.util.get_node_ip_address())
        meeting = find_meeting(host, port, context.ranks)
        meet(meeting, number, context.rank, context.ranks, context.device)

    def assist(
        self, trial_function: str, cell: dict[str, Any], context: TrialContext
    ) -> tuple[str, str] | None:
        """Train along. Returns kind and message of a failure; never raises Exception."""
        from ablations.trial import kind_of

        module = importlib.import_module(trial_function.partition(":")[0])
        try:
            module.assist(Cell.from_json(cell), context)
        except Interrupted:
            return None
        except Exception as error:
            _log.exception("rank %d failed", context.rank)
            return kind_of(error), str(error) or type(error).__name__
        return None


class Team:
    """Rank 0's view of the others. Made in a worker that Tune started in a placement group with a
    bundle for every rank."""

    def __init__(self, context: TrialContext) -> None:
        group = ray.util.get_current_placement_group()
        assert group is not None and group.bundle_count == context.ranks
        self.whole = True
        self._host = ray.util.get_node_ip_address()
        choose_interface(self._host)
        self._meeting = open_meeting(self._host, context.ranks)
        self._met, self._in_step = 0, False
        self._others: list[Any] = [
            ray.remote(Rank)
            .options(
                num_cpus=group.bundle_specs[rank].get("CPU", 0),
                num_gpus=group.bundle_specs[rank].get("GPU", 0),
                scheduling_strategy=PlacementGroupSchedulingStrategy(group, rank),
            )
            .remote()
            for rank in range(1, context.ranks)
        ]

    def run(self, trial_function: str, cell: Cell, context: TrialContext) -> Result:
        """Run the trial of a cell with all ranks.

        Args:
            trial_function: of rank 0, "package.module:function"; others call the `assist` of its
                module.

        Raises:
            RankLost: a process died; the team is of no use any more.
        """
        told = [
            replace(context, rank=rank, report=None, tell=None, asked_to_stop=None)
            for rank in range(1, len(self._others) + 1)
        ]
        if not self._in_step:
            self._meet(context, told)
        self._in_step = False  # unless all goes well
        under_way = [
            other.assist.remote(trial_function, cell.to_json(), mine)
            for other, mine in zip(self._others, told, strict=True)
        ]
        watch = _Watch(under_way, self.disband, partial(_store_failure, cell, context, utc_now()))
        module, _, function = trial_function.partition(":")
        patience = 0.0
        try:
            result: Result = getattr(importlib.import_module(module), function)(
                cell, replace(context, trouble=watch.trouble)
            )
            self._in_step = result.status == "done"
        except Exception:
            patience = _PATIENCE
            raise
        else:
            patience = _PATIENCE
            return result
        finally:
            # Also where Tune ends the trial, by SystemExit: the others would wait for this rank.
            if not watch.end(patience):
                self.disband()

    def disband(self) -> None:
        """End the processes of the others."""
        self.whole = False
        for other in self._others:
            ray.kill(other)

    def _meet(self, context: TrialContext, told: list[TrialContext]) -> None:
        self._met += 1
        there = [
            other.meet.remote(self._host, self._meeting.port, self._met, mine)
            for other, mine in zip(self._others, told, strict=True)
        ]
        watch = _Watch(there, self.disband)
        try:
            meet(self._meeting, self._met, 0, context.ranks, context.device)
        except RuntimeError as error:
            raise watch.trouble() or error from error
        finally:
            watch.end(_PATIENCE)


def _store_failure(cell: Cell, context: TrialContext, started: str, trouble: Exception) -> None:
    if isinstance(trouble, RankFailed):  # where a process died, the trial is run again
        result = failed_trial(cell, context, trouble.kind, str(trouble), started=started)
        store_quietly(result, context)


class _Watch:
    """Looks after what other ranks do while this one is busy, and frees it if it waits in vain.

    Args:
        under_way: what they do, as Ray's references.
        disband: ends their processes.
        last_words: called with what went wrong before this process ends itself.
    """

    def __init__(
        self,
        under_way: list[Any],
        disband: Callable[[], None],
        last_words: Callable[[Exception], None] = lambda trouble: None,
    ) -> None:
        self._under_way, self._disband, self._last_words = under_way, disband, last_words
        self._trouble: Exception | None = None
        self._known, self._over = threading.Event(), threading.Event()
        threading.Thread(target=self._look, name="rank watch", daemon=True).start()

    def trouble(self) -> Exception | None:
        """What went wrong elsewhere, which may take some seconds to come out."""
        self._known.wait(EXPLANATION_SECONDS)
        return self._trouble

    def end(self, patience: float) -> bool:
        """This rank is done. Whether the others are as well, within so many seconds."""
        self._over.set()
        count = len(self._under_way)
        done, _ = ray.wait(self._under_way, num_returns=count, timeout=patience or 0.01)
        return len(done) == count and not any(isinstance(_trouble(one), RankLost) for one in done)

    def _look(self) -> None:
        waiting = list(self._under_way)
        while waiting and self._trouble is None:
            done, waiting = ray.wait(waiting, num_returns=1)
            self._trouble = _trouble(done[0])
        self._known.set()
        if self._trouble is None or self._over.wait(_PATIENCE):
            return
        self._disband()  # connections break, which ends waiting
        if not self._over.wait(2 * EXPLANATION_SECONDS):
            # Or not: it hangs, or is busy elsewhere. This process is of no use any more.
            self._last_words(self._trouble)
            os._exit(_RANK_LOST_STATUS)


def _trouble(answer: Any) -> Exception | None:
    try:
        failure = ray.get(answer)
    except ray.exceptions.RayError as error:
        return RankLost(" ".join(str(error).split()))
    if failure is None:
        return None
    kind, message = failure
    # One that lost its connection to a third has not failed itself.
    return RankLost(message) if kind == RankLost.__name__ else RankFailed(kind, message)


_team: Team | None = None


def team(context: TrialContext) -> Team:
    """The team of this worker, a new one if it has none that is whole."""
    global _team  # noqa: PLW0603 - as long-lived as the process
    if _team is None or not _team.whole:
        _team = Team(context)
    return _team
