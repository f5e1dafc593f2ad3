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
pivot = importlib.import_module("pivot")
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
    found = comparison.against([*NOW.figures, *peers], [("train", "theirs"), ("start", "nowhere")])
    assert [(one.name, one.value) for one in found] == [("train, over theirs", 2.0)]
    assert comparison.against([*NOW.figures, *peers], [("start", "theirs")]) == [], "units differ"


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


GROWN = (
    Figure("attend, length 8, concat: time", 1.0, "ms"),
    Figure("start", 2.0, "s"),
    Figure("attend, length 16, concat: time", 2.5, "ms"),
    Figure("attend, length 8, concat: memory", 3.0, "MiB"),
    Figure("attend, length 4, concat: memory", 1.5, "MiB"),
    Figure("local, source 8: a step", 7.0, "ms", "two threads"),
    Figure("local, source 16: a step", 7.5, "ms", "two threads"),
    Figure("local, source 8: once", 9.0, "ms"),
)


def test_rows_that_differ_in_a_length_become_one_with_a_column_per_length() -> None:
    text = comparison.markdown(comparison.Table("m", GROWN))
    found = rows(text)
    assert found["measured at length"] == ["4", "8", "16", "unit"]
    assert found["attend, concat: time"] == ["–", "1", "2.5", "ms"]
    assert found["attend, concat: memory"] == ["1.5", "3", "–", "MiB"]
    assert found["measured at source length"] == ["8", "16", "unit", "note"]
    assert found["local: a step"] == ["7", "7.5", "ms", "two threads"]
    assert found["start"][:2] == ["2", "s"]
    assert found["local, source 8: once"][0] == "9", "one length makes no columns"
    assert "In brackets" not in text


def test_no_figure_is_lost_or_shown_twice_by_columns() -> None:
    rest, pivots = pivot.pivoted(GROWN)
    inside = [one for table in pivots for row in table.rows for one in row.figures.values()]
    assert sorted(one.name for one in [*rest, *inside]) == sorted(one.name for one in GROWN)
    stored = comparison.Table.from_json(
        (HERE / "performance" / "reference.json").read_text("utf-8")
    ).figures
    rest, pivots = pivot.pivoted(stored)
    inside = [one for table in pivots for row in table.rows for one in row.figures.values()]
    assert len(rest) + len(inside) == len(stored) and len(inside) > 100
    assert [one for one in stored if one in rest] == rest, "in the order of before"


def test_a_length_of_another_unit_or_note_is_another_row() -> None:
    mixed = (*GROWN[:1], Figure("attend, length 16, concat: time", 2.5, "s"))
    assert pivot.pivoted(mixed) == (list(mixed), [])


def test_ratios_stand_in_brackets_beside_figures_of_a_length() -> None:
    before = comparison.Table("m", (Figure("attend, length 8, concat: time", 1.5, "ms"),))
    text = comparison.markdown(comparison.Table("m", GROWN), before)
    assert rows(text)["attend, concat: time"] == ["–", "1 (1.50)", "2.5", "ms"]
    assert text.count("In brackets: times as good as before.") == 1


def test_a_stored_table_is_shown_without_measuring(tmp_path: Path, monkeypatch, capsys) -> None:
    run = importlib.import_module("run")
    page, stored = tmp_path / "page.md", tmp_path / "now.json"
    page.write_text(f"above\n{comparison.BEGIN}\n{comparison.END}\n", "utf-8")
    stored.write_text(NOW.to_json(), "utf-8")
    (tmp_path / "before.json").write_text(BEFORE.to_json(), "utf-8")
    monkeypatch.setattr(run, "PAGE", page)
    monkeypatch.setattr(run, "measured", lambda names: pytest.fail("nothing is to be measured"))
    shown = ["run.py", "--show", str(stored), "--docs"]
    monkeypatch.setattr(sys, "argv", [*shown, "--reference", str(tmp_path / "before.json")])
    run.main()
    assert capsys.readouterr().out.rstrip("\n") in page.read_text("utf-8")
    assert rows(page.read_text("utf-8"))["train"][2] == "1.50"
    monkeypatch.setattr(sys, "argv", [*shown, "--reference", str(stored)])
    run.main()
    assert rows(page.read_text("utf-8"))["train"][2] == "", "a table is not its own past"
    monkeypatch.setattr(sys, "argv", [*shown, "--out", str(tmp_path / "again.json")])
    with pytest.raises(SystemExit):
        run.main()


def test_cells_are_compared_to_the_last_bit() -> None:
    cells = importlib.import_module("ten_cells")
    record = {"metrics": {"bleu": 0.1 + 0.2}, "by_length": [{"value": 1.0}]}
    before = {"a": dict(cells.leaves(record)), "b": {}}
    assert before["a"] == {"metrics/bleu": 0.1 + 0.2, "by_length/0/value": 1.0}
    after = {"a": {**before["a"], "metrics/bleu": 0.3, "more": None}, "c": {}}
    assert cells.differences(before, before) == []
    assert cells.differences(before, after) == [
        "a: 2 of 3 figures differ",
        f"    metrics/bleu: {0.1 + 0.2}, 0.3",
        "    more: absent, None",
        "b: only in BEFORE",
        "c: only in AFTER",
    ]
