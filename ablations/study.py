"""Studies: axes declared in YAML, ours by name, anyone's by path or entry point.

`ablations.expansion` makes cells of them.

A study is a list of blocks. Each block is the product of its axes; the cells of a study are the
union of its blocks, without duplicates. Axes set beside the blocks are the blocks' defaults; a
study without blocks is one block, made of them alone.

    title: Luong 2015
    seeds: 3                      # seeds 1 to 3, or a list
    tasks: [translation]          # or all
    blocks:
      - attentions: [global]      # or all
        scores: [dot, general]    # or classic, or all
        options: {input_feeding: [true, false]}
        gpu_options: {}           # in place of those under the budget gpu: published sizes
        dataset_options: {an4: {deltas: 2}}  # in place of those on one data set
        search: {dropout: [0, 0.1]}   # what --tune varies (`ablations.search_space`)

Pairs without a meaning are left out, with their reason, where "all" brought them up, and are an
error where they are listed.

Values are read as text, whatever YAML makes of them elsewhere, and the type of the option decides:
`source: no` is Norwegian, `test: 2016` a file's name, and 0100 one hundred. Only `null` is none.
"""

from __future__ import annotations

import csv
import functools
import importlib.metadata
import re
import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)

from ablations.search_space import Range, Values
from bench.errors import UsageError, one_line, unknown_name
from bench.store.cell import LARGEST_SEED, Cell, Scalar
from bench.store.files import local_path, read_regular
from tasks.plan import make_cell

FOLDER = Path(__file__).parent / "studies"
#: Entry points of this group give the path of a study file (str or Path), by the study's name.
GROUP = "attnbench.studies"

All = Literal["all"]


def _whole(value: object) -> object:
    if isinstance(value, str) and re.fullmatch(r"[+-]?[0-9]+", value):
        return int(value)
    return value


#: A whole number, also as text; and not `true`.
Whole = Annotated[int, Field(strict=True), BeforeValidator(_whole)]
#: More of them are a mistake, mostly a seed that was meant for itself.
MOST_SEEDS = 10_000


