"""A sweep of fake trials in a process of its own: STORE SPECIFICATION.

The specification is JSON, or @ and the path of a file with it: `cells`, a list of [number,
options]; `wandb`; `resources`; further fields of the `context`. Real cells may stand in the place
of `cells` as `real`, a list of their JSON, and what runs them as `trial`. Prints the plan as the
command does, and on the last line what became of it, as JSON.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

from fake_trials import fake_cell

from ablations.cluster import Resources
from ablations.progress import renderer_for
from ablations.sweep import describe_failures, describe_problems, plan_sweep, run_sweep
from ablations.trial_interface import TrialOptions
from bench.store.cell import Cell
from bench.store.store import Store


def main(address: str, specification: str) -> int:
    if specification.startswith("@"):
        specification = Path(specification[1:]).read_text()
    wanted = json.loads(specification)
    store = Store.open(address, create=True)
    cells = [fake_cell(number, **options) for number, options in wanted.get("cells", [])]
    cells += [Cell.from_json(cell) for cell in wanted.get("real", [])]
    plan = plan_sweep(cells, store, order=lambda cells, seconds: cells)
    print(plan, flush=True)
    options = TrialOptions(
        store.address,
        None,
        str(store.cache),
        study="fake",
        wandb=wanted.get("wandb", "off"),
        **wanted.get("context", {}),
    )
    resources = Resources(**wanted.get("resources", {}))
    trial = wanted.get("trial", "fake_trials:run")
    summary = run_sweep(plan, options, resources, renderer_for(sys.stderr), trial_function=trial)
    told = {
        "outcomes": [asdict(outcome) for outcome in summary.outcomes],
        "failures": list(describe_failures(summary)),
        "problems": list(describe_problems(summary)),
        "lost": summary.lost,
    }
    print(json.dumps(told))
    return summary.exit_status


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
