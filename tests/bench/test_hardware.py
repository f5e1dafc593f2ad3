from __future__ import annotations

import time

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bench import hardware as measure
from bench.attention.base import (
    Attention,
    AttentionOptions,
    AttentionOutput,
    AttentionState,
    Keys,
    Memory,
    Sizes,
)
from bench.hardware import (
    PeakMemory,
    Stopwatch,
    count_attention_parameters,
    count_parameters,
)

MIB = 1024**2


def hold(mebibytes: int, seconds: float = 0.0) -> None:
    """Hold that much memory, written to, for a while."""
    block = np.ones(mebibytes * MIB // 8)
    time.sleep(seconds)
    assert block[-1] == 1.0


def test_peak_memory_counts_what_was_held_and_given_back() -> None:
    with PeakMemory() as peak:
        hold(150)
    assert 145 * MIB < peak.bytes < 175 * MIB


def test_peak_memory_of_a_warm_process_is_that_of_a_fresh_one() -> None:
    with PeakMemory() as large:
        hold(200)
    with PeakMemory() as small:
        hold(60)
    assert large.bytes > 195 * MIB
    assert 55 * MIB < small.bytes < 85 * MIB


def test_memory_held_before_does_not_count() -> None:
    before = np.ones(100 * MIB // 8)
    with PeakMemory() as peak:
        hold(40)
    assert peak.bytes < 70 * MIB
    assert before[0] == 1.0


def test_without_the_kernels_help_memory_is_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure._KernelMeter, "start", lambda self: 1 / 0)
    monkeypatch.setattr(measure, "_cpu_meter", measure._SamplingMeter)
    with PeakMemory() as peak:
        hold(150, seconds=0.2)
    assert 140 * MIB < peak.bytes < 180 * MIB


def test_a_kernel_that_refuses_is_replaced_by_sampling(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: object) -> int:
        raise PermissionError

    monkeypatch.setattr(measure._KernelMeter, "start", refuse)
    assert isinstance(measure._cpu_meter(), measure._SamplingMeter)


def test_a_stopwatch_adds_up() -> None:
    watch = Stopwatch()
    for _ in range(2):
        with watch:
            time.sleep(0.05)
        time.sleep(0.05)
    assert 0.1 <= watch.seconds < 0.15


def test_a_stopwatch_counts_what_raised() -> None:
    watch = Stopwatch()
    with pytest.raises(ValueError, match="x"), watch:
        time.sleep(0.02)
        raise ValueError("x")
    assert watch.seconds >= 0.02


class Bilinear(Attention):
    """Just enough of an attention to have parameters."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__(sizes, "general", AttentionOptions())
        self.matrix = nn.Linear(sizes.query, sizes.memory, bias=False)

    def prepare(self, memory: Memory) -> Keys:
        return Keys(memory)

    def forward(
        self, query: Tensor, keys: Keys, state: AttentionState, *, need_weights: bool = True
    ) -> AttentionOutput:
        raise NotImplementedError


def test_parameters_are_counted_once_and_only_if_trained() -> None:
    model = nn.Module()
    model.embedding = nn.Embedding(10, 4)
    model.output = nn.Linear(4, 10)
    model.output.weight = model.embedding.weight  # tied
    model.frozen = nn.Parameter(torch.zeros(7), requires_grad=False)
    assert count_parameters(model) == 40 + 10


def test_attention_parameters_are_those_of_all_mechanisms() -> None:
    model = nn.Module()
    model.layers = nn.ModuleList(Bilinear(Sizes(query=3, memory=5)) for _ in range(2))
    model.other = nn.Linear(3, 3)
    shared = Bilinear(Sizes(query=3, memory=5))
    shared.matrix = model.layers[0].matrix  # type: ignore[assignment]
    model.shared = shared
    assert count_attention_parameters(model) == 2 * 15
    assert count_parameters(model) == 2 * 15 + 12


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_peak_memory_on_a_gpu() -> None:
    kept = torch.zeros(50 * MIB, dtype=torch.uint8, device="cuda")
    with PeakMemory("cuda") as peak:
        torch.zeros(80 * MIB, dtype=torch.uint8, device="cuda")
    assert peak.bytes == 80 * MIB
    assert kept.device.type == "cuda"
