"""Real trials one after another in one process, as in a warm worker, tracked in W&B.

    python tracked_trials.py SPECIFICATION

The specification is JSON: `store`, and `trials`, each with `seed`, `mode` (what `decide` would have
said) and `study`; without a study it is `attnbench run`. `patience` is the seconds that the end of
the run waits for uploads. Prints a JSON list: `hash`, `status` and `problems` of each.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from typing import Any

from ablations.trial import run_trial
from ablations.trial_interface import TrialHooks, TrialOptions
from bench.cli import main as cli
from bench.store.store import Store
from bench.tracking import wandb as wandb_runs
from tasks.plan import make_cell

NAMES = ("task", "attention", "score", "budget")
CELL: dict[str, Any] = dict(zip(NAMES, ("translation", "soft", "dot", "smoke"), strict=True))


def track(store: Store, trial: dict[str, Any]) -> dict[str, Any]:
    if trial.get("study") is None:
        return by_command(store, trial)
    problems: list[str] = []
    options = TrialOptions(
        store_address=store.address,
        data_root=None,
        cache=str(store.cache),
        study=trial["study"],
        wandb=trial["mode"],
    )
    cell = make_cell(**CELL, seed=trial["seed"])
    result = run_trial(cell, options, TrialHooks(message=problems.append))
    return {"hash": result.hash, "status": result.status, "problems": problems}


def by_command(store: Store, trial: dict[str, Any]) -> dict[str, Any]:
    names = [word for name, value in CELL.items() for word in (f"--{name}", value)]
    arguments = ["--seed", str(trial["seed"]), "--store", store.address, "--wandb", trial["mode"]]
    out, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        assert cli.main(["run", *names, *arguments, "--json"]) == 0
    told = json.loads(out.getvalue())
    return {**told, "problems": errors.getvalue().splitlines()}


def main(specification: dict[str, Any]) -> None:
    store = Store.open(specification["store"], create=True)
    told, usual = [], wandb_runs._FINISH_SECONDS
    for trial in specification["trials"]:
        wandb_runs._FINISH_SECONDS = trial.get("patience", usual)
        told.append(track(store, trial))
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
