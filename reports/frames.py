"""From a store to frames: results that may be compared with one another, side by side.

A frame holds everything that was measured in one setting (task, data set, budget). In it, a
contender is one mechanism as it was configured; its results differ in nothing but the seed.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from bench.cell import Cell, Scalar
from bench.result import Result
from reports.catalogue import NO_SCORE, Catalogue, rank

if TYPE_CHECKING:
    from bench.store import Store

Options = tuple[tuple[str, Scalar], ...]


@dataclass(frozen=True)
class Setting:
    """What is the same for everything in a frame. `options` are those of the data set."""

    task: str
    dataset: str
    budget: str
    options: Options = ()

    @property
    def label(self) -> str:
        """For people: `probe, laptop budget` or `multi30k (pair=de-en), gpu budget`."""
        return f"{self.dataset}{bracketed(self.options)}, {self.budget} budget"

    @property
    def slug(self) -> str:
        """For file names and anchors: letters, digits and single hyphens."""
        options = [f"{name} {value}" for name, value in self.options]
        return slug(" ".join([self.task, self.dataset, *options, self.budget]))


@dataclass(frozen=True)
class Contender:
    """One attention with one score and its options; finished and failed results by seed."""

    attention: str
    score: str
    options: Options
    done: tuple[Result, ...]
    failed: tuple[Result, ...]

    @property
    def name(self) -> str:
        """For people: `soft + concat`, `none`, `global + dot (input_feeding=true)`."""
        pair = self.attention if self.score == NO_SCORE else f"{self.attention} + {self.score}"
        return pair + bracketed(self.options)

    @property
    def row(self) -> tuple[str, Options]:
        """What a row of the attention x score matrix stands for."""
        return self.attention, self.options

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(int(result.cell["seed"]) for result in self.done)

    @property
    def slug(self) -> str:
        return slug(self.name)


@dataclass(frozen=True)
class Frame:
    """All results of one setting; contenders in the order of the catalogue's axes."""

    setting: Setting
    contenders: tuple[Contender, ...]

    @cached_property
    def headline(self) -> str:
        """Name of the headline figure, "" where nothing has finished."""
        names = Counter(_headline(result) for result in self.done)
        return names.most_common(1)[0][0] if names else ""

    @cached_property
    def higher_is_better(self) -> bool:
        return next(
            (result.primary.higher_is_better for result in self.done if result.primary), True
        )

    @property
    def done(self) -> list[Result]:
        return [result for contender in self.contenders for result in contender.done]

    @property
    def failed(self) -> list[Result]:
        return [result for contender in self.contenders for result in contender.failed]

    @cached_property
    def seeds(self) -> tuple[int, ...]:
        """All seeds that were tried by anything in this frame."""
        tried = {int(result.cell["seed"]) for result in [*self.done, *self.failed]}
        return tuple(sorted(tried))


@dataclass(frozen=True)
class Collection:
    """All frames of a store, and what of it could not be used."""

    address: str
    frames: tuple[Frame, ...]
    problems: tuple[str, ...] = ()

    @property
    def results(self) -> list[Result]:
        return [result for frame in self.frames for result in [*frame.done, *frame.failed]]

    @property
    def tasks(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(frame.setting.task for frame in self.frames))

    def of_task(self, task: str) -> tuple[Frame, ...]:
        return tuple(frame for frame in self.frames if frame.setting.task == task)


def read(store: Store) -> tuple[list[Result], list[str]]:
    """The results of a store, and a line for each record that cannot be used."""
    from bench.store import Problem

    problems: list[Problem] = []
    results = list(store.results(problems))
    return results, [str(problem) for problem in problems]


def collect(
    address: str, results: Sequence[Result], catalogue: Catalogue, problems: Iterable[str] = ()
) -> Collection:
    """Sort results into frames and contenders."""
    by_setting: dict[Setting, list[Result]] = defaultdict(list)
    for result in results:
        by_setting[_setting(result.key, catalogue)].append(result)
    frames = [
        Frame(setting, _contenders(members, catalogue)) for setting, members in by_setting.items()
    ]
    order = list(catalogue.tasks)
    frames.sort(key=lambda frame: (rank(order, frame.setting.task), frame.setting.slug))
    return Collection(address, tuple(frames), tuple(problems))


def slug(text: str) -> str:
    """Lower-case letters, digits and single hyphens: safe as file name, anchor and label."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "unnamed"


def _setting(cell: Cell, catalogue: Catalogue) -> Setting:
    names = catalogue.data_options_of(cell)
    options = tuple((name, value) for name, value in cell.options.items() if name in names)
    return Setting(cell.task, cell.dataset, cell.budget, options)


def _contenders(results: Sequence[Result], catalogue: Catalogue) -> tuple[Contender, ...]:
    grouped: dict[tuple[str, str, Options], list[Result]] = defaultdict(list)
    for result in sorted(results, key=lambda one: (int(one.cell["seed"]), one.hash)):
        cell = result.key
        data = catalogue.data_options_of(cell)
        options = tuple((name, value) for name, value in cell.options.items() if name not in data)
        grouped[cell.attention, cell.score, options].append(result)
    contenders = [
        Contender(
            *key,
            done=tuple(one for one in members if one.status == "done"),
            failed=tuple(one for one in members if one.status == "failed"),
        )
        for key, members in grouped.items()
    ]
    attentions = [entry.name for entry in catalogue.attentions]
    scores = [NO_SCORE, *(entry.name for entry in catalogue.scores)]
    contenders.sort(
        key=lambda one: (
            rank(attentions, one.attention),
            len(one.options),
            str(one.options),
            rank(scores, one.score),
        )
    )
    return tuple(contenders)


def _headline(result: Result) -> str:
    assert result.primary is not None, "a finished result has a primary figure"
    return result.primary.name


def bracketed(options: Options) -> str:
    """` (name=value, ...)` with a leading space, or "" without options."""
    if not options:
        return ""
    return f" ({', '.join(f'{name}={_shown(value)}' for name, value in options)})"


def _shown(value: Scalar) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
