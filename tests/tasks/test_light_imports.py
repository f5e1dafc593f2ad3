"""Looking data sets up and checking their files does not wait for what trains models."""

from __future__ import annotations

import pkgutil
import subprocess
import sys

import pytest

import tasks
from tasks.base import tasks as registry

SLOW = (
    "torch",
    "torchaudio",
    "pytorch_lightning",
    "ray",
    "tokenizers",
    "pyarrow",
    "scipy",
    "sklearn",
    "pandas",
    "matplotlib",
    "huggingface_hub",
    "sacrebleu",
    "pycocoevalcap",
)
READING = ["archives", "cache", "download", "hub", "readers", "rows", "tokenizer"]


def modules_of(task: str) -> list[str]:
    """The module of a task, and those of its data sets."""
    package = f"tasks.{task}.datasets"
    (folder,) = (f"{path}/{task}/datasets" for path in tasks.__path__)
    return [
        f"tasks.{task}.task",
        *(f"{package}.{one.name}" for one in pkgutil.iter_modules([folder])),
    ]


@pytest.mark.parametrize(
    "modules",
    [
        ["tasks.plan", *(f"tasks.data.{name}" for name in READING)],
        *(modules_of(task) for task in registry.names()),
    ],
    ids=["reading", *registry.names()],
)
def test_modules_that_list_and_check_import_nothing_slow(modules: list[str]) -> None:
    code = (
        f"import sys; [__import__(name) for name in {modules!r}]; "
        f"print(*[name for name in {SLOW!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