class StudyModel(BaseModel):
    """Frozen data that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Axes(StudyModel):
    """The axes of a block. What is left out comes from the study, or is the default named here.

    Attributes:
        tasks: names, or all that are registered (the default).
        datasets: names, or names by task; each task's default data set if left out.
        attentions, scores: names or "all"; "classic" is each attention's own score (the default).
            Attentions have no default.
        backbones: recurrent, convolutional, transformer, or "all" for those that a pair can stand
            in; that of each attention's paper if left out.
        options: values by option name, single or listed; their product is taken.
        gpu_options: the same, in place of what `options` has, under the budget "gpu".
        dataset_options: the same by data set, in place of what those two have: options of the cells
            on one data set alone.
        search: the space of `--tune`, by setting (`ablations.search_space`). What `options` or
            `gpu_options` have is not searched.
        seeds: a number n for seeds 1 to n, or the seeds; 1 if left out.
        budget: "laptop" if left out.
    """

    tasks: All | tuple[str, ...] | None = None
    datasets: tuple[str, ...] | dict[str, tuple[str, ...]] | None = None
    attentions: All | tuple[str, ...] | None = None
    scores: Literal["all", "classic"] | tuple[str, ...] | None = None
    backbones: All | tuple[str, ...] | None = None
    options: dict[str, Scalar | tuple[Scalar, ...]] = Field(default_factory=dict)
    gpu_options: dict[str, Scalar | tuple[Scalar, ...]] = Field(default_factory=dict)
    dataset_options: dict[str, dict[str, Scalar | tuple[Scalar, ...]]] = Field(default_factory=dict)
    search: dict[str, Values] = Field(default_factory=dict)
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
        listed = self.seeds if isinstance(self.seeds, tuple) else ()
        if not all(0 <= one <= LARGEST_SEED for one in listed):
            raise ValueError(f"seeds: a seed is a whole number from 0 to {LARGEST_SEED}")
        for name, value in self:
            if value == () or (value == {} and name == "datasets"):
                raise ValueError(f"{name}: an empty list makes no cells")
        for name in self.search:
            if name in self.options:
                raise ValueError(f"search: {name} is set by `options`, so it cannot be searched")
        return self

    def over(self, defaults: Axes) -> Axes:
        """These axes, or the study's where they say nothing; options, and what is searched, are
        joined by name."""
        mine = {name: value for name, value in self if value is not None}
        for name in ("options", "gpu_options", "search"):
            mine[name] = getattr(defaults, name) | mine[name]
        mine["dataset_options"] = {
            name: {**defaults.dataset_options.get(name, {}), **self.dataset_options.get(name, {})}
            for name in (*defaults.dataset_options, *self.dataset_options)
        }
        return defaults.model_copy(update=mine)

    def options_under(self, budget: str) -> dict[str, Scalar | tuple[Scalar, ...]]:
        """The options that count under a budget, on every data set."""
        return {**self.options, **(self.gpu_options if budget == "gpu" else {})}


class Selector(StudyModel):
    """The cells of a study that stand for a row of a published table: those of this attention
    and score whose options, as far as the paper's rows differ in them, are these. What is not
    named is as it is by default; `gpu_options` count in place of `options` under that budget, and
    `dataset_options` in place of both on a data set."""

    attention: str
    score: str = "none"
    backbone: str = ""
    options: dict[str, Scalar] = Field(default_factory=dict)
    gpu_options: dict[str, Scalar] = Field(default_factory=dict)
    dataset_options: dict[str, dict[str, Scalar]] = Field(default_factory=dict)

    @property
    def named(self) -> set[str]:
        """Names of all options that it names anywhere."""
        parts = (self.options, self.gpu_options, *self.dataset_options.values())
        return {name for part in parts for name in part}

    def matches(self, cell: Cell, varied: Collection[str]) -> bool:
        """Whether it selects this cell, in a table whose rows differ in the options `varied`."""
        chosen = (self.attention, self.score, self.backbone)
        if (cell.attention, cell.score, cell.backbone) != chosen:
            return False
        wanted = {
            **self.options,
            **(self.gpu_options if cell.budget == "gpu" else {}),
            **self.dataset_options.get(cell.dataset, {}),
        }
        try:  # as in cells: without what equals its default
            make = functools.partial(
                make_cell, backbone=self.backbone, dataset=cell.dataset, budget=cell.budget
            )
            named = make(cell.task, cell.attention, cell.score, options=wanted).options
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
        varied = {name for one in self.rows.values() for name in one.named}
        return [cell for cell in cells if self.rows[row].matches(cell, varied)]


class Paper(StudyModel):
    """The paper whose ordering is put beside ours; `name` as in published_figures.csv."""

    name: str
    comparisons: tuple[Comparison, ...]


class Study(Axes):
    """A study as its file has it. `load_study` finds and reads one.

    Attributes:
        order: in which its cells run: `longest` first, which ends soonest on many cores, or as
            `listed`: seed 1 of every block, then seed 2, so that what is listed first is known
            first.
    """

    name: str = ""
    title: str = ""
    description: str = ""
    order: Literal["longest", "listed"] = "longest"
    blocks: tuple[Axes, ...] = (Axes(),)
    paper: Paper | None = None

    @field_validator("name")
    @classmethod
    def _names_a_file(cls, name: str) -> str:
        # The store, its record of the sweep and the run of W&B are named after it.
        if not name.strip(" .") or set(name) & {"/", "\\"} or not name.isprintable():
            raise ValueError("a study's name is also the name of a folder")
        return name


@dataclass(frozen=True)
class Published:
    """A figure of a paper, to be put beside ours (`studies/published_figures.csv`).

    Attributes:
        paper, task, dataset, metric, row: where it stands.
        higher_is_better: of the metric.
        attention, score: in our names; empty where we have none for it.
        certainty: "seen" for figures read in the paper itself, "secondary" for those read
            elsewhere, "memory" for those from memory, not re-read.
    """

    paper: str
    task: str
    dataset: str
    metric: str
    higher_is_better: bool
    row: str
    attention: str
    score: str
    value: float
    certainty: str


@functools.cache
def published() -> tuple[Published, ...]:
    """All figures, in the order of the file."""
    rows = TypeAdapter(tuple[Published, ...])
    with (FOLDER / "published_figures.csv").open(encoding="utf-8", newline="") as file:
        return rows.validate_python(
            {**row, "higher_is_better": row["better"] == "higher"} for row in csv.DictReader(file)
        )


def published_rows(paper: str, dataset: str, metric: str) -> dict[str, Published]:
    """The figures of one column of a paper, by row."""
    return {
        figure.row: figure
        for figure in published()
        if (figure.paper, figure.dataset, figure.metric) == (paper, dataset, metric)
    }


def check_rows(paper: Paper, *, where: str) -> None:
    """Raises UsageError for a paper, column or row that published_figures.csv does not have."""

    def check(kind: str, name: str, known: Collection[str]) -> None:
        if name not in known:
            raise unknown_name(kind, name, known, where=where)

    check("paper", paper.name, {figure.paper for figure in published()})
    figures = [figure for figure in published() if figure.paper == paper.name]
    for comparison in paper.comparisons:
        dataset, metric = comparison.dataset, comparison.metric
        check("published data set", dataset, {figure.dataset for figure in figures})
        check("published metric", metric, {f.metric for f in figures if f.dataset == dataset})
        for row in comparison.rows:
            check("published row", row, published_rows(paper.name, dataset, metric))


# What an axis takes; the alternatives that pydantic lists are of no use to who writes YAML.
_TAKES: Mapping[str, str] = {
    "tasks": "a list of names, or all",
    "datasets": "a list of names, or such lists by task",
    "attentions": "a list of names, or all",
    "scores": "a list of names, or all, or classic",
    "backbones": "a list of names, or all",
    "options": "values, or lists of values, by the name of the option",
    "gpu_options": "values, or lists of values, by the name of the option",
    "dataset_options": "by data set values, or lists of values, by the name of the option",
    "search": "by the name of the setting a list of choices, or one of uniform, log_uniform and "
    "integers with two ends, or doublings with a number",
    "seeds": "a number of seeds, or a list of seeds",
}

# Which model has its keys at which place of a file; list positions and names are left out.
_MODELS: Mapping[tuple[str, ...], type[StudyModel]] = {
    (): Study,
    ("blocks",): Axes,
    ("paper",): Paper,
    ("paper", "comparisons"): Comparison,
    ("paper", "comparisons", "rows"): Selector,
}


def load_study(name: str) -> Study:
    """The study of that name, or in the YAML file of that path.

    Raises:
        UsageError: no such study, or a file that is not one, naming its line.
    """
    return read_study(find_study(name))


def find_study(name: str) -> Path:
    """The file of a study. Whatever ends in .yaml or .yml, or has a slash in it, is a path."""
    if name.endswith((".yaml", ".yml")) or "/" in name:
        path = local_path(name, where="study")
        if not path.is_file():
            what = "not a file" if path.exists() else "no such file"
            raise UsageError(what, where=name, remedy="give a study's name or its file")
        return path
    known = study_files()
    if name not in known:
        raise unknown_name("study", name, known)
    return known[name]


def study_files() -> dict[str, Path]:
    """All studies that are installed, by name; ours first."""
    files = {path.stem: path for path in sorted(FOLDER.glob("*.yaml"))}
    for point in importlib.metadata.entry_points(group=GROUP):
        try:
            files.setdefault(point.name, Path(point.load()))
        except Exception as error:  # somebody else's broken package must not take ours down
            warnings.warn(f"study plugin '{point.name}' cannot be loaded: {error}", stacklevel=2)
    return files


def read_study(path: Path) -> Study:
    """Read and check a study file."""
    try:
        text = read_regular(path).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = "not UTF-8 text" if isinstance(error, UnicodeDecodeError) else error.strerror
        raise UsageError(f"cannot be read ({reason})", where=str(path)) from None
    tree, data = _parsed(text, path)
    if not isinstance(data, dict):
        raise UsageError("a study is a mapping of axes and blocks", where=str(path))
    try:
        study = Study.model_validate({"name": path.stem, **data})
    except ValidationError as error:
        raise _as_usage_error(error, tree, text, path) from None
    if study.paper is not None:
        check_rows(study.paper, where=str(path))
    return study


class _TextLoader(yaml.SafeLoader):
    """A loader of YAML whose scalars are texts, or None; it knows no other types."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        super().flatten_mapping(node)
        if len(node.value) > _MOST_KEYS:  # mappings merged into mappings multiply
            mark = node.start_mark
            raise yaml.constructor.ConstructorError(problem="too many keys", problem_mark=mark)


