from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.cli import doctor as doctor_cli
from bench.cli import main as cli


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without importing Ray and W&B, which takes ten seconds."""
    monkeypatch.setattr(doctor_cli, "_NEEDED", ("pydantic", "yaml"))
    monkeypatch.setenv("WANDB_MODE", "offline")


def doctor(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, dict]]:
    status = cli.main(["doctor", "--json", *arguments])
    return status, {found["subject"]: found for found in json.loads(capsys.readouterr().out)}


def test_a_machine_in_good_health(
    quick: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, found = doctor(capsys, "--store", str(tmp_path / "runs"))
    assert status == 0
    assert "torch 2." in found["libraries"]["text"]
    assert "cores" in found["CPU"]["text"]
    assert "can be made" in found["store"]["text"]
    assert "GiB free" in found["disk"]["text"]
    assert found["W&B"]["text"].startswith("offline")
    assert list(tmp_path.iterdir()) == [], "looking leaves nothing behind"


def test_a_store_that_is_there_is_tried(
    quick: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, found = doctor(capsys, "--store", str(tmp_path))
    assert status == 0
    assert "can be written" in found["store"]["text"]


def test_what_does_not_work_is_bad(
    quick: None, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_library.py").write_text("raise OSError('no such symbol')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(doctor_cli, "_NEEDED", ("no_such_library", "broken_library"))
    (tmp_path / "file").touch()
    status, found = doctor(capsys, "--imports", "--store", str(tmp_path / "file" / "x"))
    assert status == 1
    assert found["no_such_library"]["text"] == "not installed"
    assert found["broken_library"]["text"] == "cannot be imported: no such symbol"
    assert found["no_such_library"]["level"] == found["broken_library"]["level"] == "bad"
    assert found["store"]["level"] == "bad"


def test_people_get_a_line_each(
    quick: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["doctor", "--store", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(line.split()[0] in ("ok", "note") for line in lines)
