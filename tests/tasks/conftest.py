"""Lets tests import `tests/support`, and gives them a hub of our own on the loopback interface."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SUPPORT = str(Path(__file__).parent.parent / "support")
if SUPPORT not in sys.path:
    sys.path.insert(0, SUPPORT)

from loopback_hub import Hub, loopback_hub  # noqa: E402 - found by the line above


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with loopback_hub(monkeypatch) as hub:
        yield hub
