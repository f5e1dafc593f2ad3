"""Which modules of a package a registry imports."""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.registry import Registry


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A package with a module that registers something, and one that must not be imported."""
    folder = tmp_path / "marked_things"
    folder.mkdir()
    (folder / "__init__.py").write_text("from bench.registry import Registry\n")
    (folder / "one.py").write_text(
        "import marked_things\n\n@marked_things.R.register('one')\ndef f(): ...\n"
    )
    (folder / "slow.py").write_text(
        "'''Says @marked_things. in the middle.'''\nraise AssertionError\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "marked_things"
    for name in [name for name in sys.modules if name.startswith("marked_things")]:
        del sys.modules[name]


def test_only_modules_with_the_mark_are_imported(package: str) -> None:
    registry: Registry[object] = Registry("thing", package=package, mark="@marked_things.")
    __import__(package).R = registry
    assert registry.names() == ["one"]


def test_without_a_mark_all_are(package: str) -> None:
    registry: Registry[object] = Registry("thing", package=package)
    __import__(package).R = registry
    with pytest.raises(AssertionError):
        registry.names()


BASES = """
from abc import ABC, abstractmethod

class Base(ABC):
    @abstractmethod
    def act(self): ...

class Whole(Base):
    def act(self): ...

class Half(Base): ...

whole = Whole()
"""


@pytest.mark.parametrize(
    ("value", "instances", "fault"),
    [
        ("Whole", False, None),
        ("whole", True, None),
        ("whole", False, "it must be a subclass of some_bases.Base"),
        ("Whole", True, "it must be an instance of a subclass of some_bases.Base"),
        ("Half", False, "it is abstract, and must define act"),
        ("BASES", False, "AttributeError"),
        ("", False, "it must be a subclass of some_bases.Base"),
    ],
)
def test_plugins_that_cannot_be_used_are_left_out_with_the_reason(
    value: str,
    instances: bool,
    fault: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    recwarn: pytest.WarningsRecorder,
) -> None:
    (tmp_path / "some_bases.py").write_text(BASES)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "some_bases", raising=False)
    target = f"some_bases:{value}".rstrip(":")
    point = importlib.metadata.EntryPoint("theirs", target, "attnbench.things")
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: [point])
    registry: Registry[object] = Registry(
        "thing",
        package=None,
        group="attnbench.things",
        base="some_bases:Base",
        instances=instances,
    )
    if fault is None:
        assert registry.names() == ["theirs"] and not recwarn.list
    else:
        assert registry.names() == []
        [warning] = recwarn.list
        assert f"thing plugin 'theirs' cannot be used: {target}: {fault}" in str(warning.message)
