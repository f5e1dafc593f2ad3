"""Finding and reading study files: ours by name, anyone's by path or entry point."""

from __future__ import annotations

import importlib.metadata
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from ablations.published import check_rows
from ablations.study import Axes, Comparison, Paper, Selector, Study, StudyModel
from bench.errors import UsageError, unknown_name

FOLDER = Path(__file__).parent / "studies"
#: Entry points of this group give the path of a study file (str or Path), by the study's name.
GROUP = "attnbench.studies"

# What an axis takes; the alternatives that pydantic lists are of no use to who writes YAML.
_TAKES: Mapping[str, str] = {
    "tasks": "a list of names, or all",
    "datasets": "a list of names, or such lists by task",
    "attentions": "a list of names, or all",
    "scores": "a list of names, or all, or classic",
    "options": "values, or lists of values, by the name of the option",
    "gpu_options": "values, or lists of values, by the name of the option",
    "seeds": "a number of seeds, or a list of seeds",
}
_SHOWN = 60  # characters of what was found instead

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
        path = Path(name).expanduser()
        if not path.is_file():
            raise UsageError("no such file", where=name, remedy="give a study's name or its file")
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
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = "not UTF-8 text" if isinstance(error, UnicodeDecodeError) else error.strerror
        raise UsageError(f"cannot be read ({reason})", where=str(path)) from None
    try:
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        raise UsageError(
            f"not valid YAML ({getattr(error, 'problem', error)})", where=where
        ) from None
    except RecursionError:
        raise UsageError("not a study (nested too deeply)", where=str(path)) from None
    if not isinstance(data, dict):
        raise UsageError("a study is a mapping of axes and blocks", where=str(path))
    _refuse_repeated_keys(tree, path, set())
    try:
        study = Study.model_validate({"name": path.stem, **data})
    except ValidationError as error:
        raise _as_usage_error(error, tree, data, path) from None
    if study.paper is not None:
        check_rows(study.paper, where=str(path))
    return study


def _refuse_repeated_keys(node: yaml.Node | None, path: Path, visited: set[int]) -> None:
    # YAML lets the last of two equal keys win, silently. An alias is the node that it stands for,
    # which may contain the alias.
    if id(node) in visited:
        return
    visited.add(id(node))
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            if key.value in seen:
                line = key.start_mark.line + 1
                raise UsageError(f"key '{key.value}' is there twice", where=f"{path}:{line}")
            seen.add(key.value)
            _refuse_repeated_keys(value, path, visited)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _refuse_repeated_keys(item, path, visited)


def _as_usage_error(
    error: ValidationError, tree: yaml.Node | None, data: Any, path: Path
) -> UsageError:
    # A misspelt key often leaves another one missing; the misspelling is the cause.
    first = sorted(error.errors(), key=lambda found: found["type"] != "extra_forbidden")[0]
    place = first["loc"]
    where = f"{path}:{_line(tree, place)}"
    if first["type"] == "extra_forbidden":
        inner = tuple(part for part in place[:-1] if isinstance(part, str))
        # Below "rows" stand names of rows, which are no keys of ours.
        model = _MODELS[inner[:3]]
        return unknown_name("key", str(place[-1]), model.model_fields, where=where)
    named = _named(tree, place)
    axis = next((part for part in named if part in _TAKES), None)
    if axis is not None and first["type"] != "value_error":
        message = f"takes {_TAKES[str(axis)]}, not {_shortened(_value(data, named))}"
    else:
        message = str(first["msg"]).removeprefix("Value error, ").replace("valid tuple", "list")
    dotted = ".".join(map(str, named))
    return UsageError(f"{dotted}: {message}" if dotted else message, where=where)


def _named(node: yaml.Node | None, place: tuple[int | str, ...]) -> list[int | str]:
    """The parts of a place that the file has; pydantic adds the types that it tried."""
    named = []
    for part in place:
        found = _child(node, part)
        if found is None:
            break
        named.append(part)
        node = found[1]
    return named


def _value(data: Any, place: Sequence[int | str]) -> Any:
    for part in place:
        data = data[part]
    return data


def _shortened(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _line(node: yaml.Node | None, place: tuple[int | str, ...]) -> int:
    """The line, from 1, of the innermost part of a place that the file has."""
    line = 1 if node is None else node.start_mark.line + 1
    for part in place:
        found = _child(node, part)
        if found is None:
            break
        key, node = found
        line = key.start_mark.line + 1
    return line


def _child(node: yaml.Node | None, part: int | str) -> tuple[yaml.Node, yaml.Node] | None:
    """What stands under a key or at a position, and the node that says where."""
    if isinstance(node, yaml.MappingNode):
        found = [(key, value) for key, value in node.value if key.value == part]
        return found[-1] if found else None
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part], node.value[part]
    return None
