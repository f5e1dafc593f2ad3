"""`attnbench sweep`: run the cells of a study."""

from __future__ import annotations

import argparse
import contextlib
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ablations.cli.options import (
    add_cell_options,
    add_checkpoints,
    add_keep_model,
    add_tracking,
    checkpoint_seconds_of,
    note,
    require_keepable,
    say,
    settings_of,
    trackers_of,
)
from ablations.inputs import check_data, data_root_of, with_data
from bench.errors import UsageError
from bench.store.files import local_path

if TYPE_CHECKING:
    from ablations.cluster import Resources
    from ablations.expansion import Expansion
    from ablations.hyperparameters import Search
    from ablations.study import Study
    from ablations.sweep import SweepSummary
    from bench.store.cell import Cell
    from bench.store.store import Store
    from bench.tracking import Mode


#: Help on the options that say what a trial may take, by option, metavar, type and default.
_RESOURCES: Mapping[tuple[str, str, type[Any], float | None], str] = {
    ("--address", "HOST", str, None): "join a Ray cluster: auto, or host:port "
    "(default: one of this machine alone)",
    ("--cpus-per-trial", "C", float, 1.0): "cores of a trial, or of each process that trains it "
    "(default: 1)",
    ("--gpus-per-trial", "G", float, None): "a fraction shares a GPU among trials; 2 or more "
    "train each trial together, one process per GPU (default: 1 where this machine has one, "
    "else 0)",
    ("--processes-per-trial", "N", int, None): "processes that train a trial together "
    "(default: 1, or one per GPU)",
    ("--retries", "N", int, 3): "times a trial is resumed after its process or machine died "
    "(default: 3)",
    ("--trial-timeout", "MINUTES", float, None): "longest time of a trial; one that takes longer "
    "fails",
}

#: Candidates that a search may try for each mechanism.
_MOST_CANDIDATES = 1000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "study",
        metavar="STUDY",
        nargs="?",
        default="overview",
        help="name of a study or path of its YAML file (default: overview)",
    )
    parser.add_argument(
        "--store",
        metavar="STORE",
        help="folder or URL for results (default: runs/STUDY); cells it holds are not run again",
    )
    for name, help in (
        ("task", "only these tasks"),
        ("attention", "only these attentions"),
        ("score", "only these scores"),
        ("backbone", "these backbones instead of the study's"),
        ("dataset", "these data sets instead of the study's"),
    ):
        parser.add_argument(
            f"--{name}", metavar=name.upper(), nargs="+", action="extend", help=help
        )
    parser.add_argument("--seeds", metavar="N", type=int, help="seeds 1 to N")
    add_cell_options(parser)
    parser.add_argument(
        "--tune",
        metavar="N",
        type=int,
        help="first try N settings for each mechanism, judged on validation data; then run the "
        "cells with the best. The study's `search` says what is varied (default: learning rate "
        "and dropout)",
    )
    parser.add_argument(
        "--searcher",
        choices=("random", "optuna"),
        default="random",
        help="who chooses the settings that --tune tries (default: random)",
    )
    parser.add_argument(
        "--scheduler",
        choices=("none", "asha"),
        default="none",
        help="asha stops candidates of --tune early that fall behind (default: none)",
    )
    parser.add_argument("--limit", metavar="N", type=int, help="run at most N cells")
    parser.add_argument(
        "--shard",
        metavar="I/N",
        help="only the cells of the I-th of N shares, as in $SLURM_ARRAY_TASK_ID/8",
    )
    parser.add_argument(
        "--fail-fast", action="store_true", help="stop at the first cell that fails"
    )
    parser.add_argument("--dry-run", action="store_true", help="list the cells without running any")
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    for (option, metavar, kind, default), help in _RESOURCES.items():
        parser.add_argument(option, metavar=metavar, type=kind, default=default, help=help)
    parser.add_argument(
        "--dashboard",
        action="store_true",
        help="tell where Ray's dashboard is, which a cluster of this machine has only then",
    )
    add_keep_model(parser, default="best")
    parser.add_argument(
        "--again",
        action="store_true",
        help="with --keep-model: train stored cells again whose model was to be kept and was not",
    )
    parser.add_argument(
        "--no-ray",
        action="store_true",
        help="run one cell after another in this process, as tasks of array jobs do",
    )
    add_checkpoints(parser)
    add_tracking(parser, default="auto")


