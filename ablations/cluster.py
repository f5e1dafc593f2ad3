"""Ray for a sweep: resources of its trials, and a private cluster on this machine or one that runs.

A private cluster writes only below the store and leaves nothing behind, neither files nor
processes, however the sweep ends: Ray's processes die with the driver, and what is left all the
same is removed by a guard, or else by the next sweep.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import logging
import os
import secrets
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from filelock import FileLock

from ablations.cancellation import SIGNALS, descendants, end_processes, name_process
from bench.errors import UsageError
from bench.store.files import DEAD_SECONDS, machine

#: The longest path of a Unix socket is 107 bytes, and Ray adds
#: `/session_<date>_<time>_<microseconds>_<pid>/sockets/plasma_store` to its folder.
_LONGEST_FOLDER = 107 - 66

#: The secret of this process: Ray reads it once, and a search starts Ray a second time.
_SECRET = secrets.token_hex(32)

#: Names the folder of a sweep in the environment of the processes that Ray starts for it.
_MARK = "ATTNBENCH_RAY_FOLDER"

_LINK_PREFIX = "attnbench-"

#: Seconds that each part of Ray has to start and to find the others.
_START_SECONDS = "300"

#: Seconds between two looks whether Ray's node is known.
_NODE_SECONDS = 0.5

#: How often, and every how many seconds, is looked for what a killed process has left.
_GUARD_LOOKS, _GUARD_SECONDS = 4, 0.5

#: Characters of what Ray says about its failure.
_LONGEST_REASON = 300

#: Packages of Ray's dashboard that nothing else here brings along.
_DASHBOARD_PACKAGES = ("aiohttp_cors", "opencensus", "prometheus_client")

_OBJECT_STORE_BYTES = 100 * 1024**2  # results do not go through it


@dataclass(frozen=True)
class Resources:
    """Resources of a sweep: the cores, GPUs and processes of each trial, and the cluster.

    Attributes:
        address: None for a cluster of this machine alone, "auto" or host:port to join one.
        cpus_per_trial: cores a trial holds (each of its ranks, if it has several); its threads.
            Never more trials than cores.
        gpus_per_trial: GPUs a trial holds; fractions share one.
        ranks: processes that train a trial together; 0 is one for every GPU.
        retries: how often a trial whose process or machine died is run again (it goes on from its
            checkpoint) before that is its result.
        in_process: without Ray, one trial at a time in this process.
        dashboard: with Ray's dashboard, where the cluster is of this machine alone; its address,
            or that of the cluster that is joined, is told.
    """

    address: str | None = None
    cpus_per_trial: float = 1
    gpus_per_trial: float = 0
    ranks: int = 0
    retries: int = 3
    in_process: bool = False
    dashboard: bool = False

    def __post_init__(self) -> None:
        if self.cpus_per_trial <= 0:
            raise UsageError(f"must be > 0, got {self.cpus_per_trial:g}", where="--cpus-per-trial")
        if self.gpus_per_trial < 0:
            raise UsageError(f"must be ≥ 0, got {self.gpus_per_trial:g}", where="--gpus-per-trial")
        if self.retries < 0:
            raise UsageError(f"must be ≥ 0, got {self.retries}", where="--retries")
        if self.ranks < 0:
            raise UsageError("needs at least 1 process", where="--processes-per-trial")
        if not self.ranks:
            object.__setattr__(self, "ranks", max(1, int(self.gpus_per_trial)))
        if self.gpus_per_trial not in (0, self.ranks) and max(self.gpus_per_trial, self.ranks) > 1:
            raise UsageError(
                f"{self.ranks} processes cannot share {self.gpus_per_trial:g} GPUs",
                where="--processes-per-trial, --gpus-per-trial",
                remedy="a trial has a share of a GPU, or one for each process",
            )

        needs_ray = self.address is not None or self.ranks > 1 or self.dashboard
        if self.in_process and needs_ray:
            raise UsageError(
                "without Ray one trial at a time runs in one process of this machine",
                where="--no-ray",
                remedy="leave it out, or --address, --dashboard, --processes-per-trial and "
                "--gpus-per-trial 2",
            )
        if self.dashboard and self.address is None:
            _require_dashboard()

    @property
    def gpus_per_rank(self) -> float:
        return self.gpus_per_trial / self.ranks

    @property
    def threads(self) -> int:
        return max(1, int(self.cpus_per_trial))


@dataclass(frozen=True)
class RayFolder:
    """The folder of Ray's and Tune's files of one sweep.

    Attributes:
        path: of the folder.
        short: a path to it that is short enough for sockets.
    """

    path: Path
    short: Path


class ClusterLost(Exception):
    """Raised when Ray did not start, ended unexpectedly, or no longer gets trials to run."""


@contextlib.contextmanager
def cluster(resources: Resources, folder: RayFolder) -> Iterator[str]:
    """Ray, started or joined, for as long as the block lasts. Gives a line on where its dashboard
    is, or "".

    Args:
        resources: the address, whether there is to be a dashboard, and threads of the numerical
            libraries in workers.
        folder: for the files of a private cluster.

    Raises:
        UsageError: no cluster answers at that address.
        ClusterLost: a private cluster did not start.
    """
    before = {process.pid for process in descendants()}
    # Ray tells standard output about every process that dies; the sweep makes results of that.
    silence = contextlib.redirect_stdout(io.StringIO())
    with silence, contextlib.ExitStack() as stack:
        private = _private_variables(folder) if resources.address is None else {}
        stack.enter_context(environment({**_variables(resources.cpus_per_trial), **private}))
        try:
            url = _start(resources, folder.short)
            yield _dashboard_line(url, resources) if resources.dashboard else ""
        finally:
            # Also where starting Ray did not get to the end.
            import ray

            ours = [process for process in descendants() if process.pid not in before]
            try:
                ray.shutdown()
            finally:
                end_processes(ours)


def _start(resources: Resources, folder: Path) -> str:
    """Start or join Ray. Returns the address of its dashboard, or "" where there is none."""
    # In the main thread, since Ray's processes are told to die with the thread that started them,
    # and with no other thread at work: Ray runs Python between fork and exec, which waits forever
    # for a lock (of an import, say) that another thread held.
    import ray

    logging.getLogger("ray").setLevel(logging.CRITICAL)  # what matters arrives as exceptions
    address, variables = resources.address, _worker_variables(resources.cpus_per_trial)
    own: dict[str, Any] = {"runtime_env": {"env_vars": variables}}
    if address is None:
        _wait_for_node()
        own = {"include_dashboard": resources.dashboard, "_temp_dir": str(folder)}
        own["object_store_memory"] = _OBJECT_STORE_BYTES
    try:
        joined = ray.init(
            address=address or "local", log_to_driver=False, configure_logging=False, **own
        )
    except Exception as error:  # also bare ones, where it took too long
        what = f"({' '.join(str(error).split())[:_LONGEST_REASON]})"
        if address is None and "timed out" in str(error).lower():
            raise ClusterLost("Ray did not start in time, as on a machine that is busy") from error
        if address is None:
            raise ClusterLost(f"Ray did not start {what}") from error
        raise UsageError(f"Ray cannot be used {what}", where=f"--address {address}") from error
    return joined.dashboard_url or ""


def _require_dashboard() -> None:
    """Raise UsageError where Ray was installed without the packages of its dashboard, since it
    leaves the dashboard out then without a word."""
    if not all(importlib.util.find_spec(name) for name in _DASHBOARD_PACKAGES):
        raise UsageError(
            "the packages of Ray's dashboard are not installed",
            where="--dashboard",
            remedy="pip install 'attention-bench[dashboard]'",
        )


def _dashboard_line(url: str, resources: Resources) -> str:
    """Where the dashboard of the cluster is, with the token that a browser is asked for."""
    if not url:
        return "Ray's dashboard: this cluster has none"
    asks = resources.address is None and os.environ.get("RAY_AUTH_TOKEN") == _SECRET
    return f"Ray's dashboard: http://{url}" + (f" (asks for the token {_SECRET})" if asks else "")


def _wait_for_node() -> None:
    """Let Ray wait as long for its node to be known as for its other parts: 30 s stand in its code,
    and no variable changes them. Holds for this process, a driver."""
    from ray._private import services

    get_node = services.get_node

    def patient(*arguments: Any) -> Any:
        end = time.monotonic() + float(_START_SECONDS)
        while True:
            try:
                return get_node(*arguments)
            except RuntimeError:  # not known yet
                if time.monotonic() > end:
                    raise
                time.sleep(_NODE_SECONDS)

    services.get_node = patient


def _variables(cpus_per_trial: float) -> dict[str, str]:
    return {
        **_worker_variables(cpus_per_trial),
        # Tune's own result files: ours go to the store.
        "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
        "TUNE_DISABLE_SIGINT_HANDLER": "1",
        # Tune's snapshots, which we never resume from.
        "TUNE_GLOBAL_CHECKPOINT_S": "86400",
        "TUNE_FUNCTION_THREAD_TIMEOUT_S": "30",
        "TUNE_WARN_INSUFFICENT_RESOURCE_THRESHOLD_S": "1000000000",
        "RAY_CHDIR_TO_TRIAL_DIR": "0",
        "RAY_AIR_NEW_OUTPUT": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
    }


def _private_variables(folder: RayFolder) -> dict[str, str]:
    temporary = folder.short / "tmp"
    temporary.mkdir(exist_ok=True)
    variables = {
        # What workers leave there when they are killed goes with the folder.
        "TMPDIR": str(temporary),
        _MARK: str(folder.path),
        # The helpers of a driver that was killed look for it a minute long otherwise.
        "RAY_gcs_rpc_server_reconnect_timeout_s": "5",
        # On a busy machine Ray's own processes are slow; dead ones are noticed without these.
        "RAY_gcs_server_port_wait_time_s": _START_SECONDS,
        "RAY_raylet_start_wait_time_s": _START_SECONDS,
        "RAY_py_gcs_connect_timeout_s": _START_SECONDS,
        "RAY_gcs_rpc_server_connect_timeout_s": _START_SECONDS,
        "RAY_agent_register_timeout_ms": f"{_START_SECONDS}000",
        "RAY_worker_register_timeout_seconds": _START_SECONDS,
        "RAY_health_check_failure_threshold": "30",
        # Workers that Ray starts at once, one a core. Tune takes none of them, since its trials
        # come with environment variables, and starting them delays those that it does take.
        "RAY_prestart_worker_first_driver": "0",
    }
    if "RAY_AUTH_MODE" not in os.environ:
        # A secret for this process alone; Ray would otherwise put one into the user's home.
        variables |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": _SECRET}
    return variables


def _worker_variables(cpus_per_trial: float) -> dict[str, str]:
    threads = str(max(1, int(cpus_per_trial)))
    return {
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        # Fewer arenas: the memory of a long-lived worker stays flat.
        "MALLOC_ARENA_MAX": "2",
    }


@contextlib.contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for a while; Ray's processes inherit them."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def ray_folder(parent: Path) -> Iterator[RayFolder]:
    """A folder for as long as the block lasts; what killed sweeps of this store left is removed,
    their processes on this machine as well.

    Args:
        parent: `Store.ray`.
    """
    parent.mkdir(parents=True, exist_ok=True)
    for left in parent.glob("*.lock"):  # whose lock is free: the process of that sweep is gone
        folder = parent / left.name.partition(".")[0]
        # Not every file system that machines share has locks that all of them see.
        ours = left.suffixes[0] == f".{machine()}"
        with contextlib.suppress(OSError), FileLock(left, blocking=False):
            if ours or _is_old(folder):
                _remove(folder)
                left.unlink(missing_ok=True)
    path = parent / secrets.token_hex(3)
    lock_file = parent / f"{path.name}.{machine()}.lock"
    with contextlib.ExitStack() as stack:
        # Held for as long as this process lives, however it ends.
        stack.enter_context(FileLock(lock_file))
        stack.callback(lock_file.unlink, missing_ok=True)
        path.mkdir()
        stack.callback(shutil.rmtree, path, ignore_errors=True)
        short = path
        if len(os.fsencode(path)) > _LONGEST_FOLDER:
            short = _short_name(path.name)
            short.symlink_to(path)
            stack.callback(short.unlink, missing_ok=True)
        stack.enter_context(_guard(path, lock_file))
        yield RayFolder(path, short)


@contextlib.contextmanager
def _guard(folder: Path, lock_file: Path) -> Iterator[None]:
    """Have another process clean up should this one be killed. Ray's processes end by themselves
    then, but for workers that are just being started."""
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        with contextlib.suppress(BaseException):
            os.close(writing)
            name_process("sweep-guard")
            os.setsid()
            for number in (*SIGNALS, signal.SIGTSTP):
                signal.signal(number, signal.SIG_IGN)
            nowhere = os.open(os.devnull, os.O_RDWR)
            for stream in range(3):  # others wait for their end
                os.dup2(nowhere, stream)
            if not os.read(reading, 1):  # gone without a word, and drivers as well
                for _ in range(_GUARD_LOOKS):
                    _remove(folder)
                    time.sleep(_GUARD_SECONDS)
                lock_file.unlink(missing_ok=True)
        os._exit(0)
    os.close(reading)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # it was killed itself
            os.write(writing, b".")
        os.close(writing)
        os.waitpid(pid, 0)


def _is_old(folder: Path) -> bool:
    """Whether nothing was written in a folder for a day; Ray's processes write every minute."""
    written = [path.lstat().st_mtime for path in folder.rglob("*")]
    return time.time() - max(written, default=0.0) > DEAD_SECONDS


