"""The result record of one trial: the schema that is checked on every write and every read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from bench.store.cell import CELL_VERSION, Cell

SCHEMA: Final = 1


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError("must be finite; leave a figure out that does not exist")
    return value


Finite = Annotated[float, AfterValidator(_finite)]


class Record(BaseModel):
    """Frozen data that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Failure(Record):
    """Reason why a trial has no figures. `kind` is short and countable ("diverged", "out of
    memory", an exception's class name); `message` is one line."""

    kind: str
    message: str


class Primary(Record):
    """The headline figure with its interval over examples (95 %)."""

    name: str
    value: Finite
    low: Finite
    high: Finite
    higher_is_better: bool


class LengthBin(Record):
    """The headline figure over the examples whose source length lies in low..high."""

    subset: str
    low: int
    high: int
    examples: int
    value: Finite


class AlignmentFigures(Record):
    """Agreement of weights with gold links, all fractions.

    aer: alignment error rate of the arg-max links (Och and Ney 2003), lower is better.
    mass_on_gold: mean weight on gold units, over target units that have gold.
    pointing_accuracy: share of those target units whose largest weight is on a gold unit.
    coverage: share of target units with gold that could be judged (in free decoding a produced
        unit is judged where it can be matched to a reference unit).
    """

    aer: Finite | None = None
    mass_on_gold: Finite | None = None
    pointing_accuracy: Finite | None = None
    coverage: Finite | None = None


class Alignment(AlignmentFigures):
    """Figures of the decoder's attention in free decoding; beside them the same figures while it
    reads the reference ("forced"), and of uninformed weights (`baselines`)."""

    forced: AlignmentFigures | None = None
    baselines: dict[str, AlignmentFigures] = Field(default_factory=dict)


class Cost(Record):
    """Cost of a trial. Units: parameters; seconds; target units (tokens) a second in
    training; examples a second in decoding; bytes."""

    parameters: int | None = None
    attention_parameters: int | None = None
    train_seconds: Finite | None = None
    train_tokens_per_second: Finite | None = None
    decode_examples_per_second: Finite | None = None
    peak_memory_bytes: int | None = None
    total_seconds: Finite | None = None


class Provenance(Record):
    """Provenance of a result. Times are ISO 8601 in UTC."""

    package_version: str
    commit: str | None = None
    libraries: dict[str, str] = Field(default_factory=dict)
    device: str = "cpu"
    data_fingerprint: str | None = None
    signatures: dict[str, str] = Field(default_factory=dict)
    notes: tuple[str, ...] = ()
    study: str | None = None
    started: str
    finished: str


class Result(Record):
    """One trial (`STORE/trials/<hash>.json`)."""

    schema_version: Literal[1] = Field(default=SCHEMA, alias="schema")
    hash: str
    cell_json: dict[str, Any] = Field(validation_alias="cell", serialization_alias="cell")
    status: Literal["done", "failed"]
    failure: Failure | None = None
    metrics: dict[str, Finite] = Field(default_factory=dict)
    primary: Primary | None = None
    by_length: tuple[LengthBin, ...] = ()
    alignment: Alignment | None = None
    cost: Cost = Field(default_factory=Cost)
    curve: tuple[dict[str, Finite], ...] = ()
    provenance: Provenance

    @model_validator(mode="after")
    def _consistent(self) -> Result:
        named = Cell.from_json(self.cell_json).hash
        if named != self.hash:
            raise ValueError(f"hash {self.hash[:12]} is not that of its cell ({named[:12]})")
        if self.status == "done" and (self.primary is None or self.failure is not None):
            raise ValueError("a finished trial has a primary figure and no failure")
        if self.status == "failed" and (self.failure is None or self.primary is not None):
            raise ValueError("a failed trial has a failure and no primary figure")
        return self

    def to_json(self) -> dict[str, Any]:
        return self.model_dump(mode="json", by_alias=True)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Result:
        """Validate JSON data. Raises pydantic's ValidationError (a ValueError)."""
        return cls.model_validate(data)

    @property
    def cell(self) -> Cell:
        return Cell.from_json(self.cell_json)


def fault_of_age(record: Any) -> str | None:
    """Return why a record of another version of this package cannot be used, or None."""
    if not isinstance(record, dict):
        return None
    schema = record.get("schema", SCHEMA)
    if schema != SCHEMA:
        return f"a record of schema {schema}; this version reads schema {SCHEMA}"
    cell = record.get("cell")
    made = cell.get("version", CELL_VERSION) if isinstance(cell, dict) else CELL_VERSION
    if made != CELL_VERSION:
        return f"cell version {made}, when defaults were others; this version has {CELL_VERSION}"
    return None
