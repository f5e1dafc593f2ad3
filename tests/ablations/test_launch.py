"""The ways to launch, as far as they can be tried without a cluster."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from marked_processes import wait_until

import ablations
from bench.cli import main as cli

LAUNCH = Path(ablations.__file__).parent / "launch"
ROOT = LAUNCH.parent.parent

#: Stand-ins write down how they were called. `srun` runs its command as a step of a node would be;
#: `ray start` stays until it is ended, and the cluster is healthy once both steps have called it;
#: `attnbench` ends as told, or on SIGTERM as the real one.
STUBS = {
    "scontrol": 'if [ "$1" = show ]; then printf "n1\\nn2\\nn3\\n"; fi',
    "srun": 'while [ "${1#--}" != "$1" ]; do shift; done; exec "$@"',
    "hostname": 'case "$1" in --ip-address) echo "$NAMED";; *) echo 10.0.0.1 172.17.0.1;; esac',
    "ray": 'case "$1" in start) trap "exit 0" TERM; while :; do sleep 0.1; done;; '
    'health-check) [ "$(grep -c "^ray start" "$LOG")" -ge 2 ];; esac',
    "attnbench": 'trap "exit 143" TERM; [ "$ENDS" = waits ] || exit "$ENDS"; '
    "while :; do sleep 0.1; done",
}


@pytest.fixture
def job(tmp_path: Path) -> Path:
    """A folder with the stand-ins in it."""
    for name, body in STUBS.items():
        log = 'printf "%s\\n" "$(basename "$0") $* token=${#RAY_AUTH_TOKEN}" >> "$LOG"'
        (tmp_path / name).write_text(f"#!/bin/bash\n{log}\n{body}\n")
        (tmp_path / name).chmod(0o755)
    return tmp_path


def submit(
    job: Path,
    ends: str,
    *arguments: str,
    named: str = "fe80::1 10.0.0.1",
    script: str = "slurm.sh",
) -> subprocess.Popen[str]:
    """Args: named: the addresses of the first node's name."""
    environment = {
        "PATH": f"{job}:{os.environ['PATH']}",
        "LOG": str(job / "log"),
        "ENDS": ends,
        "NAMED": named,
        "ATTNBENCH": "attnbench",
        "RAY": "ray",
        "SLURM_JOB_ID": "123456",
        "SLURM_ARRAY_JOB_ID": "123450",
        "SLURM_ARRAY_TASK_ID": "6",
        "SLURM_JOB_NODELIST": "n[1-3]",
        "SLURM_JOB_NUM_NODES": "3",
        "SLURM_CPUS_PER_TASK": "16",
        "SLURM_GPUS_ON_NODE": "4",
    }
    return subprocess.Popen(
        ["bash", str(LAUNCH / script), *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def called(job: Path) -> list[str]:
    log = job / "log"
    return log.read_text().splitlines() if log.exists() else []


@pytest.mark.parametrize("status", [0, 1, 2])
def test_slurm_starts_a_cluster_and_ends_as_the_sweep_does(job: Path, status: int) -> None:
    process = submit(job, str(status), "full", "--store", "/shared/a b")
    said, _ = process.communicate(timeout=60)
    assert process.returncode == status, said
    calls = called(job)
    (sweep,) = [call for call in calls if call.startswith("attnbench ")]
    address = "10.0.0.1:23456"
    assert sweep == f"attnbench sweep --address {address} full --store /shared/a b token=64"
    starts = [call for call in calls if call.startswith("ray start")]
    assert len(starts) == 2 and all("--num-cpus 16 --num-gpus 4" in start for start in starts)
    assert all(start.endswith("token=64") for start in starts)
    others = next(call for call in calls if call.startswith("srun") and "--exclude=n1" in call)
    assert "--nodes=2 --ntasks=2" in others
    assert not any("requeue" in call for call in calls)


@pytest.mark.parametrize("named", ["127.0.1.1", "::1 127.0.0.1", ""])
def test_slurm_passes_over_loopback_addresses(job: Path, named: str) -> None:
    process = submit(job, "0", "full", named=named)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0, said
    starts = [call for call in called(job) if call.startswith("ray start")]
    assert all("10.0.0.1" in start and "127." not in start for start in starts)


def test_slurm_queues_a_preempted_sweep_again(job: Path) -> None:
    process = submit(job, "waits", "full")
    assert wait_until(lambda: any(call.startswith("attnbench") for call in called(job)), timeout=60)
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=60)
    assert (process.returncode, said.strip()) == (143, "slurm.sh: stopped in time, queued again")
    assert any(call.startswith("scontrol requeue 123456") for call in called(job))


@pytest.mark.parametrize("status", [0, 1, 2])
def test_a_task_of_an_array_ends_as_its_sweep_does(job: Path, status: int) -> None:
    process = submit(job, str(status), "full", "--store", "/shared/a b", script="slurm-array.sh")
    said, _ = process.communicate(timeout=60)
    assert process.returncode == status, said
    (call,) = called(job)
    assert call.startswith("attnbench sweep --no-ray --cpus-per-trial 16 full --store /shared/a b")


def test_a_preempted_task_is_queued_again_alone(job: Path) -> None:
    process = submit(job, "waits", "full", script="slurm-array.sh")
    assert wait_until(lambda: any(call.startswith("attnbench") for call in called(job)), timeout=60)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 143
    assert any(call.startswith("scontrol requeue 123450_6") for call in called(job))


@pytest.mark.parametrize("script", ["slurm.sh", "slurm-array.sh"])
def test_slurm_says_what_is_missing(job: Path, script: str) -> None:
    (job / "attnbench").unlink()
    process = submit(job, "0", script=script)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 2
    assert said.startswith(f"{script}: no attnbench here; run 'make environment', or set ATTNBENCH")
    assert said.count("\n") == 1


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
@pytest.mark.parametrize("script", ["slurm.sh", "slurm-array.sh"])
def test_shellcheck_finds_nothing(script: str) -> None:
    found = subprocess.run(
        ["shellcheck", str(LAUNCH / script)], check=False, capture_output=True, text=True
    )
    assert found.returncode == 0, found.stdout


@pytest.mark.parametrize("name", ["aws", "gcp"])
def test_ray_accepts_the_cluster_files(name: str) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    import ray.autoscaler

    schema = json.loads((Path(ray.autoscaler.__file__).parent / "ray-schema.json").read_text())
    config = yaml.safe_load((LAUNCH / f"{name}.yaml").read_text())
    jsonschema.validate(config, schema)
    assert config["head_node_type"] in config["available_node_types"]


def commands() -> dict[str, str]:
    """`attnbench` command lines in the launch files and their page."""
    job = yaml.safe_load((LAUNCH / "rayjob.yaml").read_text())
    found = {"rayjob": job["spec"]["entrypoint"]}
    indexed = yaml.safe_load((LAUNCH / "indexed-job.yaml").read_text())
    (container,) = indexed["spec"]["template"]["spec"]["containers"]
    found["indexed job"] = " ".join(container["command"])
    page = (ROOT / "docs" / "clusters.md").read_text().replace("\\\n", " ")
    lines = [line.split("#")[0].strip(" '") for line in page.splitlines()]
    wanted = [line for line in lines if line.startswith("attnbench sweep")]
    return {**found, **{f"page {number}": line for number, line in enumerate(wanted)}}


@pytest.mark.parametrize("line", commands().values(), ids=commands())
def test_command_lines_are_understood(line: str) -> None:
    words = line.split()[1:]
    parser_input = [word for word in words if word]
    assert parser_input[0] == "sweep"
    from ablations.cli import sweep as sweep_cli

    parser = cli.Parser(prog="attnbench sweep")
    sweep_cli.add_arguments(parser)
    parsed: Any = parser.parse_args(parser_input[1:])
    assert parsed.store


def test_the_image_has_all_packages() -> None:
    lines = (LAUNCH / "Dockerfile").read_text().splitlines()
    copied = {line.split()[1] for line in lines if line.startswith("COPY") and "./" not in line}
    assert copied == {"bench", "tasks", "ablations", "reports"}
    files = [word for line in lines if line.startswith("COPY") and "./" in line
             for word in line.split()[1:-1]]  # fmt: skip
    assert all((ROOT / name).is_file() for name in files)


def test_the_apptainer_recipe_has_what_the_image_has() -> None:
    lines = (LAUNCH / "apptainer.def").read_text().partition("%files\n")[2].partition("\n\n")[0]
    copied = [line.split() for line in lines.splitlines()]
    assert all(target == f"/opt/attnbench/{source}" for source, target in copied)
    image = (LAUNCH / "Dockerfile").read_text().splitlines()
    wanted = {word for line in image if line.startswith("COPY") for word in line.split()[1:-1]}
    assert {source for source, _ in copied} == wanted


def test_a_rayjob_names_images_and_resources() -> None:
    job = yaml.safe_load((LAUNCH / "rayjob.yaml").read_text())
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    cluster = job["spec"]["rayClusterSpec"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    for group in groups:
        (container,) = group["template"]["spec"]["containers"]
        assert container["image"] and container["resources"]["limits"]
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
