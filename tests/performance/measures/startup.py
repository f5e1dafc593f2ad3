"""What stands before the first step: imports, Ray, the first worker."""

from __future__ import annotations

import subprocess
import sys
import time

from measures.figure import Figure

_FIRST_WORKER = """
import time
begun = time.perf_counter()
import ray
ray.init(address="local", include_dashboard=False, num_cpus=1, logging_level="error")
started = time.perf_counter()

@ray.remote
class Worker:
    def ready(self):
        import ablations.trial
        return True

assert ray.get(Worker.remote().ready.remote())
print(started - begun, time.perf_counter() - started)
ray.shutdown()
"""


def measure() -> list[Figure]:
    figures = [
        Figure(f"start: {name}", _seconds(arguments), "s")
        for name, arguments in (
            ("attnbench --help", ["-m", "bench.cli.main", "--help"]),
            ("import torch", ["-c", "import torch"]),
            ("import what a trial needs", ["-c", "import ablations.trial, pytorch_lightning"]),
            ("import Ray Tune", ["-c", "import ray.tune"]),
        )
    ]
    ran = subprocess.run(
        [sys.executable, "-c", _FIRST_WORKER], capture_output=True, text=True, check=True
    )
    ray, worker = map(float, ran.stdout.split()[-2:])
    return [
        *figures,
        Figure("start: Ray on this machine", ray, "s", "its import in it"),
        Figure("start: first worker ready for a trial", worker, "s", "after Ray"),
    ]


def _seconds(arguments: list[str]) -> float:
    """The quicker of two starts: the first may read files from the disk."""
    taken = []
    for _ in range(2):
        begun = time.perf_counter()
        subprocess.run([sys.executable, *arguments], capture_output=True, check=True)
        taken.append(time.perf_counter() - begun)
    return min(taken)
