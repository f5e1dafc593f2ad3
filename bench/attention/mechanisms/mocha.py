"""Monotonic chunkwise attention."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from bench.attention.attention import AttentionWeights, nothing_attended, remember
from bench.attention.base import AttentionState, Keys, Sizes
from bench.attention.mechanisms.monotonic import Monotonic, MonotonicOptions
from bench.attention.registries import attentions


class MochaOptions(MonotonicOptions):
    chunk: int = Field(4, ge=1, description="w, positions of a chunk; Chiu 2018 has 2 to 8")


@attentions.register("mocha")
class Mocha(Monotonic):
    """Soft attention over the w positions that end where monotonic attention stops (Chiu 2018,
    section 2.3).

    In expectation b_{i,j} = sum_{k=j}^{j+w-1} a_{i,k} exp(u_{i,j}) /
    sum_{l=k-w+1}^{k} exp(u_{i,l}), with a of `monotonic` and energies u of a second score. Each
    chunk has a softmax of its own, which no energy elsewhere can make underflow.
    """

    summary = "soft attention over a chunk that ends where monotonic attention stops"
    citation = "Chiu 2018"
    normalises = True
    Options = MochaOptions

    def __init__(self, sizes: Sizes, score: str, options: MochaOptions) -> None:
        super().__init__(sizes, score, options)
        if self.normaliser.weights_kind != "distribution":
            self.weights_kind = self.normaliser.weights_kind
        self.chunk = options.chunk
        self.chunk_score = self._make_score(score, sizes)
        #: What the second score keeps for itself; what else it reads is the same for both.
        self.chunk_reads = self.chunk_score.reads & {"kept"}

    def initial_state(self, keys: Keys) -> AttentionState:
        state = super().initial_state(keys)
        mask, dtype = keys.memory.mask, keys.tensors["values"].dtype
        first = nothing_attended(self.chunk_score, self.chunk_reads, mask, self.heads, dtype)
        return AttentionState(0, {**state.tensors, **_of_chunks(first)})

    def _project(self, states: Tensor, values: Tensor, first: int = 0) -> dict[str, Tensor]:
        chunk_keys = self.chunk_score.project_keys(self.project_key(states))  # B,H,S,K
        return {**super()._project(states, values, first), "chunk keys": chunk_keys}

    def weigh(
        self,
        energies: Tensor,
        query: Tensor,
        keys: Keys,
        state: AttentionState,
        mask: Tensor | None,
    ) -> AttentionWeights:
        stop = self.stop(energies, state.tensors["stop"], mask)  # B,H,S
        # Energies inside the chunk that ends at each position.
        asked, chunk_keys = self.project_query(query), keys.tensors["chunk keys"]
        before: dict[str, Tensor] = {
            name: state.tensors[f"chunk {name}"] for name in self.chunk_reads
        }
        remembered = {**state.tensors, **before}
        chunk_energies = self.chunk_score(asked, chunk_keys, remembered)  # B,H,1,S
        chunk_energies = self.scaled(chunk_energies)[:, :, 0]  # B,H,S
        real = torch.ones_like(chunk_energies[:, :1], dtype=torch.bool)  # B,1,S
        if mask is not None:
            real = real & mask[:, :, 0]
        seen = chunks(real, self.chunk)  # B,1,S,w
        seen = seen | F.one_hot(torch.tensor(self.chunk - 1), self.chunk).bool().to(seen.device)
        # A softmax in each chunk; how likely attention stopped there; and summed by position.
        inside = self.normaliser(chunks(chunk_energies, self.chunk), seen)  # B,H,S,w
        weights = join_chunks(stop[..., None] * inside)  # B,H,S
        after = remember(self.chunk_score, self.chunk_reads, before, weights, keys.memory.mask)
        return AttentionWeights(weights[:, :, None], {"stop": stop, **_of_chunks(after)})


def _of_chunks(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors under names that tell them from those of the first score."""
    return {f"chunk {name}": tensor for name, tensor in tensors.items()}


def chunks(values: Tensor, width: int) -> Tensor:
    """The last `width` values up to each position: from ...,S to ...,S,width, with 0 (False) before
    the start."""
    return F.pad(values, (width - 1, 0)).unfold(-1, width, 1)


def join_chunks(parts: Tensor) -> Tensor:
    """Sum over chunks by position, ...,S: the transpose of `chunks`."""
    *_, size, width = parts.shape
    ahead = (F.pad(parts[..., by:, width - 1 - by], (0, min(by, size))) for by in range(width))
    return torch.stack(list(ahead)).sum(0)
