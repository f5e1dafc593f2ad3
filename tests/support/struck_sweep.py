"""A sweep of fake trials, one of whose processes gets a signal at some moment."""

from __future__ import annotations

import json
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from fake_trials import PREDICTIONS, fake_cell
from marked_processes import SUPPORT, Marked, wait_until

from bench.store.store import Store

CELLS: list[tuple[int, dict[str, Any]]] = [(number, {"sleep": 0.4}) for number in range(16)]

#: Of a sweep: the user's process, those that it forks to drive Ray and to clean up, and Ray's.
PROCESSES = ("command", "driver", "guard", "raylet", "gcs_server", "worker", "helper")


@dataclass
class Struck:
    """A sweep that was started, and is struck once.

    Args:
        folder: gets the store and a folder for each start.
    """

    folder: Path
    starts: int = 0

    def __post_init__(self) -> None:
        self.path = self.folder / "store"
        self.start()

    def start(self) -> None:
        self.starts += 1
        arguments = [str(self.path), json.dumps({"cells": CELLS})]
        place = self.folder / f"start-{self.starts}"
        self.run = Marked(str(SUPPORT / "fake_sweep.py"), arguments, place)

    def processes(self, kind: str) -> list[psutil.Process]:
        return [one for one in self.run.processes() if self._kind(one) == kind]

    def _kind(self, process: psutil.Process) -> str:
        try:
            name, words = process.name(), " ".join(process.cmdline())
        except psutil.Error:
            return "gone"
        if process.pid == self.run.process.pid:
            return "command"
        if name in ("raylet", "gcs_server"):
            return name
        if name in ("sweep-driver", "sweep-guard"):
            return name.removeprefix("sweep-")
        return "worker" if words.startswith("ray::") else "helper"

    def _under_way(self, kind: str) -> list[psutil.Process]:
        """The processes of a kind, once the command listens to signals and has begun."""
        return self.processes(kind) if self.processes("driver") else []

    def stored(self) -> int:
        return len(list(self.path.glob("trials/*.json")))

    def strike(self, kind: str, number: signal.Signals, results: int, later: float = 0.0) -> None:
        """Send a signal once so many results are stored and there is such a process."""
        there = wait_until(
            lambda: self.stored() >= results and bool(self._under_way(kind)), 400, every=0.05
        )
        assert there, self.run.stderr
        time.sleep(later)
        for process in self.processes(kind)[:1]:
            process.send_signal(number)

    def ended(self, seconds: float) -> int:
        """The exit status; nothing may be left of the sweep, and no page may have been printed."""
        status = self.run.wait(seconds)
        assert wait_until(lambda: self.run.alive() == [], 30), self.run.alive()
        told = [line for line in self.run.stderr.splitlines() if not is_progress(line)]
        assert len(told) <= 3, told
        assert "Traceback" not in self.run.stderr
        return status

    def check_store(self) -> None:
        """All cells are there with the figures of an undisturbed store, and nothing else is."""
        store = Store.open(self.path)
        cells = [fake_cell(number, **options) for number, options in CELLS]
        assert store.hashes() == sorted(cell.hash for cell in cells)
        for cell in cells:
            assert store.get(cell.hash).metrics == {"bleu": float(cell.seed)}
            assert store.predictions(cell.hash) == PREDICTIONS
        assert list((self.path / "ray").iterdir()) == []
        folders = ("trials", "sweeps", "checkpoints")
        assert [file for name in folders for file in self.path.glob(f"{name}/.*")] == []


def is_progress(line: str) -> bool:
    """Whether a line counts cells, as those of an undisturbed sweep do."""
    return line == "" or line.startswith("starting Ray") or " done, " in line
