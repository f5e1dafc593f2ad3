"""From a study to its cells: products of axes, what the command line changes, what is refused."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from ablations.search_space import DEFAULT_SPACE, Space, check_space
from ablations.study import Axes, Study
from bench.attention import BACKBONES
from bench.attention.registries import NO_SCORE, attentions, scores
from bench.errors import NotApplicable, UsageError, unknown_name
from bench.store.cell import Cell, Scalar
from tasks.base import datasets, tasks
from tasks.plan import make_cell

DEFAULT_BUDGET = "laptop"


@dataclass(frozen=True)
class Refused:
    """A pair that is not run, and why."""

    task: str
    attention: str
    score: str
    reason: str
    backbone: str = ""


@dataclass(frozen=True)
class Changes:
    """What the command line changes of a study; None leaves it as it is.

    Attributes:
        tasks, attentions, scores: keep only the cells of these.
        backbones, datasets, budget, seeds, options: take these instead of the study's (options are
            joined).
    """

    tasks: Sequence[str] | None = None
    attentions: Sequence[str] | None = None
    scores: Sequence[str] | None = None
    backbones: Sequence[str] | None = None
    datasets: Sequence[str] | None = None
    budget: str | None = None
    seeds: int | None = None
    options: Mapping[str, Scalar] | None = None


@dataclass(frozen=True)
class Expansion:
    """The cells of a study, and the pairs that "all" brought up and that mean nothing.

    Attributes:
        spaces: what a search varies, by the hash of a cell with seed 0; that of the first block
            that has the cell, without the settings that are options there.
    """

    cells: tuple[Cell, ...]
    refused: tuple[Refused, ...] = ()
    spaces: Mapping[str, Space] = field(default_factory=dict)


def expand(study: Study, changes: Changes = Changes()) -> Expansion:
    """All cells of a study.

    Raises:
        UsageError: names that do not exist, options that do not fit, no cell left.
        NotApplicable: a listed pair that means nothing.
    """
    _check_names(changes)
    defaults = Axes(**{name: getattr(study, name) for name in Axes.model_fields})
    cells: dict[str, Cell] = {}
    refused: dict[Refused, None] = {}
    spaces: dict[str, Space] = {}
    for number, block in enumerate(study.blocks, start=1):
        try:
            axes = _changed(block.over(defaults), changes)
            _check_datasets(axes)
            for found in _block(axes, changes):
                if isinstance(found, Refused):
                    refused[found] = None
                    continue
                cells.setdefault(found.hash, found)
                kind = found.kind
                if kind not in spaces:
                    check_space(axes.search, found)
                    spaces[kind] = _space(axes, found.dataset)
        except UsageError as error:
            where = f"study '{study.name}', block {number}"
            located = f"{where}, {error.where}" if error.where else where
            raise type(error)(error.what, where=located, remedy=error.remedy) from None
    if not cells:
        raise UsageError(
            f"no cell of study '{study.name}' is left",
            where="--task, --attention, --score",
            remedy="study 'full' has every valid pair",
        )
    ordered = list(cells.values())
    if study.order == "listed":
        ordered.sort(key=lambda cell: cell.seed)
    return Expansion(tuple(ordered), tuple(refused), spaces)


def _space(axes: Axes, dataset: str) -> Space:
    space, fixed = axes.search or DEFAULT_SPACE, _options(axes, dataset)
    return {name: values for name, values in space.items() if name not in fixed}


def _options(axes: Axes, dataset: str) -> dict[str, Scalar | tuple[Scalar, ...]]:
    """The options of a block for the cells on one data set."""
    return {**axes.options, **axes.dataset_options.get(dataset, {})}


def _changed(axes: Axes, changes: Changes) -> Axes:
    given = {name: getattr(changes, name) for name in ("datasets", "budget", "seeds")}
    axes = axes.model_copy(update={name: one for name, one in given.items() if one is not None})
    chosen = changes.options or {}
    options = {**axes.options_under(axes.budget or DEFAULT_BUDGET), **chosen}
    of_data = {
        dataset: {name: value for name, value in own.items() if name not in chosen}
        for dataset, own in axes.dataset_options.items()
    }
    return axes.model_copy(
        update={"options": options, "gpu_options": {}, "dataset_options": of_data}
    )


def _check_datasets(axes: Axes) -> None:
    """Options of a data set that nobody knows would never count."""
    known = {name for task in tasks.names() for name in datasets(task).names()}
    for name in axes.dataset_options:
        if name not in known:
            raise unknown_name("data set", name, known, where="dataset_options")


def _check_names(changes: Changes) -> None:
    """A filter that matches nothing because it is misspelt deserves a better answer."""
    for registry, names, option in (
        (tasks, changes.tasks, "--task"),
        (attentions, changes.attentions, "--attention"),
        (scores, changes.scores, "--score"),
    ):
        for name in names or ():
            if not (registry is scores and name == NO_SCORE):
                registry.get(name, where=option)


def _block(axes: Axes, changes: Changes) -> Iterator[Cell | Refused]:
    listed = (
        isinstance(axes.attentions, tuple)
        and isinstance(axes.scores, tuple)
        and axes.backbones != "all"
    )
    for task in _names(axes.tasks or "all", tasks.names(), changes.tasks):
        if axes.attentions is None:
            raise UsageError("names no attentions", remedy="list them, or say 'attentions: all'")
        for attention in _names(axes.attentions, attentions.names(), changes.attentions):
            for score in _scores(axes, attention):
                for backbone in _backbones(axes, changes):
                    try:
                        yield from _pair(axes, changes, task, attention, score, backbone)
                    except NotApplicable as error:
                        if listed and isinstance(axes.tasks, tuple):
                            raise
                        named = score or attentions.get(attention).classic_score
                        yield Refused(task, attention, named, error.what, backbone or "")


def _pair(
    axes: Axes, changes: Changes, task: str, attention: str, score: str | None, backbone: str | None
) -> Iterator[Cell]:
    budget = axes.budget or DEFAULT_BUDGET
    seeds = range(1, axes.seeds + 1) if isinstance(axes.seeds, int) else axes.seeds or (1,)
    for dataset in _datasets(axes, task):
        wanted = _options(axes, dataset or tasks.get(task).default_dataset)
        listed = [value if isinstance(value, tuple) else (value,) for value in wanted.values()]
        for values in itertools.product(*listed):
            cell = make_cell(
                task,
                attention,
                score,
                backbone=backbone,
                dataset=dataset,
                budget=budget,
                options=dict(zip(wanted, values, strict=True)),
            )
            if changes.scores is None or cell.score in changes.scores:
                for seed in seeds:
                    yield replace(cell, seed=seed)


def _names(
    wanted: Literal["all"] | tuple[str, ...], known: list[str], filter: Sequence[str] | None = None
) -> list[str]:
    names = known if wanted == "all" else wanted
    return [name for name in names if filter is None or name in filter]


def _scores(axes: Axes, attention: str) -> list[str | None]:
    if axes.scores is None or axes.scores == "classic":
        return [None]
    if attentions.get(attention).classic_score == NO_SCORE:
        return [None]  # no score goes with it, so it is one cell whatever is listed
    return list(_names(axes.scores, scores.names()))


def _backbones(axes: Axes, changes: Changes) -> Sequence[str | None]:
    if changes.backbones is not None:
        return changes.backbones
    return BACKBONES if axes.backbones == "all" else axes.backbones or (None,)


def _datasets(axes: Axes, task: str) -> Sequence[str | None]:
    if isinstance(axes.datasets, dict):
        for name in axes.datasets:
            tasks.get(name, where="datasets")
        return axes.datasets.get(task, (None,))
    return axes.datasets or (None,)
