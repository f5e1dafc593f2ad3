"""Many cells: which are to be run and in which order, running them, and what became of them.

The store is the only memory. What it holds as `done` is skipped, so "run again" is "resume";
failed cells are run again.
"""

from __future__ import annotations

import contextlib
import math
import re
import secrets
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from ablations.cancellation import Stopped, kill_all, stop_signals
from ablations.cell_times import expected_seconds, longest_first, mean_seconds, noted_seconds
from ablations.cluster import ClusterLost, Resources, ray_folder
from ablations.driver import drive
from ablations.in_process import run_in_process
from ablations.progress import Progress, Renderer, StatusWriter, Tally
from ablations.trial_interface import Outcome, TrialOptions
from bench.errors import UsageError, one_line
from bench.store.cell import Cell
from bench.store.models import Keep
from bench.store.result import Provenance, Result, split_differences, utc_now
from bench.store.store import Problem, Store
from tasks.plan import Splits, outdated_settings

Order = Callable[[Sequence[Cell], Mapping[str, float]], Sequence[Cell]]


@dataclass(frozen=True)
class SweepPlan:
    """The cells of a sweep.

    Attributes:
        cells: all of them.
        stored: those already stored.
        to_run: those to run, in this order.
        unusable: records of the store that cannot be used, whose cells are run again.
        other_data: cells to run that are stored for other data, each with where its result is from.
        outdated_settings: cells to run that are stored with settings that their budget had before,
            each with the first difference.
        expected: seconds of cells to run that cells like them took, by hash (`expected_seconds`).
    """

    cells: tuple[Cell, ...]
    stored: tuple[Cell, ...]
    to_run: tuple[Cell, ...]
    unusable: tuple[Problem, ...] = ()
    other_data: tuple[tuple[Cell, Provenance], ...] = ()
    outdated_settings: tuple[tuple[Cell, str], ...] = ()
    expected: Mapping[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{len(self.cells)} cells, {len(self.to_run)} to run"


@dataclass(frozen=True)
class SweepSummary:
    """The outcomes of a sweep.

    Attributes:
        outcomes: of this sweep, in the order they came in.
        stopped: exit status asked for by Ctrl-C, SIGTERM and the like, None if none came.
        lost: why it ended with cells left to run, None if it did not.
        elsewhere: who runs cells that another process has claimed, by hash.
    """

    plan: SweepPlan
    outcomes: tuple[Outcome, ...] = ()
    stopped: int | None = None
    lost: str | None = None
    elsewhere: Mapping[str, str] = field(default_factory=dict)

    @property
    def failed(self) -> tuple[Outcome, ...]:
        return tuple(outcome for outcome in self.outcomes if outcome.status == "failed")

    @property
    def exit_status(self) -> int:
        """0 all well, 1 some failed or were not run, 130 or 143 (129, 131) stopped."""
        wrong = bool(self.failed) or self.lost is not None
        return self.stopped if self.stopped is not None else int(wrong)


def as_listed(cells: Sequence[Cell], seconds: Mapping[str, float]) -> list[Cell]:
    """The cells in the order of their study."""
    return list(cells)


#: By the `order` of a study.
ORDERS: Mapping[str, Order] = {"longest": longest_first, "listed": as_listed}


def without_data(cell: Cell) -> str:
    """A name that cells share if they differ in nothing but their data."""
    return replace(cell, data="").hash


@dataclass(frozen=True)
class Shard:
    """The share of one of several drivers: which cells are its own follows from their hashes alone,
    whatever other cells there are.

    Attributes:
        index: counted from 0 or from 1, as array jobs are; `count` and 0 are the same.
        count: number of shards.
    """

    index: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Raises UsageError for anything but I/N with 0 ≤ I ≤ N."""
        found = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text)
        if found is None or int(found[2]) < 1 or int(found[1]) > int(found[2]):
            raise UsageError(
                f"expected I/N with I from 1 to N (or from 0), got '{one_line(text, 40)}'",
                where="--shard",
                remedy="as in $SLURM_ARRAY_TASK_ID/8",
            )
        return cls(int(found[1]) % int(found[2]), int(found[2]))

    def of(self, cells: Iterable[Cell], *, by_kind: bool = False) -> list[Cell]:
        """The cells of this shard.

        Args:
            by_kind: keep cells together that differ in their seed alone, since they share a search.
        """
        return [
            cell
            for cell in cells
            if int((cell.kind if by_kind else cell.hash)[:16], 16) % self.count == self.index
        ]


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
    of_data: dict[str, Provenance] = {}
    wanted, outdated = {cell.hash for cell in unique}, dict[str, str]()
    for result in store.results(unusable) if store else ():
        if result.status == "done":
            differences = outdated_settings(result) if result.hash in wanted else []
            if differences:
                outdated[result.hash] = differences[0]
            elif result.hash not in again:
                done.add(result.hash)
            if result.cell.data:
                of_data[without_data(result.cell)] = result.provenance
            if result.cost.total_seconds is not None:
                taken.append((result.cell, result.cost.total_seconds))
    stored = tuple(cell for cell in unique if cell.hash in done)
    means = mean_seconds(taken)
    to_run = order([cell for cell in unique if cell.hash not in done], means)
    other_data = [
        (cell, of_data[name])
        for cell in to_run[:limit]
        if cell.data and (name := without_data(cell)) in of_data
    ]
    return SweepPlan(
        unique,
        stored,
        tuple(to_run[:limit]),
        tuple(unusable),
        tuple(other_data),
        tuple((cell, outdated[cell.hash]) for cell in to_run[:limit] if cell.hash in outdated),
        expected_seconds(to_run[:limit], means),
    )


def cells_without_model(cells: Iterable[Cell], store: Store, keep: Keep) -> list[Cell]:
    """The finished cells of a store whose model is not kept and should be.

    Args:
        keep: "all" of them, or of each setting (cells that differ in their seed alone) the one
            with the lowest validation loss of the parameters that were tested.
    """
    wanted, kept = {cell.hash for cell in cells}, store.models.names()
    finished = [one for one in store.results([]) if one.status == "done" and one.hash in wanted]
    if keep == "best":
        best: dict[str, Result] = {}
        for one in sorted(finished, key=_validation_rank, reverse=True):
            best[one.cell.kind] = one
        finished = list(best.values())
    return [one.cell for one in finished if one.hash not in kept]


def _validation_rank(result: Result) -> tuple[float, int]:
    return result.tested_point.get("validation_loss", math.inf), result.cell.seed


def run_sweep(
    plan: SweepPlan,
    options: TrialOptions,
    resources: Resources,
    renderer: Renderer,
    *,
    trial_function: str = "ablations.trial:run_trial",
    early_stopping: Mapping[str, str] | None = None,
    fail_fast: bool = False,
) -> SweepSummary:
    """Run the cells of a plan in warm workers of Ray, or in this process. Their results are in the
    store afterwards.

    Ctrl-C, SIGTERM and a closed terminal end it within seconds, with what is finished stored,
    checkpoints of what was running, and no process left; so does losing Ray again and again.

    Args:
        options: of every trial; they name the store.
        renderer: shows the progress.
        trial_function: dotted name "package.module:function" of the trial; workers import it.
        early_stopping: stop trials that fall behind others of the same group, whose name stands
            by the hash of the cell. None stops nobody.
        fail_fast: stop at the first failure; trials that run have time to save a checkpoint.

    Raises:
        UsageError: the store cannot be written, no cluster at that address, or trials that need
            more than the cluster has.
    """
    assert options.store_address is not None, "a sweep needs a store"
    store = Store.open(options.store_address, create=True)
    if not plan.to_run:
        return SweepSummary(plan)
    # Names of sweeps sort by start time.
    name = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{options.study or 'sweep'}-{secrets.token_hex(3)}"
    options = replace(options, sweep=name, sweep_began=utc_now())
    labels = {cell.hash: cell.label for cell in plan.to_run}
    noted = {
        cell.hash: seconds for cell in plan.to_run if (seconds := noted_seconds(cell)) is not None
    }
    tally = Tally(labels, len(plan.stored), plan.expected, noted)
    status = StatusWriter(store, name, options.study or "", lambda: progress.nodes)
    progress = Progress(tally, [renderer, status])
    stopped: int | None = None
    lost: str | None = None
    with stop_signals(at_second=kill_all) as request:
        try:
            if resources.in_process:
                progress.begin("starting")
                run_in_process(
                    plan.to_run, options, trial_function, progress, request, fail_fast=fail_fast
                )
            else:
                progress.begin("starting Ray and its workers")
                with ray_folder(store.ray) as folder:
                    drive(
                        plan.to_run,
                        options,
                        resources,
                        folder,
                        trial_function,
                        progress,
                        request,
                        early_stopping=early_stopping,
                        fail_fast=fail_fast,
                    )
        except Stopped as stop:
            stopped = None if request.gave_up else stop.status
        except ClusterLost as loss:
            lost = str(loss)
        finally:
            cut_short = stopped is not None or lost is not None or request.gave_up
            progress.end(stopped=cut_short)
            with contextlib.suppress(OSError, ValueError):
                store.end_sweep(name)
    return SweepSummary(plan, tuple(tally.outcomes), stopped, lost, tally.elsewhere)


def describe_unusable(plan: SweepPlan) -> Sequence[str]:
    """One line on the records that cannot be used, if there are any."""
    if not plan.unusable:
        return []
    count, first = len(plan.unusable), plan.unusable[0]
    if count == 1:
        return [f"a record cannot be used, so that its cell runs again: {first}"]
    return [f"{count} records cannot be used, so that their cells run again; first: {first}"]


def describe_outdated_settings(plan: SweepPlan) -> Sequence[str]:
    """One line on the cells that are stored with other settings, if there are any."""
    if not plan.outdated_settings:
        return []
    count, (cell, difference) = len(plan.outdated_settings), plan.outdated_settings[0]
    cells = "1 cell is" if count == 1 else f"{count:,} cells are"
    return [
        f"{cells} stored with settings that the budget had before, so that "
        f"{'it runs' if count == 1 else 'they run'} again: {cell.label} with {difference}"
    ]


def describe_other_data(plan: SweepPlan, splits: Mapping[str, Splits]) -> Sequence[str]:
    """One line on the cells that are stored for other data, if there are any.

    Args:
        splits: of the data that the cells have, by fingerprint (`tasks.plan.with_data`).
    """
    pairs = {
        (cell.data, stored.data_fingerprint): (cell, stored) for cell, stored in plan.other_data
    }
    if not pairs:
        return []
    cell, stored = next(iter(pairs.values()))
    differences = split_differences(stored.splits, splits.get(cell.data, {}))
    count = len(plan.other_data)
    first = (
        f"{cell.task}/{cell.dataset} is {cell.data[:8]} here and {stored.data_fingerprint!s:.8} "
        f"there ({', '.join(differences[:4]) or 'other alignments or properties'})"
    )
    more = f", and {len(pairs) - 1} more such differences" if len(pairs) > 1 else ""
    cells = "1 cell is" if count == 1 else f"{count:,} cells are"
    return [
        f"{cells} stored for other data, so that {'it runs' if count == 1 else 'they run'} "
        f"again: {first}{more}"
    ]


def describe_elsewhere(summary: SweepSummary) -> Sequence[str]:
    """One line on the cells that other processes run, if there are any."""
    if not summary.elsewhere:
        return []
    hash, who = next(iter(summary.elsewhere.items()))
    labels = {cell.hash: cell.label for cell in summary.plan.to_run}
    count = len(summary.elsewhere)
    first = f"{labels[hash]}: {who}"
    return [f"1 cell, {first}" if count == 1 else f"{count:,} cells; first: {first}"]


def describe_problems(summary: SweepSummary) -> Sequence[str]:
    """One line for each thing that went wrong beside the trials, however many it went wrong for."""
    found = Counter(outcome.problem for outcome in summary.outcomes if outcome.problem)
    return [
        problem if count == 1 else f"{problem}, {count} times" for problem, count in found.items()
    ]


def describe_failures(summary: SweepSummary) -> Sequence[str]:
    """One line per failed cell."""
    labels = {cell.hash: cell.label for cell in summary.plan.to_run}
    return [
        f"{labels[outcome.hash]}: {': '.join(outcome.failure or ('failed', ''))}"
        + ("" if outcome.stored else " (this could not be stored)")
        for outcome in summary.failed
    ]
