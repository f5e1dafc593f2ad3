"""A measured figure, and how times are taken."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Figure:
    """One row of the table.

    Attributes:
        name: what was measured; the same name is the same thing in every run.
        value: in `unit`.
        unit: "target tokens/s", "ms", "GFLOP/s", ... What ends in "/s" is better when larger.
        note: what the reader should know besides.
    """

    name: str
    value: float
    unit: str
    note: str = ""


def one_core() -> None:
    """Every model here is measured on one core."""
    torch.set_num_threads(1)


def core_seconds(action: Callable[[], object]) -> float:
    """Seconds of this process's core that a call takes.

    Not wall time: what other processes take of the core in between is not the call's. On an idle
    core the two are the same.
    """
    begun = time.process_time()
    action()
    return time.process_time() - begun


def median_seconds(action: Callable[[], object], times: int) -> float:
    """The median of so many calls, after one that warms up."""
    action()
    return statistics.median(core_seconds(action) for _ in range(times))
