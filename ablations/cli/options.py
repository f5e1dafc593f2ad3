"""Options that several commands share."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import UsageError
from bench.tracking import REQUESTS

if TYPE_CHECKING:
    from bench.store.cell import Scalar


def add_cell_options(parser: argparse.ArgumentParser) -> None:
    """`--budget`, `--set` and `--data-root`."""
    parser.add_argument("--budget", metavar="B", help="smoke, laptop (the default) or gpu")
    parser.add_argument(
        "--set",
        dest="settings",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="change an option of the attention, the training or the data set; may be repeated",
    )
    add_data_root(parser)


def add_data_root(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data-root",
        metavar="DIR",
        default=os.environ.get("ATTNBENCH_DATA"),
        help="folder of the real data sets (or set ATTNBENCH_DATA)",
    )


def add_tracking(parser: argparse.ArgumentParser, default: str) -> None:
    parser.add_argument(
        "--wandb",
        choices=REQUESTS,
        default=default,
        help="Weights & Biases: auto is online with a key and a network, else offline "
        f"(default: {default})",
    )


def add_checkpoints(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--checkpoint-minutes",
        metavar="M",
        type=float,
        default=2.0,
        help="time of training between two checkpoints in the store (default: 2)",
    )


def checkpoint_seconds_of(minutes: float) -> float:
    """Seconds. Raises UsageError for less than none."""
    if not minutes >= 0:
        raise UsageError("time does not run backwards", where=f"--checkpoint-minutes {minutes:g}")
    return 60.0 * minutes


def settings_of(pairs: Iterable[str]) -> dict[str, Scalar]:
    """`--set` values, read as YAML scalars; the last of a name counts.

    Raises UsageError for what is no KEY=VALUE, and for lists and mappings.
    """
    import yaml

    settings: dict[str, Scalar] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not key or not equals:
            raise UsageError(f"'{pair}' is no KEY=VALUE", where="--set", remedy="as in steps=100")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError:
            value = text
        if isinstance(value, list | dict):
            raise UsageError(f"{key} takes one value, not {text}", where="--set")
        # YAML knows dates and such, which are text here; so is nothing at all ("null" is None).
        plain = text.strip() and isinstance(value, bool | int | float | None)
        settings[key.strip()] = value if plain else text
    return settings


def data_root_of(given: str | None) -> Path | None:
    """The absolute folder. Raises UsageError where there is none of that name."""
    if given is None:
        return None
    path = Path(given).expanduser().absolute()
    if not path.is_dir():
        raise UsageError("no such folder", where=f"--data-root {given}")
    return path
