"""A query's cost as the source grows, local against global. Prints figures, asserts no times."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from measures import local

pytestmark = pytest.mark.performance


@pytest.mark.timeout(1800)
def test_a_query_costs_the_same_however_long_the_source() -> None:
    tables: dict[str, dict[str, list[float]]] = {}
    for figure in local.measure():
        found = re.fullmatch(r"(.+), source \d+: (.+)", figure.name)
        assert found is not None
        tables.setdefault(found[2], {}).setdefault(found[1], []).append(figure.value)
    for what, rows in tables.items():
        print(f"\n{what}, ms" + "".join(f"{length:>10d}" for length in local.LENGTHS))
        for label, values in rows.items():
            print(f"{label:{len(what) + 4}s}" + "".join(f"{value:10.3f}" for value in values))
