"""A sweep of fake trials in a process of its own, to be killed: STORE CELLS SLEEP [WANDB]."""

from __future__ import annotations

import sys

from fake_trials import fake_cell

from ablations.context import TrialContext
from ablations.progress import open_progress
from ablations.sweep import Resources, plan_sweep, run_sweep
from bench.store import Store


def main(address: str, cells: str, sleep: str, wandb: str = "off") -> int:
    store = Store.open(address, create=True)
    wanted = [fake_cell(number, sleep=float(sleep)) for number in range(int(cells))]
    plan = plan_sweep(wanted, store, order=lambda cells, seconds: cells)
    print(plan, flush=True)
    context = TrialContext(store.address, None, str(store.cache), wandb=wandb)  # type: ignore[arg-type]
    progress = open_progress({c.hash: c.label for c in plan.to_run}, len(plan.held), sys.stderr)
    summary = run_sweep(plan, context, Resources(), progress, trial_function="fake_trials:run")
    return summary.exit_status


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