_MOST_KEYS = 10_000
_OWN_TYPES = {f"tag:yaml.org,2002:{name}" for name in ("null", "str", "seq", "map", "merge")}
_TextLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag in _OWN_TYPES]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_TextLoader.yaml_constructors = {
    tag: constructor
    for tag, constructor in yaml.SafeLoader.yaml_constructors.items()
    if tag is None or tag in _OWN_TYPES  # None is for those that are not known
}


def _parsed(text: str, path: Path) -> tuple[yaml.Node | None, Any]:
    """The nodes of a YAML file, and its data. Raises UsageError."""
    try:
        loader = _TextLoader(text)
        tree = loader.get_single_node()
        _refuse_repeated_keys(tree, path, set())
        return tree, None if tree is None else loader.construct_document(tree)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        problem = one_line(str(getattr(error, "problem", error)))
        raise UsageError(f"not valid YAML ({problem})", where=where) from None
    except RecursionError:
        raise UsageError("not a study (nested too deeply)", where=str(path)) from None


def _refuse_repeated_keys(node: yaml.Node | None, path: Path, visited: set[int]) -> None:
    # YAML lets the last of two equal keys win, silently. An alias is the node that it stands for,
    # which may contain the alias.
    if id(node) in visited:
        return
    visited.add(id(node))
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                where = f"{path}:{key.start_mark.line + 1}"
                raise UsageError(f"duplicate key '{one_line(key.value, 60)}'", where=where)
            seen.add(key.value if isinstance(key, yaml.ScalarNode) else key)
            _refuse_repeated_keys(value, path, visited)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _refuse_repeated_keys(item, path, visited)


