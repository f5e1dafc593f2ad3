from __future__ import annotations

import itertools
from typing import Any

import pytest

from ablations.expansion import Changes, Expansion, expand
from ablations.study import Comparison, Study
from bench.attention.registries import attentions, scores
from bench.errors import NotApplicable, UsageError
from bench.store.cell import Cell


def study(*blocks: dict[str, Any], **axes: Any) -> Study:
    return Study.model_validate(
        {"name": "s", "tasks": ["translation"], "blocks": list(blocks), **axes}
    )


def pairs(expansion: Expansion) -> list[tuple[str, str]]:
    return [(cell.attention, cell.score) for cell in expansion.cells]


def test_a_block_is_the_product_of_its_axes() -> None:
    found = expand(
        study(
            {
                "attentions": ["soft", "global"],
                "scores": ["dot", "concat"],
                "options": {"max_steps": [10, 20], "hidden_dim": 32},
                "seeds": [3, 5],
                "budget": "smoke",
            }
        )
    )
    expected = itertools.product(["soft", "global"], ["dot", "concat"], [10, 20], [3, 5])
    assert [
        (cell.attention, cell.score, cell.options["max_steps"], cell.seed) for cell in found.cells
    ] == list(expected)
    assert {cell.budget for cell in found.cells} == {"smoke"}
    assert found.refused == ()


def test_blocks_are_joined_without_duplicates() -> None:
    found = expand(
        study({"attentions": "all"}, {"attentions": ["global"], "scores": "all"}, seeds=2)
    )
    classic = {(name, kind.classic_score) for name, kind in attentions.items()}
    every = {("global", score) for score in scores.names()}
    assert set(pairs(found)) == classic | every
    assert len(found.cells) == 2 * len(classic | every)
    assert len({cell.hash for cell in found.cells}) == len(found.cells)


def test_blocks_take_what_they_do_not_say_from_the_study() -> None:
    found = expand(
        study(
            {"attentions": ["soft"], "seeds": [7], "options": {"hidden_dim": 64}},
            {"attentions": ["none"]},
            seeds=2,
            budget="smoke",
            options={"max_steps": 5, "hidden_dim": 48},
        )
    )
    by_attention = {
        name: [cell for cell in found.cells if cell.attention == name] for name in ("soft", "none")
    }
    assert [cell.seed for cell in by_attention["soft"]] == [7]
    assert [cell.seed for cell in by_attention["none"]] == [1, 2]
    assert by_attention["soft"][0].options == {"hidden_dim": 64, "max_steps": 5}
    assert by_attention["none"][0].options == {"hidden_dim": 48, "max_steps": 5}
    assert {cell.budget for cell in found.cells} == {"smoke"}


def test_an_option_that_repeats_its_default_makes_no_second_cell() -> None:
    plain = expand(study({"attentions": ["soft"]}))
    both = expand(study({"attentions": ["soft"], "options": {"normaliser": ["softmax", "entmax"]}}))
    assert plain.cells[0] in both.cells
    assert len(both.cells) == 2


def test_pairs_that_all_brings_up_are_left_out_with_their_reason() -> None:
    found = expand(study({"attentions": ["self", "none"], "scores": "all"}))
    refused = {pair.score: pair.reason for pair in found.refused}
    remembering = {name for name, kind in scores.items() if kind.reads}
    assert remembering >= {"location-aware", "coverage", "dynamic-convolution"}
    assert {pair.attention for pair in found.refused} == {"self"}
    assert set(refused) == {*remembering, "location"}
    assert all("no previous step" in refused[score] for score in remembering)
    assert ("self", "location-aware") not in pairs(found)
    assert pairs(found).count(("none", "none")) == 1


def test_pairs_that_are_listed_must_have_a_meaning() -> None:
    with pytest.raises(NotApplicable) as caught:
        expand(
            study({"attentions": ["none"]}, {"attentions": ["self"], "scores": ["location-aware"]})
        )
    assert "study 's', block 2" in str(caught.value)
    assert "no previous step" in str(caught.value)


