from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from bench.stacking.fold import Draws
from tasks.folding import fold_batches
from tasks.tensors import TensorBatch

DRAWS = Draws(torch.device("cpu"), [])
SIZES = st.tuples(*[st.integers(1, 7)] * 4)


@dataclass(frozen=True)
class Batch(TensorBatch):
    """B questions about P pictures of S parts, answered in T words."""

    pictures: Tensor
    asked_of: Tensor
    answers: Tensor
    labels: Tensor | None = None

    axes: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "pictures": ("P", "S"),
        "asked_of": ("B",),
        "answers": ("B", "T"),
        "labels": ("B",),
    }
    places: ClassVar[Mapping[str, str]] = {"asked_of": "P"}


def made(sizes: tuple[int, int, int, int]) -> Batch:
    B, P, S, T = sizes
    return Batch(
        pictures=torch.randn(P, S, 3),
        asked_of=torch.arange(B) % P,
        answers=torch.randint(1, 9, (B, T)),
    )


def within(axis: str, size: int) -> list[int]:
    half = -(-size // 2)
    return [size, half, half + 2] if axis == "S" else [size, size - 1]


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(SIZES, min_size=1, max_size=4))
def test_batches_are_found_again(sizes: list[tuple[int, int, int, int]]) -> None:
    batches = [made(one) for one in sizes]
    whole, fold = fold_batches(batches, within, DRAWS)
    assert whole.labels is None
    assert fold.steps == tuple(one[3] for one in sizes)
    for found, batch in zip(fold.parts(whole.pictures), batches, strict=True):
        assert torch.equal(found, batch.pictures)
    for found, batch in zip(fold.parts(whole.answers), batches, strict=True):
        assert torch.equal(found, batch.answers)
    asked = whole.pictures[whole.asked_of]  # every row is one's own picture, those of padding too
    for found, batch in zip(fold.parts(asked), batches, strict=True):
        assert torch.equal(found, batch.pictures[batch.asked_of])
    halved = fold.parts(whole.pictures[:, ::2])
    assert [one.shape for one in halved] == [batch.pictures[:, ::2].shape for batch in batches]
    wider = fold.parts(torch.nn.functional.pad(whole.pictures[:, ::2], (0, 0, 1, 1)))
    assert [len(one[0]) for one in wider] == [within("S", one[2])[2] for one in sizes]
    shorter = fold.parts(whole.answers[:, 1:])
    assert [one.shape for one in shorter] == [batch.answers[:, 1:].shape for batch in batches]


def test_padding_is_zeros_and_a_first_row_again() -> None:
    whole, fold = fold_batches([made((1, 1, 2, 3)), made((4, 2, 5, 6))], within, DRAWS)
    first = whole.answers.unflatten(0, (2, -1))[0]
    assert not first[:, 3:].any()
    assert (first == first[0]).all()
    assert set(fold.rows.values()) == {(1, 4), (1, 2)}
