"""Where Ray's files go, without starting Ray."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from ablations.cluster import (
    _LONGEST_FOLDER,
    RayFolder,
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


def test_what_a_killed_sweep_left_is_removed_and_a_living_ones_is_not(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from ablations.cluster import ray_folder\n"
        "with ray_folder(Path(sys.argv[1])) as folder:\n"
        "    (folder.path / 'session').mkdir()\n"
        "    os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    left = {path.name for path in tmp_path.iterdir()}
    assert len(left) == 2, "its folder and its lock"
    with ray_folder(tmp_path) as living:
        assert not left & {path.name for path in tmp_path.iterdir()}
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
