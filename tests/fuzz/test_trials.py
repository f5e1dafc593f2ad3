"""Real trials of two steps, whose options of attention, model, training and data are odd: they end
with figures or with a failure in a line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from fuzzed_command import ask, examples
from fuzzed_values import odd_texts
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from bench.attention.registries import attentions
from tasks.base import tasks
from tasks.plan import make_cell, resolve

Draw = Callable[[st.SearchStrategy[Any]], Any]

#: Numbers that some option takes, and others that none should.
NUMBERS = (
    "0", "1", "2", "3", "7", "-1", "0.0", "0.5", "1.0", "1e-30", "1e30", "1e300", "nan", "inf",
    "1000000000", "9223372036854775807", "99999999999999999999", "1_0", "٣",
)  # fmt: skip


@st.composite
def settings(draw: Draw, task: str, attention: str) -> dict[str, str]:
    """Up to two options of a cell with values that are mostly of their type."""
    plan = resolve(make_cell(task, attention, budget="smoke"))
    parts: tuple[BaseModel, ...] = (plan.settings, plan.attention_options, plan.dataset_options)
    fields = {name: field for part in parts for name, field in type(part).model_fields.items()}
    chosen = {}
    for name in draw(st.lists(st.sampled_from(sorted(fields)), min_size=1, max_size=2)):
        names = getattr(fields[name].annotation, "__args__", ())
        words = [word for word in names if isinstance(word, str)] or ["true", "false", "auto"]
        values = st.sampled_from(NUMBERS) | st.sampled_from(words) | odd_texts
        chosen[name] = draw(values)
    return chosen


@pytest.mark.parametrize("task", sorted(tasks.names()))
def test_settings(task: str) -> None:
    @examples(2)
    @given(st.data())
    def answers(data: st.DataObject) -> None:
        attention = data.draw(st.sampled_from(sorted(attentions.names())))
        chosen = {"max_steps": "2", **data.draw(settings(task, attention))}
        if not chosen["max_steps"].isdecimal() or int(chosen["max_steps"]) <= 3:
            given = [part for pair in chosen.items() for part in ("--set", "=".join(pair))]
            ask("run", "--task", task, "--attention", attention, "--budget", "smoke", *given)

    answers()