def run(args: argparse.Namespace) -> int:
    """0 if all cells are done, 1 if some failed or could not be run, 130 or 143 if stopped.

    Raises UsageError for a study, names, options, data, a store or a cluster that cannot be used.
    """
    from ablations.expansion import Changes, expand
    from ablations.study import load_study

    _check_counts(args)
    study = load_study(args.study)
    changes = Changes(
        tasks=args.task,
        attentions=args.attention,
        scores=args.score,
        backbones=args.backbone,
        datasets=args.dataset,
        budget=args.budget,
        seeds=args.seeds,
        options=settings_of(args.settings),
    )
    expansion = expand(study, changes)
    if args.keep_model:
        require_keepable(expansion.cells)
    address = f"runs/{study.name}" if args.store is None else args.store
    if "://" not in address:
        local_path(address, where="--store")  # also where a dry run opens no store
    if args.dry_run:
        return _dry_run(study, expansion, address, args)
    return _sweep(study, expansion, address, args)


def _check_counts(args: argparse.Namespace) -> None:
    from ablations.study import MOST_SEEDS
    from ablations.sweep import Shard

    if args.shard is not None:
        Shard.parse(args.shard)
    for option in ("seeds", "limit", "tune"):
        value = getattr(args, option)
        if value is not None and value < 1:
            raise UsageError(f"must be ≥ 1, got {value}", where=f"--{option}")
    if args.seeds is not None and args.seeds > MOST_SEEDS:
        raise UsageError(
            f"at most {MOST_SEEDS:,} seeds",
            where="--seeds",
            remedy=f"a study lists seeds of your choice: `seeds: [{args.seeds}]`",
        )
    if args.tune is not None and args.tune > _MOST_CANDIDATES:
        raise UsageError(f"at most {_MOST_CANDIDATES:,} candidates", where="--tune")
    if args.again and (args.tune is not None or args.keep_model is None):
        remedy = "leave out --tune" if args.keep_model else "add --keep-model"
        raise UsageError("trains stored cells for their models", where="--again", remedy=remedy)
    if args.trial_timeout is not None and not args.trial_timeout > 0:
        raise UsageError(f"must be > 0, got {args.trial_timeout:g}", where="--trial-timeout")
    if args.no_ray:
        needs_ray = {
            "--trial-timeout": args.trial_timeout is not None,
            "--scheduler asha": args.scheduler == "asha",
        }
        for option, asked in needs_ray.items():
            if asked:
                raise UsageError("needs Ray", where=option, remedy="leave --no-ray out")
    for option, value, what in (
        ("--scheduler", args.scheduler == "asha", "ASHA"),
        ("--searcher", args.searcher == "optuna", "Optuna"),
    ):
        if value and args.tune is None:
            raise UsageError(
                f"{what} applies to hyperparameter search only",
                where=f"{option} {what.lower()}",
                remedy="add --tune 8",
            )


