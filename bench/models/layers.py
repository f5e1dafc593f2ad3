"""Layers that several model families share."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.attention.base import AttentionOutput


def masked_mean(states: Tensor, mask: Tensor) -> Tensor:
    """Mean B,D of states B,S,D over the real positions of the mask B,S."""
    shares = mask.to(states.dtype) / mask.sum(dim=1, keepdim=True)  # B,S
    return torch.bmm(shares[:, None].to(states.dtype), states).squeeze(1)


def token_embedding(vocabulary_size: int, size: int) -> nn.Embedding:
    """Embeddings with token 0 as padding, which stays 0. Their variance 1/E keeps the logits of a
    tied output layer at a sensible size."""
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


def layer_weights(layers: Mapping[int, AttentionOutput]) -> tuple[Tensor | None, dict[str, Tensor]]:
    """Average the weights over attending layers, and collect every layer's parts.

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


#: Values of the 16 bits that decide whether dropout keeps an element. PyTorch's CPU generator makes
#: one number per element, which for models of our size takes longer than the products around it;
#: here one 64-bit draw decides four elements.
LEVELS = 2**16


def dropout(tensor: Tensor, probability: float, training: bool) -> Tensor:
    """Zero elements with that probability and scale the rest to keep the mean (Srivastava 2014).

    On a CPU the probability is rounded to a multiple of 1/65536. Draws from PyTorch's default
    generator, so a seed fixes the outcome.
    """
    if not training or probability == 0.0:
        return tensor
    if tensor.device.type != "cpu":
        return F.dropout(tensor, probability, training)
    return tensor * dropout_factors(tensor.shape, probability, tensor)


def dropout_factors(shape: Sequence[int], probability: float, like: Tensor) -> Tensor:
    """Draw the factors by which dropout multiplies a tensor of this shape, in the type of `like`:
    zeros with that probability, elsewhere the number that keeps the mean."""
    if like.device.type != "cpu":
        return F.dropout(like.new_ones(shape), probability)
    dropped = round(probability * LEVELS)
    if dropped == LEVELS:
        return like.new_zeros(shape)
    count = math.prod(shape)
    draws = torch.empty((count + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
    levels = draws.view(torch.int16)[:count].view(shape)  # uniform over LEVELS values
    # In place: a comparison that makes bool is ten times as slow.
    kept = levels.ge_(dropped - LEVELS // 2).to(like.dtype)
    return kept.mul_(LEVELS / (LEVELS - dropped))
