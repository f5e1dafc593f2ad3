"""`attnbench run`: train and test one cell in this process."""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ablations.cli.options import (
    add_cell_options,
    add_checkpoints,
    add_keep_model,
    add_tracking,
    checkpoint_seconds_of,
    note,
    require_keepable,
    settings_of,
    trackers_of,
)
from ablations.inputs import check_data, data_root_of, device_of, with_data
from bench.errors import UsageError

if TYPE_CHECKING:
    from bench.store.cell import Cell
    from bench.store.models import Keep
    from bench.store.result import Result
    from bench.store.store import Store
    from tasks.plan import Splits


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--task", metavar="TASK", required=True, help="see `attnbench list tasks`")
    parser.add_argument(
        "--attention", metavar="ATTENTION", required=True, help="see `attnbench list attentions`"
    )
    parser.add_argument("--score", metavar="SCORE", help="default: the attention's own")
    parser.add_argument(
        "--backbone",
        metavar="BACKBONE",
        help="recurrent, convolutional or transformer (default: that of the attention's paper)",
    )
    parser.add_argument("--dataset", metavar="DATASET", help="default: the task's own")
    parser.add_argument("--seed", metavar="N", type=int, default=1, help="default: 1")
    add_cell_options(parser)
    parser.add_argument(
        "--store",
        metavar="STORE",
        help="folder or URL to keep the result in; a result already there is shown, not run again",
    )
    parser.add_argument(
        "--force", action="store_true", help="run the cell even if its result is stored"
    )
    parser.add_argument(
        "--device", metavar="DEVICE", default="auto", help="auto, cpu, cuda, cuda:N or mps"
    )
    parser.add_argument(
        "--threads",
        metavar="N",
        type=int,
        default=1,
        help="CPU threads (default: 1); other values may change the last bits of results",
    )
    parser.add_argument("--json", action="store_true", help="print the result record alone")
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    add_keep_model(parser, default="all")
    add_checkpoints(parser)
    add_tracking(parser, default="off")


def run(args: argparse.Namespace) -> int:
    """0 for a finished cell, 1 for a failed one, 130, 143 and the like if stopped.

    Raises UsageError for names, options, data or a store that cannot be used.
    """
    if args.threads < 1:
        raise UsageError(f"must be ≥ 1, got {args.threads}", where="--threads")
    request, _ = trackers_of(args, "off")
    if args.store is None:
        if args.keep_model:
            raise UsageError(
                "models are kept in a store", where="--keep-model", remedy="add --store"
            )
        if args.track:
            raise UsageError("trackers write to a store", where="--track", remedy="add --store")
        if request in ("online", "offline"):
            raise UsageError(
                "W&B keeps its files in a store", where="--wandb", remedy="add --store"
            )
    from tasks.plan import make_cell

    cell = make_cell(
        args.task,
        args.attention,
        args.score,
        backbone=args.backbone,
        dataset=args.dataset,
        budget=args.budget or "laptop",
        seed=args.seed,
        options=settings_of(args.settings),
    )
    if args.keep_model:
        require_keepable([cell])
    data_root = data_root_of(args.data_root)
    [cell], splits = with_data([cell], data_root)
    store = result = None
    if args.store is not None:
        from bench.store.store import Store

        store = Store.open(args.store, create=True)
        if not args.force:
            from ablations.trial_interface import finished_result

            result = finished_result(cell, store)
    if result is None:
        from ablations.cancellation import Stopped
        from ablations.trial_interface import NotStoredError

        if store is not None and not args.force:
            _note_stored_otherwise(cell, store, splits)
        try:
            result = _run(cell, data_root, store, args)
        except Stopped as stop:
            with contextlib.suppress(OSError):  # a terminal that is gone
                kept = "a checkpoint is stored, run again to continue"
                nothing = "nothing is kept without --store"
                sys.stderr.write(f"{stop}: {nothing if store is None else kept}\n")
            return stop.status
        except NotStoredError as error:
            _show(error.result, as_json=args.json)
            where = "" if store is None else store.address
            raise UsageError(str(error), where=where, remedy="see to it and run again") from error
    else:
        assert store is not None
        sys.stderr.write("from the store; --force runs it again\n")
        if args.keep_model and not store.models.has(cell):
            note("note", [_no_model(cell, store, args.keep_model)])
    _show(result, as_json=args.json)
    return 0 if result.status == "done" else 1


