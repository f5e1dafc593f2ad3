from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from fake_trials import fake_cell

import tasks
from ablations.cell_times import ExpectedCost, expected_seconds, mean_seconds
from bench.store.cell import Cell
from tasks.base import datasets
from tasks.settings import budget_core_seconds


def laptop(attention: str, seed: int = 1, task: str = "translation", **more: str) -> Cell:
    return Cell(task, "synthetic", attention, "dot", "laptop", seed, {}, **more)


def test_the_nearest_cells_tell_what_one_takes() -> None:
    taken = [(laptop("soft"), 10.0), (replace(laptop("soft"), score="concat"), 30.0)]
    taken += [(laptop("self"), 100.0)]
    means = mean_seconds(taken)
    cells = [
        laptop("soft", seed=2),  # its kind
        replace(laptop("soft"), score="general"),  # its family
        laptop("global"),  # the same data in the same kind of model
        laptop("soft", task="speech"),
    ]
    found = expected_seconds(cells, means)
    assert [found.get(cell.hash) for cell in cells] == [10.0, 20.0, 20.0, None]


def test_cells_of_a_mechanism_that_is_not_installed_count_as_their_own_family() -> None:
    means = mean_seconds([(laptop("gone"), 10.0)])
    assert list(expected_seconds([laptop("gone", 2)], means).values()) == [10.0]


def test_expected_core_hours_say_what_they_rest_on() -> None:
    cells = [laptop("soft"), laptop("global"), replace(laptop("soft"), budget="gpu"), fake_cell(1)]
    cost = ExpectedCost.of(cells, {cells[0].hash: 1800.0}, cores=4)
    assert cost.core_seconds == 4 * 1800 + 21 + 5
    assert str(cost) == (
        "expected: 2 core-hours (1 as like ones in the store, 2 as noted for their budget, "
        "1 not known)"
    )
    assert str(ExpectedCost.of(cells[2:3], {}, 1)) == "expected core-hours: not known"


NOTED = [
    *((task, "synthetic") for task in tasks.base.tasks.names()),
    *(("translation", "multi30k"), ("captioning", "flickr8k"), ("entailment", "sick")),
    *(("speech", "fsdd"), ("speech", "an4"), ("summarization", "reuters21578")),
]


@pytest.mark.parametrize(("task", "dataset"), NOTED)
def test_notes_are_those_beside_the_budgets(task: str, dataset: str) -> None:
    """Each figure is inside what a comment of `budgets.yaml` says in core-seconds or -minutes."""
    text = (Path(tasks.__file__).parent / task / "budgets.yaml").read_text()
    words = {"two": 2.0, "three": 3.0}
    spans = []
    number = r"([0-9]+|two|three)"
    for low, high, unit in re.findall(rf"{number}(?: to {number})? core-(second|minute)s", text):
        ends = [words.get(end) or float(end) for end in (low, high or low)]
        spans.append([end * (60 if unit == "minute" else 1) for end in ends])
    noted = budget_core_seconds(datasets(task).get(dataset), "laptop")
    assert noted is not None and any(low <= noted <= high for low, high in spans)
    assert budget_core_seconds(datasets(task).get(dataset), "smoke") == 5
    assert budget_core_seconds(datasets(task).get(dataset), "gpu") is None


def test_a_recipe_that_an_option_chooses_has_a_note_of_its_own() -> None:
    photos = datasets("captioning").get("flickr8k")
    assert budget_core_seconds(photos, "laptop", ["features"]) == 360
    assert budget_core_seconds(photos, "laptop", ["hidden_dim"]) == 900
    assert budget_core_seconds(photos, "smoke", ["features"]) == 5
