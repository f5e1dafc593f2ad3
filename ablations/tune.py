"""The part of a sweep that talks to Ray Tune. Imports Ray; imported only while a sweep runs."""

from __future__ import annotations

import itertools
import re
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import ray
from ray import tune

from ablations.cancellation import StopRequest
from ablations.cluster import environment
from ablations.context import TrialContext
from ablations.outcome import (
    OUT_OF_MEMORY,
    WORKER_DIED,
    Outcome,
    failed_trial,
    held_result,
    stopped_early,
    store_quietly,
)
from ablations.resources import Resources
from ablations.search_algorithm import GivenCells, HalvingByKind, InOrder
from ablations.status import NodeUse
from ablations.worker import node_name, trainable
from bench.errors import UsageError
from bench.store.cell import Cell
from bench.store.provenance import utc_now

_DETAIL_CHARACTERS = 200


class Listener(Protocol):
    """Hears of what happens, in the driver's main thread."""

    def ready(self, slots: int) -> None:
        """Trials begin, at most `slots` at a time."""

    def started(self, hash: str) -> None: ...

    def located(self, hash: str, node: str) -> None:
        """A trial that was started runs now, on that machine."""

    def finished(self, outcome: Outcome) -> None: ...

    def tick(self) -> None:
        """Called several times a second."""


def run_trials(
    cells: Sequence[Cell],
    context: TrialContext,
    resources: Resources,
    folder: Path,
    trial_function: str,
    listener: Listener,
    request: StopRequest,
    *,
    early_stopping: bool = False,
) -> None:
    """Run the trials of these cells on the Ray cluster that this process is connected to.

    They start in the order given, as near as reused workers allow.

    Args:
        early_stopping: stop candidates that fall behind others of the same cell.
    """
    slots = _slots(resources)
    listener.ready(slots)
    watch = _Watch(listener, request, context, resources.retries)
    for attempt in itertools.count():
        tuner = tune.Tuner(
            tune.with_resources(trainable(context, trial_function), _needs(resources)),
            tune_config=tune.TuneConfig(
                reuse_actors=True,
                search_alg=GivenCells(cells),
                num_samples=len(cells),
                scheduler=HalvingByKind() if early_stopping else InOrder(),
                trial_dirname_creator=lambda trial: str(trial.trial_id),
            ),
            run_config=tune.RunConfig(
                name=f"trials-{attempt}",
                storage_path=str(folder),
                verbose=0,
                failure_config=tune.FailureConfig(max_failures=resources.retries),
                callbacks=[watch],
            ),
        )
        # Tune starts any of its pending trials, so few may be pending if the order is to be kept.
        with environment({"TUNE_MAX_PENDING_TRIALS_PG": str(slots)}):
            tuner.fit()
        cells = watch.forsaken()
        if not cells:
            return


def _needs(resources: Resources) -> tune.PlacementGroupFactory:
    """A bundle for every rank, near to each other. The worker that Tune starts is the first."""
    bundle = {"CPU": resources.cpus_per_trial, "GPU": resources.gpus_per_rank}
    return tune.PlacementGroupFactory([bundle] * resources.ranks, strategy="PACK")


def _slots(resources: Resources) -> int:
    """How many trials run at once. Raises UsageError where not even one can."""
    have = ray.cluster_resources()
    largest = {"CPU": 0.0, "GPU": 0.0}
    slots = 0
    for node in ray.nodes():
        if node["Alive"]:
            slots += _fitting(node["Resources"], resources)
            for kind in largest:
                largest[kind] = max(largest[kind], node["Resources"].get(kind, 0.0))
    if slots < resources.ranks:
        each = f"{resources.cpus_per_trial:g} CPUs and {resources.gpus_per_rank:g} GPUs"
        many = f"{resources.ranks} times " if resources.ranks > 1 else ""
        raise UsageError(
            f"a trial that needs {many}{each} fits on no machine of the cluster",
            where="--cpus-per-trial, --gpus-per-trial",
            remedy=f"the largest has {largest['CPU']:g} CPUs and {largest['GPU']:g} GPUs "
            f"(all together {have.get('CPU', 0.0):g} and {have.get('GPU', 0.0):g})",
        )
    return slots // resources.ranks


def nodes() -> list[NodeUse]:
    """The machines of the cluster, those that have left as well."""
    return [
        NodeUse(
            node_name(node["NodeManagerHostname"], node["NodeID"]),
            node["Resources"].get("CPU", 0.0),
            node["Resources"].get("GPU", 0.0),
            node["Alive"],
        )
        for node in ray.nodes()
    ]


