"""The source files that one `attnbench run` passes through: those with a function that it calls.

    python tests/performance/files_passed.py [ARGUMENTS OF attnbench run]

Without arguments a cell of translation is trained under the budget `smoke`, in this process and
with an empty cache. Bodies of modules and classes do not count, and neither do the comprehensions
in them: importing a file is not passing through it. Prints the number of functions of each file
that were called, and the number of files.
"""

from __future__ import annotations

import contextlib
import inspect
import io
import os
import sys
import tempfile
import threading
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("bench", "tasks", "ablations", "reports")
CELL = ["--task", "translation", "--attention", "soft", "--budget", "smoke"]


def called_functions(arguments: list[str]) -> dict[str, set[str]]:
    """The qualified names of the functions that a command calls, by file below `ROOT`."""
    from bench.cli.main import main

    seen: set[CodeType] = set()

    def note(frame: FrameType, event: str, argument: Any) -> None:
        if event == "call" and frame.f_code not in seen and _is_in_function(frame):
            seen.add(frame.f_code)

    threading.setprofile(note)
    sys.setprofile(note)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            status = main(arguments)
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    if status:
        raise SystemExit(status)
    found: dict[str, set[str]] = {}
    for code in seen:
        path = Path(code.co_filename)
        if path.is_relative_to(ROOT) and path.relative_to(ROOT).parts[0] in PACKAGES:
            found.setdefault(str(path.relative_to(ROOT)), set()).add(code.co_qualname)
    return found


def _is_in_function(frame: FrameType) -> bool:
    """Whether a frame is that of a function: not of a module, a class, or a comprehension there."""
    while frame.f_code.co_name in ("<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>"):
        if frame.f_back is None:
            return False
        frame = frame.f_back
    return bool(frame.f_code.co_flags & inspect.CO_OPTIMIZED)


def run(arguments: list[str]) -> None:
    sys.path.insert(0, str(ROOT))
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = folder
        found = called_functions(["run", *(arguments or CELL)])
    for path in sorted(found):
        sys.stdout.write(f"{len(found[path]):4}  {path}\n")
    sys.stdout.write(f"{len(found)} files\n")


if __name__ == "__main__":
    run(sys.argv[1:])
