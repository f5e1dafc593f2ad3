"""The space of a search: the settings that it varies, and their values in each candidate.

A study, or a block of it, declares its space in YAML; a block's settings are joined with the
study's by name. Any setting of training and any option of attention can be searched.

    search:
      learning_rate: {doublings: 2}              # log-uniform about the budget's own: /4 to x4
      weight_decay: {log_uniform: [1.0e-5, 0.1]}
      warmup_fraction: {uniform: [0.0, 0.3]}
      batch_tokens: {integers: [400, 1600]}
      dropout: [0.0, 0.1, 0.2, 0.3, 0.4]         # choices, equally likely

The n-th candidate has the same quantile of a setting wherever the setting is searched (common
random numbers): where the spaces of two mechanisms are the same, so are their candidates.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Annotated, Any

import numpy as np
from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Tag, model_validator

from bench.errors import NotApplicable, UsageError, unknown_name
from bench.store.cell import Cell, Scalar
from tasks.base import Plan
from tasks.plan import make_again, option_schemas, resolve

#: The seed of candidates, of their random settings too. Cells of a study may not have it.
TUNING_SEED = 0

#: Significant digits of a drawn value.
_DIGITS = 3
#: No setting means anything so many doublings away from its own value.
_MOST_DOUBLINGS = 20.0
_LARGEST = 10**9

_NOT_COMPARED = "validation losses under different values of it cannot be compared"
_NOT_READ = "the validation loss does not depend on it"
#: Why a setting cannot be searched.
_REFUSED: Mapping[str, str] = {
    **dict.fromkeys(
        ("train_limit", "test_limit", "tokenizer", "vocab_size", "least_count", "gold_attention"),
        _NOT_COMPARED,
    ),
    **dict.fromkeys(
        ("beam_size", "length_penalty", "coverage_penalty", "num_traces", "eval_batch_tokens"),
        _NOT_READ,
    ),
    **dict.fromkeys(("eval_pictures", "meteor", "bleu_tokenize"), _NOT_READ),
}


Choices = tuple[Scalar, ...]


class Range(BaseModel):
    """Numbers between two ends. One of the fields is set.

    Attributes:
        uniform, log_uniform: lowest and highest real number.
        integers: lowest and highest whole number, both included.
        doublings: how often the setting's own value is doubled or halved at most.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    uniform: tuple[float, float] | None = None
    log_uniform: tuple[float, float] | None = None
    integers: tuple[int, int] | None = None
    doublings: float | None = None

    @model_validator(mode="after")
    def _usable(self) -> Range:
        given = {name: value for name, value in self if value is not None}
        if len(given) != 1:
            raise ValueError(f"give one of {', '.join(type(self).model_fields)}")
        ((name, value),) = given.items()
        if name == "doublings":
            if not 0 < value <= _MOST_DOUBLINGS:
                raise ValueError(f"doublings must be > 0 and ≤ {_MOST_DOUBLINGS:g}, got {value:g}")
            return self
        low, high = value
        if name == "integers" and max(abs(low), abs(high)) > _LARGEST:
            raise ValueError(f"integers: the ends must lie within ±{_LARGEST:,}")
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise ValueError(f"{name}: an empty range, {low:g} is not below {high:g}")
        if name == "log_uniform" and low <= 0:
            raise ValueError(f"log_uniform: the lowest value must be > 0, got {low:g}")
        return self

    @property
    def ends(self) -> tuple[float, float]:
        """The lowest and the highest value, of a range that `located` made."""
        ends = self.uniform or self.log_uniform or self.integers
        assert ends is not None, "doublings of an unknown value"
        return ends

    def value(self, quantile: float) -> float:
        """The value at a quantile in 0..1, of a range that `located` made."""
        low, high = self.ends
        if self.integers is not None:
            return int(low + math.floor(quantile * (high - low + 1)))
        if self.log_uniform is not None:
            drawn = low * (high / low) ** quantile
        else:
            drawn = low + (high - low) * quantile
        return self.rounded(drawn)

    def rounded(self, value: float) -> float:
        """A value with few digits, within the range."""
        if self.integers is not None:
            return int(value)
        low, high = self.ends
        return min(max(float(f"{value:.{_DIGITS}g}"), low), high)

    def __str__(self) -> str:
        low, high = self.ends
        kind = "log-uniform, " if self.log_uniform else "whole, " if self.integers else ""
        return f"{kind}{low:g} to {high:g}"


def _some(choices: Choices) -> Choices:
    if not choices:
        raise ValueError("an empty list leaves no choice")
    return choices


