"""The Slurm script with Ray's real processes: each node has a network and a temporary folder of its
own, as machines have."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from fake_trials import fake_cell
from marked_processes import SUPPORT

import ablations
from bench.store.store import Store

LAUNCH = Path(ablations.__file__).parent / "launch"
ROOT = LAUNCH.parent.parent
NODES = 2

#: Runs a command on the nodes that were asked for, and ends it there when it is ended itself.
#: Nodes but the first have a temporary folder that the others do not see.
SRUN = """
names=({names})
chosen=("${{names[@]}}")
while [ "${{1#--}}" != "$1" ]; do
    case "$1" in
        --nodelist=*) chosen=("${{1#*=}}");;
        --exclude=*) chosen=("${{names[@]:1}}");;
    esac
    shift
done
pids=()
trap 'kill "${{pids[@]}}" 2>/dev/null' TERM
for name in "${{chosen[@]}}"; do
    own=true
    [ "$name" = "${{names[0]}}" ] || own="mount -t tmpfs tmpfs $TMPDIR"
    ip netns exec "$name" unshare --mount sh -c "$own"' && exec "$@"' sh "$@" &
    pids+=($!)
done
status=0
for pid in "${{pids[@]}}"; do
    while kill -0 "$pid" 2>/dev/null; do wait "$pid" || status=$?; done
done
exit "$status"
"""


@dataclass(frozen=True)
class Network:
    """Namespaces that stand for nodes, on one bridge."""

    names: tuple[str, ...]


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


@pytest.fixture
def network() -> Iterator[Network]:
    mark = uuid.uuid4().hex[:6]
    bridge, names = f"ab{mark}", tuple(f"ab{mark}n{number}" for number in range(NODES))
    if shutil.which("ip") is None or shutil.which("unshare") is None:
        pytest.skip("there are no network namespaces without ip and unshare")
    try:
        ip("link", "add", bridge, "type", "bridge")
        ip("link", "set", bridge, "up")
        for number, name in enumerate(names):
            ip("netns", "add", name)
            inside = ("netns", "exec", name, "ip")
            ip("link", "add", f"ab{mark}v{number}", "type", "veth", "peer", "eth0", "netns", name)
            ip("link", "set", f"ab{mark}v{number}", "master", bridge, "up")
            ip(*inside, "link", "set", "lo", "up")
            ip(*inside, "address", "add", f"10.213.7.{number + 1}/24", "dev", "eth0")
            ip(*inside, "link", "set", "eth0", "up")
    except (OSError, subprocess.CalledProcessError) as error:
        _remove(bridge, names)
        pytest.skip(f"no network namespaces can be made here ({error})")
    yield Network(names)
    _remove(bridge, names)


def _remove(bridge: str, names: tuple[str, ...]) -> None:
    for words in (*(("netns", "del", name) for name in names), ("link", "del", bridge)):
        subprocess.run(["ip", *words], check=False, capture_output=True)


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A folder with a path that is short enough for Ray's sockets."""
    folder = Path(tempfile.mkdtemp(prefix="ab-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def stub(folder: Path, name: str, body: str) -> Path:
    path = folder / name
    path.write_text(f"#!/bin/bash\n{body}\n")
    path.chmod(0o755)
    return path


def of_job(mark: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("TEST_MARK") == mark:
                found.append(process)
        except psutil.Error:
            continue
    return found


@pytest.mark.timeout(600)
def test_slurm_runs_a_sweep_on_real_nodes(network: Network, scratch: Path, tmp_path: Path) -> None:
    path, mark = tmp_path / "store", uuid.uuid4().hex
    # A trial holds the one core of its node, so these need all nodes at the same time.
    cells = [(number, {"gather": NODES}) for number in range(2 * NODES)]
    names = " ".join(network.names)
    stub(tmp_path, "scontrol", f"printf '%s\\n' {names}")
    stub(tmp_path, "srun", SRUN.format(names=names))
    wanted = json.dumps({"cells": cells, "resources": {"address": "ADDRESS"}})
    sweep = shlex.join([sys.executable, str(SUPPORT / "fake_sweep.py"), str(path), wanted])
    sweep = sweep.replace("ADDRESS", "'\"$3\"'")  # of: sweep --address ADDRESS
    environment = {
        **{name: os.environ[name] for name in ("PATH", "HOME")},
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "PYTHONPATH": f"{SUPPORT}:{ROOT}",
        "TEST_MARK": mark,
        "TMPDIR": str(scratch),
        "ATTNBENCH": str(stub(tmp_path, "attnbench", f"exec {sweep}")),
        "RAY": str(Path(sys.executable).parent / "ray"),
        "SLURM_JOB_ID": "123456",
        "SLURM_JOB_NODELIST": "some",
        "SLURM_JOB_NUM_NODES": str(NODES),
        "SLURM_CPUS_PER_TASK": "1",
    }
    job = subprocess.Popen(
        ["ip", "netns", "exec", network.names[0], "bash", str(LAUNCH / "slurm.sh")],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        said, complaints = job.communicate(timeout=500)
        assert job.returncode == 0, complaints
        assert of_job(mark) == []
    finally:
        for process in of_job(mark):
            process.send_signal(signal.SIGKILL)
    store = Store.open(path)
    assert store.hashes() == sorted(fake_cell(number, **more).hash for number, more in cells)
    assert len(json.loads(said.splitlines()[-1])["outcomes"]) == len(cells)
    (record,) = store.sweeps()
    assert record["state"] == "finished"
    assert len({result.provenance.notes[0] for result in store.results()}) == NODES, "processes"
