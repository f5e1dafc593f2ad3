"""What a task and a data set are, to the trial that runs them.

A task joins its data sets, its Lightning module and its evaluation. Everything the trial, the
sweep and the reports know of a task they know through this interface.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, Self, TypeVar

from pydantic import BaseModel, ConfigDict

from bench.attention import Backbone
from bench.errors import OtherData, UsageError
from bench.registry import Registry
from bench.store.cell import Cell, Scalar
from bench.store.files import user_cache
from bench.store.result import Alignment, LengthBin, Primary, SplitIdentity, Trace
from tasks.data.cache import digest, digest_texts
from tasks.data.overlap import Overlap
from tasks.data.problems import Problem, Scan, interleaved, summary
from tasks.evaluation.scoring import Prediction, Scorer
from tasks.settings import Settings, budget_settings

if TYPE_CHECKING:
    import pytorch_lightning as pl

    from bench.attention.base import Attention, AttentionOptions
    from tasks.processor import InputKind, Processor

ExampleT = TypeVar("ExampleT", bound="Example")
CorpusT = TypeVar("CorpusT", bound="Corpus[Any]")
SettingsT = TypeVar("SettingsT", bound=Settings)
DataT = TypeVar("DataT", bound="TaskData")
ModuleT = TypeVar("ModuleT", bound="pl.LightningModule")


class Example(Protocol):
    """One example of a data set: a pair of texts, a picture with captions, an utterance, ..."""

    @property
    def id(self) -> str:
        """Unique in its split."""

    def content(self) -> Iterable[str]:
        """Texts that change whenever the example does, but for its name; fingerprints are made
        from them."""


@dataclass(frozen=True, kw_only=True)
class Corpus(Generic[ExampleT]):
    """The examples of a data set by split. Tasks subclass it where they know more.

    Attributes:
        train, validation: examples, which may stay on disk until they are asked for.
        tests: test sets by name; the first one gives the headline figure.
        notes: what a reader of the results must know (examples dropped, casing, ...).
    """

    train: Sequence[ExampleT]
    validation: Sequence[ExampleT]
    tests: Mapping[str, Sequence[ExampleT]]
    notes: tuple[str, ...] = ()

    @property
    def splits(self) -> dict[str, Sequence[ExampleT]]:
        """Every split by name, in a fixed order: train, validation, the test sets."""
        return {"train": self.train, "validation": self.validation, **self.tests}

    def examples(self) -> Iterator[ExampleT]:
        """All examples, in the order of `splits`."""
        return chain.from_iterable(self.splits.values())

    def limited(self, train: int = 0, test: int = 0) -> Self:
        """The first `train` training examples and the first `test` of every test set; 0 is all."""
        return replace(
            self,
            train=self.train[:train] if train else self.train,
            tests={name: part[:test] if test else part for name, part in self.tests.items()},
        )

    def traits(self) -> Sequence[Any]:
        """JSON data besides the examples that results depend on (picture size, ...)."""
        return ()

    def content(self, example: ExampleT) -> Iterable[str]:
        """Texts that change whenever an example does, with what it only refers to (the sound of an
        utterance). Raises UsageError where a file cannot be read."""
        return example.content()

    @cached_property
    def identities(self) -> dict[str, SplitIdentity]:
        """The identity of every split."""
        return {name: self._identity(part) for name, part in self.splits.items()}

    @cached_property
    def fingerprint(self) -> str:
        """Digest of all examples, their names, their order and `traits`; hexadecimal."""
        splits = [[name, one.fingerprint] for name, one in self.identities.items()]
        return digest(type(self).__name__, self.traits(), splits)

    def _identity(self, part: Sequence[ExampleT]) -> SplitIdentity:
        ordered, total = hashlib.sha256(), 0
        for example in part:
            content = digest_texts(self.content(example))
            ordered.update(digest_texts([example.id, content]).encode())
            total += int(content, 16)  # a sum is the same in any order
        contents = f"{total % 2**256:064x}"
        return SplitIdentity(examples=len(part), fingerprint=ordered.hexdigest(), contents=contents)

    def overlaps(self) -> Iterator[Overlap]:
        """Examples of validation and test sets that earlier splits hold, too. Corpora of texts
        count them (`tasks.data.overlap`); pictures and sounds in two splits are `problems`."""
        return iter(())

    def problems(self) -> Iterator[Problem]:
        """What only shows when all examples are looked at closely (pictures decoded, ...): for
        `attnbench data check`, after the data set's `scan`. Raises UsageError likewise."""
        return iter(())

    def remarks(self) -> Iterator[str]:
        """What a close look at the examples shows that is odd but no problem: `attnbench data
        check` says it beside the notes."""
        return iter(())


