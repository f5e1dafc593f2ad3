"""Where Ray's files go, without starting Ray."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from marked_processes import wait_until

from ablations import cluster as clusters
from ablations.cluster import (
    _LONGEST_FOLDER,
    RayFolder,
    Resources,
    _private_variables,
    _variables,
    environment,
    ray_folder,
)
from bench.errors import UsageError


def test_a_folder_of_its_own_that_is_gone_afterwards(tmp_path: Path) -> None:
    parent = Path(tempfile.mkdtemp(dir="/tmp", prefix="ab"))
    with ray_folder(parent) as first, ray_folder(parent) as second:
        one, short, other = first.path, first.short, second.path
        assert one != other
        assert one.parent == parent
        assert short == one
        (one / "session").mkdir()
        (one / "session" / "log").touch()
    assert list(parent.iterdir()) == []
    parent.rmdir()


def test_long_paths_get_a_short_link_for_sockets(tmp_path: Path) -> None:
    parent = tmp_path / ("x" * 100)
    with ray_folder(parent) as both:
        folder, short = both.path, both.short
        assert len(os.fsencode(short)) <= _LONGEST_FOLDER
        assert short.resolve() == folder.resolve()
        link = short
    assert not link.is_symlink()
    assert list(parent.iterdir()) == []


def test_a_long_temporary_folder_is_no_place_for_the_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path / ("x" * 60)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    with ray_folder(deep) as folder:
        assert len(os.fsencode(folder.short)) <= _LONGEST_FOLDER
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(UsageError, match="set TMPDIR"), ray_folder(deep):
        pass
    assert list(deep.iterdir()) == []


KILLED = """
import os, signal, subprocess, sys
from pathlib import Path
import psutil
from ablations.cluster import _private_variables, environment, ray_folder
with ray_folder(Path(sys.argv[1])) as folder, environment(_private_variables(folder)):
    guards = psutil.Process().children()
    orphan = subprocess.Popen(["sleep", "600"], start_new_session=True)
    print(orphan.pid, flush=True)
    for process in guards if sys.argv[2] == "with its guard" else []:
        process.kill()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def lives(pid: int) -> bool:
    """Whether a process does anything yet."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def kill_a_sweep(folder: Path, how: str) -> int:
    """Start a process with a folder of Ray's and kill it; returns the number of one it started."""
    command = [sys.executable, "-c", KILLED, str(folder), how]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        orphan = int(process.stdout.readline())
    assert process.returncode == -signal.SIGKILL
    return orphan


@pytest.mark.parametrize("deep", [False, True], ids=["", "behind a link"])
def test_what_a_killed_sweep_left_is_removed_at_once(tmp_path: Path, deep: bool) -> None:
    parent = tmp_path / ("x" * 100 if deep else "x")
    links = set(Path("/tmp").glob("attnbench-*"))
    orphan = kill_a_sweep(parent, "alone")
    assert wait_until(lambda: not list(parent.iterdir()), timeout=30)
    assert wait_until(lambda: not lives(orphan), timeout=30)
    left = set(Path("/tmp").glob("attnbench-*")) - links
    assert not any(parent in link.resolve().parents for link in left)


def test_what_a_killed_sweep_left_is_removed_and_a_living_ones_is_not(tmp_path: Path) -> None:
    orphan = kill_a_sweep(tmp_path, "with its guard")
    left = {path.name for path in tmp_path.iterdir()}
    assert len(left) == 2, "its folder and its lock"
    assert lives(orphan)
    with ray_folder(tmp_path) as living:
        assert not left & {path.name for path in tmp_path.iterdir()}
        assert wait_until(lambda: not lives(orphan), timeout=30)
        with ray_folder(tmp_path):
            assert living.path.is_dir()


def test_the_environment_is_as_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    with environment({**_variables(2.5), **_private_variables(RayFolder(tmp_path, tmp_path))}):
        assert os.environ["OMP_NUM_THREADS"] == "2"
        assert os.environ["TMPDIR"] == str(tmp_path / "tmp")
        assert os.environ["RAY_AUTH_MODE"] == "token"
        assert len(os.environ["RAY_AUTH_TOKEN"]) == 64
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert "RAY_AUTH_TOKEN" not in os.environ


def test_what_users_say_about_authentication_is_heeded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    assert "RAY_AUTH_TOKEN" not in _private_variables(RayFolder(tmp_path, tmp_path))


def test_a_node_that_is_slow_to_start_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    from ray._private import services

    asked: list[tuple[str, str]] = []

    def get_node(address: str, id: str) -> dict[str, str]:
        asked.append((address, id))
        if len(asked) < 3:
            raise RuntimeError("No node with the id")
        return {"node": id}

    monkeypatch.setattr(services, "get_node", get_node)
    monkeypatch.setattr(clusters, "_NODE_SECONDS", 0.0)
    clusters._wait_for_node()
    assert services.get_node("here", "n") == {"node": "n"}
    assert asked == [("here", "n")] * 3


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        (
            Exception("The current node timed out during startup. This could happen because\nx"),
            "Ray did not start in time, as on a machine that is busy",
        ),
        (RuntimeError("no\nport"), "Ray did not start (no port)"),
    ],
)
def test_why_ray_did_not_start_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, raised: Exception, told: str
) -> None:
    import ray
    from ray._private import services

    def init(**options: object) -> None:
        raise raised

    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr(services, "get_node", services.get_node)  # undone afterwards
    with pytest.raises(clusters.ClusterLost) as found:
        clusters._start(Resources(), tmp_path)
    assert str(found.value) == told


@pytest.mark.parametrize(
    ("address", "wanted", "url", "told"),
    [
        (None, False, "", ""),
        (None, True, "127.0.0.1:8265", "http://127.0.0.1:8265 (asks for the token {secret})"),
        ("auto", False, "10.0.0.1:8265", ""),
        ("auto", True, "10.0.0.1:8265", "http://10.0.0.1:8265"),
        ("auto", True, None, "this cluster has none"),
    ],
)
def test_a_dashboard_is_started_and_told_where_asked(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    address: str | None,
    wanted: bool,
    url: str | None,
    told: str,
) -> None:
    import ray
    from ray._private import services

    asked: list[dict[str, Any]] = []

    def init(**options: Any) -> SimpleNamespace:
        asked.append(options)
        return SimpleNamespace(dashboard_url=url)

    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    monkeypatch.setattr(services, "get_node", services.get_node)  # undone afterwards
    monkeypatch.setattr(clusters, "_DASHBOARD_PACKAGES", ())
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    resources = Resources(address, dashboard=wanted)
    with clusters.cluster(resources, RayFolder(tmp_path, tmp_path)) as line:
        assert line == (told and f"Ray's dashboard: {told.format(secret=clusters._SECRET)}")
    (options,) = asked
    if address is None:
        assert options["include_dashboard"] is wanted
    else:  # its own business
        assert "include_dashboard" not in options
