"""`attnbench`: finds and runs a command, and reports errors in one line.

Commands are named as strings and loaded when they are called, so that help and mistakes are
answered in a fraction of a second. A command's module has `add_arguments(parser)` and
`run(arguments) -> exit status`.

Exit status: 0 all well; 1 some cells or checks failed, or cells could not be run; 2 unusable input;
130 and 143 (129, 131) stopped by Ctrl-C, SIGTERM (SIGHUP, SIGQUIT); 141 nobody reads the output.
"""

from __future__ import annotations

import argparse
import codecs
import contextlib
import errno
import getpass
import importlib
import io
import json
import os
import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import bench
from bench.cli import INTERRUPTED, NOTICE, ctrl_c
from bench.errors import UsageError, one_line, unknown_name

UNUSABLE_INPUT = 2
BROKEN_PIPE = 141


@dataclass(frozen=True)
class Command:
    """A command's module, and one line on what it does."""

    module: str
    summary: str


COMMANDS: dict[str, Command] = {
    "list": Command(
        "ablations.cli.list", "what there is: tasks, attentions, scores, data sets, studies"
    ),
    "run": Command("ablations.cli.run", "train and test one cell"),
    "sweep": Command("ablations.cli.sweep", "run a study, here or on a cluster; resumes by itself"),
    "status": Command("ablations.cli.status", "state of the sweeps of a store, from any shell"),
    "report": Command("reports.cli.report", "make a site, report.md and tables of a store"),
    "export": Command("reports.cli.export", "write results in formats of other projects"),
    "compare": Command("reports.cli.compare", "show what got better or worse between stores"),
    "leaderboard": Command("reports.cli.leaderboard", "pack results, verify bundles, rank them"),
    "try": Command("reports.cli.try", "give a kept model input of your own, see where it looks"),
    "check": Command("bench.cli.check", "check that a mechanism of your own conforms"),
    "data": Command("ablations.cli.data", "list, download and check data sets"),
    "doctor": Command(
        "bench.cli.doctor", "check this machine: libraries, devices, store, disk, W&B"
    ),
}


class Parser(argparse.ArgumentParser):
    """A parser that raises UsageError for mistakes, instead of printing usage and exiting."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message, remedy=f"`{self.prog} --help` shows how")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status. Without arguments it is the command of this process,
    which is made fit for it."""
    if arguments is None:
        _open_streams()
        _allow_warnings()
        _name_user()
    given = list(sys.argv[1:] if arguments is None else arguments)
    ctrl_c.listen()
    try:
        return _answer(given)
    except KeyboardInterrupt:
        pass
    except BaseException:
        if not ctrl_c.pressed:
            raise
    finally:
        ctrl_c.rest(at_exit=arguments is None)
    with contextlib.suppress(OSError):
        sys.stderr.write(NOTICE)
    return INTERRUPTED


def _answer(given: Sequence[str]) -> int:
    debug, status = "--debug" in given, 0
    try:
        with _own_warnings_in_a_line():
            status = _dispatch([argument for argument in given if argument != "--debug"])
        sys.stdout.flush()
    except UsageError as error:
        return _report_error(str(error), debug=debug)
    except OSError as error:
        if isinstance(error, BrokenPipeError) or error.errno == errno.EIO:
            _discard_output()
            return status or BROKEN_PIPE
        try:
            sys.stdout.flush()
        except OSError:
            _discard_output()
        reason = (error.strerror or str(error) or type(error).__name__).lower()
        place = "" if error.filename is None else f"{error.filename}: "
        return _report_error(one_line(place + reason), debug=debug)
    return status


