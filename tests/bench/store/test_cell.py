"""A cell's hash names it everywhere, so it must depend on the cell and on nothing else."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from bench.store.cell import Cell

SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=5),
)  # fmt: skip
OPTIONS = st.dictionaries(st.text(min_size=1, max_size=5), SCALARS, max_size=5)


def cell(**changed: object) -> Cell:
    axes = {"task": "translation", "dataset": "synthetic", "attention": "soft", "score": "concat"}
    return Cell(**(axes | changed))  # type: ignore[arg-type]


@given(OPTIONS, st.randoms())
def test_the_order_of_options_does_not_matter(options: dict[str, object], random: object) -> None:
    items = list(options.items())
    random.shuffle(items)  # type: ignore[attr-defined]
    assert cell(options=options).hash == cell(options=dict(items)).hash


@given(OPTIONS)
def test_json_gives_an_equal_cell_back(options: dict[str, object]) -> None:
    one = cell(options=options)
    again = Cell.from_json(json.loads(json.dumps(one.to_json())))
    assert again == one
    assert again.hash == one.hash


@given(OPTIONS, OPTIONS)
def test_different_options_have_different_names(a: dict[str, object], b: dict[str, object]) -> None:
    # Compared as JSON, where true is not 1 as it is in Python.
    same = json.dumps(a, sort_keys=True) == json.dumps(b, sort_keys=True)
    assert (cell(options=a).hash == cell(options=b).hash) == same


def test_the_name_is_that_of_the_canonical_json() -> None:
    """Written out, for stores hold results under it: another text would be all new cells."""
    text = (
        '{"attention":"soft","budget":"laptop","dataset":"synthetic","options":{"a":true,"b":1.5},'
        '"score":"concat","seed":1,"task":"translation","version":6}'
    )
    one = cell(options={"b": 1.5, "a": True})
    assert one.hash == hashlib.sha256(text.encode()).hexdigest()
    assert one.label == "translation/synthetic soft+concat seed 1 (a=True, b=1.5)"


def test_data_are_in_the_name_where_they_come_from_files() -> None:
    plain, one, other = cell(), cell(data="a" * 64), cell(data="b" * 64)
    assert len({plain.hash, one.hash, other.hash}) == 3
    assert "data" not in plain.to_json() and f'"data":"{"a" * 64}"' in one.canonical
    assert Cell.from_json(one.to_json()) == one == one.with_seed(2).with_seed(1)


def test_every_axis_is_in_the_name() -> None:
    changes = [
        {},
        {"task": "speech"},
        {"dataset": "multi30k"},
        {"attention": "hard"},
        {"score": "dot"},
        {"budget": "gpu"},
        {"seed": 2},
        {"options": {"max_steps": 2}},
    ]
    assert len({cell(**change).hash for change in changes}) == len(changes)


def test_another_process_gives_the_same_name() -> None:
    code = (
        "from bench.store.cell import Cell; "
        "print(Cell('translation', 'synthetic', 'soft', 'concat', "
        "options={'b': 1.5, 'a': True}).hash)"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONHASHSEED": "1"},
    ).stdout.strip()
    assert printed == cell(options={"a": True, "b": 1.5}).hash
