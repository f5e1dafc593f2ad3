"""A Ray cluster of several nodes on this machine, with a sweep on it and accidents: SPECIFICATION.

The specification is JSON:
    command   the sweep's, without the interpreter; ADDRESS in it stands for the cluster's
    store     folder that the sweep writes
    nodes     worker nodes of a core each, beside a head that runs no trials
    events    [results, what]: once so many are stored, "remove" a node (hard), "add" one, or "kill"
              a worker (SIGKILL)
    kill_every  seconds and results between further kills, or null

Prints JSON: status of the sweep, what happened, and what was left of it on the cluster.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
import ray
from ray.cluster_utils import Cluster
from ray.util.placement_group import placement_group_table


class Accidents:
    """What happens to a sweep, in the order of the specification."""

    def __init__(self, cluster: Cluster, specification: dict[str, Any]) -> None:
        self._cluster, self._trials = cluster, Path(specification["store"]) / "trials"
        self._events = list(specification.get("events", []))
        self._every = specification.get("kill_every")
        self._next = (time.monotonic(), 1)
        self._random = random.Random(1)
        self.happened: list[str] = []

    def look(self) -> None:
        """Do what is due."""
        if self._events and self._stored() >= self._events[0][0] and self._do(self._events[0][1]):
            self._events.pop(0)
        if self._every and self._due() and self._do("kill"):
            seconds, results = self._every
            self._next = (time.monotonic() + seconds, self._stored() + results)

    def _due(self) -> bool:
        return time.monotonic() >= self._next[0] and self._stored() >= self._next[1]

    def _stored(self) -> int:
        return sum(len(path.stem) == 64 for path in self._trials.glob("*.json"))

    def _do(self, what: str) -> bool:
        """Whether it could be done: there may be no worker at work just now."""
        if what == "remove":
            nodes = sorted(self._cluster.worker_nodes, key=lambda node: node.node_id)
            self._cluster.remove_node(nodes[0], allow_graceful=False)
        elif what == "add":
            self._cluster.add_node(num_cpus=1)
        elif not self._kill():
            return False
        self.happened.append(what)
        return True

    def _kill(self) -> bool:
        """Kill a worker at work, if there is one."""
        workers = [
            process
            for process in psutil.process_iter()
            if process.ppid() and _title(process).startswith("ray::ImplicitFunc.")
            and _mark(process) == os.environ["TEST_MARK"]
        ]  # fmt: skip
        if workers:
            self._random.choice(workers).kill()
        return bool(workers)


def _title(process: psutil.Process) -> str:
    try:
        return (process.cmdline() or [""])[0]
    except psutil.Error:
        return ""


def _mark(process: psutil.Process) -> str | None:
    try:
        return process.environ().get("TEST_MARK")
    except psutil.Error:
        return None


def main(specification: dict[str, Any]) -> None:
    (Path(os.environ["TMPDIR"]) / "ray").mkdir(exist_ok=True)  # for the address
    folder = tempfile.mkdtemp(prefix="ab-", dir="/tmp")  # short enough for sockets
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "temp_dir": folder})
    try:
        for _ in range(specification["nodes"]):
            cluster.add_node(num_cpus=1)
        command = [word.replace("ADDRESS", cluster.address) for word in specification["command"]]
        accidents = Accidents(cluster, specification)
        sweep = subprocess.Popen(
            [sys.executable, *command], stdout=subprocess.PIPE, stderr=sys.stderr, text=True
        )
        while sweep.poll() is None:
            accidents.look()
            time.sleep(0.05)
        assert sweep.stdout is not None
        told = {
            "status": sweep.returncode,
            "stdout": sweep.stdout.read(),
            "happened": accidents.happened,
            **_left(cluster.address),
        }
    finally:
        cluster.shutdown()
        shutil.rmtree(folder, ignore_errors=True)
    print("\n" + json.dumps(told))


def _left(address: str) -> dict[str, Any]:
    ray.init(address=address, log_to_driver=False, configure_logging=False)
    groups = [
        name for name, group in placement_group_table().items() if group["state"] != "REMOVED"
    ]
    limit = time.monotonic() + 20
    while time.monotonic() < limit:  # what is free is told with some delay
        free, whole = ray.available_resources().get("CPU"), ray.cluster_resources().get("CPU")
        if free == whole:
            break
        time.sleep(0.2)
    ray.shutdown()
    return {"groups": groups, "free": free, "whole": whole}


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
