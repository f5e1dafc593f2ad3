"""The record of one trial: its result, the provenance of that, and the attention traces beside it.

The result's schema is checked on every write and every read.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import math
import platform
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

import bench
from bench.store.cell import CELL_VERSION, Cell, Scalar

if TYPE_CHECKING:
    import numpy as np

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
    training; examples a second in decoding; bytes.

    macs_per_example: multiply-accumulates of reading one example and its reference, mean over a
        batch of validation, its padding included (`bench.macs`).
    real_time_factor: seconds of decoding by seconds of sound, where sources are sounds.
    core_seconds: processor time of training and testing on a CPU, all threads together; what else
        the machine did hardly shows in it. Data that trials share are prepared before.
    total_seconds: of the whole trial on the clock.
    """

    parameters: int | None = None
    attention_parameters: int | None = None
    train_seconds: Finite | None = None
    train_tokens_per_second: Finite | None = None
    decode_examples_per_second: Finite | None = None
    peak_memory_bytes: int | None = None
    macs_per_example: Finite | None = None
    real_time_factor: Finite | None = None
    core_seconds: Finite | None = None
    total_seconds: Finite | None = None


class SplitIdentity(Record):
    """Identity of the examples of a split.

    fingerprint: digest of all their content, in order.
    contents: the same, whatever their order.
    """

    examples: int
    fingerprint: str
    contents: str


def split_differences(
    stored: Mapping[str, SplitIdentity], here: Mapping[str, SplitIdentity]
) -> list[str]:
    """What differs between the splits of two versions of a data set, a phrase for each split."""
    found = []
    for name in dict.fromkeys((*stored, *here)):
        old, new = stored.get(name), here.get(name)
        if old is None or new is None:
            found.append(f"{'a' if old is None else 'no'} set '{name}'")
        elif old.examples != new.examples:
            found.append(f"{new.examples:,} {name} examples, not {old.examples:,}")
        elif old.contents != new.contents:
            found.append(f"other {name} examples")
        elif old.fingerprint != new.fingerprint:
            found.append(f"{name} examples in another order or with other names")
    return found


def setting_differences(stated: Mapping[str, Scalar], here: Mapping[str, Scalar]) -> list[str]:
    """What differs between the settings that a trial was trained with and those that its cell has
    here, a phrase for each: `max_steps=300, not 400`."""
    return [
        f"{name}={stated.get(name, 'unknown')}, not {here.get(name, 'known')}"
        for name in dict.fromkeys((*here, *stated))
        if name not in stated or name not in here or stated[name] != here[name]
    ]


class Provenance(Record):
    """Provenance of a result. Times are ISO 8601 in UTC.

    data_fingerprint: digest of all examples that were used, equal to `Cell.data` where that is set.
    splits: what it is made of, by split.
    """

    package_version: str
    commit: str | None = None
    libraries: dict[str, str] = Field(default_factory=dict)
    device: str = "cpu"
    data_fingerprint: str | None = None
    splits: dict[str, SplitIdentity] = Field(default_factory=dict)
    signatures: dict[str, str] = Field(default_factory=dict)
    notes: tuple[str, ...] = ()
    study: str | None = None
    started: str
    finished: str


class Result(Record):
    """One trial (`STORE/trials/<hash>.json`).

    settings: all settings that it was trained with, defaults of the budget included; empty for a
        failed trial, and where whoever trained it did not say.
    converged: whether the validation loss had stopped improving when training ended; null where
        there are too few validations to say.
    best_step: step of the validation whose parameters were tested, where the best ones were
        kept; null where the last ones were tested.
    """

    schema_version: Literal[1] = Field(default=SCHEMA, alias="schema")
    hash: str
    cell_json: dict[str, Any] = Field(validation_alias="cell", serialization_alias="cell")
    status: Literal["done", "failed"]
    failure: Failure | None = None
    settings: dict[str, Scalar] = Field(default_factory=dict)
    metrics: dict[str, Finite] = Field(default_factory=dict)
    primary: Primary | None = None
    by_length: tuple[LengthBin, ...] = ()
    alignment: Alignment | None = None
    cost: Cost = Field(default_factory=Cost)
    curve: tuple[dict[str, Finite], ...] = ()
    converged: bool | None = None
    best_step: int | None = None
    provenance: Provenance

    @model_validator(mode="after")
    def _consistent(self) -> Result:
        named = Cell.from_json(self.cell_json).hash
        if named != self.hash:
            raise ValueError(f"hash {self.hash[:12]} is not that of its cell ({named[:12]})")
        data = self.cell_json.get("data", ""), self.provenance.data_fingerprint
        if all(data) and data[0] != data[1]:
            raise ValueError(f"figures of data {data[1]!s:.12}, in the cell of data {data[0]:.12}")
        if self.status == "done" and (self.primary is None or self.failure is not None):
            raise ValueError("a finished trial has a primary figure and no failure")
        if self.status == "failed" and (self.failure is None or self.primary is not None):
            raise ValueError("a failed trial has a failure and no primary figure")
        if self.best_step is not None and self.best_step not in [
            point.get("step") for point in self.curve
        ]:
            raise ValueError(f"its curve has no validation at step {self.best_step}")
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

    @property
    def tested_point(self) -> Mapping[str, float]:
        """The point of the curve that is nearest to the parameters that were tested; empty without
        a curve."""
        if self.best_step is None:
            return self.curve[-1] if self.curve else {}
        return next(point for point in self.curve if point.get("step") == self.best_step)


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


