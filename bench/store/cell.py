"""The cell: one point of the grid, and its hash.

The SHA-256 of a cell's canonical JSON names its result everywhere: in the store, as W&B run id,
in file names. A cell is a plain frozen value; whether its names exist and its options fit is
decided where the registries are known (`tasks.plan`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any

Scalar = bool | int | float | str | None

# Raised when cells change their options' names or their meaning (another algorithm, another default
# of an attention or a data set): results of the old cells are then not taken for results of the new
# ones. Settings may get other values freely: a result says with which it was trained.
CELL_VERSION = 6

#: Generators and tables hold seeds in 64 bits.
LARGEST_SEED = 2**63 - 1
# Left out of the record, and of the hash, where they are empty.
_UNSAID = ("backbone", "data")


@dataclass(frozen=True)
class Cell:
    """A point of the grid: task, data set, attention, score, backbone, options, budget, seed.

    `options` holds only what differs from the defaults, sorted by key; `tasks.plan.make_cell`
    sees to that, so that the same trial never has two names.

    `backbone` is empty for that of the attention's paper, and is then left out of the hash.

    `data` is the fingerprint of a data set that is read from files, which `tasks.plan.with_data`
    fills in where a run is planned: a result belongs to its data. It is empty for generated
    data, which follow from the name and the options, and is then left out of the hash.
    """

    task: str
    dataset: str
    attention: str
    score: str
    budget: str = "laptop"
    seed: int = 1
    options: Mapping[str, Scalar] = field(default_factory=dict)
    backbone: str = ""
    data: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "options", dict(sorted(self.options.items())))

    def __hash__(self) -> int:
        return hash(self.hash)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON data, of which `from_json` makes an equal cell."""
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        told = {name: value for name, value in values.items() if value or name not in _UNSAID}
        return {"version": CELL_VERSION, **told, "options": dict(self.options)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Cell:
        """Make a cell. Raises ValueError for wrong types, TypeError for unknown fields."""
        given = {key: value for key, value in data.items() if key != "version"}
        for name, value in given.items():
            if not _fits(name, value):
                raise ValueError(f"{name} of a cell cannot be {value!r:.60}")
        return cls(**given)

    @cached_property
    def canonical(self) -> str:
        """The text that is hashed: JSON with sorted keys and no spaces."""
        return json.dumps(
            self.to_json(),
            sort_keys=True,
            separators=(",", ":"),
            ensure_ascii=False,
            allow_nan=False,
        )

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the canonical JSON, 64 hexadecimal digits."""
        return hashlib.sha256(self.canonical.encode()).hexdigest()

    @property
    def label(self) -> str:
        """A name for people: `translation/synthetic soft+concat seed 1 (max_steps=20)`."""
        options = ", ".join(f"{key}={value}" for key, value in self.options.items())
        tail = f" ({options})" if options else ""
        pair = f"{self.attention}+{self.score}"
        if self.backbone:
            pair += f" in a {self.backbone} model"
        return f"{self.task}/{self.dataset} {pair} seed {self.seed}{tail}"

    def with_seed(self, seed: int) -> Cell:
        return replace(self, seed=seed)

    @property
    def kind(self) -> str:
        """A hash that cells share if they differ in nothing but their seed."""
        return self.with_seed(0).hash


def _fits(name: str, value: Any) -> bool:
    if name == "seed":
        return isinstance(value, int) and not isinstance(value, bool)
    if name == "options":
        return isinstance(value, Mapping) and all(
            isinstance(key, str) and isinstance(one, Scalar) for key, one in value.items()
        )
    return isinstance(value, str)