def _fitting(have: dict[str, float], resources: Resources) -> int:
    """How many ranks (of one trial or several) a machine can hold."""
    by_cpu = int(have.get("CPU", 0.0) / resources.cpus_per_trial + 1e-9)
    if not resources.gpus_per_rank:
        return by_cpu
    return min(by_cpu, int(have.get("GPU", 0.0) / resources.gpus_per_rank + 1e-9))


class _Watch(tune.Callback):
    """Tune's events, told to the listener; deaths of workers become results.

    Args:
        retries: deaths that a trial may survive.
    """

    def __init__(
        self, listener: Listener, request: StopRequest, context: TrialContext, retries: int
    ) -> None:
        self._listener, self._request, self._context = listener, request, context
        self._retries, self._deaths = retries, Counter[str]()
        self._started: dict[str, str] = {}  # of those that run, by hash
        self._forsaken: list[Cell] = []
        self._deadline: float | None = None

    def __getstate__(self) -> dict[str, Any]:
        # Tune pickles its callbacks for a resumption of its own, which we have no use for; a
        # terminal cannot be pickled.
        return {}

    def forsaken(self) -> list[Cell]:
        """The cells that Tune gave up too early since the last call. It tries no trial again whose
        process dies while the trial is handed to it, however many deaths are allowed."""
        found, self._forsaken = self._forsaken, []
        return found

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        if self._request.number is not None:
            self._stop()
        self._listener.tick()

    def _stop(self) -> None:
        """Ask the running trials to end; raise once they have, or have had their time."""
        if self._deadline is None:
            self._deadline = time.monotonic() + self._request.patience
            self._ask()
        if not self._started or time.monotonic() >= self._deadline:
            self._request.check()

    def _ask(self) -> None:
        store, sweep = self._context.store(), self._context.sweep
        assert store is not None and sweep is not None
        try:
            store.ask_to_stop(sweep)
        except (OSError, ValueError):  # then nobody will hear it
            self._request.check()

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        cell = _cell(trial)
        self._started[cell.hash] = utc_now()
        self._listener.started(cell.hash)

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        if "node" in result:  # its first report
            self._listener.located(_cell(trial).hash, result["node"])

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        cell = _cell(trial)
        started = self._started.pop(cell.hash, None)
        if "hash" in trial.last_result:
            outcome = Outcome.from_json(trial.last_result)
        else:  # a scheduler ended it
            result = stopped_early(
                cell, self._context, trial.last_result, started=started or utc_now()
            )
            outcome = Outcome.of(result, stored=store_quietly(result, self._context))
        self._listener.finished(outcome)

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        # Its process died; until there is another it does not run, and is not waited for.
        cell = _cell(trial)
        if self._started.pop(cell.hash, None) is not None:
            self._listener.finished(Outcome(cell.hash, "interrupted"))

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        cell = _cell(trial)
        started = self._started.pop(cell.hash, None)
        held = held_result(cell, self._context)
        if held is not None:  # its process had stored what became of it before it ended
            self._listener.finished(Outcome.of(held))
            return
        self._deaths[cell.hash] += max(1, trial.run_metadata.num_failures)
        if self._deaths[cell.hash] <= self._retries:
            self._listener.finished(Outcome(cell.hash, "interrupted"))
            self._forsaken.append(cell)
            return
        cause = _cause(trial, self._deaths[cell.hash])
        result = failed_trial(cell, self._context, *cause, started=started or utc_now())
        stored = store_quietly(result, self._context)
        self._listener.finished(Outcome.of(result, stored=stored))


def _cell(trial: Any) -> Cell:
    return Cell.from_json(trial.config["cell"])


def _cause(trial: Any, times: int) -> tuple[str, str]:
    """Kind and message from what Ray wrote down of the deaths of a trial's processes."""
    try:
        said = Path(trial.error_file).read_text()
    except (OSError, TypeError):
        return WORKER_DIED, "its process ended without a word"
    again = f", {times} times" if times > 1 else ""
    if "low on memory" in said or "OutOfMemory" in said:
        return OUT_OF_MEMORY, f"its process was killed because the machine ran low on memory{again}"
    who = "the process of one of its ranks" if "RankLost: " in said else "its process"
    return WORKER_DIED, f"{who} was killed or crashed{again} ({_detail(said)})"


def _detail(said: str) -> str:
    """What Ray knows of the last death, or else how a rank's own account of it ends."""
    _, found, detail = said.rpartition("Worker exit detail:")
    if found:
        detail = re.split("Some common causes|There are some potential root causes", detail)[0]
    else:
        detail = said.rpartition("RankLost: ")[2][-_DETAIL_CHARACTERS:]
    return " ".join(detail.split())