def _no_model(cell: Cell, store: Store, keep: Keep) -> str:
    """Why a stored cell has no model, and what would do."""
    best = next(iter(store.models.of_setting(cell)), None) if keep == "best" else None
    if best is not None:
        return (
            f"kept is the best model of its setting: seed {best.cell.seed}, {best.cell.hash[:12]}"
        )
    return "its model was not kept; --force runs it again and keeps it"


def _note_stored_otherwise(cell: Cell, store: Store, splits: Mapping[str, Splits]) -> None:
    """Say where the store has the cell for other data or with other settings, if that is looked up
    at next to no cost."""
    from ablations.sweep import describe_other_data, describe_outdated_settings, plan_sweep

    if store.is_local and (cell.data or store.has(cell.hash)):
        plan = plan_sweep([cell], store)
        note("note", [*describe_other_data(plan, splits), *describe_outdated_settings(plan)])


def _run(
    cell: Cell, data_root: Path | None, store: Store | None, args: argparse.Namespace
) -> Result:
    from ablations.cancellation import Interrupted, Stopped, stop_signals
    from ablations.cell_runner import run_claimed
    from ablations.trial import UNUSABLE, run_trial
    from ablations.trial_interface import TrialHooks, TrialOptions
    from ablations.trial_progress import shown_on
    from bench.tracking import decide

    check_data([cell], data_root)
    wanted, track = trackers_of(args, "off")
    tracking = decide(
        "off" if store is None else wanted, folder=None if store is None else store.wandb
    )
    if wanted == "online" and tracking.mode != "online":
        _warn(f"W&B {tracking.mode} ({tracking.reason})")
    options = TrialOptions.of(
        store,
        data_root,
        threads=args.threads,
        device=device_of(args.device),
        wandb=tracking.mode,
        track=track,
        checkpoint_seconds=checkpoint_seconds_of(args.checkpoint_every),
        keep_model=args.keep_model,
    )
    shown = contextlib.nullcontext() if args.json or args.quiet else shown_on(sys.stderr)
    with shown as show:
        hooks = TrialHooks(message=_warn)
        if show is not None:
            hooks = replace(hooks, progress=show)
        if store is None:
            from pytorch_lightning.utilities.exceptions import SIGTERMException

            try:
                result = run_trial(cell, options, hooks)
            except SIGTERMException:  # a SystemExit with status 0
                raise Stopped(signal.SIGTERM) from None
        else:
            with stop_signals(at_second=lambda: None) as request:
                try:
                    hooks = replace(hooks, asked_to_stop=request.asked)
                    result = run_claimed(cell, options, hooks, again=args.force)
                except Interrupted:
                    assert request.number is not None
                    raise Stopped(request.number) from None
    if result.failure is not None and result.failure.kind == UNUSABLE:
        raise UsageError.repeated(result.failure.message)
    return result


def _warn(problem: str) -> None:
    note("warning", [problem])


def _show(result: Result, *, as_json: bool) -> None:
    record = json.dumps(result.to_json(), ensure_ascii=False, indent=1) if as_json else None
    sys.stdout.write((record or "\n".join(summary(result))) + "\n")
    failure = result.failure
    if failure is not None:
        note("failed", [f"{result.cell.label}: {failure.kind}: {failure.message}"])


_CONVERGED = {
    True: "yes, the validation loss had stopped improving",
    False: "no, the validation loss was still improving at the end: train for more max_steps",
}


def summary(result: Result) -> list[str]:
    """A summary of the record for a person, in a few lines."""
    lines = [f"{result.cell.label} [{result.cell.budget}] {result.hash[:12]}"]
    if result.primary is not None:
        first = result.primary
        interval = f"{_figure(first.low)} to {_figure(first.high)}"
        lines.append(f"  {first.name}  {_figure(first.value)}  (95 %: {interval})")
    groups = {
        "metrics": dict(result.metrics),
        "alignment": result.alignment.model_dump(exclude={"forced", "baselines"})
        if result.alignment
        else {},
        "cost": result.cost.model_dump(),
    }
    for name, figures in groups.items():
        known = [f"{key} {_figure(value)}" for key, value in figures.items() if value is not None]
        if known:
            lines.append(f"  {name}: {', '.join(known)}")
    if result.converged is not None:
        lines.append(f"  converged: {_CONVERGED[result.converged]}")
    lines += [f"  note: {note}" for note in result.provenance.notes]
    return lines


def _figure(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
