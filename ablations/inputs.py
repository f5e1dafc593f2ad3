"""What a user gives a trial besides its cell: the folder of real data, a device, data that can be
used. Each is checked before anything is trained, and told of in one line."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import UsageError
from bench.store.files import local_path

if TYPE_CHECKING:
    from bench.store.cell import Cell
    from tasks.plan import Splits


def data_root_of(given: str | None) -> Path | None:
    """The absolute path of the folder. Raises UsageError if it does not exist."""
    if given is None:
        return None
    path = local_path(given, where="--data-root").absolute()
    if not path.is_dir():
        raise UsageError("no such folder", where=f"--data-root {given}")
    return path


def device_of(request: str) -> str:
    """The device "cpu", "cuda", "cuda:<index>" or "mps" (Apple) that a user asked for; "auto"
    takes an NVIDIA GPU if there is one. Raises UsageError for a device that does not exist."""
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if request == "auto":
        return "cuda" if count else "cpu"
    if request == "mps":
        if torch.backends.mps.is_available():
            return request
        what = "this machine has no GPU of Apple's that torch can use"
        raise UsageError("no device 'mps'", where="--device", remedy=f"{what}; try auto")
    found = re.fullmatch(r"cpu|cuda(?::([0-9]+))?", request)
    if found and (request == "cpu" or int(found[1] or 0) < count):
        return request
    remedy = f"this machine has {count} GPUs" if found else "auto, cpu, cuda, cuda:<index> or mps"
    raise UsageError(f"no device '{request}'", where="--device", remedy=remedy)


def check_data(cells: Iterable[Cell], data_root: Path | None) -> None:
    """Raise UsageError, naming file and line, where data of these cells cannot be used: a mistake
    that every cell would fail on is found before the first one starts.

    Only external data sets are looked at, each once per set of options.
    """
    from tasks.plan import resolve

    seen = set()
    for cell in cells:
        plan = resolve(cell)
        key = (cell.task, cell.dataset, plan.dataset_options)
        if not plan.dataset.external or key in seen:
            continue
        seen.add(key)
        problems = plan.dataset.check(plan.dataset_options, data_root)
        if problems:
            command = f"attnbench data check {cell.dataset} --task {cell.task}"
            more = f"and {len(problems) - 1} more, see `{command}`" if len(problems) > 1 else ""
            raise UsageError(problems[0], remedy=more)


def with_data(
    cells: Iterable[Cell], data_root: Path | None
) -> tuple[list[Cell], dict[str, Splits]]:
    """As `tasks.plan.with_data`; where data cannot be used, the error of `check_data`."""
    from tasks import plan

    cells = list(cells)
    try:
        return plan.with_data(cells, data_root)
    except UsageError:
        check_data(cells, data_root)
        raise