def _dry_run(study: Study, expansion: Expansion, address: str, args: argparse.Namespace) -> int:
    from ablations.cell_times import ExpectedCost
    from ablations.sweep import (
        ORDERS,
        describe_other_data,
        describe_outdated_settings,
        describe_unusable,
        plan_sweep,
    )
    from bench.store.store import Store

    cells, splits = with_data(expansion.cells, data_root_of(args.data_root))
    store = None  # a dry run makes none
    with contextlib.suppress(UsageError):
        store = Store.open(address)
    search = _search(address, expansion, args)
    lacking = _own(_without_model(cells, store, args), args)
    cells = _own(cells, args)
    if search is None:
        again = {cell.hash for cell in lacking} if args.again else ()
        plan = plan_sweep(cells, store, limit=args.limit, order=ORDERS[study.order], again=again)
    else:
        due = search.due(cells, store, args.limit)
        sys.stdout.write(f"search: {search.plan(due, create=False)}\n")
        plan = search.plan_cells(cells, due, store, begun=False)
    stored, to_run = set(plan.stored), set(plan.to_run)
    for cell in plan.cells:
        word = "done" if cell in stored else "run" if cell in to_run else "later"
        sys.stdout.write(f"{word:5}  {cell.hash[:12]}  {cell.label} [{cell.budget}]\n")
    note("warning", describe_unusable(plan))
    note("note", describe_other_data(plan, splits))
    note("note", describe_outdated_settings(plan))
    note("note", _describe_lacking(lacking, args))
    for pair in expansion.refused:
        place = f" in a {pair.backbone} model" if pair.backbone else ""
        name = f"{pair.task} {pair.attention}+{pair.score}{place}"
        sys.stdout.write(f"not applicable: {name}: {pair.reason}\n")
    if plan.to_run:
        cores = args.cpus_per_trial * _resources(args).ranks
        sys.stdout.write(f"{ExpectedCost.of(plan.to_run, plan.expected, cores)}\n")
    sys.stdout.write(f"{plan}\n")
    return 0


def _own(cells: list[Cell], args: argparse.Namespace) -> list[Cell]:
    """The cells of this shard."""
    from ablations.sweep import Shard

    if args.shard is None:
        return cells
    return Shard.parse(args.shard).of(cells, by_kind=args.tune is not None)


def _search(address: str, expansion: Expansion, args: argparse.Namespace) -> Search | None:
    if args.tune is None:
        return None
    from ablations.hyperparameters import Search
    from ablations.searchers import require_optuna

    if args.searcher == "optuna":
        require_optuna()
    return Search(
        f"{address}/search",
        args.tune,
        early_stopping=args.scheduler == "asha",
        searcher=args.searcher,
        spaces=expansion.spaces,
    )


def _sweep(study: Study, expansion: Expansion, address: str, args: argparse.Namespace) -> int:
    from ablations.progress import Renderer, renderer_for
    from ablations.sweep import (
        ORDERS,
        describe_elsewhere,
        describe_failures,
        describe_other_data,
        describe_outdated_settings,
        describe_unusable,
        plan_sweep,
        run_sweep,
    )
    from ablations.trial_interface import TrialOptions
    from bench.store.store import Store
    from bench.tracking import decide

    renderer = Renderer() if args.quiet else renderer_for(sys.stderr)
    resources = _resources(args)
    gpus = resources.gpus_per_rank
    data_root = data_root_of(args.data_root)
    request, track = trackers_of(args, "auto")
    store = Store.open(address, create=True)
    cells, splits = with_data(expansion.cells, data_root)
    # Of several seeds the best is kept, whatever shares they are in.
    lacking = _own(_without_model(cells, store, args), args)
    cells = _own(cells, args)
    search = _search(store.address, expansion, args)
    if search is None:
        again = {cell.hash for cell in lacking} if args.again else ()
        plan = plan_sweep(cells, store, limit=args.limit, order=ORDERS[study.order], again=again)
        due = plan.to_run
    else:
        due = search.due(cells, store, args.limit)
    check_data(due, data_root)
    tracking = decide(request, folder=store.wandb)
    options = TrialOptions.of(
        store,
        data_root,
        threads=resources.threads,
        device="cuda" if gpus else "cpu",
        gpu_share=gpus or 1.0,
        ranks=resources.ranks,
        study=study.name,
        wandb=tracking.mode,
        track=track,
        checkpoint_seconds=checkpoint_seconds_of(args.checkpoint_every),
        keep_model=args.keep_model,
        again=args.again,
        trial_seconds=None if args.trial_timeout is None else 60 * args.trial_timeout,
    )
    if search is not None:
        for candidates in search.rounds(due):
            say(f"{study.name}: search: {candidates}; results in {search.address}")
            tried = search.run(due, candidates, options, resources, renderer)
            note("candidate failed", describe_failures(tried))
            note("run elsewhere", describe_elsewhere(tried))
            if tried.stopped is not None:
                return tried.stopped
            if tried.lost is not None:
                _report_loss(tried.lost)
                return tried.exit_status
            if tried.elsewhere:
                _report_loss("the search is not over, since others try some of its candidates")
                return 1
            if args.fail_fast and tried.failed:
                return tried.exit_status
        plan = search.plan_cells(cells, due, store, begun=True)
        options = search.with_notes(options, due)
    note("warning", describe_unusable(plan))
    note("note", describe_other_data(plan, splits))
    note("note", describe_outdated_settings(plan))
    note("note", _describe_lacking(lacking, args))
    others = "".join(f", {name} in {store.scratch / name}" for name in track)
    trackers = f"W&B {tracking.mode} ({tracking.reason}){others}"
    say(f"{study.name}: {plan}; results in {store.address}; {trackers}")
    begun = time.perf_counter()
    summary = run_sweep(plan, options, resources, renderer, fail_fast=args.fail_fast)
    # Where the terminal was closed there is nobody to tell.
    with contextlib.suppress(*([OSError] if summary.stopped else [])):
        if summary.lost is not None:
            _report_loss(summary.lost)
        _conclude(summary, address, time.perf_counter() - begun, tracking.mode)
    return summary.exit_status


