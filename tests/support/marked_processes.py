"""Processes that can be told from all others, with everything they start."""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import psutil

SUPPORT = Path(__file__).parent


@cache
def _bytecode_folder() -> str:
    folder = tempfile.mkdtemp(prefix="attnbench-bytecode-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _listen() -> None:
    """Ignore no signal, as what runs under nohup or in the background of a script does."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)


@dataclass
class Marked:
    """A Python script in a process of its own whose environment carries a mark; what it starts
    inherits it. Home and temporary folder are its own as well.

    Attributes:
        folder: gets home/, tmp/, stdout and stderr.
        variables: more for its environment.
    """

    script: str
    arguments: list[str]
    folder: Path
    variables: dict[str, str] = field(default_factory=dict)
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)

    def __post_init__(self) -> None:
        for name in ("home", "tmp"):
            (self.folder / name).mkdir(parents=True)
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("WANDB_", "RAY_"))
        }
        environment |= {
            "TEST_MARK": self.mark,
            # Ray's workers would yield to whatever else runs here, and be waited for in vain.
            "RAY_worker_niceness": "0",
            "HOME": str(self.folder / "home"),
            "TMPDIR": str(self.folder / "tmp"),
            "PYTHONPATH": f"{SUPPORT}{os.pathsep}{SUPPORT.parent.parent}",  # and this tree
            **self.variables,
        }
        if sys.dont_write_bytecode:
            # A dozen Pythons would each compile the whole of Ray and torch.
            environment.pop("PYTHONDONTWRITEBYTECODE", None)
            environment["PYTHONPYCACHEPREFIX"] = _bytecode_folder()
        with (self.folder / "stdout").open("w") as out, (self.folder / "stderr").open("w") as err:
            self.process = subprocess.Popen(
                [sys.executable, self.script, *self.arguments],
                stdout=out,
                stderr=err,
                env=environment,
                cwd=self.folder,
                start_new_session=True,
                preexec_fn=_listen,  # noqa: PLW1509
            )

    def wait(self, timeout: float = 300.0) -> int:
        return self.process.wait(timeout=timeout)

    @property
    def runs(self) -> bool:
        return self.process.poll() is None

    @property
    def stdout(self) -> str:
        return (self.folder / "stdout").read_text()

    @property
    def stderr(self) -> str:
        return (self.folder / "stderr").read_text()

    def processes(self) -> list[psutil.Process]:
        """Those with the mark that are still there."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("TEST_MARK") == self.mark:
                    found.append(process)
            except psutil.Error:  # gone meanwhile, a zombie, or somebody else's
                continue
        return found

    def alive(self) -> list[str]:
        """Names of the processes with the mark that are still there."""
        found = []
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                found.append(" ".join(process.cmdline())[:100] or process.name())
        return found

    def kill(self) -> None:
        """Whatever became of the test, nothing stays."""
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                process.kill()


def wait_until(condition: Callable[[], bool], timeout: float, every: float = 0.1) -> bool:
    """Whether the condition came true in time."""
    limit = time.monotonic() + timeout
    while time.monotonic() < limit:
        if condition():
            return True
        time.sleep(every)
    return condition()
