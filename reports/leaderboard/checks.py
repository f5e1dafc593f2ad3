"""What the rules ask of an entry's cells: names, options, settings of the class, seeds, size."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import torch

from bench.attention import Backbone
from bench.attention.base import Placement
from bench.attention.registries import attentions
from bench.errors import UsageError
from bench.hardware import count_parameters
from bench.store.cell import Cell, Scalar
from bench.store.result import setting_differences
from reports.leaderboard.bundle import Manifest, Mechanism, Problem, climbs, plain
from reports.leaderboard.rules import Limits, Rules
from tasks.base import Plan, TaskData
from tasks.plan import make_again, make_cell, refusal, resolve


@dataclass(frozen=True)
class Planned:
    """A cell of a bundle as it would be run here.

    Attributes:
        plan: for the data that are here, whatever the cell says of them; for a mechanism that is
            not installed here, with another one of its placement: it says everything but what the
            model is.
        known: whether the mechanism is installed here.
    """

    cell: Cell
    plan: Plan
    known: bool


def well_formed(cell: Cell, limits: Limits) -> Cell:
    """The cell, if its options are what they should be. Raises ValueError otherwise.

    Options go on to readers of data and builders of models, so texts must not name files outside
    the data root, and numbers must not ask for more than a machine has. `Cell.from_json` has
    checked the types of the other fields.
    """
    options: Mapping[str, Any] = cell.options  # of a stranger's JSON, whatever it says
    for name, value in options.items():
        if isinstance(value, str):
            if climbs(value):
                raise ValueError(f"{plain(name)}={plain(value)} leads out of the data root")
        elif isinstance(value, int | float):
            if not abs(value) <= limits.number:
                raise ValueError(f"{plain(name)}={value:g} is more than {limits.number:,}")
        elif value is not None:
            raise ValueError(f"{plain(name)} in its cell is neither number nor text")
    return cell


def planned(cell: Cell, mechanism: Mechanism | None) -> Planned:
    """Raises UsageError where nothing here could run the cell."""
    if cell.attention in attentions:
        made = make_again(cell, options=cell.options, seed=cell.seed)
        if made.hash != cell.hash:
            raise UsageError("it repeats defaults, or has options that change nothing")
        return Planned(cell, resolve(made), known=True)
    if mechanism is None:
        raise UsageError(f"the manifest says nothing about '{plain(cell.attention)}'")
    _check_names(cell, mechanism)
    options = {k: v for k, v in cell.options.items() if k not in mechanism.options}
    stand_in = next(
        name
        for name, kind in attentions.items()
        if (kind.placement, kind.backbone) == (mechanism.placement, mechanism.backbone)
    )
    other = replace(cell, attention=stand_in, options=options, data="")
    return Planned(cell, resolve(other), known=False)


def _check_names(cell: Cell, mechanism: Mechanism) -> None:
    """Nobody may pass a setting off as an option of a mechanism that cannot be looked at."""
    from tasks.base import datasets, tasks

    settings = tasks.get(cell.task).Settings.model_fields
    data = datasets(cell.task).get(cell.dataset).Options.model_fields
    taken = sorted(set(mechanism.options) & {*settings, *data})
    if taken:
        raise UsageError(f"the manifest calls {', '.join(taken)} an option of the attention")


def check_settings(
    one: Planned, settings: Mapping[str, Scalar], manifest: Manifest, rules: Rules
) -> Iterator[str]:
    """Where a cell breaks the rules of the class it claims.

    Args:
        settings: all that it was trained with.
    """
    if one.cell.budget not in rules.budgets:
        yield f"the budget {one.cell.budget} is none of {', '.join(rules.budgets)}"
    if one.known:
        claimed, kind = manifest.mechanisms.get(one.cell.attention), one.plan.attention
        if claimed is None:
            yield f"the manifest says nothing about '{one.cell.attention}'"
        else:
            for name in ("placement", "backbone"):
                stated, here = getattr(claimed, name), getattr(kind, name)
                if stated != here:
                    yield f"its {name} is {here} here, and {stated} in the manifest"
    yield from _other_settings(settings, one.plan)
    free = rules.classes[manifest.kind].settings
    for name, value in one.cell.options.items():
        if name not in type(one.plan.settings).model_fields:
            continue
        if name in rules.fixed:
            yield f"{name} must not be changed"
        elif free is not None and name not in free:
            yield f"{name}={plain(value)} is not what its class '{manifest.kind}' gives to all"


def _other_settings(stated: Mapping[str, Scalar], plan: Plan) -> Iterator[str]:
    if not stated:
        yield "its record does not say with which settings it was trained"
        return
    for difference in setting_differences(stated, plan.stated_settings):
        yield f"trained with {plain(difference)}"


def missing_seeds(cells: Sequence[Cell], rules: Rules) -> tuple[Problem, ...]:
    """The open cells of entries that lack a seed the rules want."""
    seeds: dict[tuple[str, str], set[int]] = defaultdict(set)
    for cell in cells:
        seeds[without_seed(cell), cell.data].add(cell.seed)
    wanted = ", ".join(map(str, rules.seeds))
    return tuple(
        Problem(name, f"no result of seed {lacking}; every entry has seeds {wanted} in the end")
        for (name, _), have in seeds.items()
        if (lacking := ", ".join(str(seed) for seed in rules.seeds if seed not in have))
    )


def open_summary(found: Sequence[Problem]) -> str:
    """One line on open cells."""
    more = f", and {len(found) - 1} more lack a seed" if len(found) > 1 else ""
    return f"open: {found[0]}{more}"


def model_size(plan: Plan, data: TaskData) -> int:
    """Trainable parameters of a plan's model."""
    try:
        with torch.device("meta"):  # shapes without memory: a stranger chose the sizes
            return count_parameters(plan.task.module(plan, data))
    except (NotImplementedError, RuntimeError):  # a mechanism that cannot be built that way
        return count_parameters(plan.task.module(plan, data))


@cache
def rivals(
    task: str,
    dataset: str,
    budget: str,
    backbone: Backbone,
    placement: Placement,
    recipe: tuple[tuple[str, Scalar], ...] = (),
) -> tuple[Cell, ...]:
    """The suite's own mechanisms that stand in a backbone by their paper (in a recurrent one at
    that place), each with the score of its paper.

    Args:
        recipe: options that choose what all models are made like (`Settings.chooses_recipe`).
    """
    from tasks.base import tasks

    return tuple(
        make_cell(task, name, dataset=dataset, budget=budget, options=dict(recipe))
        for name, kind in attentions.items()
        if kind.backbone == backbone
        and (backbone != "recurrent" or kind.placement == placement)
        and kind.__module__.startswith("bench.")
        and not refusal(tasks.get(task), name, kind.classic_score)
    )


def named(cell: Cell) -> str:
    """A cell for messages."""
    return f"{plain(cell.label)} [{plain(cell.budget)}]"


def without_seed(cell: Cell) -> str:
    return named(cell.with_seed(0)).replace(" seed 0", "")
