"""A sweep without Ray: one cell after another in this process, for array jobs and debuggers.

Nothing restarts what dies: a crash, or the kernel's killing a process that needs too much memory,
ends the sweep, and the same command goes on from the cell's checkpoint.
"""

from __future__ import annotations

import contextlib
import platform
import threading
from collections.abc import Iterator, Sequence
from functools import partial

from ablations.cancellation import StopRequest
from ablations.cell_runner import run_cell
from ablations.progress import Progress
from ablations.trial_interface import TrialHooks, TrialOptions
from bench.store.cell import Cell

_TICK_SECONDS = 0.5


def run_in_process(
    cells: Sequence[Cell],
    options: TrialOptions,
    trial_function: str,
    progress: Progress,
    request: StopRequest,
    *,
    fail_fast: bool = False,
) -> None:
    """Run the trials of these cells in their order.

    Args:
        trial_function: dotted name "package.module:function" of the trial.
        fail_fast: end at the first failure.

    Raises:
        Stopped: a signal came; the trial under way has left a checkpoint.
    """
    progress.ready(1)
    with _ticking(progress):
        for cell in cells:
            request.check()
            progress.started(cell.hash)
            progress.located(cell.hash, platform.node())
            problems: list[str] = []
            hooks = TrialHooks(
                message=problems.append,
                asked_to_stop=request.asked,
                progress=partial(progress.advanced, cell.hash),
            )
            outcome = run_cell(cell, options, trial_function, hooks)
            request.arm()  # Lightning has set handlers of its own
            progress.finished(outcome.with_problem(problems))
            if fail_fast and outcome.status == "failed":
                return
    request.check()


@contextlib.contextmanager
def _ticking(progress: Progress) -> Iterator[None]:
    """Let the progress be shown while this thread trains."""
    over = threading.Event()

    def tick() -> None:
        while not over.wait(_TICK_SECONDS):
            progress.tick()

    thread = threading.Thread(target=tick, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