def _open_streams() -> None:
    """Let output always succeed: what is closed goes nowhere, what an encoding lacks is escaped."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:  # else the next file that is opened takes its place
            with contextlib.suppress(OSError):
                os.fstat(number)
                continue
            os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, os.fdopen(number, "w" if number else "r", encoding="utf-8"))
    codecs.register_error("json", _escaped)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="json")


def _escaped(error: UnicodeError) -> tuple[str, int]:
    """The characters that cannot be encoded as JSON writes them, so that JSON stays what it is."""
    assert isinstance(error, UnicodeEncodeError), error
    return json.dumps(error.object[error.start : error.end])[1:-1], error.end


def _allow_warnings() -> None:
    """Let no warning be an error, here and in the processes of a sweep: libraries have some."""
    warnings.filters = [one for one in warnings.filters if one[0] != "error"]
    if "error" in os.environ.get("PYTHONWARNINGS", ""):
        del os.environ["PYTHONWARNINGS"]


def _name_user() -> None:
    """Give a user that the system does not know a name and a home, and one whose home cannot be
    written a place for caches: libraries ask for all three as they are imported."""
    from bench.store.files import user_cache

    try:
        getpass.getuser()
    except (KeyError, OSError):
        os.environ["USER"] = f"user-{os.getuid()}"
    try:
        home = Path.home()
    except RuntimeError:
        home = user_cache()
        os.environ["HOME"] = str(home)
    if not os.access(home, os.W_OK):
        caches = os.environ.setdefault("XDG_CACHE_HOME", str(user_cache()))
        os.environ.setdefault("MPLCONFIGDIR", f"{caches}/matplotlib")


def _discard_output() -> None:
    """Let output lead nowhere, since its reader or terminal has gone; Python flushes it at exit."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


@contextlib.contextmanager
def _own_warnings_in_a_line() -> Iterator[None]:
    """Show warnings of our own code in one line, without file and line number."""
    usual = warnings.formatwarning
    ours = Path(__file__).resolve().parents[2]
    packages = [str(ours / name) + os.sep for name in ("bench", "tasks", "ablations", "reports")]

    def one_line(
        message: Warning | str, category: type[Warning], filename: str, *place: Any, **more: Any
    ) -> str:
        if category is UserWarning and filename.startswith(tuple(packages)):
            return f"attnbench: warning: {' '.join(str(message).split())}\n"
        return usual(message, category, filename, *place, **more)

    warnings.formatwarning = one_line
    try:
        yield
    finally:
        warnings.formatwarning = usual


def _report_error(message: str, *, debug: bool) -> int:
    with contextlib.suppress(OSError):  # nobody listens
        if debug:
            traceback.print_exc()
        sys.stderr.write(f"attnbench: error: {message}\n")
    return UNUSABLE_INPUT


def _dispatch(given: list[str]) -> int:
    if not given or given[0] in ("-h", "--help", "help"):
        sys.stdout.write(usage())
        return 0
    if given[0] == "--version":
        sys.stdout.write(f"attnbench {bench.__version__}\n")
        return 0
    name, rest = given[0], given[1:]
    if name not in COMMANDS:
        raise unknown_name("command", name, COMMANDS)
    command = COMMANDS[name]
    try:
        Path.cwd()
    except FileNotFoundError:  # torch, once imported, would end the process
        remedy = "change to another one"
        raise UsageError("the current folder no longer exists", remedy=remedy) from None
    module = importlib.import_module(command.module)
    parser = Parser(prog=f"attnbench {name}", description=command.summary, allow_abbrev=False)
    # Taken off before; named here so that help shows it.
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    module.add_arguments(parser)
    try:
        arguments = parser.parse_args(rest)
    except SystemExit as wish:  # --help has been printed
        return int(wish.code or 0)
    status: int = module.run(arguments)
    return status


def usage() -> str:
    """Return the text that `attnbench --help` prints."""
    width = max(map(len, COMMANDS))
    commands = [f"  {name:{width}}  {command.summary}" for name, command in COMMANDS.items()]
    lines = [
        "usage: attnbench COMMAND ...",
        "",
        "Which attention, with which score function, for which task, and at what cost?",
        "",
        *commands,
        "",
        "`attnbench COMMAND --help` explains a command. --debug shows the traceback of an error.",
        "Exit status: 0 all well, 1 some cells failed, 2 unusable input.",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
