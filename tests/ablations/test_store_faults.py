"""What disks, shared folders and buckets do to sweeps."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_trials import PREDICTIONS, fake_cell
from marked_processes import SUPPORT, Marked

from ablations.cell_runner import run_cell
from ablations.trial_interface import TrialOptions
from bench.store.store import Store


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 512 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_spoils_no_result_and_room_mends_it(small_disk: Path, tmp_path: Path) -> None:
    store = Store.open(small_disk / "store", create=True)
    context = TrialOptions(store.address, None, str(tmp_path / "cache"), study="fake")
    before, late = fake_cell(1), fake_cell(2)
    assert run_cell(before, context, "fake_trials:run").status == "done"
    filler = small_disk / "filler"
    with pytest.raises(OSError, match="No space left"), filler.open("wb") as file:
        for _ in range(1024):
            file.write(bytes(1024))
            file.flush()
    outcome = run_cell(late, context, "fake_trials:run")
    assert outcome.failure is not None and outcome.failure[0] == "not stored"
    assert "No space left" in outcome.failure[1] and not outcome.stored
    assert store.hashes() == [before.hash]
    assert not any(path.suffix == ".tmp" for path in (small_disk / "store").rglob("*"))
    filler.unlink()
    assert run_cell(late, context, "fake_trials:run").status == "done"
    problems: list[Any] = []
    assert len(list(store.results(problems))) == 2
    assert problems == []


def test_a_store_that_was_away_is_used_again(tmp_path: Path) -> None:
    path, elsewhere = tmp_path / "store", tmp_path / "elsewhere"
    store = Store.open(path, create=True)
    context = TrialOptions(store.address, None, str(tmp_path / "cache"), study="fake", sweep="s")
    run_cell(fake_cell(1), context, "fake_trials:run")
    path.rename(elsewhere)
    outcome = run_cell(fake_cell(2), context, "fake_trials:run")
    assert (outcome.status, outcome.stored) == ("failed", False)
    assert not (path / "trials").exists(), "a store that is away is not made anew"
    elsewhere.rename(path)
    for number in (1, 2):
        assert run_cell(fake_cell(number), context, "fake_trials:run").status == "done"
    assert len(store.hashes()) == 2


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A bucket of a server on this machine."""
    server_module = pytest.importorskip("moto.server", reason="needs moto[server,s3]")
    boto3 = pytest.importorskip("boto3", reason="needs boto3")
    s3fs = pytest.importorskip("s3fs", reason="needs s3fs")
    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "NO_PROXY": "127.0.0.1",
    }.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    boto3.client("s3", endpoint_url=f"http://{host}:{port}").create_bucket(Bucket="bench")
    yield "s3://bench"
    s3fs.S3FileSystem.clear_instance_cache()
    server.stop()


@pytest.mark.timeout(900)
def test_a_sweep_stores_in_a_bucket(bucket: str, tmp_path: Path) -> None:
    address = f"{bucket}/runs/fake"
    cells = [(number, {}) for number in range(6)]
    specification = json.dumps({"cells": cells, "wandb": "offline"})
    command = Marked(str(SUPPORT / "fake_sweep.py"), [address, specification], tmp_path / "run")
    try:
        assert command.wait(600) == 0, command.stderr
        assert command.alive() == []
    finally:
        command.kill()
    store = Store.open(address)
    assert store.hashes() == sorted(fake_cell(number).hash for number, _ in cells)
    assert all(store.predictions(hash) == PREDICTIONS for hash in store.hashes())
    (sweep,) = store.sweeps()
    assert (sweep["state"], sweep["done"]) == ("finished", 6)
