"""The table of `make bench-performance`, from figures that were made up."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
for folder in (HERE / "performance", HERE / "support"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

comparison = importlib.import_module("comparison")
Figure = importlib.import_module("measures.figure").Figure

NOW = comparison.Table(
    "a machine",
    (
        Figure("train", 3000.0, "target tokens/s"),
        Figure("start", 2.0, "s", "twice"),
        Figure("size", 7.0, "layers"),
        Figure("new", 0.123456, "ms"),
    ),
)
BEFORE = comparison.Table(
    "another",
    (
        Figure("train", 2000.0, "target tokens/s"),
        Figure("start", 3.0, "s"),
        Figure("size", 7.0, "layers"),
        Figure("gone", 1.0, "ms"),
    ),
)


def rows(text: str) -> dict[str, list[str]]:
    cells = [line.split("|")[1:-1] for line in text.splitlines() if line.startswith("| ")]
    return {first.strip(): [cell.strip() for cell in rest] for first, *rest in cells}


def test_a_row_is_compared_with_the_one_of_its_name() -> None:
    text = comparison.markdown(NOW, BEFORE)
    found = rows(text)
    assert found["train"][:3] == ["3,000", "target tokens/s", "1.50"]
    assert found["start"][:4] == ["2", "s", "1.50", "twice"], "less time is better"
    assert found["size"][2] == "" and found["new"][:3] == ["0.123", "ms", ""]
    assert "Measured before, not now: gone." in text
    assert "a machine" in text and "another" in text


def test_figures_survive_json() -> None:
    assert comparison.Table.from_json(NOW.to_json()) == NOW
    for text in ("[]", '{"machine": "x"}', "{", '{"machine": "x", "figures": [{"name": "a"}]}'):
        with pytest.raises(ValueError):
            comparison.Table.from_json(text)


def test_peers_are_compared_where_both_are_there() -> None:
    peers = comparison.figures_of(
        json.loads('[{"name": "theirs", "value": 1500, "unit": "target tokens/s"}]')
    )
    found = comparison.against([*NOW.figures, *peers], {"train": "theirs", "start": "nowhere"})
    assert [(one.name, one.value) for one in found] == [("train, over theirs", 2.0)]
    assert comparison.against([*NOW.figures, *peers], {"start": "theirs"}) == [], "units differ"


def test_a_page_keeps_what_stands_around_the_table() -> None:
    page = f"above\n{comparison.BEGIN}\nold\n{comparison.END}\nbelow\n"
    once = comparison.between_markers(page, "new")
    assert once.startswith("above\n") and once.endswith("\nbelow\n") and "old" not in once
    assert comparison.between_markers(once, "new") == once
    with pytest.raises(ValueError, match="figures: begin"):
        comparison.between_markers("nothing", "new")


def test_of_many_missing_rows_only_some_are_named() -> None:
    before = comparison.Table("m", tuple(Figure(f"row {n}", 1.0, "ms") for n in range(9)))
    text = comparison.markdown(comparison.Table("m", ()), before)
    assert "row 0, row 1, row 2, row 3, row 4 and 4 more." in text
    assert "row 5" not in text
