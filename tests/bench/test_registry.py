"""Which modules of a package a registry imports."""

from __future__ import annotations

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
