"""Cells that differ in their seeds alone, trained side by side and then tested one by one.

Each is seeded, draws, is checkpointed and is recorded as a trial of its own would be; its figures
agree with that trial's as far as training forgives the last bits of float32. Seconds and memory are
the cell's share of what all took together.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from ablations.checkpoints import restore_random_state
from ablations.context import TrialContext
from ablations.fit import make_trainer, seed_all
from ablations.interruption import Interrupted
from ablations.stack_checkpoints import Member, StackInterruptible
from ablations.trial import clean, evaluated, failed, finished, finite_rows, keep, ratio
from bench.cell import Cell
from bench.measure import (
    PeakMemory,
    count_attention_parameters,
    count_parameters,
    release_memory,
    settle,
)
from bench.provenance import utc_now
from bench.result import Cost, Result
from bench.tracking import open_tracker
from bench.tracking_base import Tracker
from tasks.base import TaskData
from tasks.plan import resolve
from tasks.stacked import StackedStreams, StackedTraining
from tasks.training import DivergedError

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Spent:
    """What a stack took, for a share of it: `started` as in records, seconds and bytes."""

    started: str
    training: float
    memory: int


def run_stack(cells: Sequence[Cell], context: TrialContext) -> list[Result]:
    """Train, test, measure and store cells that differ in their seeds alone.

    Returns the results of those it could do. The others are to be run one by one: all of them where
    models cannot be stacked or do not fit into memory together, which the context is told.

    Raises:
        Interrupted: it was asked to stop. Checkpoints of all cells are in the store; their own
            trials go on from there.
    """
    assert len({cell.with_seed(0) for cell in cells}) == 1 and context.ranks == 1
    results: list[Result] = []
    try:
        _run(cells, context, results)
    except Interrupted:
        raise
    except Exception as error:
        _log.warning("%s: not side by side", cells[0].label, exc_info=True)
        context.note(f"{_name(cells[0])}: its seeds go one by one: {error}")
    finally:
        release_memory()
        settle()
    return results


def _run(cells: Sequence[Cell], context: TrialContext, results: list[Result]) -> None:
    """Fills `results`. Models live no longer than this call."""
    with clean(cells[0].seed, context):
        started = utc_now()
        with PeakMemory(context.device) as peak:
            data, members = _members(cells, context)
            training, seconds = _fit(members, context)
        spent = _Spent(started, seconds, peak.bytes)
        for place, member in enumerate(members):
            restore_random_state(member.random_after(training.draws.states[place]))
            problem = training.diverged.get(place)
            results.append(_concluded(member, cells, data, context, spent, problem))


def _members(cells: Sequence[Cell], context: TrialContext) -> tuple[TaskData, list[Member]]:
    """The cells' modules on their device, as their own trials would make them.

    Raises:
        NotStackable: a task whose modules or data are of other kinds, or a cell that goes on from
            a checkpoint of its own.
    """
    plans = [resolve(cell) for cell in cells]
    data = plans[0].task.prepare(plans[0], context.paths())
    members = []
    for plan in plans:
        seed_all(plan.cell.seed)
        module = plan.task.module(plan, data)
        members.append(Member.of(plan, module, data, context))
    return data, members


def _fit(members: Sequence[Member], context: TrialContext) -> tuple[StackedTraining, float]:
    """Train all; returns the seconds it took."""
    modules = [member.module.to(context.device) for member in members]
    training = StackedTraining(modules, [member.draws for member in members])
    with TemporaryDirectory(prefix="attnbench-") as scratch:
        stop = StackInterruptible(members, context.asked, context.checkpoint_seconds)
        trainer = make_trainer(members[0].plan.settings, context, [stop], scratch)
        begun = time.perf_counter()
        try:
            trainer.fit(training, datamodule=StackedStreams([one.served for one in members]))
        except DivergedError:
            assert len(training.diverged) == len(members)
        return training, time.perf_counter() - begun


def _concluded(
    member: Member,
    cells: Sequence[Cell],
    data: TaskData,
    context: TrialContext,
    spent: _Spent,
    problem: DivergedError | None,
) -> Result:
    """Test one cell and store its result."""
    cell, module = member.plan.cell, member.module
    clock = time.perf_counter()
    try:
        if problem is not None:
            raise problem
        evaluation = evaluated(member.plan, module, data, context)
        rows, traces = finite_rows(evaluation), list(evaluation.traces)
        _share_seconds(member, len(cells))
        training = spent.training / len(cells)
        cost = Cost(
            parameters=count_parameters(module),
            attention_parameters=count_attention_parameters(module),
            train_seconds=round(training, 3),
            train_units_per_second=ratio(module.trained_units, training),
            decode_per_second=ratio(evaluation.decoded, evaluation.decode_seconds),
            peak_memory_bytes=spent.memory // len(cells),
            total_seconds=round(training + time.perf_counter() - clock, 3),
        )
        record = (evaluation, cost, context, spent.started, [_note(cell, cells)])
        result = finished(member.plan, module, data, *record)
    except Exception as error:
        result, rows, traces = failed(cell, context, error, spent.started), [], []
    store = context.store()
    folder = Path(context.cache) if store is None else store.wandb
    with open_tracker(context.wandb, cell, folder, context.study) as tracker:
        _track_curve(member, tracker)
        keep(result, rows, traces, context, tracker)
    context.note(tracker.problem)
    return result


def _name(cell: Cell) -> str:
    return f"{cell.task}/{cell.dataset} {cell.attention}+{cell.score}"


def _share_seconds(member: Member, count: int) -> None:
    for point in member.module.curve:
        point["seconds"] /= count


def _note(cell: Cell, cells: Sequence[Cell]) -> str:
    others = ", ".join(str(one.seed) for one in cells if one.seed != cell.seed)
    many = "seed" if len(cells) == 2 else "seeds"
    return f"trained side by side with {many} {others}; seconds and memory are a share"


def _track_curve(member: Member, tracker: Tracker) -> None:
    # Trackers hold one run at a time, so a curve is told when its cell is done.
    for point in member.module.curve:
        figures = {key: value for key, value in point.items() if math.isfinite(value)}
        tracker.log(int(point["step"]), figures)
