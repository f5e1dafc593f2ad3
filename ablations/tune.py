"""The part of a sweep that talks to Ray Tune: search algorithm and schedulers for given cells, the
tuner, and the callback that follows it. Imports Ray; imported only while a sweep runs.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter, defaultdict, deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import ray
from ray import tune
from ray.tune.experiment import Trial
from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from ablations.cell_runner import release_left
from ablations.cluster import Resources, environment
from ablations.progress import NodeUse
from ablations.trial_interface import (
    OUT_OF_MEMORY,
    WORKER_DIED,
    Outcome,
    TrialOptions,
    failed_result,
    stopped_result,
    store_result,
    stored_result,
)
from ablations.trial_progress import TrialProgress
from ablations.worker import node_name, trainable
from bench.errors import UsageError
from bench.store.cell import Cell
from bench.store.result import utc_now

#: Of the candidates that reach the first, third, ninth... validation, the best third goes on.
_REDUCTION = 3

_METRIC = "best_validation_loss"

_DETAIL_CHARACTERS = 200


class Listener(Protocol):
    """Hears of trials, as `ablations.progress.Progress` does."""

    def ready(self, slots: int) -> None: ...
    def started(self, hash: str) -> None: ...
    def located(self, hash: str, node: str) -> None: ...
    def advanced(self, hash: str, progress: TrialProgress) -> None: ...
    def finished(self, outcome: Outcome) -> None: ...
    def tick(self) -> None: ...


class GivenCells(Searcher):
    """A search algorithm without a search: configurations `{"cell": Cell.to_json()}`, one for each
    cell. Tune's own grid is copied whole for every trial of it: 10,000 cells wait ten minutes
    before the first one starts."""

    def __init__(self, cells: Sequence[Cell]) -> None:
        super().__init__()
        self._left = deque(cells)

    def set_search_properties(self, *arguments: Any, **more: Any) -> bool:
        return True  # nothing is optimized

    def suggest(self, trial_id: str) -> Any:
        if not self._left:
            return Searcher.FINISHED
        return {"cell": self._left.popleft().to_json()}

    def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
        """Nothing is learnt from results."""

    def save(self, checkpoint_path: str) -> None:
        Path(checkpoint_path).touch()  # Tune wants a file; the store is what sweeps resume from


class InOrder(FIFOScheduler):
    """A scheduler that starts trials in the order in which they came, at the same cost however many
    there are. Tune's own looks at every trial that there ever was for the next one to start."""

    def __init__(self) -> None:
        super().__init__()
        self._open: list[Trial] = []  # and some that have ended since the last look

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        if trial not in self._open:  # one whose process died is added again
            self._open.append(trial)

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        self._open = [trial for trial in self._open if not trial.is_finished()]
        return next((trial for trial in self._open if trial.status == Trial.PENDING), None)


class HalvingByKind(InOrder):
    """Asynchronous successive halving (ASHA) among the candidates of one cell at a time: losses of
    different cells mean different things, so that each cell has its own brackets. Trials start in
    their order; after validations, those that fall behind are stopped.

    Args:
        groups: a name that the candidates of one cell share, by the hash of each of them.
    """

    def __init__(self, groups: Mapping[str, str]) -> None:
        super().__init__()
        self._groups = groups
        self._halvings = defaultdict[str, AsyncHyperBandScheduler](_halving)
        self._steps = defaultdict[str, set[float]](set)  # of validations, by trial

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        super().on_trial_add(tune_controller, trial)
        self._bracket(trial).on_trial_add(tune_controller, trial)

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        if _METRIC not in result:  # its first report, or its last
            return str(TrialScheduler.CONTINUE)
        # A trial that continues from a checkpoint reports its validations once more.
        steps = self._steps[trial.trial_id]
        steps.add(result["step"])
        figures = {_METRIC: result[_METRIC], "validation": len(steps)}
        return str(self._bracket(trial).on_trial_result(tune_controller, trial, figures))

    def _bracket(self, trial: Any) -> AsyncHyperBandScheduler:
        return self._halvings[self._groups[_cell(trial).hash]]


def _halving() -> AsyncHyperBandScheduler:
    end = 10**6  # trials end by themselves
    return AsyncHyperBandScheduler(
        "validation", _METRIC, "min", max_t=end, grace_period=1, reduction_factor=_REDUCTION
    )


