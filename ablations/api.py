"""Cells and studies from Python, as the shell's `attnbench run` and `attnbench sweep` run them.

    from ablations.api import Study, run, sweep
    from reports.load import load

What cannot be used raises UsageError, a ValueError of one line; a trial that fails is a result.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from ablations.cell_runner import run_claimed
from ablations.cluster import Resources
from ablations.expansion import Changes, expand
from ablations.inputs import check_data, data_root_of, device_of, with_data
from ablations.progress import renderer_for
from ablations.study import Axes, Study, load_study
from ablations.sweep import ORDERS, SweepSummary, plan_sweep, run_sweep
from ablations.trial import UNUSABLE
from ablations.trial_interface import TrialOptions, finished_result
from bench.errors import UsageError
from bench.store.cell import Scalar
from bench.store.result import Result
from bench.store.store import Store
from tasks.plan import make_cell

__all__ = ["Axes", "Resources", "Study", "run", "sweep"]

Address = str | os.PathLike[str]


def run(
    task: str,
    attention: str,
    score: str | None = None,
    *,
    backbone: str | None = None,
    dataset: str | None = None,
    budget: str = "laptop",
    seed: int = 1,
    options: Mapping[str, Scalar] | None = None,
    store: Address | Store | None = None,
    again: bool = False,
    data_root: Address | None = None,
    device: str = "auto",
    threads: int = 1,
) -> Result:
    """Train and test one cell in this process; return its record, failed or finished.

    Args:
        score: the attention's own by default, as are the backbone of its paper and the data set
            of the task.
        budget: smoke, laptop or gpu.
        options: of the attention, the training or the data set, where they are not the defaults.
        store: keeps the result, with predictions and traces. What it has finished already is
            returned and not run again, unless `again`. By default nothing is kept.
        data_root: folder of the real data sets.
        device: auto, cpu, cuda or cuda:N.
        threads: of the CPU; other numbers than 1 may change the last bits of results.

    Raises UsageError for names, options, data or a store that cannot be used, and for a cell that
    another process runs; `ablations.trial_interface.NotStoredError` where the store cannot hold
    the result.
    """
    if threads < 1:
        raise UsageError(f"must be ≥ 1, got {threads}", where="threads")
    cell = make_cell(
        task,
        attention,
        score,
        backbone=backbone,
        dataset=dataset,
        budget=budget,
        seed=seed,
        options=dict(options or {}),
    )
    root = _data_root(data_root)
    [cell], _ = with_data([cell], root)
    held = None if store is None else _opened(store)
    if held is not None and not again and (found := finished_result(cell, held)) is not None:
        return found
    check_data([cell], root)
    trial = TrialOptions.of(held, root, threads=threads, device=device_of(device))
    made = run_claimed(cell, trial, again=again)
    if made.failure is not None and made.failure.kind == UNUSABLE:
        raise UsageError.repeated(made.failure.message)
    return made


def sweep(
    study: Study | str,
    store: Address | Store | None = None,
    *,
    tasks: Sequence[str] | None = None,
    attentions: Sequence[str] | None = None,
    scores: Sequence[str] | None = None,
    backbones: Sequence[str] | None = None,
    datasets: Sequence[str] | None = None,
    budget: str | None = None,
    seeds: int | None = None,
    options: Mapping[str, Scalar] | None = None,
    limit: int | None = None,
    data_root: Address | None = None,
    resources: Resources | None = None,
) -> SweepSummary:
    """Run the cells of a study with Ray; their results are in the store afterwards.

    What the store has finished is not run again. Progress goes to standard error.

    Args:
        study: one made here, the name of one that is installed, or the path of its file.
        store: folder or URL, by default `runs/` and the study's name.
        tasks, attentions, scores: only the cells of these.
        backbones, datasets, budget, seeds, options: these in place of the study's (seeds 1 to N).
        limit: at most so many cells.
        data_root: folder of the real data sets.
        resources: cores, GPUs and processes of a trial, and the cluster; by default a core of
            this machine.

    Raises UsageError for a study, names, options, data, a store or a cluster that cannot be used.
    """
    found = load_study(study) if isinstance(study, str) else study
    if store is None and not found.name:
        raise UsageError("a study without a name needs a store", where="store", remedy="name one")
    for name, value in (("seeds", seeds), ("limit", limit)):
        if value is not None and value < 1:
            raise UsageError(f"must be ≥ 1, got {value}", where=name)
    changes = Changes(
        tasks, attentions, scores, backbones, datasets, budget, seeds, dict(options or {})
    )
    root = _data_root(data_root)
    cells, _ = with_data(expand(found, changes).cells, root)
    held = _opened(f"runs/{found.name}" if store is None else store)
    plan = plan_sweep(cells, held, limit=limit, order=ORDERS[found.order])
    check_data(plan.to_run, root)
    resources = resources or Resources()
    gpus = resources.gpus_per_rank
    trial = TrialOptions.of(
        held,
        root,
        threads=resources.threads,
        device="cuda" if gpus else "cpu",
        gpu_share=gpus or 1.0,
        ranks=resources.ranks,
        study=found.name or None,
    )
    return run_sweep(plan, trial, resources, renderer_for(sys.stderr))


def _data_root(given: Address | None) -> Path | None:
    return data_root_of(None if given is None else os.fspath(given))


def _opened(store: Address | Store) -> Store:
    return store if isinstance(store, Store) else Store.open(store, create=True)
