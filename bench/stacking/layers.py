"""PyTorch's layers for several models at once.

Each stands in the place of K layers of one shape. Where a batched operation exists it is one
operation for all of them; convolutions, norms over channels and fused recurrent layers run model
by model, on what the models would have read alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.stacking.fold import fold_in_force
from bench.stacking.rows import affine

#: The stacked parameter in place of one parameter of the first model.
Stack = Callable[[Tensor], nn.Parameter]


class StackedLinear(nn.Module):
    """...,I to ...,O."""

    def __init__(self, layers: Sequence[nn.Linear], stack: Stack) -> None:
        super().__init__()
        first = layers[0]
        self.in_features, self.out_features = first.in_features, first.out_features
        self.weight = stack(first.weight)  # K,O,I
        self.bias = None if first.bias is None else stack(first.bias)  # K,O

    def forward(self, rows: Tensor) -> Tensor:
        return affine(rows, self.weight, self.bias)


class StackedEmbedding(nn.Module):
    """Tokens to vectors; padding has zeros, whatever stands in its row."""

    def __init__(self, layers: Sequence[nn.Embedding], stack: Stack) -> None:
        super().__init__()
        first = layers[0]
        self.num_embeddings, self.embedding_dim = first.num_embeddings, first.embedding_dim
        self.padding = first.padding_idx
        self.weight = stack(first.weight)  # K,V,E

    def forward(self, tokens: Tensor) -> Tensor:
        K = len(self.weight)
        first = torch.arange(K, device=tokens.device)[:, None] * self.num_embeddings
        places = (tokens.reshape(K, -1) + first).view(tokens.shape)
        found = F.embedding(places, self.weight.flatten(0, 1))
        if self.padding is None:
            return found
        return found.masked_fill((tokens == self.padding).unsqueeze(-1), 0.0)


class StackedLayerNorm(nn.Module):
    """...,D to the same."""

    def __init__(self, layers: Sequence[nn.LayerNorm], stack: Stack) -> None:
        super().__init__()
        first = layers[0]
        assert len(first.normalized_shape) == 1
        self.shape, self.eps = first.normalized_shape, first.eps
        self.weight, self.bias = stack(first.weight), stack(first.bias)  # K,D

    def forward(self, states: Tensor) -> Tensor:
        normal = F.layer_norm(states, self.shape, eps=self.eps)
        mine = normal.reshape(len(self.weight), -1, self.shape[0])  # K,N,D
        scaled = torch.addcmul(self.bias[:, None], mine, self.weight[:, None])
        return scaled.view(states.shape)


class StackedConvolution(nn.Module):
    """B,I,... to B,O,...; one convolution for each model."""

    def __init__(self, layers: Sequence[nn.Conv1d | nn.Conv2d], stack: Stack) -> None:
        super().__init__()
        first = layers[0]
        self.convolve = first._conv_forward
        self.weight = stack(first.weight)
        self.bias = None if first.bias is None else stack(first.bias)

    def forward(self, inputs: Tensor) -> Tensor:
        K = len(self.weight)
        biases = [None] * K if self.bias is None else self.bias.unbind()
        parts = zip(inputs.chunk(K), self.weight.unbind(), biases, strict=True)
        return torch.cat([self.convolve(*part) for part in parts])


class StackedGroupNorm(nn.Module):
    """B,C,... to the same; one norm for each model."""

    def __init__(self, layers: Sequence[nn.GroupNorm], stack: Stack) -> None:
        super().__init__()
        first = layers[0]
        self.groups, self.eps = first.num_groups, first.eps
        self.weight, self.bias = stack(first.weight), stack(first.bias)  # K,C

    def forward(self, maps: Tensor) -> Tensor:
        parts = zip(
            maps.chunk(len(self.weight)), self.weight.unbind(), self.bias.unbind(), strict=True
        )
        return torch.cat(
            [F.group_norm(part[0], self.groups, *part[1:], self.eps) for part in parts]
        )


class StackedRecurrent(nn.Module):
    """B,S,I to B,S,H in one fused call for each model, on its own rows and positions. Its
    parameters, stacked, have the names that a layer's have."""

    def __init__(self, layers: Sequence[nn.GRU | nn.LSTM], stack: Stack) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        for name, parameter in layers[0].named_parameters():
            self.register_parameter(name, stack(parameter))

    def forward(self, inputs: Tensor, before: Any = None) -> tuple[Tensor, Any]:
        """As in PyTorch. States at the end are those of the whole padded batch, zeros where a row
        is padding."""
        fold = fold_in_force()
        assert fold is not None, "batches of several models come in a fold"
        rows, size = inputs.shape[0] // fold.count, inputs.shape[1]
        outputs: list[Tensor] = []
        lasts: list[Any] = []
        for model, (layer, part) in enumerate(zip(self.layers, fold.parts(inputs), strict=True)):
            own = slice(model * rows, model * rows + len(part))
            with fold.draws.of(model) if layer.dropout else nullcontext():
                output, last = layer(part, _rows(before, own))
            outputs.append(output)
            lasts.append(_padded(last, rows))
        joined = fold.join(outputs, rows, size)
        if isinstance(lasts[0], Tensor):
            return joined, torch.cat(lasts, dim=1)
        return joined, tuple(torch.cat(one, dim=1) for one in zip(*lasts, strict=True))


def _rows(states: Any, rows: slice) -> Any:
    """Some rows of a GRU's states L,B,H, or of an LSTM's pair of them; or None."""
    if states is None:
        return None
    if isinstance(states, Tensor):
        return states[:, rows].contiguous()
    return tuple(_rows(one, rows) for one in states)


def _padded(states: Any, rows: int) -> Any:
    """The same with zeros up to so many rows."""
    if isinstance(states, Tensor):
        return F.pad(states, (0, 0, 0, rows - states.shape[1]))
    return tuple(_padded(one, rows) for one in states)
