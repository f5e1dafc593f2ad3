"""Load the results of a store: as DataFrames (`load`), or sorted into frames of results that may
be compared with one another (`collect`).

A frame holds everything that was measured in one setting (task, data set, budget) on the same
data. In it, a contender is one mechanism as it was configured; its results differ in nothing but
the seed.
"""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from bench.attention.registries import NO_SCORE
from bench.store.cell import Cell, Scalar
from bench.store.result import Result
from reports.catalogue import Catalogue, sort_key
from reports.data import DIGITS, fingerprint_of, group_by_data
from reports.results import KindName, Results, tabulate

if TYPE_CHECKING:
    import pandas as pd

    from bench.store.store import Store


Options = tuple[tuple[str, Scalar], ...]


@dataclass(frozen=True)
class BenchmarkSetting:
    """The conditions that all results of a frame share.

    Attributes:
        options: those of the data set.
        data: fingerprint of the data, where there are results of several; "" where there are none.
        data_label: what these data are called, and what differs in them (`reports.data`).
    """

    task: str
    dataset: str
    budget: str
    options: Options = ()
    data: str = ""
    data_label: str = field(default="", compare=False)

    @property
    def label(self) -> str:
        """A label for people: `synthetic, laptop budget`, `multi30k (pair=de-en), gpu budget` or
        `tabular, laptop budget, data 2 of 2 (other test examples)`."""
        data = f", {self.data_label}" if self.data_label else ""
        return f"{self.dataset}{options_text(self.options)}, {self.budget} budget{data}"

    @property
    def slug(self) -> str:
        """A slug for file names and anchors: letters, digits and single hyphens."""
        options = [f"{name} {value}" for name, value in self.options]
        data = ["data", self.data[:DIGITS]] if self.data else []
        return slug(" ".join([self.task, self.dataset, *options, self.budget, *data]))

    @property
    def on_any_data(self) -> BenchmarkSetting:
        """The setting that it shares with those of other data."""
        return replace(self, data="", data_label="")


def all_converged(known: Iterable[bool | None]) -> bool | None:
    """Whether all of several had converged: False if one had not, None if that is not known of all
    or there are none."""
    found = set(known)
    return False if False in found else True if found == {True} else None


@dataclass(frozen=True)
class Contender:
    """One attention with one score function and its options; its finished and failed results by
    seed.

    Attributes:
        shared: names of the options that it has in common with all it is compared with; they are
            said once and not in its name.
    """

    attention: str
    score: str
    options: Options
    done: tuple[Result, ...]
    failed: tuple[Result, ...]
    shared: frozenset[str] = field(default=frozenset(), compare=False)

    @property
    def name(self) -> str:
        """A name for people: `soft + concat`, `none`, `global + dot (input_feeding=true)`."""
        pair = self.attention if self.score == NO_SCORE else f"{self.attention} + {self.score}"
        return pair + options_text(self.own(self.options))

    def place(self, catalogue: Catalogue) -> tuple[object, ...]:
        """Sort key among the contenders of a setting."""
        return (
            sort_key([entry.name for entry in catalogue.attentions], self.attention),
            len(self.options),
            str(self.options),
            sort_key([NO_SCORE, *(entry.name for entry in catalogue.scores)], self.score),
        )

    def own(self, options: Options) -> Options:
        """Those of some options that are not shared."""
        return tuple(one for one in options if one[0] not in self.shared)

    @property
    def axes(self) -> tuple[tuple[str, str], ...]:
        """Its place on the axes, as texts: attention, score and every option."""
        options = ((name, value_text(value)) for name, value in self.options)
        return (("attention", self.attention), ("score", self.score), *options)

    @property
    def row(self) -> tuple[str, Options]:
        """The row of the attention x score matrix that this contender belongs to."""
        return self.attention, self.options

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(int(result.cell_json["seed"]) for result in self.done)

    @property
    def values(self) -> tuple[float, ...]:
        """The main metric of every finished seed."""
        return tuple(result.primary.value for result in self.done if result.primary)

    @property
    def unconverged(self) -> int:
        """How many finished seeds were still improving on validation data when training ended."""
        return sum(result.converged is False for result in self.done)

    @property
    def converged(self) -> bool | None:
        """Whether every finished seed had converged; None where that is not known of all."""
        return all_converged(result.converged for result in self.done)

    @property
    def slug(self) -> str:
        return slug(self.name)


