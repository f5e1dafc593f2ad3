"""What a study lets a search vary, and the values that candidates get."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ablations.expansion import Expansion, expand
from ablations.search_space import (
    DEFAULT_SPACE,
    Range,
    Space,
    located,
    random_values,
    with_values,
)
from ablations.searchers import random_candidates
from ablations.study import read_study
from bench.cli import main as cli
from bench.store.cell import Cell
from tasks.plan import make_cell, resolve

CELL = make_cell("translation", "soft", budget="smoke")


def expanded(folder: Path, text: str) -> Expansion:
    path = folder / "mine.yaml"
    path.write_text(f"tasks: [translation]\nbudget: smoke\n{text}")
    return expand(read_study(path))


def space_of(expansion: Expansion, cell: Cell) -> Space:
    return expansion.spaces[cell.with_seed(0).hash]


def drawn(space: Space, count: int) -> list[dict[str, Any]]:
    return list(islice(random_values(space), count))


def test_a_study_without_a_space_has_the_default(tmp_path: Path) -> None:
    expansion = expanded(tmp_path, "attentions: [soft]\n")
    assert space_of(expansion, expansion.cells[0]) == DEFAULT_SPACE


def test_a_block_has_its_own_space_joined_with_that_of_the_study(tmp_path: Path) -> None:
    expansion = expanded(
        tmp_path,
        "search: {learning_rate: {doublings: 1}, dropout: [0, 0.2]}\n"
        "blocks:\n  - attentions: [soft]\n"
        "  - {attentions: [soft], backbones: [transformer],\n"
        "     search: {learning_rate: {log_uniform: [1.0e-4, 1.0e-2]}, num_heads: [2, 4]}}\n",
    )
    recurrent, transformer = expansion.cells
    own = resolve(recurrent).settings.learning_rate
    first = located(space_of(expansion, recurrent), recurrent)
    assert first == {
        "learning_rate": Range(log_uniform=(own / 2, own * 2)),
        "dropout": (0.0, 0.2),  # as their type has them
    }
    assert located(space_of(expansion, transformer), transformer) == {
        "learning_rate": Range(log_uniform=(1e-4, 1e-2)),
        "dropout": (0.0, 0.2),
        "num_heads": (2, 4),
    }


def test_what_a_study_sets_itself_is_not_searched(tmp_path: Path) -> None:
    """Its default too, which leaves no trace in the cell."""
    default = resolve(CELL).settings.dropout
    expansion = expanded(tmp_path, f"attentions: [soft]\noptions: {{dropout: {default}}}\n")
    (cell,) = expansion.cells
    assert cell.options == {}
    assert set(space_of(expansion, cell)) == {"learning_rate"}


@pytest.mark.parametrize(
    ("values", "low", "high", "middle"),
    [
        (Range(uniform=(2, 4)), 2.0, 4.0, 3.0),
        (Range(log_uniform=(1e-4, 1e-2)), 1e-4, 1e-2, 1e-3),
        (Range(integers=(3, 7)), 3, 7, 5),
    ],
)
def test_values_fill_their_range(values: Range, low: float, high: float, middle: float) -> None:
    found = [one["x"] for one in drawn({"x": values}, 2000)]
    assert all(low <= one <= high for one in found)
    assert np.median(found) == pytest.approx(middle, rel=0.1)
    assert len(set(found)) == 5 or min(found) < low * 1.05 < high * 0.95 < max(found)
    assert {type(one) for one in found} == {type(low)}


def test_choices_are_equally_likely() -> None:
    found = [one["x"] for one in drawn({"x": ("a", "b", "c")}, 3000)]
    assert {name: round(found.count(name) / 3000, 1) for name in "abc"} == dict.fromkeys("abc", 0.3)


def test_a_setting_has_the_same_quantiles_wherever_it_is_searched() -> None:
    """Common random numbers: other settings of a space, and other ranges, change nothing else."""
    alone = drawn({"dropout": Range(uniform=(0, 1))}, 20)
    more = drawn({"learning_rate": Range(uniform=(0, 1)), "dropout": Range(uniform=(0, 1))}, 20)
    wide = drawn({"dropout": Range(uniform=(0, 100))}, 20)
    assert [one["dropout"] for one in alone] == [one["dropout"] for one in more]
    assert [100 * one["dropout"] for one in alone] == pytest.approx([o["dropout"] for o in wide])
    assert [one["dropout"] for one in more] != [one["learning_rate"] for one in more]


def test_mechanisms_get_the_same_number_of_candidates_even_where_draws_repeat() -> None:
    space: Space = {"dropout": (0.0, 0.2, 0.3), "rnn_type": ("gru", "lstm")}
    for attention in ("soft", "global", "none"):
        cell = make_cell("translation", attention, budget="smoke")
        found = random_candidates(cell, space, 6)
        assert len({one.hash for one in found.cells}) == 6
        settings = [resolve(one).settings for one in found.cells]
        assert [(one.dropout, one.rnn_type) for one in settings] == [
            (one.values["dropout"], one.values["rnn_type"]) for one in found.known
        ]
    assert len(random_candidates(CELL, {"dropout": (0.2, 0.3)}, 8).known) == 3, "it has no more"


def test_options_of_attention_can_be_searched() -> None:
    cell = with_values(CELL, {"normaliser": "sparsemax", "heads": 2})
    assert cell.options == {"normaliser": "sparsemax", "heads": 2}
    assert cell.seed == 0


MISTAKES = {
    "{learning_rat: [1]}": "search: unknown setting 'learning_rat'; did you mean 'learning_rate'?",
    "{learning_rate: {uniform: [2, 1]}}": "search.learning_rate: uniform: an empty range, 2 is not",
    "{learning_rate: {unifrm: [1, 2]}}": "unknown key 'unifrm'; did you mean 'uniform'?",
    "{learning_rate: {}}": "give one of uniform, log_uniform, integers, doublings",
    "{dropout: {doublings: 1, uniform: [0, 1]}}": "give one of uniform,",
    "{dropout: []}": "search.dropout: an empty list leaves no choice",
    "{dropout: 0.1}": "search.dropout: takes by the name of the setting a list of choices, or",
    "{dropout: {uniform: [0, 1]}}": "dropout=1.0 cannot be used; it should be less than 1",
    "{dropout: {uniform: [0, x]}}": "not {uniform: [0, x]}",
    "{dropout: {log_uniform: [0, 0.5]}}": "the lowest value must be > 0",
    "{dropout: {doublings: nan}}": "doublings must be > 0 and ≤ 20, got nan",
    "{max_steps: {integers: [1, 1" + "0" * 400 + "]}}": "the ends must lie within ±1,000,000,000",
    "{hidden_dim: {doublings: 1}}": "'hidden_dim' is a whole number; give `integers:",
    "{weight_decay: {doublings: 1}}": "'weight_decay' is 0.0 by default, which cannot be doubled",
    "{length: [1]}": "'length' chooses the data and cannot be searched",
    "{tokenizer: [word, bpe]}": "'tokenizer' cannot be searched: validation losses under different",
    "{beam_size: [1, 5]}": "'beam_size' cannot be searched: the validation loss does not depend on",
    "{normaliser: [softmax, spar]}": "unknown normaliser 'spar'; did you mean 'sparsemax'?",
    "{dropout: [0]}\noptions: {dropout: 0.1}": "dropout is set by `options`, so it cannot be",
    "3": "search: takes by the name of the setting",
}


@pytest.mark.parametrize("text", MISTAKES)
def test_mistakes_are_answered_in_one_line_with_status_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"tasks: [translation]\nbudget: smoke\nattentions: [soft]\nsearch: {text}\n")
    store = str(tmp_path / "store")
    assert cli.main(["sweep", str(path), "--store", store, "--tune", "2", "--dry-run"]) == 2
    captured = capsys.readouterr()
    assert (captured.out, captured.err.count("\n")) == ("", 1)
    assert MISTAKES[text] in captured.err
    assert len(captured.err) < 1200
