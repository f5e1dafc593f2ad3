"""Real trials that are under way for as long as a test needs. Workers import this module."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from ablations.trial import run_trial
from ablations.trial_interface import TrialHooks, TrialOptions
from bench.store.cell import Cell
from bench.store.result import Result

#: Steps before a trial is held.
STEPS = 3


def run(cell: Cell, options: TrialOptions, hooks: TrialHooks) -> Result:
    """Train a cell. The first time, training waits after some steps until it is asked to stop."""
    mark = Path(options.cache) / f"held-{cell.hash}"
    if mark.exists():
        return run_trial(cell, options, hooks)
    asked, looked = hooks.asked_to_stop, 0

    def asked_after_steps() -> bool:
        nonlocal looked
        looked += 1
        if looked <= STEPS:
            return asked()
        mark.touch()
        while not asked():
            time.sleep(0.1)
        return True

    return run_trial(cell, options, replace(hooks, asked_to_stop=asked_after_steps))