@dataclass(frozen=True)
class Frame:
    """All results of one setting; contenders in the order of the catalogue's axes."""

    setting: BenchmarkSetting
    contenders: tuple[Contender, ...]

    @cached_property
    def shared(self) -> str:
        """The options that all contenders have, said once: `All with hidden=64, steps=500.`; ""
        without any."""
        one = next(iter(self.contenders), None)
        return "" if one is None else shared_text(one)

    @cached_property
    def main_metric(self) -> str:
        """Name of the main metric, "" where nothing has finished."""
        names = Counter(result.primary.name for result in self.done if result.primary)
        return names.most_common(1)[0][0] if names else ""

    @cached_property
    def higher_is_better(self) -> bool:
        return next(
            (result.primary.higher_is_better for result in self.done if result.primary), True
        )

    @property
    def sign(self) -> int:
        """1 where a higher main metric is better, else -1."""
        return 1 if self.higher_is_better else -1

    @property
    def done(self) -> list[Result]:
        return [result for contender in self.contenders for result in contender.done]

    @property
    def failed(self) -> list[Result]:
        return [result for contender in self.contenders for result in contender.failed]

    def table(self, kind: KindName) -> pd.DataFrame:
        """Return the finished results as a DataFrame (`reports.results`), its index the places of
        their contenders."""
        places = {one.hash: at for at, each in enumerate(self.contenders) for one in each.done}
        found = tabulate(kind, self.done)
        return found.set_index(found["hash"].map(places).rename("place"))

    @cached_property
    def trials(self) -> pd.DataFrame:
        """One row a finished trial."""
        return self.table("trials")

    @cached_property
    def metrics(self) -> pd.DataFrame:
        """One row a finished trial, one column a metric, main metric first."""
        found = tabulate("metrics", self.done)
        names = sorted(found["metric"].unique(), key=lambda name: name != self.main_metric)
        columns = found.pivot(index="hash", columns="metric", values="value")
        return self.trials[["hash"]].join(columns[names], on="hash").drop(columns="hash")

    @cached_property
    def alignments(self) -> pd.DataFrame:
        """One row for each agreement of a finished trial's weights with gold alignments."""
        return self.table("alignments")

    @cached_property
    def data(self) -> str:
        """Fingerprint of the data, "" where none is known."""
        return next(filter(None, map(fingerprint_of, [*self.done, *self.failed])), "")

    @cached_property
    def seeds(self) -> tuple[int, ...]:
        """All seeds that any contender of this frame was tried with."""
        tried = {int(result.cell_json["seed"]) for result in [*self.done, *self.failed]}
        return tuple(sorted(tried))


@dataclass(frozen=True)
class Collection:
    """All frames of a store, and its unusable records."""

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

    @property
    def data_note(self) -> str:
        """One line on settings that were run on several data, "" where there are none."""
        several = [frame.setting for frame in self.frames if frame.setting.data]
        if not several:
            return ""
        shared = dict.fromkeys(one.on_any_data for one in several)
        named = "; ".join(f"{one.task}: {one.label}" for one in shared)
        return (
            f"Results of {len({one.data for one in several})} different data lie in this store "
            f"under the same name ({named}). They stand apart and are not compared."
        )


def load(store: Store | str | os.PathLike[str], *, study: str | None = None) -> Results:
    """Open the results of a store as DataFrames; each is read when it is asked for.

    Args:
        store: an open store, or its folder or URL.
        study: only the results of this study, by its name or the path of its file.

    Raises UsageError where there is no store.
    """
    from bench.store.store import Store

    return Results(store if isinstance(store, Store) else Store.open(store), study)


