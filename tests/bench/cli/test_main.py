from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import types
from pathlib import Path

import pytest

import bench
from bench.cli import main as cli
from bench.errors import UsageError

HEAVY = ("torch", "pytorch_lightning", "ray", "wandb", "pydantic", "numpy", "yaml", "fsspec")


def modules_after(*arguments: str) -> tuple[str, list[str]]:
    """What a command prints, and which heavy modules it has imported by then."""
    code = (
        "import sys; from bench.cli.main import main; status = main(sys.argv[1:]); "
        f"print('\\n@', status, *[name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    printed, _, tail = done.stdout.rpartition("@ ")
    status, *heavy = tail.split()
    assert status == "0", done.stderr
    return printed, heavy


def test_help_names_every_command_and_imports_nothing() -> None:
    printed, heavy = modules_after("--help")
    for name, command in cli.COMMANDS.items():
        assert name in printed
        assert command.summary in printed
    assert heavy == []


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_help_of_a_command_imports_nothing_heavy(name: str) -> None:
    printed, heavy = modules_after(name, "--help")
    assert f"usage: attnbench {name}" in printed
    assert heavy == []


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"attnbench {bench.__version__}\n"


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A command named `try` that takes a number and does what `act` says."""
    module = types.ModuleType("fake_command")

    def add_arguments(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--number", type=int, default=0)

    module.add_arguments = add_arguments  # type: ignore[attr-defined]

    def run(args: argparse.Namespace) -> int:
        status: int = module.act(args)  # looked up late: tests replace it
        return status

    module.run = run  # type: ignore[attr-defined]
    module.act = lambda args: args.number  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "fake_command", module)
    monkeypatch.setitem(cli.COMMANDS, "try", cli.Command("fake_command", "tries"))
    return module


def test_the_status_of_a_command_is_that_of_the_process(command: types.ModuleType) -> None:
    assert cli.main(["try"]) == 0
    assert cli.main(["try", "--number", "1"]) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["tri"], "unknown command 'tri'; did you mean 'try'?"),
        (["--nonsense"], "unknown command '--nonsense'"),
        (["try", "--number", "x"], "argument --number: invalid int value: 'x'"),
        (["try", "--num", "1"], "unrecognized arguments: --num 1"),
        (["try", "more"], "unrecognized arguments: more"),
    ],
)
def test_mistakes_are_answered_in_one_line(
    command: types.ModuleType, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert cli.main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert captured.err.startswith("attnbench: error: ")
    assert said in captured.err


def test_unusable_input_is_answered_in_one_line(
    command: types.ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    def act(args: argparse.Namespace) -> int:
        raise UsageError("what\nis wrong", where="here", remedy="do that")

    command.act = act  # type: ignore[attr-defined]
    assert cli.main(["try"]) == 2
    assert capsys.readouterr().err == "attnbench: error: here: what is wrong; do that\n"


def test_our_warnings_are_said_in_one_line() -> None:
    code = (
        "import sys, warnings; from bench import registry; from bench.cli import main as cli\n"
        "def act(given):\n"
        "    warnings.warn_explicit('ours\\n is odd', UserWarning, registry.__file__, 1)\n"
        "    warnings.warn_explicit('theirs', UserWarning, 'their.py', 1)\n"
        "    return 0\n"
        "cli._dispatch = act; sys.exit(cli.main([]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=plain()
    )
    first, *others = done.stderr.splitlines()
    assert first == "attnbench: warning: ours is odd"
    assert others == ["their.py:1: UserWarning: theirs"]


def plain() -> dict[str, str]:
    """The environment without what turns warnings into errors."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONWARNINGS"}


@pytest.mark.parametrize("arguments", [["--debug", "try"], ["try", "--debug"]])
def test_debug_shows_where_it_came_from(
    command: types.ModuleType, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    def act(args: argparse.Namespace) -> int:
        raise UsageError("wrong")

    command.act = act  # type: ignore[attr-defined]
    assert cli.main(arguments) == 2
    printed = capsys.readouterr().err
    assert "Traceback" in printed
    assert printed.endswith("attnbench: error: wrong\n")


def test_files_that_cannot_be_used_are_named(
    command: types.ModuleType, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    command.act = lambda args: (tmp_path / "x").read_text()  # type: ignore[attr-defined]
    assert cli.main(["try"]) == 2
    expected = f"attnbench: error: {tmp_path / 'x'}: no such file or directory\n"
    assert capsys.readouterr().err == expected


def test_defects_of_ours_are_not_hidden(command: types.ModuleType) -> None:
    command.act = lambda args: 1 / 0  # type: ignore[attr-defined]
    with pytest.raises(ZeroDivisionError):
        cli.main(["try"])


def test_ctrl_c_is_no_traceback(
    command: types.ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    def act(args: argparse.Namespace) -> int:
        raise KeyboardInterrupt

    command.act = act  # type: ignore[attr-defined]
    assert cli.main(["try"]) == 130
    assert capsys.readouterr().err == "attnbench: interrupted\n"


def signalled(code: str) -> subprocess.CompletedProcess[str]:
    """What became of a process that presses Ctrl-C itself: `code`, after the import of `main`."""
    head = "import os, signal, sys; from bench.cli import main as cli\n"
    head += "press = lambda *_: os.kill(os.getpid(), signal.SIGINT)\n"
    tail = "\nsys.exit(cli.main([]))"
    return subprocess.run(
        [sys.executable, "-c", head + code + tail],
        capture_output=True,
        text=True,
        check=False,
        # Where tests run in the background of a script, Ctrl-C is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


IN_A_LIBRARY = """
def act(given):
    try:
        press()
    except KeyboardInterrupt:
        {then}
cli._dispatch = act
"""


@pytest.mark.parametrize(
    "code",
    [
        "cli._dispatch = press",
        IN_A_LIBRARY.format(then="sys.exit(1)"),
        IN_A_LIBRARY.format(then="raise ImportError('cannot be imported')"),
        "import importlib, pathlib; pathlib.Path('pressed.py').write_text(\n"
        "    'import os\\ntry: os.kill(os.getpid(), 2)\\nexcept BaseException: pass')\n"
        "sys.path.insert(0, ''); cli._dispatch = lambda given: importlib.import_module('pressed')",
    ],
    ids=["in a command", "library exits", "library fails", "import swallows it"],
)
def test_ctrl_c_ends_a_process_with_a_line(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = signalled(code)
    assert (ended.returncode, ended.stderr) == (130, "attnbench: interrupted\n")


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_closed_streams_are_no_traceback(closed: str) -> None:
    line = f'exec "$0" -m bench.cli.main list tasks {closed}'
    done = subprocess.run(
        ["sh", "-c", line, sys.executable], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_reader_that_leaves_is_no_traceback() -> None:
    code = (
        "import sys; from bench.cli import main as cli; "
        "cli.usage = lambda: 'line\\n' * 100_000; sys.exit(cli.main(['--help']))"
    )
    # Unbuffered, Python would not notice: it takes a write cut short for a whole one.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == "line\n"
    process.stdout.close()
    assert process.wait(timeout=30) == cli.BROKEN_PIPE
    assert process.stderr.read() == ""
    process.stderr.close()