#: What a study has for a setting.
Values = Annotated[
    Annotated[Choices, AfterValidator(_some), Tag("choices")] | Annotated[Range, Tag("range")],
    Discriminator(lambda given: "choices" if isinstance(given, list | tuple) else "range"),
]
#: What is searched, by setting.
Space = Mapping[str, Choices | Range]

#: The space of studies that declare none.
DEFAULT_SPACE: Space = {
    "learning_rate": Range(doublings=2),
    "dropout": (0.0, 0.1, 0.2, 0.3, 0.4),
}


def in_words(values: Choices | Range) -> str:
    """The values of a setting, for people: `log-uniform, 0.002 to 0.032` or `0.1, 0.2`."""
    return str(values) if isinstance(values, Range) else ", ".join(map(str, values))


def setting_of(plan: Plan, name: str) -> Scalar:
    """The value of a setting of training or of an option of attention in a plan."""
    owners = (plan.attention_options, plan.settings)
    return next(getattr(one, name) for one in owners if name in type(one).model_fields)


def located(space: Space, cell: Cell) -> dict[str, Choices | Range]:
    """The space for a cell: without what the cell has as an explicit option, with `doublings` as
    the range about the cell's own value, and with choices as the setting's type has them."""
    plan = resolve(cell)
    found: dict[str, Choices | Range] = {}
    for name, values in space.items():
        if name in cell.options:
            continue
        if isinstance(values, Range) and values.doublings is not None:
            own, factor = float(setting_of(plan, name) or 0), 2.0**values.doublings
            values = Range(log_uniform=(own / factor, own * factor))
        elif not isinstance(values, Range) and any(isinstance(one, str) for one in values):
            made = (resolve(replace(cell, options={**cell.options, name: one})) for one in values)
            values = tuple(setting_of(one, name) for one in made)
        found[name] = values
    return found


def check_space(space: Space, cell: Cell) -> None:
    """Raise UsageError for a setting that this cell does not have or that cannot be searched, and
    for values that its settings refuse."""
    schemas, plan = option_schemas(cell), resolve(cell)
    names = {name for owner in ("attention", "settings") for name in schemas[owner].model_fields}
    for name, values in space.items():
        if name in schemas["data set"].model_fields and name not in names:
            raise _error(f"'{name}' chooses the data and cannot be searched")
        if name not in names:
            raise unknown_name("setting", name, names - _REFUSED.keys(), where="search")
        if name in _REFUSED:
            raise _error(f"'{name}' cannot be searched: {_REFUSED[name]}")
        own = setting_of(plan, name)
        whole = isinstance(own, int) and not isinstance(own, bool)
        if isinstance(values, Range) and whole and values.integers is None:
            raise _error(f"'{name}' is a whole number", "give `integers: [low, high]`, or choices")
        doubled = isinstance(values, Range) and values.doublings is not None
        if doubled and not (isinstance(own, float) and own > 0):
            raise _error(
                f"'{name}' is {own!r} by default, which cannot be doubled",
                "give `uniform: [low, high]`, or choices",
            )
        tried: Choices = values if not isinstance(values, Range) else ()
        if isinstance(values, Range):
            (range_,) = located({name: values}, replace(cell, options={})).values()
            assert isinstance(range_, Range)
            tried = range_.ends
        for value in tried:
            try:
                with_values(cell, {name: value})
            except UsageError as error:
                refused = isinstance(error, NotApplicable)
                what = f"{name}={value}: {error.what}" if refused else error.what
                raise _error(what, error.remedy) from None


def _error(what: str, remedy: str = "") -> UsageError:
    return UsageError(what, where="search", remedy=remedy)


def with_values(cell: Cell, values: Mapping[str, Scalar]) -> Cell:
    """A candidate: the cell with these values and the seed of candidates. What the cell has as an
    explicit option is left as it is."""
    return make_again(cell, options={**values, **cell.options}, seed=TUNING_SEED)


def random_values(space: Space) -> Iterator[dict[str, Scalar]]:
    """Values of one random candidate after the other, without end. Each setting of a space
    (as `located` gives it) has a generator of its own, seeded by its name."""
    generators = {name: np.random.default_rng([TUNING_SEED, *name.encode()]) for name in space}
    for _ in itertools.count():
        quantiles = {name: float(rng.random()) for name, rng in generators.items()}
        yield {name: _value(space[name], quantile) for name, quantile in quantiles.items()}


def _value(values: Choices | Range, quantile: float) -> Any:
    if isinstance(values, Range):
        return values.value(quantile)
    return values[math.floor(quantile * len(values))]
