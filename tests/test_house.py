"""The rules of the house that a machine can check: imports point down and never in a circle, and
everything stands in the file of its name."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator, Mapping, Set
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from pathlib import Path

import pytest
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

from bench.attention.registries import attentions, normalisers, scores
from bench.cli.main import COMMANDS
from tasks.base import datasets, tasks
from tasks.captioning.encoders import picture_encoders

ROOT = Path(__file__).resolve().parent.parent
#: Lowest first; a folder imports itself and those before it.
FLOORS = ("bench", "tasks", "ablations", "reports")


def modules(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module


@pytest.mark.parametrize("folder", FLOORS)
def test_imports_point_down(folder: str) -> None:
    above = set(FLOORS[FLOORS.index(folder) + 1 :])
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in modules(folder)
        for name in imported(path)
        if name.split(".")[0] in above
    ]
    assert not wrong


def test_tasks_do_not_know_each_other() -> None:
    names = {path.parent.name for path in (ROOT / "tasks").glob("*/task.py")}
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for task in names
        for path in modules(f"tasks/{task}")
        for name in imported(path)
        if name.startswith("tasks.") and name.split(".")[1] in names - {task}
    ]
    assert not wrong


def dotted(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def import_graph(sources: Mapping[str, str]) -> dict[str, set[str]]:
    """The modules that each of these modules imports, at import time, inside a function or for type
    checkers only. `from package import module` is an import of that module.

    Args:
        sources: source text by dotted name.
    """
    graph: dict[str, set[str]] = {name: set() for name in sources}
    for name, source in sources.items():
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Import):
                graph[name].update(alias.name for alias in node.names if alias.name in sources)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0 and node.module, f"{name}: a relative import"
                inside = [f"{node.module}.{alias.name}" for alias in node.names]
                found = {one if one in sources else node.module for one in inside}
                graph[name].update(found & sources.keys())
    return graph


def import_cycles(graph: Mapping[str, Set[str]]) -> list[str]:
    """One cycle, as "a -> b -> a", of each strongly connected component of an import graph."""
    names = sorted(graph)
    edges = [[target in graph[name] for target in names] for name in names]
    _, labels = connected_components(csr_matrix(edges), directed=True, connection="strong")
    components: dict[int, set[str]] = {}
    for name, label in zip(names, labels, strict=True):
        components.setdefault(int(label), set()).add(name)
    cycles = []
    for members in components.values():
        # TopologicalSorter takes what a node depends on, and names one cycle if there is any.
        inside = TopologicalSorter({name: graph[name] & members for name in sorted(members)})
        try:
            inside.prepare()
        except CycleError as error:
            cycles.append(" -> ".join(reversed(error.args[1])))
    return cycles


def test_modules_do_not_import_each_other_in_a_circle() -> None:
    paths = [path for folder in FLOORS for path in modules(folder)]
    cycles = import_cycles(import_graph({dotted(path): path.read_text("utf-8") for path in paths}))
    assert not cycles, "\n".join(cycles)


def test_cycles_are_found_wherever_the_import_stands() -> None:
    sources = {
        "p": "from p.a import thing",
        "p.a": "def function():\n    from p import b",
        "p.b": "if TYPE_CHECKING:\n    import p.c",
        "p.c": "from p.a import thing",
        "p.d": "from p import a, e",
        "p.e": "import sys",
    }
    graph = import_graph(sources)
    assert graph["p.d"] == {"p.a", "p.e"}
    [cycle] = import_cycles(graph)
    steps = cycle.split(" -> ")
    assert len(steps) == 4 and steps[0] == steps[-1] and set(steps) == {"p.a", "p.b", "p.c"}
    assert all(target in graph[name] for name, target in pairwise(steps))
    assert import_cycles({"a": {"a"}, "b": set()}) == ["a -> a"]


def misplaced(registry: Mapping[str, object], folder: str) -> list[str]:
    """Our members of a registry that do not stand in `folder`, in the file of their name. A name
    that Python keeps for itself has an underscore after it."""
    wrong = []
    for name, member in registry.items():
        kind = member if isinstance(member, type) else type(member)
        stem = name.replace("-", "_")
        places = {f"{folder}.{stem}", f"{folder}.{stem}_"}
        if kind.__module__.partition(".")[0] in FLOORS and kind.__module__ not in places:
            wrong.append(f"{name} stands in {kind.__module__}")
    return wrong


def test_each_member_of_a_registry_stands_in_the_file_of_its_name() -> None:
    wrong = [
        *misplaced(dict(attentions.items()), "bench.attention.mechanisms"),
        *misplaced(dict(scores.items()), "bench.attention.scores"),
        *misplaced(dict(normalisers.items()), "bench.attention.normalisers"),
        *misplaced(dict(picture_encoders.items()), "tasks.captioning.encoders"),
    ]
    for task in tasks.names():
        wrong += misplaced(dict(datasets(task).items()), f"tasks.{task}.datasets")
    for name, command in COMMANDS.items():
        package = command.module.partition(".")[0]
        if command.module != f"{package}.cli.{name}":
            wrong.append(f"{name} stands in {command.module}")
    assert not wrong, "\n".join(wrong)


def test_tracked_files_name_no_host_of_a_registry_and_no_path_of_a_machine() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout")
    forbidden = ["py" + "pi.org", "python" + "hosted.org", "registry.npm" + "js.org", "/ro" + "ot/"]
    command = ["git", "grep", "-nIF", *(part for text in forbidden for part in ("-e", text))]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.stdout == ""
    tracked = subprocess.run(
        ["git", "ls-files", "uv.lock"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert tracked.stdout == "", "commit requirements.lock instead"
