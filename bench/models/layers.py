"""Small parts that several families share."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from bench.attention.base import Attended


def masked_mean(states: Tensor, mask: Tensor) -> Tensor:
    """Mean over the real positions: B,S,D and B,S to B,D."""
    shares = mask.to(states.dtype) / mask.sum(dim=1, keepdim=True)  # B,S
    return torch.bmm(shares[:, None].to(states.dtype), states).squeeze(1)


def token_embedding(vocabulary_size: int, size: int) -> nn.Embedding:
    """Embeddings of which token 0 is padding and stays 0; their variance 1/E keeps the logits of
    a tied output layer at a sensible size."""
    embedding = nn.Embedding(vocabulary_size, size, padding_idx=0)
    nn.init.normal_(embedding.weight, std=size**-0.5)
    embedding.weight.data[0] = 0.0
    return embedding


def linear(inputs: int, outputs: int, *, bias: bool = True) -> nn.Linear:
    """A linear layer with Xavier's initialisation and biases 0."""
    layer = nn.Linear(inputs, outputs, bias=bias)
    nn.init.xavier_uniform_(layer.weight)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer


def resize(inputs: int, outputs: int) -> nn.Module:
    """A linear layer where sizes differ, nothing where they agree."""
    return nn.Identity() if inputs == outputs else linear(inputs, outputs)


def layer_weights(layers: Mapping[int, Attended]) -> tuple[Tensor | None, dict[str, Tensor]]:
    """The mean of the weights over attending layers, and every layer's parts.

    A layer with parts of its own (heads) gives "layer i <part>", one without gives "layer i".
    """
    parts: dict[str, Tensor] = {}
    weights: list[Tensor] = []
    for number, attended in layers.items():
        if attended.weights is None:
            continue
        weights.append(attended.weights)
        own = {f"layer {number} {name}": part for name, part in attended.parts.items()}
        parts |= own or {f"layer {number}": attended.weights}
    return (torch.stack(weights).mean(dim=0) if weights else None), parts
