"""Selecting rows in a nest of dataclasses, tuples and dicts."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bench.models.base import select_rows


@dataclass(frozen=True)
class Nest:
    position: int
    layers: tuple[Tensor | None, ...]
    named: dict[str, Tensor]


def test_rows_are_selected_wherever_a_tensor_stands() -> None:
    rows, flags = torch.arange(6).view(3, 2), torch.tensor([True, False, True])
    nest = Nest(4, (rows, None), {"flags": flags, "again": rows})
    found = select_rows((nest, rows), torch.tensor([2, 2, 0, 1]))
    expected = rows[[2, 2, 0, 1]]
    assert isinstance(found, tuple)
    assert found[0].position == 4
    assert found[0].layers[1] is None
    assert torch.equal(found[0].layers[0], expected)
    assert found[0].named["flags"].tolist() == [True, True, True, False]
    assert found[1] is found[0].layers[0] is found[0].named["again"], "selected from once"
    assert torch.equal(rows, torch.arange(6).view(3, 2))
