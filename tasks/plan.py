"""From names to a cell, and from a cell to everything its trial needs.

Here the axes meet the registries: names are looked up, invalid pairs refused with their reason,
options checked against the schema of whoever owns them, and dropped where they change nothing
(they equal their default, or no part of this model reads them), so that one trial has one name.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cache, lru_cache
from pathlib import Path
from types import NoneType
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from bench.attention import BACKBONES, Backbone
from bench.attention.registries import NO_SCORE, attentions, normalisers, score_of, scores
from bench.errors import NotApplicable, UsageError, one_line, unknown_name
from bench.store.cell import LARGEST_SEED, Cell, Scalar
from bench.store.result import Result, SplitIdentity, setting_differences
from bench.store.store import Problem, Store
from tasks.base import Dataset, Plan, Task, datasets, tasks
from tasks.settings import BUDGETS


def make_cell(
    task: str,
    attention: str,
    score: str | None = None,
    *,
    backbone: str | None = None,
    dataset: str | None = None,
    budget: str = "laptop",
    seed: int = 1,
    options: Mapping[str, Any] | None = None,
) -> Cell:
    """The cell of these names.

    Args:
        score: None for the attention's classic score. Where the attention has no score (`none`,
            `gaussian-mixture`) every name gives the same cell.
        backbone: family of the model; None for that of the attention's paper.
        options: values by option name; defaults may be repeated, they are dropped, as is what
            only other backbones read (`num_heads` is the Transformer's).

    Raises:
        UsageError: unknown names or options, values that do not fit.
        NotApplicable: pairs and options without a meaning, with the reason.
    """
    kind, owner = attentions.get(attention), tasks.get(task)
    if not 0 <= seed <= LARGEST_SEED:
        raise UsageError(
            f"a seed is a whole number from 0 to {LARGEST_SEED}, not {seed}", where="--seed"
        )
    if score is not None and score != NO_SCORE:
        scores.get(score)
    score = score_of(kind, score)
    family = _backbone(backbone or kind.backbone)
    reason = refusal(owner, attention, score, family)
    if reason:
        place = f" in a {family} model" if family != kind.backbone else ""
        raise NotApplicable(reason, where=f"{attention} with {score}{place}")
    dataset = dataset or owner.default_dataset
    named = "" if family == kind.backbone else family
    draft = Cell(task, dataset, attention, score, budget, seed, dict(options or {}), named)
    return replace(draft, options=_explicit_options(draft))


def make_again(cell: Cell, *, options: Mapping[str, Any], seed: int) -> Cell:
    """The cell of the same names and data with these options and this seed, as `make_cell` makes
    it. Raises as that does."""
    made = make_cell(
        cell.task,
        cell.attention,
        cell.score,
        backbone=cell.backbone or None,
        dataset=cell.dataset,
        budget=cell.budget,
        seed=seed,
        options=options,
    )
    return replace(made, data=cell.data)


def refusal(
    task: type[Task], attention: str, score: str, backbone: Backbone | None = None
) -> str | None:
    """Why this pair means nothing for this task in this backbone (that of the attention's paper by
    default), or None. Names must be known."""
    kind = attentions.get(attention)
    if score == NO_SCORE and kind.classic_score != NO_SCORE:
        return f"{attention} needs a score function"
    return kind.refusal(score, backbone or kind.backbone) or task.refusal(kind, score)


def _backbone(name: str) -> Backbone:
    for known in BACKBONES:
        if name == known:
            return known
    raise unknown_name("backbone", name, BACKBONES)


def resolve(cell: Cell) -> Plan:
    """Everything the trial of a cell needs. Raises UsageError and NotApplicable as `make_cell`
    does."""
    plan = _plan(cell)
    normalisers.get(plan.attention_options.normaliser, where="--set normaliser")
    if plan.attends:
        reason = plan.attention.refusal_of_options(
            plan.attention_options, cell.score, plan.backbone
        )
        if reason:
            raise NotApplicable(reason, where=f"{cell.attention} with {cell.score}")
    reason = _gold_refusal(plan)
    if reason:
        setting = plan.settings.gold_attention
        raise NotApplicable(reason, where=f"gold_attention={setting} with {cell.attention}")
    reason = plan.task.plan_refusal(plan)
    if reason:
        raise NotApplicable(reason, where=f"{cell.attention} with {cell.score}")
    return plan


def outdated_settings(result: Result) -> list[str]:
    """What differs between the settings of a result and those that its cell would be trained with
    here: its budget has changed since. Empty where the result does not say what it was trained
    with, and where the cell's names are not known here."""
    if not result.settings:
        return []
    try:
        here = _settings_here(result.cell.with_seed(0))
    except UsageError:
        return []
    return setting_differences(result.settings, here)


def current_results(store: Store, problems: list[Problem]) -> Iterator[Result]:
    """The results of a store, without those of outdated settings: others of their table were
    trained with the new ones, or will be.

    Args:
        problems: gets one entry per record that is left out or cannot be used.
    """
    for result in store.results(problems):
        if differences := outdated_settings(result):
            first = f"{differences[0]}{' and more' if len(differences) > 1 else ''}"
            what = f"trained with settings that its budget had before ({first})"
            problems.append(Problem(f"{store.address}/trials/{result.hash}.json", what))
        else:
            yield result


@lru_cache(maxsize=4096)
def _settings_here(cell: Cell) -> Mapping[str, Scalar]:
    return resolve(cell).stated_settings


def _plan(cell: Cell) -> Plan:
    """A cell with its options by owner, each of which is valid on its own."""
    task, source, attention = _owners(cell)
    backbone = _backbone(cell.backbone or attention.backbone)
    of_attention, of_task, of_data = _split_options(
        cell.options, attention.Options, task.Settings, source.Options
    )
    base = source.settings(cell.budget, backbone, _recipe(task, of_task))
    attention_options = validated(attention.Options, of_attention)
    return Plan(
        cell=cell,
        task=task,
        dataset=source,
        attention=attention,
        attention_options=attention_options,
        dataset_options=validated(source.Options, of_data),
        settings=validated(task.Settings, {**base, **attention_options.model_defaults, **of_task}),
    )


def _recipe(task: type[Task], given: Mapping[str, Any]) -> set[str]:
    """The settings that choose a recipe, of those that a cell gives."""
    fields, recipes = task.Settings.model_fields, task.Settings.chooses_recipe
    return {name for name in recipes if name in given and given[name] != fields[name].default}


def _gold_refusal(plan: Plan) -> str | None:
    """Why gold alignments cannot train or replace the attention of a plan that asks for it, or
    None."""
    wanted = plan.settings.gold_attention
    if wanted == "none":
        return None
    if not plan.attends:
        return "without attention there are no weights to train or to replace"
    if not plan.dataset.gold:
        return f"data set '{plan.dataset.name}' has no gold alignments"
    if wanted == "loss" and plan.attention.samples:
        return "it attends to drawn positions, and no gradient passes its weights"
    if wanted == "given" and not plan.attention.takes_given_weights():
        return "its context is more than a mean under the weights of one score"
    return None


#: The identity of every split of a data set, by the split's name.
Splits = Mapping[str, SplitIdentity]


def with_data(
    cells: Iterable[Cell], data_root: Path | None
) -> tuple[list[Cell], dict[str, Splits]]:
    """The cells with the fingerprint of their data where these are read from files: a result counts
    for the same data only. Each data set is read once, under the cells' limits.

    Returns:
        The cells, and the splits of each data set by its fingerprint.

    Raises UsageError where data cannot be used.
    """
    known: dict[Any, str] = {}
    splits: dict[str, Splits] = {}

    @cache
    def fingerprint(cell: Cell) -> str:
        if not datasets(cell.task).get(cell.dataset).external:
            return ""
        plan = resolve(cell)
        limits = (plan.settings.train_limit, plan.settings.test_limit)
        key = (cell.task, cell.dataset, plan.dataset_options, limits)
        if key not in known:
            corpus = plan.load(data_root)
            known[key] = corpus.fingerprint
            splits[corpus.fingerprint] = corpus.identities
        return known[key]

    found = [replace(cell, data=fingerprint(replace(cell, seed=0, data=""))) for cell in cells]
    return found, splits


def dataset_options(dataset: type[Dataset], values: Mapping[str, Any]) -> Any:
    """The options of a data set, without a cell. Raises UsageError: unknown names, values that do
    not fit."""
    return validated(dataset.Options, _split_options(values, dataset.Options)[0])


def option_schemas(cell: Cell) -> dict[str, type[BaseModel]]:
    """The schemas of a cell's options by their owner: for `list` and for messages."""
    task, source, attention = _owners(cell)
    return {"attention": attention.Options, "settings": task.Settings, "data set": source.Options}


def _owners(cell: Cell) -> tuple[type[Task], type[Dataset], Any]:
    if cell.budget not in BUDGETS:
        raise unknown_name("budget", cell.budget, BUDGETS)
    task = tasks.get(cell.task)
    source = datasets(cell.task).get(cell.dataset, where=f"task {cell.task}")
    return task, source, attentions.get(cell.attention)


def _split_options(options: Mapping[str, Any], *schemas: type[BaseModel]) -> list[dict[str, Any]]:
    """The options by owner; a name belongs to the first schema that has it."""
    owners = {
        field: place
        for place, schema in reversed(list(enumerate(schemas)))
        for field in schema.model_fields
    }
    parts: list[dict[str, Any]] = [{} for _ in schemas]
    for name, value in options.items():
        if name not in owners:
            raise unknown_name("option", name, owners, where="--set")
        parts[owners[name]][name] = value
    return parts


def validated(schema: type[BaseModel], values: Mapping[str, Any]) -> Any:
    """Options as their types have them. Values may be texts, as on the command line and in
    studies: `no` is a text for one option and false for another."""
    read = {name: _none_or(schema.model_fields[name], value) for name, value in values.items()}
    try:
        model = schema.model_validate(read)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"]) or schema.__name__
        message = first["msg"].removeprefix("Value error, ").replace("Input should", "it should")
        wanted = message.partition(", unable to")[0]
        raise UsageError(
            f"{name}={one_line(str(first.get('input')))} cannot be used",
            where="--set",
            remedy="it is true or false" if first["type"].startswith("bool") else wanted,
        ) from None
    for name in values:  # infinity passes for large, but a record cannot hold it
        value = getattr(model, name)
        if isinstance(value, float) and not math.isfinite(value):
            raise UsageError(
                f"{name}={value!r} cannot be used", where="--set", remedy="give a finite number"
            )
    return model


def _none_or(field: FieldInfo, value: Any) -> Any:
    """None for the text `null`, where an option may be None."""
    return None if value == "null" and NoneType in get_args(field.annotation) else value


def _explicit_options(draft: Cell) -> dict[str, Scalar]:
    """The options that differ from what they would be anyway, as their types have them."""
    given, plain = resolve(draft), _plan(replace(draft, options={}))
    # Options of attention, and settings that choose a recipe, may change the default of a setting.
    recipe = set(type(given.settings).chooses_recipe)
    changing = (type(given.attention_options).model_fields.keys() | recipe) & draft.options.keys()
    changed = replace(draft, options={name: draft.options[name] for name in changing})
    defaults = {"settings": _plan(changed) if changing else plain}
    explicit: dict[str, Scalar] = {}
    for name in draft.options:
        owner = next(
            owner
            for owner in ("attention_options", "settings", "dataset_options")
            if name in type(getattr(given, owner)).model_fields
        )
        model = getattr(given, owner)
        value = getattr(model, name)
        base = plain if name in recipe else defaults.get(owner, plain)
        default = getattr(getattr(base, owner), name)
        if value != default and _is_read(name, model, given):
            explicit[name] = value
    return explicit


def _is_read(name: str, owner: BaseModel, plan: Plan) -> bool:
    """Whether the model of this plan looks at an option. A field that only some backbones or
    placements read names them in its `json_schema_extra`, as does one that is read only where
    another setting is chosen (`needs`) or is not (`unless`); where nothing attends, no option of
    attention is read, and where nothing is normalised, no normaliser."""
    if owner is plan.attention_options:
        return plan.attends and (name != "normaliser" or plan.attention.normalises)
    if name in ("gold_weight", "gold_head"):
        return plan.settings.gold_attention == "loss"
    if name in ("num_heads", "ffn_dim") and plan.settings.encoder_self_attention:
        return True
    if name == "num_heads" and plan.attention.heads_of_backbone:
        return True
    extra = type(owner).model_fields[name].json_schema_extra
    known = extra if isinstance(extra, dict) else {}
    backbones, placements = known.get("backbones"), known.get("placements")
    for key, wanted in (("needs", True), ("unless", False)):
        other = known.get(key)
        if isinstance(other, str):
            field = type(owner).model_fields[other]
            if (getattr(owner, other) != field.default) != wanted:
                return False
    return (not isinstance(backbones, list) or plan.backbone in backbones) and (
        not isinstance(placements, list) or plan.attention.placement in placements
    )