def _without_model(
    cells: Sequence[Cell], store: Store | None, args: argparse.Namespace
) -> list[Cell]:
    """The stored cells that `--keep-model` asks for a model of which there is none."""
    if store is None or args.keep_model is None:
        return []
    from ablations.sweep import cells_without_model

    return cells_without_model(cells, store, args.keep_model)


def _describe_lacking(lacking: Sequence[Cell], args: argparse.Namespace) -> Sequence[str]:
    """One line on stored cells without their model, if there are any."""
    if not lacking:
        return []
    count = "1 stored cell has" if len(lacking) == 1 else f"{len(lacking):,} stored cells have"
    doing = "trained again for it" if args.again else "--again trains again for it"
    return [f"{count} no kept model: {doing} (first: {lacking[0].label})"]


def _resources(args: argparse.Namespace) -> Resources:
    from ablations.cluster import Resources

    gpus, processes = args.gpus_per_trial, args.processes_per_trial
    if processes is not None and processes < 1:
        raise UsageError("needs at least 1 process", where="--processes-per-trial")
    if gpus is None:
        import torch

        gpus = float(processes or 1) if torch.cuda.is_available() else 0.0
    return Resources(
        args.address,
        args.cpus_per_trial,
        gpus,
        processes or 0,
        args.retries,
        in_process=args.no_ray,
        dashboard=args.dashboard,
    )


def _report_loss(reason: str) -> None:
    note("attnbench: error", [f"{reason}; what is finished is stored, run it again to go on"])


def _conclude(summary: SweepSummary, address: str, seconds: float, tracking: Mode) -> None:
    from ablations.sweep import describe_elsewhere, describe_failures, describe_problems
    from ablations.trial_progress import duration

    note("failed", describe_failures(summary))
    note("run elsewhere", describe_elsewhere(summary))
    note("warning", describe_problems(summary))
    done = sum(outcome.status == "done" for outcome in summary.outcomes)
    before, failed = len(summary.plan.stored), len(summary.failed)
    elsewhere = len(summary.elsewhere)
    others = {
        "were done before": before,
        "failed": failed,
        "run elsewhere": elsewhere,
        "left, run the same command again": len(summary.plan.cells)
        - before
        - done
        - failed
        - elsewhere,
    }
    counts = [f"{done} done", *(f"{count} {what}" for what, count in others.items() if count)]
    sys.stdout.write(f"{', '.join(counts)}; {duration(seconds)}\n")
    shown = shlex.quote(address if "://" in address else str(Path(address)))
    wandb = "" if tracking == "off" else f" --wandb {tracking}"
    sys.stdout.write(f"next: attnbench report {shown}{wandb}\n")
