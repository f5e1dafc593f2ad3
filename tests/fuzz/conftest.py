"""An environment in which commands may be given anything: a home, a cache and a current folder of
their own, no network, and trials that end at once unless a test wants real ones."""

from __future__ import annotations

import importlib
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

SUPPORT = str(Path(__file__).parent.parent / "support")
if SUPPORT not in sys.path:
    sys.path.insert(0, SUPPORT)


def _no_network(*given: Any, **named: Any) -> NoReturn:
    raise OSError(101, "Network is unreachable")


@pytest.fixture(scope="session", autouse=True)
def _imported() -> None:
    """What commands import when they are called; the time they may take is their own."""
    for name in ("ablations.trial", "ablations.fit", "ablations.sweep", "reports.pages.site"):
        importlib.import_module(name)


@pytest.fixture(scope="module", autouse=True)
def _environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    home, here = tmp_path_factory.mktemp("home"), Path.cwd()
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HOME", "XDG_CACHE_HOME"):
            patch.setenv(name, str(home))
        patch.delenv("ATTNBENCH_DATA", raising=False)
        patch.setenv("WANDB_MODE", "offline")
        patch.setattr(socket, "getaddrinfo", _no_network)
        patch.setattr(socket.socket, "connect", _no_network)
        os.chdir(home)
        yield
        os.chdir(here)


@pytest.fixture(scope="module")
def no_training() -> Iterator[None]:
    """Trials that end at once, with a figure."""
    from fake_trials import fake_result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ablations.trial.run_trial", lambda cell, *rest: fake_result(cell))
        yield
