"""What a task and a data set are, to the trial that runs them.

A task joins its data sets, its Lightning module and its evaluation. Everything the trial, the
sweep and the reports know of a task they know through this interface.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from pydantic import BaseModel, ConfigDict

from bench.registry import Registry
from bench.store.cell import Cell
from bench.store.result import Alignment, LengthBin, Primary
from bench.store.trace import Trace
from tasks.evaluation.scoring import Prediction, Scorer
from tasks.settings import Settings

if TYPE_CHECKING:
    import pytorch_lightning as pl

    from bench.attention.base import Attention, AttentionOptions, Placement


class DatasetOptions(BaseModel):
    """Options of a data set (language pair, probe knobs, ...): frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True)
class Paths:
    """Where a trial may read and write besides its store.

    Attributes:
        data_root: folder of real data sets, or None (the probe needs none).
        cache: folder for prepared data, shared by all trials of a machine.
    """

    data_root: Path | None
    cache: Path


class Downloadable(Protocol):
    """Where a data set's files come from: a hub's (`tasks.data.hub.Card`) or their publisher's
    (`tasks.data.archives.Distribution`)."""

    @property
    def name(self) -> str:
        """The data set's, for `attnbench data get`."""

    @property
    def source(self) -> str:
        """Who serves the files, and which version of them."""

    @property
    def size(self) -> int:
        """Bytes to download; 0 where nobody says."""

    def places(self) -> tuple[str, ...]:
        """Everything it consists of, below the data root."""


class Dataset(ABC):
    """A source of examples for one task.

    Registered with `@datasets("translation").register("multi30k")`, or by an entry point of the
    group `attnbench.datasets.translation`.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    licence: ClassVar[str] = "Apache-2.0"
    citation: ClassVar[str] = ""
    #: True if `--data-root` is needed.
    external: ClassVar[bool] = True
    #: True if gold alignments come with it.
    gold: ClassVar[bool] = False
    #: Where `attnbench data get` gets it from; None: it cannot be got.
    card: ClassVar[Downloadable | None] = None
    #: Places below the data root, any of which shows that it is there; empty: those of the card.
    places: ClassVar[tuple[str, ...]] = ()
    Options: ClassVar[type[DatasetOptions]] = DatasetOptions

    @classmethod
    def settings(cls, budget: str, placement: Placement) -> Mapping[str, Any]:
        """What differs from the task's default settings under this budget for models of this
        family; chosen on validation data, never on test data."""
        return {}

    @classmethod
    @abstractmethod
    def load(cls, options: DatasetOptions, data_root: Path | None) -> Any:
        """Read or generate the examples: a corpus in the task's own types.

        Raises UsageError naming file and line where the data cannot be used.
        """


@dataclass(frozen=True)
class Plan:
    """A cell with all its options resolved: what the trial will really do."""

    cell: Cell
    task: type[Task]
    dataset: type[Dataset]
    attention: type[Attention]
    attention_options: AttentionOptions
    dataset_options: DatasetOptions
    settings: Settings


@dataclass(frozen=True)
class Evaluation:
    """All that testing a trained model gives.

    `decoded` counts the examples decoded in `decode_seconds`.
    """

    metrics: Mapping[str, float]
    primary: Primary
    predictions: Sequence[Prediction]
    traces: Sequence[Trace] = ()
    by_length: Sequence[LengthBin] = ()
    alignment: Alignment | None = None
    signatures: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()
    decoded: int = 0
    decode_seconds: float = 0.0


class TaskData(ABC):
    """Prepared data of one trial: tokenised, indexed, ready to be batched."""

    #: Hexadecimal digest of everything the figures depend on: examples, order, tokenisation.
    fingerprint: str
    notes: Sequence[str] = ()

    @abstractmethod
    def datamodule(self, seed: int) -> pl.LightningDataModule:
        """Training and validation batches; their order depends on `seed` alone."""


class Task(ABC):
    """One application. Registered with `@tasks.register(name)`."""

    name: ClassVar[str]
    summary: ClassVar[str]
    #: Headline figure and whether more of it is better.
    headline: ClassVar[str]
    higher_is_better: ClassVar[bool] = True
    #: What the by-length curve counts ("source words", "seconds x 100", ...).
    length_unit: ClassVar[str] = "source words"
    #: What training throughput counts ("target tokens", ...).
    train_unit: ClassVar[str] = "target tokens"
    Settings: ClassVar[type[Settings]] = Settings
    default_dataset: ClassVar[str] = "probe"

    @classmethod
    def refusal(cls, attention: type[Attention], score: str) -> str | None:
        """Why this task cannot use that pair, or None if it can."""
        return None

    @classmethod
    @abstractmethod
    def prepare(cls, plan: Plan, paths: Paths) -> TaskData:
        """Load and prepare the data; cached by fingerprint, safe in several processes at once."""

    @classmethod
    @abstractmethod
    def module(cls, plan: Plan, data: TaskData) -> pl.LightningModule:
        """The model with its loss and optimiser. Torch is seeded by the caller.

        The module counts the units it has trained on in its attribute `trained_units` (int) and
        appends validation figures to its attribute `curve` (list of dicts with step, loss, ...).
        """

    @classmethod
    @abstractmethod
    def evaluate(cls, plan: Plan, module: pl.LightningModule, data: TaskData) -> Evaluation:
        """Decode and score the test sets."""

    @classmethod
    def scorer(cls) -> Scorer[Any] | None:
        """How outputs are scored; None where nobody but the trial itself can score them."""
        return None


# The registries of tasks and of each task's data sets.

#: Ours are the classes registered in `tasks/<name>/task.py`.
tasks: Registry[type[Task]] = Registry(
    "task", package="tasks", group="attnbench.tasks", nested="task", base="tasks.base:Task"
)


@cache
def datasets(task: str) -> Registry[type[Dataset]]:
    """The data sets of one task: ours are the modules of `tasks/<task>/datasets/`."""
    import importlib.util

    known = importlib.util.find_spec(f"tasks.{task}") is not None
    return Registry(
        "data set",
        package=f"tasks.{task}.datasets" if known else None,
        group=f"attnbench.datasets.{task}",
        mark="@datasets(",
        base="tasks.base:Dataset",
    )
