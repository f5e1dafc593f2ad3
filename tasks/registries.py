"""The registries of tasks and of each task's data sets."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from bench.registry import Registry

if TYPE_CHECKING:
    from tasks.base import Dataset, Task

#: Ours are the classes registered in `tasks/<name>/task.py`.
tasks: Registry[type[Task]] = Registry(
    "task", package="tasks", group="attnbench.tasks", nested="task", base="tasks.base:Task"
)


@cache
def datasets(task: str) -> Registry[type[Dataset]]:
    """The data sets of one task: ours are registered by the modules of `tasks/<task>/`."""
    import importlib.util

    package = f"tasks.{task}"
    known = importlib.util.find_spec(package) is not None
    return Registry(
        "data set",
        package=package if known else None,
        group=f"attnbench.datasets.{task}",
        mark="@datasets(",
        base="tasks.base:Dataset",
    )
