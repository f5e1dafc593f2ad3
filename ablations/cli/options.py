"""Options that several commands share, and the checks of what they name."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from bench.errors import REMEDY_SHOWN, UsageError, one_line
from bench.tracking import REQUESTS, TRACKERS, require_trackers

if TYPE_CHECKING:
    from bench.store.cell import Cell
    from bench.store.models import Keep


def add_cell_options(parser: argparse.ArgumentParser) -> None:
    """`--budget`, `--set` and `--data-root`."""
    parser.add_argument("--budget", metavar="BUDGET", help="smoke, laptop (the default) or gpu")
    changed = "change an option of the attention, the training or the data set; may be repeated"
    add_settings(parser, changed)
    add_data_root(parser)


def add_settings(parser: argparse.ArgumentParser, help: str) -> None:
    parser.add_argument(
        "--set",
        dest="settings",
        metavar="KEY=VALUE",
        nargs="+",
        action="extend",
        default=[],
        help=help,
    )


def add_data_root(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data-root",
        metavar="DIR",
        default=os.environ.get("ATTNBENCH_DATA") or None,
        help="folder of the real data sets (or set ATTNBENCH_DATA)",
    )


def add_tracking(parser: argparse.ArgumentParser, default: str) -> None:
    parser.add_argument(
        "--track",
        metavar="TRACKER",
        nargs="+",
        action="extend",
        choices=TRACKERS,
        help=f"trackers of the trials: {', '.join(TRACKERS)} (default: "
        f"{'wandb' if default != 'off' else 'none'})",
    )
    add_wandb(
        parser,
        None,
        f"default: {default}; with --track, auto where that names wandb and off elsewhere",
    )


def add_wandb(parser: argparse.ArgumentParser, default: str | None, told: str) -> None:
    """`--wandb`. Args: `told` says in its help what the default is."""
    parser.add_argument(
        "--wandb",
        choices=REQUESTS,
        default=default,
        help="Weights & Biases: auto is online where there are a key and a network, else offline "
        f"({told})",
    )


def trackers_of(args: argparse.Namespace, default: str) -> tuple[str, tuple[str, ...]]:
    """What `--wandb` and `--track` ask for: the request for W&B's mode, and the other trackers.

    Args:
        default: the request where neither is given.

    Raises UsageError: a tracker that is not installed; W&B named by one and off by the other.
    """
    named: list[str] = args.track or []
    request = args.wandb or ("auto" if "wandb" in named else "off" if named else default)
    if "wandb" in named and request == "off":
        raise UsageError("names wandb, and --wandb is off", where="--track", remedy="leave one out")
    others = tuple(dict.fromkeys(name for name in named if name != "wandb"))
    require_trackers(others)
    return request, others


def add_keep_model(parser: argparse.ArgumentParser, default: Keep) -> None:
    parser.add_argument(
        "--keep-model",
        choices=("best", "all"),
        nargs="?",
        const=default,
        help="keep trained models in the store, for `attnbench try`: all, or of the seeds of a "
        f"setting the one with the lowest validation loss (without a value: {default})",
    )


def require_keepable(cells: Iterable[Cell]) -> None:
    """Raise UsageError for cells of a task that cannot keep models."""
    from tasks.base import tasks

    for name in sorted({cell.task for cell in cells}):
        tasks.get(name).processor()


def add_checkpoints(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--checkpoint-every",
        metavar="MINUTES",
        type=float,
        default=2.0,
        help="training time between two checkpoints in the store (default: 2)",
    )


def checkpoint_seconds_of(minutes: float) -> float:
    """Convert minutes to seconds. Raises UsageError if negative."""
    if not minutes >= 0:
        raise UsageError("must be ≥ 0", where=f"--checkpoint-every {minutes:g}")
    return 60.0 * minutes


def settings_of(pairs: Iterable[str]) -> dict[str, str]:
    """`--set` values by name, as text that the option's type reads; the last of a name counts.

    Raises UsageError for anything but KEY=VALUE.
    """
    settings = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not key.strip() or not equals:
            raise UsageError(
                f"expected KEY=VALUE, got '{one_line(pair, 60)}'",
                where="--set",
                remedy="as in max_steps=100; what is no option goes before --set",
            )
        settings[key.strip()] = text
    return settings


def note(kind: str, lines: Iterable[object]) -> None:
    """Write notes to standard error, each as one line that a terminal can show: names and messages
    may come from anybody's files."""
    sys.stderr.writelines(f"{kind}: {one_line(str(line), REMEDY_SHOWN)}\n" for line in lines)


def say(line: str) -> None:
    """Write a line to standard output at once: what follows may take hours."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
