"""The entries of the suite are verified, hold nothing of a data set, and are few bytes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bundles import members

from reports.leaderboard.board import ENTRIES
from reports.leaderboard.bundle import open_bundle
from reports.leaderboard.rules import load_rules
from reports.leaderboard.verify import verify
from tasks.base import datasets

FILES = sorted(ENTRIES.glob("*.zip"))
#: Bytes of all entries together: a clone stays small.
MOST = 16 * 2**20


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_an_entry_is_verified_by_its_statistics(path: Path) -> None:
    rules = load_rules()
    verdict = verify(open_bundle(path, rules.limits), rules, None)
    assert not verdict.problems


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_an_entry_has_outputs_only_where_they_may_go_round(path: Path) -> None:
    content = members(path)
    for name, text in content.items():
        if name.endswith(".examples.json"):
            cell = json.loads(content[name.replace(".examples", "")])["cell"]
            shared = datasets(cell["task"]).get(cell["dataset"]).shares_outputs()
            assert shared or all("outputs" not in one for one in json.loads(text).values())


def test_entries_are_few_bytes_and_nothing_else_lies_there() -> None:
    assert sum(path.stat().st_size for path in FILES) <= MOST
    assert {path.name for path in ENTRIES.iterdir()} == {"README.md", *(one.name for one in FILES)}
