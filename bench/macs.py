"""Multiply-accumulates of a computation, counted by torch's own counter from the shapes of
products.

Counted are matrix products, convolutions and scaled dot-product attention (fused kernels by the
same formula as the products that they stand for); sums, `tanh`, `exp` and look-ups of embeddings
are not. Calls that read a whole sequence with a recurrent layer (cuDNN, oneDNN) hide their
products: they are counted here from the shapes of their weights, one product of each at every
position. A kernel of our own that torch does not know of, as that of additive energies on GPUs,
adds nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

Shape = Sequence[int]


def count_macs(compute: Callable[[], object]) -> int:
    """Count the multiply-accumulates of what `compute` does: half its floating-point operations."""
    mapping = {
        torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention,
        torch.ops.aten._cudnn_rnn: _cudnn_rnn,
        torch.ops.aten.mkldnn_rnn_layer: _mkldnn_rnn_layer,
    }
    counter = FlopCounterMode(display=False, custom_mapping=mapping)
    # Its own tracker hooks every module, and fails without gradients.
    setattr(counter, "mod_tracker", _Anywhere())  # noqa: B010 - of another type
    with counter:
        compute()
    return int(counter.get_total_flops()) // 2


class _Anywhere(contextlib.nullcontext[None]):
    """Which modules an operation belongs to: none in particular."""

    parents = frozenset({"Global"})


def _attention(query: Shape, key: Shape, value: Shape, *_: Any, **__: Any) -> int:
    """Floating-point operations of attention in one call on the CPU."""
    return int(sdpa_flop_count(query, key, value))


def _cudnn_rnn(inputs: Shape, weights: Sequence[Shape], *_: Any, **__: Any) -> int:
    """Floating-point operations of all layers and directions; `inputs` are ...,I, packed or not."""
    return 2 * prod(inputs[:-1]) * sum(prod(one) for one in weights if len(one) == 2)


def _mkldnn_rnn_layer(inputs: Shape, first: Shape, second: Shape, *_: Any, **__: Any) -> int:
    """Floating-point operations of one layer and direction: weights of input and of state."""
    return 2 * prod(inputs[:-1]) * (prod(first) + prod(second))
