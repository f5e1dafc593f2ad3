"""Many cells: what is to be run, running it, and what became of it.

The store is the only memory. What it holds as `done` is skipped, so "run again" is "resume";
failed cells are run again.
"""

from __future__ import annotations

import contextlib
import secrets
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from ablations.cancellation import Stopped, stop_signals
from ablations.context import TrialContext
from ablations.outcome import Outcome
from ablations.plan import longest_first, mean_seconds
from ablations.progress import Progress
from ablations.resources import Resources
from ablations.status import Live, NodeUse
from bench.store.cell import Cell
from bench.store.provenance import utc_now
from bench.store.store import Problem, Store

Order = Callable[[Sequence[Cell], Mapping[str, float]], Sequence[Cell]]


@dataclass(frozen=True)
class SweepPlan:
    """The cells of a sweep: all of them, those finished before, those to run in this order; and
    the records of the store that cannot be used, whose cells are run again."""

    cells: tuple[Cell, ...]
    held: tuple[Cell, ...]
    to_run: tuple[Cell, ...]
    unusable: tuple[Problem, ...] = ()

    def __str__(self) -> str:
        return f"{len(self.cells)} cells, {len(self.to_run)} to run"


@dataclass(frozen=True)
class SweepSummary:
    """What became of a sweep.

    Attributes:
        held: finished before it began.
        outcomes: of this sweep, in the order they came in.
        stopped: exit status asked for by Ctrl-C or SIGTERM, None if it ran to its end.
    """

    plan: SweepPlan
    outcomes: tuple[Outcome, ...] = ()
    stopped: int | None = None
    labels: dict[str, str] = field(default_factory=dict)

    @property
    def failed(self) -> tuple[Outcome, ...]:
        return tuple(outcome for outcome in self.outcomes if outcome.status == "failed")

    @property
    def exit_status(self) -> int:
        """0 all well, 1 some failed, 130 or 143 stopped."""
        if self.stopped is not None:
            return self.stopped
        return 1 if self.failed else 0


def plan_sweep(
    cells: Iterable[Cell],
    store: Store | None,
    *,
    limit: int | None = None,
    again: Collection[str] = (),
    order: Order = longest_first,
) -> SweepPlan:
    """Which of these cells are to be run, and in which order.

    Args:
        store: None where there is none yet; all cells are then to be run.
        limit: run at most so many of them.
        again: hashes of cells to run even if they are done.
        order: puts cells in order, given the mean seconds that cells took, by kind and family.
    """
    unique = tuple({cell.hash: cell for cell in cells}.values())
    done: set[str] = set()
    taken: list[tuple[Cell, float]] = []
    unusable: list[Problem] = []
    for result in store.results(unusable) if store else ():
        if result.status == "done":
            if result.hash not in again:
                done.add(result.hash)
            if result.cost.total_seconds is not None:
                taken.append((result.key, result.cost.total_seconds))
    held = tuple(cell for cell in unique if cell.hash in done)
    to_run = order([cell for cell in unique if cell.hash not in done], mean_seconds(taken))
    return SweepPlan(unique, held, tuple(to_run[:limit]), tuple(unusable))


def run_sweep(
    plan: SweepPlan,
    context: TrialContext,
    resources: Resources,
    progress: Progress,
    *,
    trial_function: str = "ablations.trial:run_trial",
    early_stopping: bool = False,
) -> SweepSummary:
    """Run the cells of a plan in warm workers; their results are in the store afterwards.

    Ctrl-C and SIGTERM end it within seconds, with what is finished stored, checkpoints of what was
    running, and no process left.

    Args:
        context: handed to every trial; it names the store.
        trial_function: dotted name "package.module:function" of the trial; workers import it.
        early_stopping: stop trials that fall behind others whose cells differ in settings alone.

    Raises:
        UsageError: the store cannot be written, no cluster at that address, or trials that need
            more than the cluster has.
    """
    assert context.store_address is not None, "a sweep needs a store"
    store = Store.open(context.store_address, create=True)
    labels = {cell.hash: cell.label for cell in plan.to_run}
    if not plan.to_run:
        return SweepSummary(plan, labels=labels)

    from ablations.cluster import cluster, kill_all

    outcomes: list[Outcome] = []
    stopped: int | None = None
    context = replace(context, sweep=_name(context.study), sweep_began=utc_now())
    live = _live(plan, store, context, labels)
    with stop_signals(at_second=kill_all) as request:
        try:
            progress.begin("starting Ray and its workers")
            live.begin()
            with cluster(resources.address, store.ray, resources.cpus_per_trial) as folder:
                request.arm()
                request.check()
                from ablations.tune import run_trials

                run_trials(
                    plan.to_run,
                    context,
                    resources,
                    folder,
                    trial_function,
                    _Listener(outcomes, progress, live),
                    request,
                    early_stopping=early_stopping,
                )
        except Stopped as stop:
            stopped = stop.status
        finally:
            progress.end()
            live.end(stopped=stopped is not None)
            _remove_flag(store, context)
    return SweepSummary(plan, tuple(outcomes), stopped, labels)


def _name(study: str | None) -> str:
    """Of a sweep: names sort by time."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{study or 'sweep'}-{secrets.token_hex(3)}"


def _live(plan: SweepPlan, store: Store, context: TrialContext, labels: Mapping[str, str]) -> Live:
    def nodes() -> list[NodeUse]:
        from ablations.tune import nodes  # imports Ray, which runs by then

        return nodes()

    assert context.sweep is not None
    return Live(store, context.sweep, context.study or "", labels, len(plan.held), nodes)


def _remove_flag(store: Store, context: TrialContext) -> None:
    assert context.sweep is not None
    with contextlib.suppress(OSError, ValueError):
        store.end_sweep(context.sweep)


class _Listener:
    """Keeps the outcomes and shows them, here and in the store."""

    def __init__(self, outcomes: list[Outcome], progress: Progress, live: Live) -> None:
        self._outcomes, self._progress, self._live = outcomes, progress, live

    def ready(self, slots: int) -> None:
        self._progress.ready(slots)
        self._live.ready(slots)

    def started(self, hash: str) -> None:
        self._progress.started(hash)
        self._live.started(hash)

    def located(self, hash: str, node: str) -> None:
        self._live.located(hash, node)

    def finished(self, outcome: Outcome) -> None:
        if outcome.status != "interrupted":
            self._outcomes.append(outcome)
        self._progress.finished(outcome)
        self._live.finished(outcome)

    def tick(self) -> None:
        self._progress.tick()
        self._live.tick()


def describe_unusable(plan: SweepPlan) -> Sequence[str]:
    """One line on the records that cannot be used, if there are any."""
    if not plan.unusable:
        return []
    count, first = len(plan.unusable), plan.unusable[0]
    if count == 1:
        return [f"a record cannot be used, so that its cell runs again: {first}"]
    return [f"{count} records cannot be used, so that their cells run again; first: {first}"]


def describe_problems(summary: SweepSummary) -> Sequence[str]:
    """One line for each thing that went wrong beside the trials, however many it went wrong for."""
    found = Counter(outcome.problem for outcome in summary.outcomes if outcome.problem)
    return [
        problem if count == 1 else f"{problem}, {count} times" for problem, count in found.items()
    ]


def describe_failures(summary: SweepSummary) -> Sequence[str]:
    """One line per failed cell."""
    lines = []
    for outcome in summary.failed:
        kind, message = outcome.failure or ("failed", "")
        kept = "" if outcome.stored else " (this could not be stored)"
        lines.append(f"{summary.labels[outcome.hash]}: {kind}: {message}{kept}")
    return lines