class DatasetOptions(BaseModel):
    """Options of a data set (language pair, knobs of a synthetic set, ...): frozen, unknown keys
    refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True)
class Paths:
    """Where a trial may read and write besides its store.

    Attributes:
        data_root: folder of real data sets, or None (the synthetic set needs none).
        cache: folder for prepared data, shared by all trials of a machine.
    """

    data_root: Path | None
    cache: Path

    @classmethod
    def of_user(cls, data_root: Path | None) -> Paths:
        """Paths outside any store: prepared data lie in `attnbench/data` of the user's cache."""
        return cls(data_root, user_cache() / "attnbench" / "data")


class Downloadable(Protocol):
    """Where a data set's files come from: a hub's (`tasks.data.hub.Card`) or their publisher's
    (`tasks.data.archives.Distribution`)."""

    @property
    def name(self) -> str:
        """The data set's, for `attnbench data download`."""

    @property
    def source(self) -> str:
        """Who serves the files, and which version of them."""

    @property
    def size(self) -> int:
        """Bytes to download; 0 where nobody says."""

    def places(self) -> tuple[str, ...]:
        """Everything it consists of, below the data root."""


class Dataset(ABC, Generic[CorpusT]):
    """A source of examples for one task.

    Registered with `@datasets("translation").register("multi30k")`, or by an entry point of the
    group `attnbench.datasets.translation`.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    licence: ClassVar[str] = "Apache-2.0"
    #: Whether its licence lets anybody publish its texts, sounds and pictures with results, for any
    #: purpose: what a model wrote quotes them. Of others a bundle of the leaderboard has statistics
    #: alone, and a published report no examples.
    redistributable: ClassVar[bool] = False
    citation: ClassVar[str] = ""
    #: True if `--data-root` is needed.
    external: ClassVar[bool] = True
    #: True if gold alignments come with it.
    gold: ClassVar[bool] = False
    #: Where `attnbench data download` downloads it from; None: nowhere.
    card: ClassVar[Downloadable | None] = None
    #: Places below the data root, any of which shows that it is there; empty: those of the card.
    places: ClassVar[tuple[str, ...]] = ()
    Options: ClassVar[type[DatasetOptions]] = DatasetOptions

    @classmethod
    def shares_outputs(cls) -> bool:
        """Whether the outputs of models for it may be published: generated data are nobody's."""
        return cls.redistributable or not cls.external

    @classmethod
    def settings(
        cls, budget: str, backbone: Backbone, chosen: Collection[str] = ()
    ) -> Mapping[str, Any]:
        """What differs from the task's default settings under this budget for models of this
        backbone; found on validation data, never on test data. Ours have a section in their task's
        budgets.yaml (`tasks.settings`).

        Args:
            chosen: settings of `Settings.chooses_recipe` that a cell has set.
        """
        return budget_settings(cls, budget, backbone, chosen)

    @classmethod
    @abstractmethod
    def load(cls, options: Any, data_root: Path | None) -> CorpusT:
        """Read or generate the examples: a corpus in the task's own types.

        Args:
            options: an instance of `Options`.

        Raises UsageError naming file and line where the data cannot be used.
        """

    @classmethod
    def scan(cls, options: Any, data_root: Path | None) -> Scan[CorpusT]:
        """Read texts and headers, and gather everything that is wrong with them. A data set that
        cannot go on after a problem is loaded.

        Raises UsageError where there is nothing to scan, or nothing can be used.
        """
        return Scan(cls.load(options, data_root))

    @classmethod
    def check(cls, options: Any, data_root: Path | None) -> list[str]:
        """Everything wrong with the data set, one line each; none means that it can be used."""
        problems: list[Problem] = []
        try:
            found = cls.scan(options, data_root)
            problems += found.problems
            if found.corpus is not None:
                problems += found.corpus.problems()
            elif not problems:
                problems.append(Problem("holds no examples", str(data_root), "empty data sets"))
        except UsageError as error:
            problems.append(Problem.of(error, "data sets that cannot be used"))
        return interleaved(problems)


class ScannedDataset(Dataset[CorpusT]):
    """A data set that is read from files. Subclasses write `scan`; `load` refuses what it finds."""

    @classmethod
    @abstractmethod
    def scan(cls, options: Any, data_root: Path | None) -> Scan[CorpusT]: ...

    @classmethod
    def load(cls, options: Any, data_root: Path | None) -> CorpusT:
        """The corpus. Raises UsageError: the first problem, with a count of those of its kind."""
        found = cls.scan(options, data_root)
        if found.problems:
            raise summary(found.problems)
        if found.corpus is None:
            raise UsageError(f"data set '{cls.name}' holds no examples", where=str(data_root))
        return found.corpus


