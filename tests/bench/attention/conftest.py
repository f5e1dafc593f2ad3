"""What the attention tests share: one thread, a fixed seed, and a small batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch

from bench.attention.base import Memory, lengths_to_mask


@pytest.fixture(autouse=True)
def _seeded() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(7)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def make_memory() -> Callable[..., Memory]:
    """A random memory in float64 of the given lengths and size, padded with garbage."""

    def make(lengths: list[int], size: int = 4, **fields: object) -> Memory:
        S = max(lengths)
        mask = lengths_to_mask(torch.tensor(lengths), S)
        states = torch.randn(len(lengths), S, size, dtype=torch.float64)
        return Memory(
            states=states.masked_fill(~mask[..., None], 1e5),
            mask=mask,
            summary=torch.randn(len(lengths), size, dtype=torch.float64),
            **fields,  # type: ignore[arg-type]
        )

    return make
