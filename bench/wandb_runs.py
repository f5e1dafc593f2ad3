"""Starting a Weights & Biases run that slows nothing down and writes nowhere but its folder."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import wandb

if TYPE_CHECKING:
    from bench.tracking_base import Mode

PROJECT = "attention-bench"
_INIT_SECONDS = 10
#: How long the end of a run waits until everything is uploaded; what was not remains on disk.
_FINISH_SECONDS = 10
#: Where a setting of a run does not reach.
QUIET = {
    "WANDB_SILENT": "true",  # its service and its login print by themselves
    "WANDB_HTTP_TIMEOUT": "5",  # of a single request; logging a table waits for two of them
    "OTEL_SDK_DISABLED": "true",  # W&B's telemetry, whose failures are printed and waited for
}


@dataclass(frozen=True)
class Identity:
    """What a run is called and how it is found: W&B's fields of these names."""

    id: str
    name: str
    group: str | None
    job_type: str
    tags: Sequence[str]
    config: Mapping[str, Any]


def open_run(
    mode: Mode, folder: Path, identity: Identity, patience: float | None = None
) -> tuple[Any, str | None]:
    """The run, and why it is offline where it was to be online, in one line.

    Where mode "online" fails because the network has gone since it was decided on, this and all
    later runs of the process are offline.

    Args:
        patience: seconds that `close_run` waits for uploads.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # Logs and staged tables would otherwise go to the user's home.
    os.environ.setdefault("WANDB_CACHE_DIR", str(folder / "cache"))
    os.environ.setdefault("WANDB_DATA_DIR", str(folder / "data"))
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    # Set by ourselves below after a failure, so that no later trial waits for the same thing.
    if os.environ.get("WANDB_MODE") == "offline":
        mode = "offline"
    try:
        return _start(mode, folder, identity, patience), None
    except Exception as error:
        if mode == "offline":
            raise
        os.environ["WANDB_MODE"] = "offline"
        said = one_line(error).replace(identity.id, "...")  # the same for all runs
        wandb.teardown()  # its service holds on to the run that did not start
        return (
            _start("offline", folder, identity, patience),
            f"W&B went offline ({type(error).__name__}: {said})",
        )


def close_run(run: Any, exit_code: int) -> str | None:
    """End a run; returns in one line what is left to upload.

    Who does not take everything in time would make every later run of the process wait as well, so
    these are offline.
    """
    try:
        run.finish(exit_code=exit_code)
    except TimeoutError:
        os.environ["WANDB_MODE"] = "offline"
        return "W&B did not take all of a run; `wandb sync --include-online` uploads the rest later"
    return None


def one_line(error: Exception) -> str:
    """What an error says, without line breaks."""
    return " ".join(str(error).split())


def _start(mode: Mode, folder: Path, identity: Identity, patience: float | None) -> Any:
    settings = wandb.Settings(
        mode=mode,
        init_timeout=_INIT_SECONDS,
        finish_timeout=_FINISH_SECONDS if patience is None else patience,
        finish_timeout_raises=True,
        # What each run would otherwise spend 100 ms and more on.
        x_disable_stats=True,
        x_disable_meta=True,
        x_save_requirements=False,
        disable_git=True,
        disable_code=True,
        console="off",
        silent=True,
    )
    return wandb.init(
        project=os.environ.get("WANDB_PROJECT", PROJECT),
        id=identity.id,
        name=identity.name,
        group=identity.group,
        job_type=identity.job_type,
        tags=list(identity.tags),
        config=dict(identity.config),
        dir=str(folder),
        resume="allow" if mode == "online" else None,
        reinit="finish_previous",
        settings=settings,
    )