def collect(
    address: str,
    results: Sequence[Result],
    catalogue: Catalogue,
    problems: Iterable[str] = (),
    settings: Mapping[str, BenchmarkSetting] | None = None,
) -> Collection:
    """Sort results into frames and contenders.

    Args:
        settings: by hash, where they are those of more results than these.
    """
    settings = benchmark_settings(results, catalogue) if settings is None else settings
    by_hash = {result.hash: result for result in results}
    by_setting: dict[BenchmarkSetting, list[Result]] = defaultdict(list)
    for hash, setting in settings.items():
        if hash in by_hash:
            by_setting[setting].append(by_hash[hash])
    frames = [
        Frame(setting, _contenders(members, catalogue)) for setting, members in by_setting.items()
    ]
    order = list(catalogue.tasks)
    frames.sort(key=lambda one: (sort_key(order, one.setting.task), one.setting.on_any_data.slug))
    return Collection(address, tuple(frames), tuple(problems))


def benchmark_settings(
    results: Sequence[Result], catalogue: Catalogue
) -> dict[str, BenchmarkSetting]:
    """Return the setting of every result by its hash; results of different data, even under the
    same name, have different ones. Those of one setting on several data follow each other in the
    order of the data."""
    on_any_data: dict[BenchmarkSetting, list[Result]] = defaultdict(list)
    for result in results:
        on_any_data[_setting(result.cell, catalogue)].append(result)
    return {
        result.hash: replace(setting, data=group.fingerprint, data_label=group.label)
        for setting, members in on_any_data.items()
        for group in group_by_data(members)
        for result in group.results
    }


def slug(text: str) -> str:
    """Reduce a text to lower-case letters, digits and single hyphens: safe as file name, anchor
    and label."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "unnamed"


def _setting(cell: Cell, catalogue: Catalogue) -> BenchmarkSetting:
    names = catalogue.data_options_of(cell)
    options = tuple((name, value) for name, value in cell.options.items() if name in names)
    return BenchmarkSetting(cell.task, cell.dataset, cell.budget, options)


def contender_of(cell: Cell, catalogue: Catalogue) -> Contender:
    """Return the contender that a cell is a seed of, without results."""
    data = catalogue.data_options_of(cell)
    options = tuple((name, value) for name, value in cell.options.items() if name not in data)
    if cell.backbone:  # another than its paper's is told like an option
        options = (("backbone", cell.backbone), *options)
    return Contender(cell.attention, cell.score, options, (), ())


def _contenders(results: Sequence[Result], catalogue: Catalogue) -> tuple[Contender, ...]:
    grouped: dict[Contender, list[Result]] = defaultdict(list)
    for result in sorted(results, key=lambda one: (int(one.cell_json["seed"]), one.hash)):
        grouped[contender_of(result.cell, catalogue)].append(result)
    contenders = [
        replace(
            contender,
            done=tuple(one for one in members if one.status == "done"),
            failed=tuple(one for one in members if one.status == "failed"),
        )
        for contender, members in grouped.items()
    ]
    return tuple(sorted(say_once(contenders), key=lambda one: one.place(catalogue)))


def say_once(contenders: Sequence[Contender]) -> list[Contender]:
    """Take what several contenders have in common out of their names."""
    options = [{(name, value_text(value)) for name, value in one.options} for one in contenders]
    shared = frozenset(name for name, _ in set.intersection(*options)) if options else frozenset()
    return [replace(one, shared=shared) for one in contenders]


def shared_text(contender: Contender) -> str:
    """Say what a contender has in common with all it is compared with, "" for nothing."""
    names = contender.shared
    shared = tuple(one for one in contender.options if one[0] in names)
    return f"All with {options_text(shared)[2:-1]}." if shared else ""


def options_text(options: Options) -> str:
    """Format options as ` (name=value, ...)` with a leading space, or "" without options."""
    if not options:
        return ""
    return f" ({', '.join(f'{name}={value_text(value)}' for name, value in options)})"


def value_text(value: Scalar) -> str:
    """Format the value of an option as studies write it: `true`, `0.1`, `lstm`."""
    return str(value).lower() if isinstance(value, bool) else str(value)