#: Libraries that can change a figure or its cost.
LIBRARIES = (
    "torch",
    "torchaudio",
    "pytorch-lightning",
    "ray",
    "wandb",
    "numpy",
    "sacrebleu",
    "rouge-score",
    "pycocoevalcap",
    "tokenizers",
)


def provenance(
    *,
    started: str,
    device: str = "cpu",
    threads: int = 1,
    **recorded: Any,
) -> Provenance:
    """Make the provenance of a trial that ends now and began at `started` (an earlier `utc_now()`).

    Args:
        device: "cpu", "cuda" or "cuda:<index>"; its maker's name is looked up.
        threads: threads torch used, recorded for the CPU.
        recorded: the study, and what the task's data and evaluation say of themselves
            (`data_fingerprint`, `signatures`, `notes`).
    """
    return Provenance(
        package_version=bench.__version__,
        commit=commit(),
        libraries=dict(library_versions()),
        device=device_name(device, threads),
        started=started,
        finished=utc_now(),
        **recorded,
    )


def utc_now() -> str:
    """Current time in ISO 8601, to the millisecond: `2025-01-31T12:00:00.000Z`."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@cache
def library_versions() -> Mapping[str, str]:
    """Versions of Python and of the installed LIBRARIES, without importing them."""
    versions = {"python": platform.python_version()}
    for name in LIBRARIES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return versions


@cache
def commit() -> str | None:
    """Commit of the checkout we run from, with "-dirty" if files differ from it; None outside a
    checkout and without git. Looked up once per process.
    """
    root = Path(bench.__file__).resolve().parent.parent
    if not (root / ".git").exists():  # installed as a package, maybe inside someone's repository
        return None
    # --exclude=* leaves no tag to describe by, so the full hash is what --always falls back to.
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        answer = subprocess.run(
            command, cwd=root, capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip() or None


@cache
def device_name(device: str, threads: int = 1) -> str:
    """Name of a device for people: `NVIDIA H200`, `AMD EPYC 7B13 (1 thread)`."""
    if device.startswith("cuda"):
        import torch

        return str(torch.cuda.get_device_name(device))
    found = None
    with contextlib.suppress(OSError):
        found = re.search(r"^model name.*?:(.*)", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    processor = " ".join(found[1].split()) if found else platform.processor() or platform.machine()
    return f"{processor} ({threads} thread{'s' if threads != 1 else ''})"


# Attention traces: the weights of one example, with its units and the gold alignment. One typed
# object serves pictures and figures; nothing here knows a task.

Mode = Literal["free", "forced"]
SourceKind = Literal["words", "frames", "grid"]


@dataclass(frozen=True)
class Trace:
    """Attention trace of one example.

    Attributes:
        example: identifier of the example in its test set.
        subset: name of the test set ("test", "long", ...).
        mode: "free" for the decoder's own output, "forced" for the reference read by it.
        kind: kind of source positions: words, frames of sound, cells of a picture grid.
        source: the S source units (words, or a label per frame or cell).
        target: the T target units in the order they were produced.
        weights: T,S; each row sums to 1. Means over heads and layers where there are several.
        parts: further T,S matrices by name, e.g. "layer 1 head 2".
        gold: pairs (t, s) that belong together, None where nothing is known.
        extra: further data for a picture of this trace (grid shape, boxes, seconds a frame,
            a path relative to the data root, ...); JSON data.
    """

    example: str
    subset: str
    mode: Mode
    kind: SourceKind
    source: tuple[str, ...]
    target: tuple[str, ...]
    weights: np.ndarray
    parts: Mapping[str, np.ndarray] = field(default_factory=dict)
    gold: tuple[tuple[int, int], ...] | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shape = (len(self.target), len(self.source))
        for name, matrix in [("weights", self.weights), *self.parts.items()]:
            assert matrix.shape == shape, f"{name} is {matrix.shape}, units are {shape}"

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON data, with weights rounded to 4 decimals (a picture shows fewer)."""
        parts = {name: _rounded(matrix) for name, matrix in self.parts.items()}
        return {**vars(self), "weights": _rounded(self.weights), "parts": parts}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Trace:
        import numpy as np

        source, target, gold = tuple(data["source"]), tuple(data["target"]), data["gold"]

        def matrix(rows: list[list[float]]) -> np.ndarray:
            return np.asarray(rows, dtype=np.float32).reshape(len(target), len(source))

        made = {
            "source": source,
            "target": target,
            "weights": matrix(data["weights"]),
            "parts": {name: matrix(rows) for name, rows in data["parts"].items()},
            "gold": None if gold is None else tuple((t, s) for t, s in gold),
        }
        return cls(**{**data, **made})


def _rounded(matrix: np.ndarray) -> list[list[float]]:
    return [[round(float(weight), 4) for weight in row] for row in matrix]