@pytest.mark.parametrize(
    ("block", "said"),
    [
        ({"attentions": ["sotf"]}, "unknown attention 'sotf'; did you mean 'soft'?"),
        ({"attentions": ["soft"], "scores": ["dott"]}, "did you mean 'dot'?"),
        ({"attentions": ["soft"], "tasks": ["translatio"]}, "did you mean 'translation'?"),
        ({"attentions": ["soft"], "datasets": ["multi3k"]}, "did you mean 'multi30k'?"),
        ({"attentions": ["soft"], "datasets": {"x": ["synthetic"]}}, "unknown task 'x'"),
        ({"attentions": ["soft"], "budget": "lap"}, "did you mean 'laptop'?"),
        ({"attentions": ["soft"], "options": {"stps": 1}}, "did you mean 'max_steps'?"),
        ({"attentions": ["soft"], "options": {"max_steps": 0}}, "max_steps=0 cannot be used"),
        ({"scores": "all"}, "names no attentions"),
    ],
)
def test_mistakes_name_the_block(block: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        expand(study({"attentions": ["none"]}, block))
    assert "study 's', block 2" in str(caught.value)
    assert said in str(caught.value)


def test_published_sizes_count_under_the_gpu_budget_alone() -> None:
    whole = study(
        {
            "attentions": ["self"],
            "options": {"num_heads": [1, 2]},
            "gpu_options": {"num_heads": 16},
        },
        options={"hidden_dim": 32},
        gpu_options={"hidden_dim": 640},
    )
    assert [dict(cell.options) for cell in expand(whole).cells] == [
        {"num_heads": 1, "hidden_dim": 32},
        {"num_heads": 2, "hidden_dim": 32},
    ]
    gpu = expand(whole, Changes(budget="gpu")).cells
    assert [dict(cell.options) for cell in gpu] == [{"num_heads": 16, "hidden_dim": 640}]
    asked = expand(whole, Changes(budget="gpu", options={"hidden_dim": 64})).cells
    assert [cell.options["hidden_dim"] for cell in asked] == [64], (
        "the command line has the last word"
    )


def test_data_sets_by_task() -> None:
    found = expand(
        study({"attentions": ["none"], "datasets": {"translation": ["synthetic", "multi30k"]}})
    )
    assert [cell.dataset for cell in found.cells] == ["synthetic", "multi30k"]


def test_the_command_line_filters_and_replaces() -> None:
    whole = study({"attentions": "all", "scores": "all"}, seeds=3)
    found = expand(
        whole,
        Changes(
            attentions=("soft", "global"),
            scores=("dot",),
            seeds=2,
            budget="smoke",
            datasets=("multi30k",),
            options={"max_steps": 7},
        ),
    )
    assert {cell.hash for cell in found.cells} == {
        Cell("translation", "multi30k", attention, "dot", "smoke", seed, {"max_steps": 7}).hash
        for attention in ("global", "soft")
        for seed in (1, 2)
    }
    assert len(found.cells) == 4


def test_a_filter_for_none_keeps_what_has_no_score() -> None:
    found = expand(study({"attentions": "all", "scores": "all"}), Changes(scores=("none",)))
    assert ("none", "none") in pairs(found)
    assert {attentions.get(name).classic_score for name, _ in pairs(found)} == {"none"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (Changes(attentions=("sotf",)), "--attention: unknown attention 'sotf'"),
        (Changes(scores=("doot",)), "--score: unknown score 'doot'"),
        (Changes(tasks=("speach",)), "--task: unknown task 'speach'"),
        (Changes(attentions=("self",)), "no cell of study 's' is left"),
    ],
)
def test_filters_that_leave_nothing_are_mistakes(changes: Changes, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        expand(study({"attentions": ["soft"]}), changes)
    assert said in str(caught.value)


def test_a_comparison_selects_by_the_options_its_rows_differ_in() -> None:
    comparison = Comparison.model_validate(
        {
            "dataset": "d",
            "metric": "m",
            "rows": {
                "plain": {"attention": "soft", "score": "concat"},
                "fed": {"attention": "soft", "score": "concat", "options": {"input_feeding": True}},
            },
        }
    )
    # What the rows do not differ in (here: steps) does not matter.
    cells = expand(
        study(
            {
                "attentions": ["soft", "none"],
                "options": {"input_feeding": [False, True], "max_steps": 9},
            }
        )
    ).cells
    for row, fed in (("plain", False), ("fed", True)):
        found = comparison.cells(row, cells)
        assert [cell.attention for cell in found] == ["soft"]
        assert found[0].options.get("input_feeding", False) == fed


def test_rows_may_repeat_defaults_and_have_other_sizes_under_gpu() -> None:
    row = {"attention": "self", "score": "scaled-dot"}
    comparison = Comparison.model_validate(
        {
            "dataset": "d",
            "metric": "m",
            "rows": {
                "base": {**row, "options": {"num_heads": 8}},
                "more": {**row, "options": {"num_heads": 16}, "gpu_options": {"num_heads": 32}},
            },
        }
    )
    whole = study({"attentions": ["self"], "options": {"num_heads": [8, 16, 32]}})
    for budget, heads in (("laptop", (8, 16)), ("gpu", (8, 32))):
        cells = expand(whole, Changes(budget=budget)).cells
        for name, expected in zip(("base", "more"), heads, strict=True):
            (found,) = comparison.cells(name, cells)
            # Eight heads are the default under gpu, and so not among the cell's options there.
            assert found.options.get("num_heads", 8) == expected


def test_rows_named_by_options_of_a_data_set_select_no_cell_of_another() -> None:
    comparison = Comparison.model_validate(
        {
            "dataset": "d",
            "metric": "m",
            "rows": {"long": {"attention": "none", "options": {"length": 20}}},
        }
    )
    cells = expand(study({"attentions": ["none"], "datasets": ["multi30k"]})).cells
    assert comparison.cells("long", cells) == []


def test_options_of_one_data_set_count_for_its_cells_alone() -> None:
    found = expand(
        study(
            {"attentions": ["soft"], "dataset_options": {"recall": {"hidden_dim": 64}}},
            {"attentions": ["none"]},
            datasets=["synthetic", "recall"],
            options={"hidden_dim": 48},
            dataset_options={"recall": {"dropout": 0.25, "hidden_dim": [32, 40]}},
        )
    )
    options = [(cell.dataset, cell.attention, dict(cell.options)) for cell in found.cells]
    assert options == [
        ("synthetic", "soft", {"hidden_dim": 48}),
        ("recall", "soft", {"dropout": 0.25, "hidden_dim": 64}),
        ("synthetic", "none", {"hidden_dim": 48}),
        ("recall", "none", {"dropout": 0.25, "hidden_dim": 32}),
        ("recall", "none", {"dropout": 0.25, "hidden_dim": 40}),
    ]
    given = Changes(options={"hidden_dim": "96"})
    one = study({"attentions": ["none"]}, dataset_options={"synthetic": {"hidden_dim": 32}})
    assert expand(one, given).cells[0].options == {"hidden_dim": 96}, "the command line wins"
    with pytest.raises(UsageError, match="dataset_options"):
        expand(study({"attentions": ["none"]}, dataset_options={"reall": {"dropout": 0}}))


def test_rows_may_have_other_sizes_on_a_data_set() -> None:
    blocks = {"attentions": ["none"], "dataset_options": {"recall": {"hidden_dim": [64, 96]}}}
    own = study(
        {**blocks, "datasets": ["synthetic", "recall"], "options": {"hidden_dim": [32, 48]}}
    )
    rows = {
        "small": {
            "attention": "none",
            "options": {"hidden_dim": 32},
            "dataset_options": {"recall": {"hidden_dim": 64}},
        },
        "large": {
            "attention": "none",
            "options": {"hidden_dim": 48},
            "dataset_options": {"recall": {"hidden_dim": 96}},
        },
    }
    column = Comparison.model_validate({"dataset": "d", "metric": "m", "rows": rows})
    cells = expand(own).cells
    for row, wanted in (("small", {32, 64}), ("large", {48, 96})):
        assert {cell.options["hidden_dim"] for cell in column.cells(row, cells)} == wanted


def test_a_study_in_the_order_it_is_listed_has_seed_1_of_everything_first() -> None:
    blocks = [{"attentions": ["soft"]}, {"attentions": ["none"]}]
    for order, wanted in (
        ("listed", [("soft", 1), ("none", 1), ("soft", 2), ("none", 2)]),
        ("longest", [("soft", 1), ("soft", 2), ("none", 1), ("none", 2)]),
    ):
        found = expand(study(*blocks, seeds=2, order=order)).cells
        assert [(cell.attention, cell.seed) for cell in found] == wanted