def _remove(folder: Path) -> None:
    """Remove the folder of a sweep that has died, what links to it, and its processes."""
    end_processes(_processes_of(folder), patience=0.0)
    shutil.rmtree(folder, ignore_errors=True)
    for parent in _link_folders():
        link = Path(parent) / f"{_LINK_PREFIX}{folder.name}"
        if link.is_symlink() and link.readlink() == folder:
            link.unlink(missing_ok=True)


def _processes_of(folder: Path) -> list[psutil.Process]:
    """The processes on this machine that were started for a sweep with this folder."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):  # gone meanwhile, or somebody else's
            if process.environ().get(_MARK) == str(folder):
                found.append(process)
    return found


def _link_folders() -> tuple[str, ...]:
    return (tempfile.gettempdir(), "/tmp", "/var/tmp")


def _short_name(name: str) -> Path:
    """A path for a link to a folder whose own path is too long for sockets."""
    for parent in _link_folders():
        path = Path(parent) / f"{_LINK_PREFIX}{name}"
        if len(os.fsencode(path)) <= _LONGEST_FOLDER and os.access(parent, os.W_OK):
            return path
    raise UsageError(
        "there is no folder with a path short enough for Ray's sockets",
        where=f"TMPDIR={tempfile.gettempdir()}",
        remedy="set TMPDIR to a short one",
    )