def run_trials(
    cells: Sequence[Cell],
    options: TrialOptions,
    resources: Resources,
    folder: Path,
    trial_function: str,
    progress: Listener,
    *,
    early_stopping: Mapping[str, str] | None = None,
) -> None:
    """Run the trials of these cells on the Ray cluster that this process is connected to.

    They start in the order given, as near as reused workers allow.

    Args:
        early_stopping: stop candidates that fall behind others of the same cell: the `groups` of
            `HalvingByKind`. None stops nobody.
    """
    slots = _slots(resources)
    # One for every rank, near to each other. The worker that Tune starts is the first.
    bundles = tune.PlacementGroupFactory([_needs(resources)] * resources.ranks, strategy="PACK")
    progress.ready(slots)
    watch = _Watch(progress, options, resources.retries)
    for attempt in itertools.count():
        tuner = tune.Tuner(
            tune.with_resources(trainable(options, trial_function), bundles),
            tune_config=tune.TuneConfig(
                reuse_actors=True,
                search_alg=GivenCells(cells),
                num_samples=len(cells),
                scheduler=InOrder() if early_stopping is None else HalvingByKind(early_stopping),
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


def _needs(resources: Resources) -> dict[str, float]:
    """What one rank needs."""
    return {"CPU": resources.cpus_per_trial, "GPU": resources.gpus_per_rank}


def _slots(resources: Resources) -> int:
    """How many trials run at once. Raises UsageError where not even one can."""
    alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    needs = {kind: need for kind, need in _needs(resources).items() if need}
    # Ranks, of one trial or several, that the machines can hold.
    slots = sum(
        min(int(have.get(kind, 0.0) / need + 1e-9) for kind, need in needs.items())
        for have in alive
    )
    if slots < resources.ranks:
        have = ray.cluster_resources()
        cpus, gpus = (
            max((one.get(kind, 0.0) for one in alive), default=0.0) for kind in ("CPU", "GPU")
        )
        each = f"{resources.cpus_per_trial:g} CPUs and {resources.gpus_per_rank:g} GPUs"
        many = f"{resources.ranks} times " if resources.ranks > 1 else ""
        raise UsageError(
            f"a trial that needs {many}{each} fits on no machine of the cluster",
            where="--cpus-per-trial, --gpus-per-trial",
            remedy=f"the largest has {cpus:g} CPUs and {gpus:g} GPUs "
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


class _Watch(tune.Callback):
    """Passes Tune's events to the progress; deaths of workers become results.

    Args:
        retries: deaths that a trial may survive.
    """

    def __init__(self, progress: Listener, options: TrialOptions, retries: int) -> None:
        self._progress, self._options = progress, options
        self._retries, self._deaths = retries, Counter[str]()
        self._started: dict[str, str] = {}  # of those that run, by hash
        self._forsaken: list[Cell] = []

    def __getstate__(self) -> dict[str, Any]:
        # Tune pickles its callbacks for a resumption of its own, which we have no use for; a
        # terminal cannot be pickled.
        return {}

    def forsaken(self) -> list[Cell]:
        """The cells that Tune gave up too early since the last call. It never retries a trial whose
        process dies while the trial is handed to it, however many deaths are allowed."""
        found, self._forsaken = self._forsaken, []
        return found

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        self._progress.tick()

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        cell = _cell(trial)
        self._started[cell.hash] = utc_now()
        self._progress.started(cell.hash)

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        if "node" in result:  # its first report
            self._progress.located(_cell(trial).hash, result["node"])
        elif "progress" in result:
            self._progress.advanced(_cell(trial).hash, TrialProgress(**result["progress"]))

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        cell = _cell(trial)
        started = self._started.pop(cell.hash, None)
        if "hash" in trial.last_result:
            outcome = Outcome.from_json(trial.last_result)
        else:  # a scheduler ended it
            figures, started = trial.last_result, started or utc_now()
            result = stopped_result(cell, self._options, figures, started=started)
            outcome = Outcome.of(result, stored=store_result(result, self._options))
        self._progress.finished(outcome)

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        # Its process died; until there is another it does not run, and is not waited for.
        cell = _cell(trial)
        if self._started.pop(cell.hash, None) is not None:
            self._progress.finished(Outcome(cell.hash, "interrupted"))

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        cell = _cell(trial)
        started = self._started.pop(cell.hash, None)
        result = stored_result(cell, self._options)
        if result is not None:  # its process had stored its result before it ended
            release_left(cell, self._options)
            self._progress.finished(Outcome.of(result))
            return
        self._deaths[cell.hash] += max(1, trial.run_metadata.num_failures)
        if self._deaths[cell.hash] <= self._retries:
            self._progress.finished(Outcome(cell.hash, "interrupted"))
            self._forsaken.append(cell)
            return
        cause, started = _cause(trial, self._deaths[cell.hash]), started or utc_now()
        result = failed_result(cell, *cause, started=started, options=self._options)
        release_left(cell, self._options)
        self._progress.finished(Outcome.of(result, stored=store_result(result, self._options)))


def _cell(trial: Any) -> Cell:
    return Cell.from_json(trial.config["cell"])


def _cause(trial: Any, times: int) -> tuple[str, str]:
    """Kind and message of a failure, from Ray's report on the deaths of a trial's processes."""
    try:
        report = Path(trial.error_file).read_text()
    except (OSError, TypeError):
        return WORKER_DIED, "its process ended without a report"
    again = f", {times} times" if times > 1 else ""
    if "low on memory" in report or "OutOfMemory" in report:
        return OUT_OF_MEMORY, f"its process was killed because the machine ran low on memory{again}"
    who = "the process of one of its ranks" if "RankLost: " in report else "its process"
    # Ray's account of the last death, or else the end of a rank's own.
    _, found, detail = report.rpartition("Worker exit detail:")
    detail = re.split("Some common causes|There are some potential root causes", detail)[0]
    own = report.rpartition("RankLost: ")[2][-_DETAIL_CHARACTERS:]
    account = " ".join((detail if found else own).split())
    return WORKER_DIED, f"{who} was killed or crashed{again} ({account})"
