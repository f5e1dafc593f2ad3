"""Batches of tensors, and single examples taken out of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class TensorBatch:
    """Base of the tasks' batches: fields are tensors or plain data."""

    def to(self, device: torch.device | str) -> Self:
        """The same batch with its tensors on a device."""
        moved: dict[str, Any] = {
            name: value.to(device, non_blocking=True)
            for name, value in vars(self).items()
            if isinstance(value, Tensor)
        }
        return replace(self, **moved)


@dataclass(frozen=True)
class Matrices:
    """Weights of a batch as arrays: B,T,S each, padding still there.

    Attributes:
        weights: None where there are none.
        parts: further matrices by name.
    """

    weights: np.ndarray | None
    parts: Mapping[str, np.ndarray]

    @classmethod
    def of(cls, weights: Tensor | None, parts: Mapping[str, Tensor]) -> Matrices:
        return cls(
            None if weights is None else _array(weights),
            {name: _array(part) for name, part in parts.items()},
        )

    def example(
        self, row: int, target: int, source: int, *, with_parts: bool
    ) -> tuple[np.ndarray | None, dict[str, np.ndarray]]:
        """Weights and parts of one example, cut to its own `target` and `source` units."""
        # Copies: views would keep the whole batch in memory.
        parts = {
            name: part[row, :target, :source].copy()
            for name, part in self.parts.items()
            if with_parts
        }
        weights = None if self.weights is None else self.weights[row, :target, :source].copy()
        return weights, parts


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.float().cpu().numpy()
