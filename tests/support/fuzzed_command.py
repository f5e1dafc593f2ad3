"""The command line in this process, and what must hold whatever it is given: a documented exit
status, a few short lines, no traceback, nothing left behind, in bounded time and memory."""

from __future__ import annotations

import contextlib
import gc
import io
import os
import resource
import signal
import sys
import tempfile
import traceback
import unicodedata
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import psutil
from hypothesis import HealthCheck, Phase, settings
from hypothesis.database import DirectoryBasedExampleDatabase

import bench
from bench.cli.main import main

#: All well, some cells or checks failed, unusable input.
STATUSES = (0, 1, 2)
MOST_LINES, LONGEST_LINE = 3, 1000
SECONDS = 60
MEMORY = 4 * 1024**3

_OURS = str(Path(bench.__file__).parents[1]) + os.sep
#: What Python shows no user.
_SILENT = (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning)


def examples(few: int) -> settings:
    """So many examples, always the same; FUZZ_EXAMPLES in the environment asks for others, as many
    as it says, and keeps those that fail (`make fuzz`)."""
    asked = os.environ.get("FUZZ_EXAMPLES")
    common: dict[str, Any] = {
        "deadline": None,
        "print_blob": True,
        "suppress_health_check": list(HealthCheck),
    }
    if asked is None:
        once = (Phase.explicit, Phase.generate)  # shrinking is for those who look for causes
        return settings(max_examples=few, derandomize=True, database=None, phases=once, **common)
    kept = DirectoryBasedExampleDatabase(Path(_OURS) / ".hypothesis" / "examples")
    return settings(max_examples=int(asked), database=kept, **common)


@dataclass(frozen=True)
class Answer:
    """The exit status of a command and what it wrote."""

    status: int
    out: str
    err: str


class TooLongError(BaseException):
    """The command was still at work after `SECONDS`; its traceback says on what."""


def ask(*arguments: str) -> Answer:
    """Run a command and check that its answer is one for users."""
    before = _left_open()
    children = set(psutil.Process().children(recursive=True))
    answer = _run(arguments)
    if _left_open() - before:
        gc.collect()
    told = f"{list(arguments)}\n{answer.out}\n{answer.err}"
    assert answer.status in STATUSES, told
    assert "Traceback" not in answer.out + answer.err, told
    lines = answer.err.splitlines()
    assert len(lines) <= MOST_LINES, told
    assert max(map(len, lines), default=0) <= LONGEST_LINE, told
    shown = answer.out.translate({ord("\t"): " ", ord("\n"): " "}) + "".join(lines)
    assert not any(unicodedata.category(one) == "Cc" for one in shown), repr(told)
    if answer.status == 2:
        assert lines and lines[-1].startswith("attnbench: error: "), told
    assert not _left_open() - before, f"{told}\nleft open: {_left_open() - before}"
    left = set(psutil.Process().children(recursive=True)) - children
    assert not left, f"{told}\nleft running: {left}"
    return answer


def _run(arguments: tuple[str, ...]) -> Answer:
    with _captured() as written, _bounded(), warnings.catch_warnings(record=True) as told:
        warnings.resetwarnings()
        for kind in _SILENT:
            warnings.simplefilter("ignore", kind)
        try:
            status = main(arguments)
        except Exception as error:  # how Python ends a process that raises
            traceback.print_exception(error)
            status = 1
        for one in told:
            own = one.category is UserWarning and one.filename.startswith(_OURS)
            place = "" if own else f"{one.filename}:{one.lineno}: Traceback of no user's business: "
            sys.stderr.write(f"{place}{' '.join(str(one.message).split())}\n")
    out, err = written
    return Answer(status, out, err)


@contextlib.contextmanager
def _captured() -> Iterator[list[str]]:
    """Standard output and error, also of libraries that are not Python."""
    written: list[str] = []
    streams = sys.stdout, sys.stderr
    for stream in streams:
        stream.flush()
    kept = [os.dup(number) for number in (1, 2)]
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        for number, file in ((1, out), (2, err)):
            os.dup2(file.fileno(), number)
        sys.stdout, sys.stderr = (
            io.TextIOWrapper(io.FileIO(number, "w", closefd=False), "utf-8", "backslashreplace")
            for number in (1, 2)
        )
        try:
            yield written
        finally:
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
            sys.stdout, sys.stderr = streams
            for number, old in enumerate(kept, start=1):
                os.dup2(old, number)
                os.close(old)
        for file in (out, err):
            file.seek(0)
            written.append(file.read().decode("utf-8", "replace"))


@contextlib.contextmanager
def _bounded() -> Iterator[None]:
    """Let the command take so long and so much memory, and no more."""

    def too_long(number: int, frame: FrameType | None) -> None:
        raise TooLongError

    limits = resource.getrlimit(resource.RLIMIT_AS)
    used = psutil.Process().memory_info().vms
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, limits[1]))
    handler = signal.signal(signal.SIGALRM, too_long)
    before = signal.setitimer(signal.ITIMER_REAL, SECONDS)  # pytest-timeout has one, too
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, *before)
        signal.signal(signal.SIGALRM, handler)
        resource.setrlimit(resource.RLIMIT_AS, limits)


def _left_open() -> set[tuple[str, str]]:
    """Open file descriptors and what they lead to, without those of libraries that stay."""
    found = set()
    for number in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            place = str(number.readlink())
            if place.startswith(tempfile.gettempdir()):
                found.add((number.name, place))
    return found
