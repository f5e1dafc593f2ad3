"""Gradient clipping and learning rate against their formulas; settings to model sizes."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from bench.models.base import ModelConfig
from tasks.plan import make_cell, resolve
from tasks.settings import Settings
from tasks.training.module import TrainingModule, learning_rate_factor, model_sizes


class _Module(TrainingModule):
    def __init__(self) -> None:
        super().__init__(Settings())
        self.first, self.second = nn.Parameter(torch.zeros(3)), nn.Parameter(torch.zeros(2, 2))
        self.unused = nn.Parameter(torch.zeros(2))

    def training_loss(self, batch: Any) -> Tensor:
        raise NotImplementedError

    def validation_sums(self, batch: Any) -> Tensor:
        raise NotImplementedError

    def count_units(self, batch: Any) -> int:
        raise NotImplementedError


@pytest.mark.parametrize("limit", [0.5, 5.0, None])
@pytest.mark.parametrize("entry", [1.0, math.nan])
def test_the_norm_is_that_of_all_gradients(entry: float, limit: float | None) -> None:
    module = _Module()
    parameters = [module.first, module.second]
    for parameter in parameters:
        parameter.grad = torch.full_like(parameter, entry)  # of norm sqrt(7), or none
    module.configure_gradient_clipping(torch.optim.SGD(module.parameters(), 0.1), limit)
    expected = torch.full((7,), entry) * (0.5 / math.sqrt(7) if limit == 0.5 else 1.0)
    found = torch.cat([parameter.grad.flatten() for parameter in parameters])
    torch.testing.assert_close(found, expected, equal_nan=True)
    assert module.unused.grad is None


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine", "inverse-sqrt"])
def test_schedules_warm_up_then_never_rise(schedule: str) -> None:
    settings = Settings(max_steps=100, warmup_fraction=0.2, schedule=schedule)  # type: ignore[arg-type]
    at = learning_rate_factor(settings)
    rates = [at(step) for step in range(100)]
    warm, after = rates[:20], rates[20:]
    assert all(a < b for a, b in itertools.pairwise(warm))
    assert all(a >= b for a, b in itertools.pairwise(after))
    assert 0.9 <= max(rates) <= 1.0
    if schedule in ("linear", "cosine"):
        assert rates[-1] < 0.05


@pytest.mark.parametrize(
    ("schedule", "half_way", "later"),
    [
        ("constant", 1.0, 1.0),
        ("linear", 0.5, 0.25),
        ("cosine", 0.5, 0.5 - 0.5 * math.cos(math.pi / 4)),
        ("inverse-sqrt", math.sqrt(20 / 61), 0.5),  # sqrt(warm-up / steps done)
    ],
)
def test_schedules_fall_as_their_formulas_say(schedule: str, half_way: float, later: float) -> None:
    at = learning_rate_factor(Settings(max_steps=100, warmup_fraction=0.2, schedule=schedule))  # type: ignore[arg-type]
    assert [at(0), at(19)] == pytest.approx([1 / 21, 20 / 21])
    assert at(60) == pytest.approx(half_way)
    place = 79 if schedule == "inverse-sqrt" else 80
    assert at(place) == pytest.approx(later)


def test_settings_that_sizes_have_a_field_for_are_taken() -> None:
    sizes = model_sizes(
        Settings(hidden_dim=96, num_heads=6, positional_encoding="learned", max_steps=3)
    )
    assert (sizes.hidden_dim, sizes.num_heads, sizes.positional_encoding) == (96, 6, "learned")
    assert sizes.max_positions == ModelConfig().max_positions
    assert sizes.attention_layers is None


@pytest.mark.parametrize(
    ("text", "spelt", "layers"),
    [
        ("all", "all", None),
        ("last", "last", (5,)),
        (3, "3", (3,)),
        ("1,3,5", "1,3,5", (1, 3, 5)),
        (" 4, 2,4 ", "2,4", (2, 4)),
    ],
)
def test_layers_that_attend(text: object, spelt: str, layers: tuple[int, ...] | None) -> None:
    settings = Settings(attention_layers=text, decoder_layers=5)
    assert settings.attention_layers == spelt
    assert model_sizes(settings).attention_layers == layers


@pytest.mark.parametrize("text", ["", "first", "1;2", "1,,2", "-1", True, 1.5, None])
def test_what_names_no_layers_is_refused(text: object) -> None:
    with pytest.raises(ValidationError, match="numbers of layers with commas"):
        Settings(attention_layers=text)


def test_one_choice_of_layers_has_one_name() -> None:
    cells = {
        make_cell("translation", "multi-step", options={"attention_layers": text}).hash
        for text in ("2,1", "1,2", "1, 2,2")
    }
    assert len(cells) == 1
    plain = make_cell("translation", "multi-step", options={"attention_layers": "all"})
    assert plain == make_cell("translation", "multi-step")
    one = make_cell("translation", "multi-step", options={"attention_layers": 1})
    assert model_sizes(resolve(one).settings).attention_layers == (1,)
