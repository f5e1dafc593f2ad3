"""Studies: axes declared in YAML. `ablations.expansion` makes cells of them.

A study is a list of blocks. Each block is the product of its axes; the cells of a study are the
union of its blocks, without duplicates. Axes set beside the blocks are the blocks' defaults.

    title: Luong 2015
    seeds: 3                      # seeds 1 to 3, or a list
    tasks: [translation]          # or all
    blocks:
      - attentions: [global]      # or all
        scores: [dot, general]    # or classic, or all
        options: {input_feeding: [true, false]}
        gpu_options: {}           # in place of those under the budget gpu: published sizes

Pairs without a meaning are left out, with their reason, where "all" brought them up, and are an
error where they are listed.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from bench.cell import LARGEST_SEED, Cell, Scalar
from bench.errors import UsageError
from tasks.plan import make_cell

All = Literal["all"]
#: A whole number, and not `true`.
Whole = Annotated[int, Field(strict=True)]
#: More of them are a mistake, mostly a seed that was meant for itself.
MOST_SEEDS = 10_000


class StudyModel(BaseModel):
    """Frozen data that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


#: Axes that a block joins with the study's, name by name, instead of replacing them.
_JOINED = ("options", "gpu_options")


class Axes(StudyModel):
    """The axes of a block. What is left out comes from the study, or is the default named here.

    Attributes:
        tasks: names, or all that are registered (the default).
        datasets: names, or names by task; each task's default data set if left out.
        attentions, scores: names or "all"; "classic" is each attention's own score (the default).
        options: values by option name, single or listed; their product is taken.
        gpu_options: the same, in place of what `options` has, under the budget "gpu".
        seeds: a number n for seeds 1 to n, or the seeds; 1 if left out.
        budget: "laptop" if left out.
    """

    tasks: All | tuple[str, ...] | None = None
    datasets: tuple[str, ...] | dict[str, tuple[str, ...]] | None = None
    attentions: All | tuple[str, ...] | None = None
    scores: Literal["all", "classic"] | tuple[str, ...] | None = None
    options: dict[str, Scalar | tuple[Scalar, ...]] = Field(default_factory=dict)
    gpu_options: dict[str, Scalar | tuple[Scalar, ...]] = Field(default_factory=dict)
    seeds: Whole | tuple[Whole, ...] | None = None
    budget: str | None = None

    @model_validator(mode="after")
    def _usable(self) -> Axes:
        if isinstance(self.seeds, int) and self.seeds < 1:
            raise ValueError("seeds: a number of seeds is at least 1")
        if isinstance(self.seeds, int) and self.seeds > MOST_SEEDS:
            raise ValueError(
                f"seeds: {self.seeds} means seeds 1 to {self.seeds}; "
                f"[{self.seeds}] is that seed alone"
            )
        if isinstance(self.seeds, tuple) and not all(
            0 <= one <= LARGEST_SEED for one in self.seeds
        ):
            raise ValueError(f"seeds: a seed is a whole number from 0 to {LARGEST_SEED}")
        for name, value in self:
            if value == () or (value == {} and name == "datasets"):
                raise ValueError(f"{name}: an empty list makes no cells")
        return self

    def over(self, defaults: Axes) -> Axes:
        """These axes, with those of the study where they say nothing; options are joined."""
        joined = {name: {**getattr(defaults, name), **getattr(self, name)} for name in _JOINED}
        mine = {name: value for name, value in self if value is not None}
        return defaults.model_copy(update={**mine, **joined})

    def options_under(self, budget: str) -> dict[str, Scalar | tuple[Scalar, ...]]:
        """The options that count under a budget."""
        return {**self.options, **(self.gpu_options if budget == "gpu" else {})}


class Selector(StudyModel):
    """The cells of a study that stand for a row of a published table: those of this attention
    and score whose options, as far as the paper's rows differ in them, are these. What is not
    named is as it is by default; `gpu_options` count in place of `options` under that budget."""

    attention: str
    score: str = "none"
    options: dict[str, Scalar] = Field(default_factory=dict)
    gpu_options: dict[str, Scalar] = Field(default_factory=dict)

    def matches(self, cell: Cell, varied: Collection[str]) -> bool:
        """Whether it selects this cell, in a table whose rows differ in the options `varied`."""
        if (cell.attention, cell.score) != (self.attention, self.score):
            return False
        wanted = {**self.options, **(self.gpu_options if cell.budget == "gpu" else {})}
        try:  # as in cells: without what equals its default
            named = make_cell(
                cell.task,
                cell.attention,
                cell.score,
                dataset=cell.dataset,
                budget=cell.budget,
                options=wanted,
            ).options
        except UsageError:  # options of a data set, and the cell is of another one
            return False
        return {name: value for name, value in cell.options.items() if name in varied} == named


class Comparison(StudyModel):
    """A column of a published table, and our cells for its rows.

    Attributes:
        dataset, metric: as in published_figures.csv.
        ours: name among our metrics, or "primary".
        rows: selectors by the row's name in published_figures.csv.
    """

    dataset: str
    metric: str
    ours: str = "primary"
    rows: dict[str, Selector]

    def cells(self, row: str, cells: Sequence[Cell]) -> list[Cell]:
        """The cells that stand for a row."""
        varied = {
            name
            for selector in self.rows.values()
            for name in (*selector.options, *selector.gpu_options)
        }
        return [cell for cell in cells if self.rows[row].matches(cell, varied)]


class Paper(StudyModel):
    """The paper whose ordering is put beside ours; `name` as in published_figures.csv."""

    name: str
    comparisons: tuple[Comparison, ...]


class Study(Axes):
    """A study as its file has it. `load_study` finds and reads one."""

    name: str = ""
    title: str = ""
    description: str = ""
    blocks: tuple[Axes, ...] = (Axes(attentions="all"),)
    paper: Paper | None = None

    @field_validator("name")
    @classmethod
    def _names_a_file(cls, name: str) -> str:
        # The store, its record of the sweep and the run of W&B are named after it.
        if not name.strip(" .") or set(name) & {"/", "\\"} or not name.isprintable():
            raise ValueError("a study's name is also the name of a folder")
        return name