@dataclass(frozen=True)
class Plan(Generic[SettingsT, CorpusT]):
    """A cell with all its options resolved: what the trial will really do."""

    cell: Cell
    task: type[Task[SettingsT, CorpusT, Any, Any]]
    dataset: type[Dataset[CorpusT]]
    attention: type[Attention]
    attention_options: AttentionOptions
    dataset_options: DatasetOptions
    settings: SettingsT

    @property
    def backbone(self) -> Backbone:
        """The family of the model: the cell's, or that of the attention's paper."""
        return self.cell.backbone or self.attention.backbone  # type: ignore[return-value]

    @property
    def attends(self) -> bool:
        """False for the control, which reads the summary of its source only."""
        return self.attention.placement != "fixed"

    @property
    def stated_settings(self) -> dict[str, Scalar]:
        """All settings by name, as JSON data: for the record of a trial."""
        return self.settings.model_dump(mode="json")

    def load(self, data_root: Path | None) -> CorpusT:
        """The examples of the data set that count under the settings' limits.

        Raises:
            UsageError: they cannot be used.
            OtherData: they are not those that the cell was planned for.
        """
        corpus = self.dataset.load(self.dataset_options, data_root)
        corpus = corpus.limited(self.settings.train_limit, self.settings.test_limit)
        if self.cell.data and self.cell.data != corpus.fingerprint:
            raise OtherData(
                f"data set '{self.cell.dataset}' is {corpus.fingerprint[:8]} here and was "
                f"{self.cell.data[:8]} when the cell was planned",
                where=str(data_root),
                remedy="its files have changed, or differ between machines; run again when they "
                "are the same everywhere",
            )
        return corpus


@dataclass(frozen=True)
class Evaluation:
    """All that testing a trained model gives.

    `decoded` counts the examples decoded in `decode_seconds`; `sound_seconds` is the length of
    their sounds, 0 where sources are no sounds.
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
    sound_seconds: float = 0.0


class TaskData(ABC):
    """Prepared data of one trial: tokenised, indexed, ready to be batched.

    Attributes:
        corpus: the examples.
        preparation: digest of what was made of them (vocabularies, features): a checkpoint made
            with another one is of no use.
    """

    corpus: Corpus[Any]
    preparation: str = ""

    @property
    def notes(self) -> Sequence[str]:
        """What a reader of the results must know, overlaps of the splits included."""
        return (*self.corpus.notes, *map(str, self.corpus.overlaps()))

    @abstractmethod
    def datamodule(self, seed: int) -> pl.LightningDataModule:
        """Training and validation batches; their order depends on `seed` alone."""


class Task(ABC, Generic[SettingsT, CorpusT, DataT, ModuleT]):
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
    #: Whether the pointing accuracy of weights counts the links of their alignment error rate.
    pointing_counts_links: ClassVar[bool] = True
    Settings: ClassVar[type[Settings]] = Settings
    default_dataset: ClassVar[str] = "synthetic"
    #: The input of a user's own that a trained model takes; a task without cannot keep models.
    inputs: ClassVar[tuple[InputKind, ...]] = ()

    @classmethod
    def processor(cls) -> type[Processor]:
        """The class of what is kept beside a trained model (`tasks/<name>/processor.py`). Raises
        UsageError for a task that cannot keep models."""
        raise UsageError(f"{cls.name} cannot keep models", where="--keep-model")

    @classmethod
    def refusal(cls, attention: type[Attention], score: str) -> str | None:
        """Why this task cannot use that pair, or None if it can."""
        return None

    @classmethod
    def plan_refusal(cls, plan: Plan[SettingsT, CorpusT]) -> str | None:
        """Why this task cannot do what a plan's settings ask for, or None if it can."""
        return None

    @classmethod
    @abstractmethod
    def prepare(cls, plan: Plan[SettingsT, CorpusT], paths: Paths) -> DataT:
        """Load and prepare the data; cached by fingerprint, safe in several processes at once."""

    @classmethod
    @abstractmethod
    def module(cls, plan: Plan[SettingsT, CorpusT], data: DataT) -> ModuleT:
        """The model with its loss and optimiser. Torch is seeded by the caller. A task that keeps
        models builds one of their processors, too, in place of the data.

        The module counts the units it has trained on in its attribute `trained_units` (int) and
        appends validation figures to its attribute `curve` (list of dicts with step, loss, ...).
        """

    @classmethod
    @abstractmethod
    def evaluate(cls, plan: Plan[SettingsT, CorpusT], module: ModuleT, data: DataT) -> Evaluation:
        """Decode and score the test sets."""

    @classmethod
    def scorer(cls) -> Scorer[Any] | None:
        """How outputs are scored; None where nobody but the trial itself can score them."""
        return None


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
