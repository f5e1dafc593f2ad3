"""From K models of one shape to one model of their stacked parameters.

The stacked model is a copy of the first, with layers that hold all K models' parameters in place of
its own. The K models stay usable on their own all along: their parameters, and the gradients of
these, are views of the stacked ones, so that what trains one trains the other, and any part of the
work can be left to them.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.modules.dropout import _DropoutNd

from bench.stacking.layers import (
    StackedConvolution,
    StackedEmbedding,
    StackedGroupNorm,
    StackedLayerNorm,
    StackedLinear,
    StackedRecurrent,
)

#: Layers by exact type: a subclass may compute something else.
_LAYERS: dict[type[nn.Module], type[Any]] = {
    nn.Linear: StackedLinear,
    nn.Embedding: StackedEmbedding,
    nn.LayerNorm: StackedLayerNorm,
    nn.GroupNorm: StackedGroupNorm,
    nn.Conv1d: StackedConvolution,
    nn.Conv2d: StackedConvolution,
    nn.GRU: StackedRecurrent,
    nn.LSTM: StackedRecurrent,
}


class NotStackable(ValueError):
    """A model that cannot be trained together with others of its shape; the reason is given."""


@dataclass(frozen=True)
class Stacked:
    """K models as one.

    Attributes:
        model: the stacked model; its input is a batch of K batches, under a `Fold`.
        parameters: K,... each, in the order of the first model's parameters that learn. They have
            gradients from the beginning, which must be zeroed in place, never dropped.
    """

    model: nn.Module
    parameters: tuple[nn.Parameter, ...]


def stack_models(models: Sequence[nn.Module]) -> Stacked:
    """Stack models of one shape, and make their parameters views of the stacked ones.

    A module is stacked by its type: PyTorch's layers as `bench.stacking.layers` says; a class with
    a classmethod `stacked(modules, stack)` by that; a class that holds parameters of its own and
    whose code takes them stacked says `takes_stacks = True`. Modules without parameters of their
    own stay as they are. A class that draws random numbers in training on its own account says
    `draws = True`, and cannot be stacked.

    Raises:
        NotStackable: a module that is none of these. The models are as they were.
    """
    for name, module in models[0].named_modules():
        reason = _refusal(module)
        if reason:
            raise NotStackable(f"{name or 'the model'}: {reason}")
    stacks = _Stacks(models)
    merged = stacks.merged("", list(models))
    return Stacked(merged, stacks.join())


def _refusal(module: nn.Module) -> str | None:
    kind = type(module)
    if isinstance(module, _DropoutNd) and module.p:
        return f"{kind.__name__} draws from one stream; bench.models.dropout knows of several"
    if getattr(kind, "draws", False):
        return f"{kind.__name__} draws at every step what no other model may draw"
    if module._parameters and not _has_way(kind):
        return f"{kind.__name__} has parameters of its own and does not say how they are stacked"
    return None


def _has_way(kind: type[nn.Module]) -> bool:
    return kind in _LAYERS or hasattr(kind, "stacked") or getattr(kind, "takes_stacks", False)


class _Stacks:
    """The stacked parameters while they are made. A parameter that several modules share is stacked
    once."""

    def __init__(self, models: Sequence[nn.Module]) -> None:
        self._own = [list(model.parameters()) for model in models]
        self._places = {id(one): place for place, one in enumerate(self._own[0])}
        self._stacks: dict[int, nn.Parameter] = {}
        self._models: dict[int, nn.Module] = {}
        for place in range(len(self._own[0])):
            self._stack(place)

    def _stack(self, place: int) -> None:
        own = [parameters[place] for parameters in self._own]
        first = own[0]  # whose memory format all keep
        strides = (first.numel(), *first.stride())
        whole = torch.empty_strided(
            (len(own), *first.shape), strides, dtype=first.dtype, device=first.device
        )
        for model, one in enumerate(own):
            whole[model].copy_(one.detach())
        self._stacks[place] = nn.Parameter(whole, requires_grad=own[0].requires_grad)

    def of(self, parameter: torch.Tensor) -> nn.Parameter:
        """The stack in the place of a parameter of the first model."""
        return self._stacks[self._places[id(parameter)]]

    def join(self) -> tuple[nn.Parameter, ...]:
        """Let the models' parameters and gradients be views of the stacks; those that learn."""
        learning = []
        for place, whole in self._stacks.items():
            if whole.requires_grad:
                whole.grad = torch.zeros_like(whole)
                learning.append(whole)
            for model, parameters in enumerate(self._own):
                parameters[place].data = whole.data[model]
                if whole.grad is not None:
                    parameters[place].grad = whole.grad[model]
        return tuple(learning)

    def merged(self, name: str, modules: list[nn.Module]) -> nn.Module:
        """One module in the place of K."""
        first = modules[0]
        if id(first) in self._models:
            return self._models[id(first)]
        kind = type(first)
        if hasattr(kind, "stacked"):
            made: nn.Module = kind.stacked(modules, self.of)
        elif kind in _LAYERS:
            made = _LAYERS[kind](modules, self.of)
        else:
            made = copy.copy(first)
            made._parameters = {
                key: None if one is None else self.of(one) for key, one in first._parameters.items()
            }
            made._buffers = dict(first._buffers)
            made._modules = {
                key: None
                if child is None
                else self.merged(key, [module._modules[key] for module in modules])  # type: ignore[misc]
                for key, child in first._modules.items()
            }
        self._models[id(first)] = made
        return made
