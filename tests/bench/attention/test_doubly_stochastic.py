"""The penalty of Xu 2015 against sums written out."""

from __future__ import annotations

import pytest
import torch

from bench.attention.registries import attentions
from bench.models.losses import doubly_stochastic_penalty, penalty_weight


def test_mechanisms_without_the_option_have_no_penalty() -> None:
    weights = {
        name: penalty_weight(attentions.get(name).Options(**options))
        for name, options in (("soft", {"doubly_stochastic": 0.5}), ("hard", {}), ("global", {}))
    }
    assert weights == {"soft": 0.5, "hard": 0.0, "global": 0.0}


def test_even_attention_pays_no_doubly_stochastic_penalty() -> None:
    real = torch.tensor([[True, True, False]])
    mask = torch.tensor([[True, True, True, False]])
    even = torch.tensor([1 / 3, 1 / 3, 1 / 3, 0.0]).expand(1, 3, 4)
    assert doubly_stochastic_penalty(even, real, mask).item() == pytest.approx(0.0, abs=1e-12)
    peaked = torch.tensor([1.0, 0.0, 0.0, 0.0]).expand(1, 3, 4)
    # totals 2, 0, 0 against an even share of 2/3 each
    expected = (2 - 2 / 3) ** 2 + 2 * (2 / 3) ** 2
    assert doubly_stochastic_penalty(peaked, real, mask).item() == pytest.approx(expected)


def test_what_is_padding_on_either_side_costs_nothing() -> None:
    real = torch.tensor([[True, True], [True, False]])
    mask = torch.tensor([[True, True, True], [True, True, False]])
    weights = torch.tensor(
        [[[0.5, 0.5, 0.0], [0.0, 0.5, 0.5]], [[0.75, 0.25, 0.5], [0.9, 0.1, 0.3]]]
    )
    # Totals 1/2, 1, 1/2 against 2/3 each; and 3/4, 1/4 against 1/2 each. A mean over examples.
    expected = ((2 * (1 / 6) ** 2 + (1 / 3) ** 2) + 2 * (1 / 4) ** 2) / 2
    assert doubly_stochastic_penalty(weights, real, mask).item() == pytest.approx(expected)
