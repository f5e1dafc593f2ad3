"""Names to cells: refusals, options, one name per trial."""

from __future__ import annotations

import pytest

from bench.attention.registries import NO_SCORE, attentions, scores
from bench.errors import NotApplicable, UsageError
from tasks.base import datasets, tasks
from tasks.plan import make_cell, option_schemas, refusal, resolve
from tasks.settings import BUDGETS


def test_the_classic_score_is_taken_where_none_is_named() -> None:
    assert make_cell("translation", "soft").score == attentions.get("soft").classic_score


def test_no_attention_is_one_cell_whatever_the_score() -> None:
    cells = {make_cell("translation", "none", score).hash for score in (None, "dot", "concat")}
    assert len(cells) == 1
    assert make_cell("translation", "none").score == NO_SCORE


def test_a_mechanism_without_a_score_is_one_cell_whatever_score_and_normaliser() -> None:
    cells = {
        make_cell("speech", "gaussian-mixture", score, options=options).hash
        for score in (None, "dot", NO_SCORE)
        for options in ({}, {"normaliser": "sparsemax"})
    }
    assert len(cells) == 1
    cell = make_cell("speech", "gaussian-mixture", options={"components": 3})
    assert cell.score == NO_SCORE and dict(cell.options) == {"components": 3}
    assert resolve(cell).attends, "it is no control"


@pytest.mark.parametrize("backbone", ["transformer", "convolutional"])
@pytest.mark.parametrize(
    "attention", ["gaussian-mixture", "forward", "monotonic", "mocha", "stepwise-monotonic"]
)
def test_what_goes_step_by_step_takes_a_recurrent_decoder(attention: str, backbone: str) -> None:
    assert attentions.get(attention).stepwise
    with pytest.raises(NotApplicable, match="takes a recurrent decoder"):
        make_cell("speech", attention, backbone=backbone)


def test_options_that_equal_their_defaults_do_not_name_another_trial() -> None:
    plain = make_cell("translation", "soft")
    steps = resolve(plain).settings.max_steps
    assert make_cell("translation", "soft", options={"max_steps": steps}) == plain
    assert make_cell("translation", "soft", options={"max_steps": steps + 1}) != plain


@pytest.mark.parametrize(
    ("attention", "unread", "read"),
    [
        ("none", {"normaliser": "smooth", "num_heads": 2, "kernel_size": 5}, {"dropout": 0.3}),
        ("soft", {"num_heads": 2, "attention_layers": "1"}, {"normaliser": "smooth"}),
        (
            "self",
            {"kernel_size": 5},
            {"num_heads": 2, "positional_encoding": "learned", "ffn_dim": 8},
        ),
        ("multi-step", {"num_heads": 2}, {"kernel_size": 5, "attention_layers": "1"}),
    ],
)
def test_options_that_the_model_does_not_read_do_not_name_another_trial(
    attention: str, unread: dict, read: dict
) -> None:
    assert make_cell("translation", attention, options=unread) == make_cell(
        "translation", attention
    )
    assert dict(make_cell("translation", attention, options={**unread, **read}).options) == read


def test_relative_positions_stand_in_place_of_absolute_ones_unless_both_are_asked_for() -> None:
    rope = {"relative_positions": "rope"}
    alone = make_cell("translation", "self", options=rope)
    assert resolve(alone).settings.positional_encoding == "none"
    repeated = {**rope, "positional_encoding": "none"}
    assert make_cell("translation", "self", options=repeated) == alone
    both = make_cell("translation", "self", options={**rope, "positional_encoding": "sinusoids"})
    assert dict(both.options) == {**rope, "positional_encoding": "sinusoids"}
    assert resolve(both).settings.positional_encoding == "sinusoids"
    plain = make_cell("translation", "self", options={"positional_encoding": "sinusoids"})
    assert plain == make_cell("translation", "self")


def test_what_normalises_nothing_has_no_choice_of_normaliser() -> None:
    chosen = make_cell("translation", "linear", options={"normaliser": "sparsemax"})
    assert chosen == make_cell("translation", "linear")


@pytest.mark.parametrize("options", [{"num_heads": 0}, {"normaliser": "smoth"}])
def test_options_that_are_not_read_are_checked_all_the_same(options: dict) -> None:
    with pytest.raises(UsageError):
        make_cell("translation", "none", options=options)


def test_options_are_kept_as_their_type_has_them() -> None:
    cells = [
        make_cell("translation", "soft", options={"dropout": value}) for value in (0.25, "0.25")
    ]
    assert cells[0] == cells[1]
    assert cells[0].options == {"dropout": 0.25}


def test_a_plan_holds_what_was_set() -> None:
    options = {"window": 3, "hidden_dim": 48, "length": 8}
    plan = resolve(make_cell("translation", "local-m", options=options))
    assert plan.attention_options.model_dump()["window"] == 3
    assert plan.settings.hidden_dim == 48
    assert plan.dataset_options.model_dump()["length"] == 8


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"attention": "sofft"}, "did you mean 'soft'"),
        ({"attention": "global", "score": "generall"}, "did you mean 'general'"),
        ({"attention": "soft", "task": "translaton"}, "did you mean 'translation'"),
        ({"attention": "soft", "dataset": "multi30"}, "did you mean 'multi30k'"),
        ({"attention": "soft", "budget": "lptop"}, "did you mean 'laptop'"),
        ({"attention": "soft", "options": {"step": 5}}, "did you mean 'max_steps'"),
        ({"attention": "soft", "options": {"max_steps": 0}}, "greater than or equal to 1"),
        ({"attention": "soft", "options": {"normaliser": "softmx"}}, "did you mean 'softmax'"),
        ({"attention": "soft", "seed": -1}, "whole number"),
        ({"attention": "soft", "seed": 2**63}, "whole number"),
        (
            {"attention": "soft", "options": {"learning_rate": float("inf")}},
            "learning_rate=inf cannot be used",
        ),
    ],
)
def test_unusable_names_and_values_are_refused_in_one_line(arguments: dict, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        make_cell(**{"task": "translation", **arguments})
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("attention", ["self", "over", "multi-step"])
def test_location_aware_needs_a_previous_step(attention: str) -> None:
    with pytest.raises(NotApplicable, match="previous"):
        make_cell("translation", attention, "location-aware")


@pytest.mark.parametrize("task", tasks.names())
@pytest.mark.parametrize("attention", attentions.names())
def test_every_pair_is_either_planned_or_refused_with_a_reason(task: str, attention: str) -> None:
    owner = tasks.get(task)
    for score in scores.names():
        reason = refusal(owner, attention, score)
        if reason:
            with pytest.raises(NotApplicable, match=r"."):
                make_cell(task, attention, score)
        else:
            assert resolve(make_cell(task, attention, score)).task is owner


@pytest.mark.parametrize("task", tasks.names())
def test_owners_of_options_do_not_share_names(task: str) -> None:
    """`--set name=value` goes to one owner: a name held twice could not reach the other."""
    for source in datasets(task).names():
        for attention in attentions.names():
            schemas = option_schemas(make_cell(task, attention, dataset=source))
            names = [name for schema in schemas.values() for name in schema.model_fields]
            assert len(names) == len(set(names)), (source, attention)


@pytest.mark.parametrize("task", tasks.names())
@pytest.mark.parametrize("budget", BUDGETS)
def test_every_data_set_has_settings_for_every_budget(task: str, budget: str) -> None:
    for source in datasets(task).names():
        for attention in attentions.names():
            plan = resolve(make_cell(task, attention, dataset=source, budget=budget))
            assert plan.settings.max_steps >= 1
