"""What conformance checks say of what is wrong, so that the author knows what to do."""

from __future__ import annotations

import re
from typing import Any

import pytest
from torch import Tensor
from wrong_mechanisms import Detached, Fading, Tidying

from bench.attention.attention import ScoredAttention
from bench.attention.base import Attention, Memory
from bench.attention.conformance import check_mechanism


def message(kind: type[Attention], check: str) -> str:
    told = {finding.name: finding.message for finding in check_mechanism(kind, "general")}
    return told[check]


def test_what_was_changed_is_named() -> None:
    check = "a call leaves its inputs as they were"
    assert message(Tidying, check) == "prepare changes the memory's states in place"
    assert message(Fading, check) == "forward changes keys.tensors['values'] in place"


def test_a_wrong_gradient_is_told_without_its_tables_of_numbers() -> None:
    said = message(Detached, "gradients agree with finite differences")
    assert re.fullmatch(r"that of the queries is off by up to [0-9.e+-]+", said)


class Tuple(ScoredAttention):
    def forward(self, *args: Any, **kwargs: Any) -> Any:
        result = super().forward(*args, **kwargs)
        return result.context, result.weights


class Unprepared(ScoredAttention):
    def prepare(self, memory: Memory) -> Any:
        return memory.states


class Bare(ScoredAttention):
    def weigh(self, energies: Tensor, *more: Any) -> Any:
        return energies.softmax(-1)


def test_what_a_method_must_return_is_said() -> None:
    assert message(Tuple, "shapes") == "forward returns tuple; it must return AttentionOutput"
    assert message(Unprepared, "shapes") == "prepare returns Tensor; it must return Keys"


def test_an_error_is_told_with_the_line_that_it_came_through() -> None:
    said = message(Bare, "shapes")
    assert said.startswith("AttributeError: 'Tensor' object has no attribute 'weights' (at core.py")
    assert "weighed.weights" in said


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"placement": "middle"}, "'middle', none of fixed, previous-state, current-state"),
        ({"Options": dict}, "must be a subclass of bench.attention.base.AttentionOptions"),
    ],
)
def test_class_attributes_that_cannot_be_are_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(TypeError, match=said):
        type("Wrong", (ScoredAttention,), wrong)
