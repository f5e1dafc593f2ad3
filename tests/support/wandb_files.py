"""Reads the files that W&B writes offline: LevelDB-style blocks of protocol buffers."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import wandb
from wandb.proto.wandb_internal_pb2 import Record

from bench.tracking.wandb import QUIET

_BLOCK = 32 * 1024
_FILE_HEADER = 7
_WHOLE, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4


@dataclass
class OfflineArtifact:
    """An artifact that waits to be uploaded: where the content of each of its files lies."""

    name: str
    type: str
    files: dict[str, str]


@dataclass
class OfflineRun:
    """What a run's file says."""

    id: str = ""
    group: str = ""
    job_type: str = ""
    name: str = ""
    tags: list[str] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    artifacts: list[OfflineArtifact] = field(default_factory=list)
    exit_code: int | None = None


def offline_runs(folder: Path) -> dict[str, OfflineRun]:
    """All runs below a folder, by id."""
    runs = [read_run(path) for path in sorted(folder.rglob("run-*.wandb"))]
    return {run.id: run for run in runs}


def read_run(path: Path) -> OfflineRun:
    run = OfflineRun()
    for content in _records(path.read_bytes()):
        record = Record()
        record.ParseFromString(content)
        kind = record.WhichOneof("record_type")
        if kind == "run":
            found = record.run
            run.id, run.group, run.job_type = found.run_id, found.run_group, found.job_type
            run.name, run.tags = found.display_name, list(found.tags)
            run.config |= {item.key: json.loads(item.value_json) for item in found.config.update}
        elif kind == "history":
            run.history.append(_items(record.history.item))
        elif kind == "summary":
            run.summary |= _items(record.summary.update)
        elif kind == "artifact":
            run.artifacts.append(_artifact(record.artifact))
        elif kind == "exit":
            run.exit_code = record.exit.exit_code
    return run


def _artifact(record: Any) -> OfflineArtifact:
    files = {entry.path: entry.local_path for entry in record.manifest.contents}
    return OfflineArtifact(record.name, record.type, files)


def _items(items: Any) -> dict[str, Any]:
    return {
        "/".join(item.nested_key) if item.nested_key else item.key: json.loads(item.value_json)
        for item in items
    }


def _records(data: bytes) -> Iterator[bytes]:
    assert data[:4] == b":W&B", data[:_FILE_HEADER]
    at, parts = _FILE_HEADER, b""
    while at + 7 <= len(data):
        if _BLOCK - at % _BLOCK < 7:  # the rest of a block that no header fits in
            at += _BLOCK - at % _BLOCK
            continue
        _, length, kind = struct.unpack("<IHB", data[at : at + 7])
        content = data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind == _WHOLE:
            yield content
        elif kind == _FIRST:
            parts = content
        elif kind in (_MIDDLE, _LAST):
            parts += content
            if kind == _LAST:
                yield parts


def own_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """For fixtures: no setting of W&B but those that runs make, which end with the test."""
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    for name in ("WANDB_CACHE_DIR", "WANDB_DATA_DIR", *QUIET):  # set by a process's first run
        monkeypatch.setenv(name, "x")
        monkeypatch.delenv(name)
    yield
    wandb.teardown()
