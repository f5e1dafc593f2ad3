"""Data sets as the commands of `attnbench data` name them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import UsageError, unknown_name

if TYPE_CHECKING:
    from tasks.base import Dataset


@dataclass(frozen=True)
class Named:
    """A data set and the task it belongs to."""

    task: str
    name: str
    kind: type[Dataset]

    @property
    def label(self) -> str:
        return f"{self.task}/{self.name}"

    def places(self, root: Path) -> list[Path]:
        """What is there of it below a data root: enough to find it, not to say that it is whole."""
        card = self.kind.card
        if self.kind.places or card is None:
            there = [root / place for place in self.kind.places if (root / place).exists()]
            return there[:1]
        wanted = [root / place for place in card.places()]
        return wanted if all(path.exists() for path in wanted) else []


def all_data_sets(task: str | None = None) -> list[Named]:
    """Every data set, or those of one task. Raises UsageError for an unknown task."""
    from tasks.registries import datasets, tasks

    if task is not None:
        tasks.get(task, where="--task")
    return [
        Named(name, dataset, kind)
        for name in ([task] if task else tasks.names())
        for dataset, kind in datasets(name).items()
    ]


def find_data_set(name: str, task: str | None) -> Named:
    """The data set of that name. Raises UsageError: none, or one in several tasks."""
    known = all_data_sets(task)
    found = [one for one in known if one.name == name]
    if not found:
        raise unknown_name("data set", name, {one.name for one in known})
    if len(found) > 1:
        raise UsageError(
            f"'{name}' is a data set of {', '.join(one.task for one in found)}",
            remedy="choose one with --task",
        )
    return found[0]