def _as_usage_error(
    error: ValidationError, tree: yaml.Node | None, text: str, path: Path
) -> UsageError:
    # A misspelt key often leaves another one missing; the misspelling is the cause.
    first = sorted(error.errors(), key=lambda found: found["type"] != "extra_forbidden")[0]
    place = first["loc"]
    named, node, line = _found(tree, place)
    where = f"{path}:{line}"
    if first["type"] == "extra_forbidden":
        inner = tuple(part for part in place[:-1] if isinstance(part, str))
        # Below "search" and "rows" stand names of settings and rows, not our keys.
        searched = "search" in inner[:2] and inner[0] in ("search", "blocks")
        known = Range.model_fields if searched else _MODELS[inner[:3]].model_fields
        return unknown_name("key", str(place[-1]), known, where=where)
    axis = next((part for part in named if part in _TAKES), None)
    if axis is not None and first["type"] != "value_error":
        found = "" if node is None else text[node.start_mark.index : node.end_mark.index]
        message = f"takes {_TAKES[str(axis)]}, not {one_line(found, 60) or 'nothing'}"
    else:
        message = str(first["msg"]).removeprefix("Value error, ").replace("valid tuple", "list")
    dotted = one_line(".".join(map(str, named)))
    return UsageError(f"{dotted}: {message}" if dotted else message, where=where)


def _found(
    node: yaml.Node | None, place: tuple[int | str, ...]
) -> tuple[list[int | str], yaml.Node | None, int]:
    """The parts of a place that the file has (pydantic adds the types that it tried), the node
    there, and the line, from 1, of the innermost part."""
    named, line = [], 1 if node is None else node.start_mark.line + 1
    for part in place:
        children: dict[int | str, tuple[yaml.Node, yaml.Node]] = {}  # with the node of their line
        if isinstance(node, yaml.MappingNode):
            children = {
                key.value: (key, value)
                for key, value in node.value
                if isinstance(key, yaml.ScalarNode)
            }
        elif isinstance(node, yaml.SequenceNode):
            children = {number: (item, item) for number, item in enumerate(node.value)}
        if part not in children:
            break
        marked, node = children[part]
        named.append(part)
        line = marked.start_mark.line + 1
    return named, node, line
