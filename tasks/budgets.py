"""What each budget means for each data set: the budgets.yaml of a task, read and resolved.

A data set names per budget what differs from the task's default settings, for all models and for
single families of them. Blocks that several data sets share are taken over by `extends`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, TypeAdapter

if TYPE_CHECKING:
    from bench.attention.base import Placement

Family = Literal["recurrent", "transformer", "convolutional"]
Budget = Literal["smoke", "laptop", "gpu"]

FILE = "budgets.yaml"


class _Block(BaseModel):
    """Settings by name, with those of single families. The names are checked by the task's
    `Settings`, which the settings of every plan are validated against."""

    model_config = ConfigDict(frozen=True, extra="allow")

    extends: str | list[str] = []
    recurrent: dict[str, Any] = {}
    transformer: dict[str, Any] = {}
    convolutional: dict[str, Any] = {}


class _Budgets(BaseModel):
    """The budgets.yaml of one task: data sets by name, and the blocks they share."""

    model_config = ConfigDict(frozen=True)

    datasets: dict[str, dict[Budget, _Block]]
    shared: dict[str, _Block]

    def settings(self, dataset: str, budget: Budget, family: Family) -> dict[str, Any]:
        return self._resolved(self.datasets[dataset].get(budget, _Block()), family)

    def _resolved(self, block: _Block, family: Family) -> dict[str, Any]:
        """Later ones win: what is extended, what holds for all families, what for this one."""
        settings: dict[str, Any] = {}
        for name in [block.extends] if isinstance(block.extends, str) else block.extends:
            settings |= self._resolved(self.shared[name], family)
        return settings | (block.model_extra or {}) | getattr(block, family)


def budget_settings(dataset: type, budget: str, placement: Placement) -> Mapping[str, Any]:
    """The settings of a data set's section under a budget, for models of a placement's family.

    A data set of `tasks.TASK.datasets` has its section in tasks/TASK/budgets.yaml under its name,
    classes derived from it share it; data sets from elsewhere have none, and no settings here.
    """
    for package, name in _sections(dataset):
        budgets = _read(package)
        if name in budgets.datasets:
            return budgets.settings(name, budget, family(placement))  # type: ignore[arg-type]
    return {}


def family(placement: Placement) -> Family:
    """The family of models that an attention's placement belongs to."""
    match placement:
        case "transformer" | "convolutional":
            return placement
        case _:
            return "recurrent"


def _sections(dataset: type) -> Iterator[tuple[str, str]]:
    """Task package and name of a data set of ours and of those it derives from."""
    for kind in dataset.__mro__:
        package, datasets, _ = kind.__module__.partition(".datasets")
        if datasets and package.startswith("tasks.") and "name" in vars(kind):
            yield package, vars(kind)["name"]


@cache
def _read(package: str) -> _Budgets:
    own = yaml.safe_load(files(package).joinpath(FILE).read_text("utf-8"))
    shared = yaml.safe_load(files("tasks").joinpath(FILE).read_text("utf-8"))
    shared |= own.pop("shared", {})
    return TypeAdapter(_Budgets).validate_python({"datasets": own, "shared": shared})
