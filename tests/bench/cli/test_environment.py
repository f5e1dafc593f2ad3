"""What surrounds a command: streams, locale, users, folders and disks. Whatever it is, the answer
is a result or one line and status 2."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from bench.cli import main as cli
from bench.store.files import LocalFiles, user_cache

RUN = ("run", "--task", "entailment", "--attention", "soft", "--budget", "smoke")
TINY = (*RUN, "--set", "max_steps=1", "--set", "test_limit=20", "--set", "num_validations=1")
TEXT = "é – 漢字 😀 \udcff"
PROCESS = "import sys; from bench.cli.main import main; sys.exit(main())"


def command(
    arguments: str,
    environment: Mapping[str, str] | None = None,
    *,
    before: str = "",
    code: str = PROCESS,
) -> subprocess.CompletedProcess[bytes]:
    """The command line in a process of its own, started by a shell: `"$@"` is the command.

    Args:
        arguments: shell code after the command.
        before: shell code that comes first.
        code: Python code of the process.
    """
    shell = f'{before}\n"$0" -c "$1" {arguments}'
    return subprocess.run(
        ["sh", "-c", shell, sys.executable, code],
        capture_output=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", **(environment or {})},
    )


def one_line(stderr: bytes) -> str:
    """The only line of an error."""
    line = stderr.decode()
    assert line.startswith("attnbench: error: ") and line.count("\n") == 1, line
    return line


@pytest.mark.parametrize(
    "environment",
    [
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "latin-1"},
    ],
    ids=str,
)
def test_output_suits_any_encoding(environment: Mapping[str, str]) -> None:
    shown = {}
    for options in ("", "--json"):
        code = (
            "import sys; from ablations.cli import list as listing; from bench.cli import main\n"
            f"listing.KINDS['tasks'] = lambda: [{{'name': {TEXT!a}}}]\n"
            "sys.exit(main.main())"
        )
        done = command(f"list tasks {options}", environment, code=code)
        assert (done.returncode, done.stderr) == (0, b"")
        shown[options] = done.stdout.decode("latin-1" if "latin-1" in str(environment) else "ascii")
    assert json.loads(shown["--json"]) == [{"name": TEXT}]
    assert "\\u6f22" in shown[""]


@pytest.mark.parametrize("closed", [">&-", ">&- 2>&-", "2>&-", "<&-", "2>/dev/full"])
def test_streams_may_be_closed(closed: str) -> None:
    done = command(f"list tasks {closed}")
    assert (done.returncode, done.stderr) == (0, b"")
    assert (b"translation" in done.stdout) != closed.startswith(">")
    done = command(f"no-such-command {closed}")
    assert done.returncode == 2
    assert b"Traceback" not in done.stderr


def test_output_that_cannot_be_written_is_said() -> None:
    done = command("list tasks >/dev/full")
    assert done.returncode == 2
    assert "no space left on device" in one_line(done.stderr)


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONWARNINGS": "error"},
        {"PYTHONOPTIMIZE": "2"},
        {"COLUMNS": "0", "TERM": "dumb"},
        {"COLUMNS": "1", "NO_COLOR": "1"},
        {"COLUMNS": "x"},
    ],
    ids=str,
)
def test_variables_of_terminals_and_of_python(environment: Mapping[str, str]) -> None:
    done = command('list scores && "$0" -c "$1" run --help', environment)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"general" in done.stdout and b"--attention" in done.stdout


def test_a_folder_that_is_gone(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    done = command(
        "doctor", {"PYTHONPATH": ":".join(sys.path)}, before=f"cd '{folder}' && rmdir '{folder}'"
    )
    assert done.returncode == 2
    assert "the current folder no longer exists" in one_line(done.stderr)


def test_a_user_without_a_name_or_a_home(tmp_path: Path) -> None:
    code = (
        "import os, pwd, sys\n"
        "def unknown(uid): raise KeyError(uid)\n"
        "pwd.getpwuid = unknown\n"
        "for name in ('HOME', 'USER', 'LOGNAME', 'LNAME', 'USERNAME', 'XDG_CACHE_HOME'):\n"
        "    os.environ.pop(name, None)\n" + PROCESS
    )
    done = command(" ".join([*TINY, "--json"]), {"TMPDIR": str(tmp_path)}, code=code)
    assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads(done.stdout)["status"] == "done"
    assert (tmp_path / f"cache-{os.getuid()}").is_dir()


def test_caches_lie_elsewhere_where_there_is_no_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    assert user_cache() == tmp_path / ".cache"
    (tmp_path / "file").touch()
    for home in (tmp_path / "file", Path("/proc/1/x")):
        monkeypatch.setenv("HOME", str(home))
        assert user_cache().parent == tmp_path / "tmp"
    (user_cache() / "probe").touch()
    assert user_cache().stat().st_mode & 0o077 == 0


#: Commands with `{}` for a path that they are given.
PATHS = (
    "status {}",
    "report {}",
    "compare {} {}",
    "doctor --store {}",
    "data check parallel {}",
    "data list --data-root {}",
    "data download multi30k --data-root {}",
    "leaderboard submit {}",
    "leaderboard rank {}",
    "leaderboard verify {}",
    "sweep --dry-run --store {}",
    " ".join([*RUN, "--store {}"]),
    " ".join([*RUN, "--data-root {}"]),
)


@pytest.mark.parametrize("line", PATHS)
@pytest.mark.parametrize(
    ("path", "said"),
    [("", "the path is empty"), ("~nobody-knows/x", "'~nobody-knows' is not known")],
)
def test_paths_that_name_nothing(
    line: str, path: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([path if part == "{}" else part for part in line.split()]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert said in one_line(captured.err.encode())


@pytest.mark.parametrize("line", [line for line in PATHS if "list" not in line])
@pytest.mark.parametrize("path", ["file", "file/x", 300 * "x", 5000 * "x"], ids=len)
def test_paths_that_cannot_be_folders(
    line: str,
    path: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    status = cli.main([path if part == "{}" else part for part in line.split()])
    captured = capsys.readouterr()
    if line.startswith("doctor"):
        assert "bad   store" in captured.out if status == 1 else one_line(captured.err.encode())
    elif "--dry-run" in line:
        assert status in (0, 2)
    elif line.startswith("leaderboard rank"):
        assert status in (1, 2)
    else:
        assert status == 2
        one_line(captured.err.encode())
    assert "Traceback" not in captured.err


def test_figures_are_shown_before_they_are_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write = LocalFiles.write

    def full(self: LocalFiles, name: str, chunks: object) -> None:
        if name.endswith(".json"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(self, name, chunks)  # type: ignore[arg-type]

    monkeypatch.setattr(LocalFiles, "write", full)
    assert cli.main([*TINY, "--store", str(tmp_path / "store"), "--json"]) == 2
    captured = capsys.readouterr()
    assert json.loads(captured.out)["metrics"]["accuracy"] >= 0
    said = one_line(captured.err.encode())
    assert f"{tmp_path / 'store'}: the result cannot be stored (no space left on device)" in said
