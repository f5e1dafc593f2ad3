"""The additive score as its inputs grow. Prints figures, asserts no times."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from measures import additive
from measures.figure import Figure

pytestmark = pytest.mark.performance


def show(title: str, figures: list[Figure], columns: dict[str, str]) -> None:
    """A row per length or size, a column per way and unit."""
    print(f"\n{title}")
    rows: dict[str, dict[str, float]] = {}
    for figure in figures:
        _, row, way = figure.name.split(", ", 2)
        rows.setdefault(row, {})[way] = figure.value
    print(f"{'':16s}" + "".join(f"{head:>20s}" for head in columns.values()))
    for row, values in rows.items():
        cells = (f"{values[way]:20.2f}" if way in values else f"{'-':>20s}" for way in columns)
        print(f"{row:16s}" + "".join(cells))


@pytest.mark.timeout(1800)
def test_time_and_memory_as_inputs_grow() -> None:
    figures = additive.growing()
    for what, unit in (("time", "ms"), ("memory", "MiB")):
        chosen = [one for one in figures if one.name.endswith(what)]
        show(f"{what}, {unit}", chosen, {f"{way}: {what}": way for way in additive.WAYS})


def test_one_query() -> None:
    show("one query, ms", additive.single_steps(), {"formula": "formula", "concat": "concat"})
