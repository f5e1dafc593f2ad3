"""Monotonic attention that moves one position at a time."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor

from bench.attention.mechanisms.monotonic import MonotonicOptions, MonotonicSteps, shifted
from bench.attention.registries import attentions


class StepwiseMonotonicOptions(MonotonicOptions):
    bias: float = Field(
        0.0, description="r of the energies at the start: the lower, the sooner attention moves on"
    )


@attentions.register("stepwise-monotonic")
class StepwiseMonotonic(MonotonicSteps):
    """Every step stays at its position or moves to the next one: none is left out (He 2019).

    In expectation a_{i,j} = a_{i-1,j} p_{i,j} + a_{i-1,j-1} (1 - p_{i,j-1}), p being
    the probability of staying. What moves beyond the last position is lost. Made for speech
    synthesis: a source longer than its target cannot be read to its end.
    """

    summary = "stays or moves to the next position; trained in expectation, hard at test"
    citation = "He 2019"
    Options = StepwiseMonotonicOptions

    def advance(self, yes: Tensor, no: Tensor, before: Tensor) -> Tensor:
        return yes * before + shifted(no * before)
