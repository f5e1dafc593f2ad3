"""How much of the cores a sweep trains on once it has started."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from marked_processes import Marked

from bench.store.result import Result
from bench.store.store import Store
from measures.figure import Figure

CORES = min(2, len(os.sched_getaffinity(0)))
STUDY = """
tasks: [translation]
budget: laptop
seeds: 2
options: {max_steps: 150, test_limit: 200}
blocks: [{attentions: [none, soft, global, local-m, local-p]}]
"""


def swept(folder: Path, study: str, gpus: float | None = None) -> list[Result]:
    """The results of a study's sweep, in a folder that is empty before.

    Args:
        gpus: for each trial; None leaves it to the sweep.
    """
    (folder / "study.yaml").write_text(study)
    store = folder / "store"
    arguments = ["bench.cli.main", "sweep", str(folder / "study.yaml"), "--store", str(store)]
    arguments += ["--wandb", "off", *(["--gpus-per-trial", str(gpus)] if gpus else [])]
    run = Marked("-m", arguments, folder / "run")
    try:
        if run.wait(1800) != 0:
            raise RuntimeError(f"the sweep failed: {run.stderr[-1000:]}")
    finally:
        run.kill()
    return list(Store.open(store).results([]))


def measure() -> list[Figure]:
    with TemporaryDirectory(prefix="attnbench-") as scratch:
        results = swept(Path(scratch), STUDY)
    begun, ended = (span(results, name) for name in ("started", "finished"))
    available = CORES * (max(ended) - min(begun))
    training = sum(result.cost.train_seconds or 0.0 for result in results)
    within = sum(end - start for start, end in zip(begun, ended, strict=True))
    note = f"{len(results)} laptop cells of 150 steps, {CORES} cores, after start-up"
    return [
        Figure("sweep: training over core time available", training / available, "share", note),
        Figure("sweep: trials over core time available", within / available, "share", note),
    ]


def span(results: list[Result], name: str) -> list[float]:
    """When trials `started` or `finished`, in seconds."""
    return [
        datetime.fromisoformat(getattr(result.provenance, name)).timestamp() for result in results
    ]
