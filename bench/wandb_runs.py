"""Starting a Weights & Biases run that slows nothing down and writes nowhere but its folder."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import wandb

if TYPE_CHECKING:
    from bench.tracking import Mode

PROJECT = "attention-bench"
_INIT_SECONDS = 10
_FINISH_SECONDS = 20


@dataclass(frozen=True)
class Identity:
    """What a run is called and how it is found: W&B's fields of these names."""

    id: str
    name: str
    group: str | None
    job_type: str
    tags: Sequence[str]
    config: Mapping[str, Any]


def open_run(mode: Mode, folder: Path, identity: Identity) -> tuple[Any, str | None]:
    """The run, and why it is offline where it was to be online, in one line.

    Where mode "online" fails because the network has gone since it was decided on, this and all
    later runs of the process are offline.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # Logs and staged tables would otherwise go to the user's home.
    os.environ.setdefault("WANDB_CACHE_DIR", str(folder / "cache"))
    os.environ.setdefault("WANDB_DATA_DIR", str(folder / "data"))
    # Set by ourselves below after a failure, so that no later trial waits for the same thing.
    if os.environ.get("WANDB_MODE") == "offline":
        mode = "offline"
    try:
        return _start(mode, folder, identity), None
    except Exception as error:
        if mode == "offline":
            raise
        os.environ["WANDB_MODE"] = "offline"
        said = one_line(error).replace(identity.id, "...")  # the same for all runs
        wandb.teardown()  # its service holds on to the run that did not start
        return (
            _start("offline", folder, identity),
            f"W&B went offline ({type(error).__name__}: {said})",
        )


def one_line(error: Exception) -> str:
    """What an error says, without line breaks."""
    return " ".join(str(error).split())


def _start(mode: Mode, folder: Path, identity: Identity) -> Any:
    settings = wandb.Settings(
        mode=mode,
        init_timeout=_INIT_SECONDS,
        finish_timeout=_FINISH_SECONDS,
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
