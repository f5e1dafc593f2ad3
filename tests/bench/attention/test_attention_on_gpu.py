"""Every mechanism on a CUDA device, against the same on the CPU. CI has no such device."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from attention_pairs import valid_pairs
from torch import Tensor

from bench.attention.attention import build_attention
from bench.attention.base import Attention, Memory, Sizes
from bench.attention.conformance import Batch, random_batch
from bench.attention.registries import attentions, normalisers

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]

PAIRS = [(attention, score) for attention, score, reason in valid_pairs() if reason is None]
SIZES = Sizes(query=6, memory=6, heads=2)


def moved(batch: Batch, device: str, dtype: torch.dtype) -> Batch:
    memory = batch.memory
    assert memory.segments is not None
    states = memory.states.to(device, dtype).detach().requires_grad_()
    summary = memory.summary.to(device, dtype).detach().requires_grad_()
    segments = memory.segments.to(device)
    there = Memory(states, memory.mask.to(device), summary, segments=segments)
    return replace(batch, query=batch.query.to(device, dtype), memory=there)


def context_and_gradients(module: Attention, batch: Batch) -> list[Tensor | None]:
    """What a step of training sees: context, weights, and gradients."""
    keys = module.prepare(batch.memory)
    attended = module(batch.query, keys, module.initial_state(keys))
    inputs = [batch.memory.states, batch.memory.summary, *module.parameters()]
    total = attended.context.pow(2).sum()
    gradients = torch.autograd.grad(total, inputs, allow_unused=True)
    return [attended.context.detach(), attended.weights, *gradients]


@pytest.mark.parametrize("normaliser", normalisers.names())
@pytest.mark.parametrize(("attention", "score"), PAIRS)
def test_a_gpu_gives_what_the_cpu_gives(attention: str, score: str, normaliser: str) -> None:
    options = attentions.get(attention).Options(normaliser=normaliser)
    module = build_attention(attention, SIZES, score, options).double().eval()
    batch = random_batch(SIZES)
    expected = context_and_gradients(module, moved(batch, "cpu", torch.float64))
    found = context_and_gradients(module.to("cuda"), moved(batch, "cuda", torch.float64))
    for one, other in zip(found, expected, strict=True):
        assert (one is None) == (other is None)
        if one is not None and other is not None:
            assert one.device.type == "cuda"
            torch.testing.assert_close(one.cpu(), other, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize(("attention", "score"), PAIRS)
def test_mixed_precision_on_a_gpu(attention: str, score: str) -> None:
    """Contexts near those of float32, and finite gradients."""
    sizes = Sizes(query=32, memory=32, heads=2)
    module = build_attention(attention, sizes, score).to("cuda").eval()
    batch = moved(random_batch(sizes), "cuda", torch.float32)
    exact = context_and_gradients(module, batch)
    with torch.autocast("cuda", torch.bfloat16):
        rough = context_and_gradients(module, batch)
    for tensor in rough:
        assert tensor is None or torch.isfinite(tensor).all()
    if attention != "hard":  # an arg max may fall on the other side
        near, wanted = rough[0], exact[0]
        assert near is not None and wanted is not None
        torch.testing.assert_close(near.float(), wanted, rtol=0.1, atol=0.1)
