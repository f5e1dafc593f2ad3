"""Front ends for frames: the equations written out, lengths, padding, and where positions lie."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from bench.attention.base import Memory, lengths_to_mask
from bench.models.audio_encoder import ConvolutionalFront, FrameFront, PyramidalFront, paired
from bench.models.layers import CtcHead
from bench.models.recurrent import RecurrentEncoder

F = 3
LENGTHS = (13, 8, 1)
FRONTS = [
    pytest.param(lambda layers: ConvolutionalFront(F, 6, layers=layers), id="convolutional"),
    pytest.param(lambda layers: PyramidalFront(F, 6, layers=layers), id="pyramidal"),
    pytest.param(lambda layers: PyramidalFront(F, 6, layers=layers, cell="lstm"), id="lstm"),
]


def frames_and_mask(width: int = max(LENGTHS)) -> tuple[Tensor, Tensor]:
    torch.manual_seed(3)
    frames = torch.randn(len(LENGTHS), max(LENGTHS), F, dtype=torch.float64)
    wider = torch.full((len(LENGTHS), width, F), 7.0, dtype=torch.float64)
    wider[:, : max(LENGTHS)] = frames
    mask = lengths_to_mask(torch.tensor(LENGTHS), width)
    return wider.masked_fill(~mask[..., None], 9.0), mask


def made(make: object, layers: int) -> FrameFront:
    torch.manual_seed(1)
    return make(layers).double().eval()  # type: ignore[operator, no-any-return]


@pytest.mark.parametrize("make", FRONTS)
@pytest.mark.parametrize("layers", [0, 1, 2, 3])
def test_lengths_shrink_with_the_stride(make: object, layers: int) -> None:
    front = made(make, layers)
    features, mask = front(*frames_and_mask())
    assert front.stride == 2**layers
    assert mask.sum(dim=1).tolist() == [-(-length // front.stride) for length in LENGTHS]
    assert features.shape == (*mask.shape, front.output_size)
    assert front.output_size == (6 if layers else F)
    assert (features[~mask] == 0).all() and (features[mask] != 0).any()


@pytest.mark.parametrize("make", FRONTS)
def test_padding_and_the_batch_change_nothing(make: object) -> None:
    front = made(make, 2)
    frames, mask = frames_and_mask()
    expected, _ = front(frames, mask)
    wide, wide_mask = front(*frames_and_mask(18))
    torch.testing.assert_close(wide[:, : expected.shape[1]], expected)
    assert not wide_mask[:, expected.shape[1] :].any()
    for row, length in enumerate(LENGTHS):
        alone, _ = front(frames[row : row + 1, :length], mask[row : row + 1, :length])
        torch.testing.assert_close(alone[0], expected[row, : alone.shape[1]])


@pytest.mark.parametrize("make", FRONTS)
@pytest.mark.parametrize("layers", [1, 2])
def test_positions_lie_where_the_offset_says(make: object, layers: int) -> None:
    """A position depends on the frames around its centre; far ones do not reach a convolution,
    and a pyramid's first layer shares out its frames in order."""
    front = made(make, layers)
    frames = torch.zeros(1, 33, F, dtype=torch.float64, requires_grad=True)
    mask = torch.ones(1, 33, dtype=torch.bool)
    if isinstance(front, ConvolutionalFront):
        features, _ = front(frames + torch.randn(1, 33, F, dtype=torch.float64), mask)
        at = 16 // front.stride
        (gradient,) = torch.autograd.grad(features[0, at].sum(), frames)
        touched = gradient[0].abs().sum(dim=1).nonzero()[:, 0].double()
        assert (touched.min() + touched.max()) / 2 == at * front.stride + front.offset
    else:
        # Each position stands for `stride` frames in a row, from the first one on.
        assert front.offset == (front.stride - 1) / 2


def test_a_convolutional_layer_is_its_equation() -> None:
    front = made(lambda layers: ConvolutionalFront(F, 4, layers=layers, kernel=3), 1)
    assert isinstance(front, ConvolutionalFront)
    frames = torch.randn(1, 5, F, dtype=torch.float64)
    features, _ = front(frames, torch.ones(1, 5, dtype=torch.bool))
    weight, bias = front.convolutions[0].weight, front.convolutions[0].bias
    padded = torch.cat([torch.zeros(1, F), frames[0], torch.zeros(1, F)]).double()
    for place, centre in enumerate((0, 2, 4)):
        value = torch.einsum("cfk,kf->c", weight, padded[centre : centre + 3]) + bias
        value = (value - value.mean()) / (value.var(unbiased=False) + 1e-5).sqrt()
        torch.testing.assert_close(features[0, place], value.relu())


def test_a_pyramid_reads_pairs_of_what_lies_below() -> None:
    front = made(lambda layers: PyramidalFront(F, 4, layers=layers), 2)
    assert isinstance(front, PyramidalFront)
    frames = torch.randn(1, 7, F, dtype=torch.float64)
    features, _ = front(frames, torch.ones(1, 7, dtype=torch.bool))
    states = torch.cat([frames, torch.zeros(1, 1, F, dtype=torch.float64)], dim=1)
    for layer in front.layers:
        pairs = states.reshape(1, states.shape[1] // 2, -1)
        assert isinstance(layer, RecurrentEncoder)
        states = layer(pairs, torch.ones(pairs.shape[:2], dtype=torch.bool)).states
    torch.testing.assert_close(features, states)


def test_a_lone_last_state_is_paired_with_zeros() -> None:
    states = torch.arange(6.0).view(1, 3, 2)
    assert paired(states).tolist() == [[[0, 1, 2, 3], [4, 5, 0, 0]]]


def test_dropout_only_in_training() -> None:
    front = ConvolutionalFront(F, 8, layers=1, dropout=0.5)
    frames, mask = torch.randn(1, 9, F), torch.ones(1, 9, dtype=torch.bool)
    front.eval()
    torch.testing.assert_close(front(frames, mask)[0], front(frames, mask)[0])
    front.train()
    assert (front(frames, mask)[0] != front(frames, mask)[0]).any()


def log_likelihood(log_probs: Tensor, labels: list[int]) -> float:
    """Summed over every path of S outputs that spells the labels (Graves 2006, equation 3)."""
    S, V = log_probs.shape
    total = 0.0
    for path in torch.cartesian_prod(*[torch.arange(V)] * S).view(-1, S).tolist():
        runs = [now for now, before in zip(path, [None, *path], strict=False) if now != before]
        if [label for label in runs if label] == labels:
            total += float(log_probs[range(S), path].sum().exp())
    return float(torch.tensor(total).log())


def test_ctc_sums_over_every_path() -> None:
    torch.manual_seed(5)
    head = CtcHead(4, 3)
    states = torch.randn(2, 4, 4)
    memory = Memory(states, lengths_to_mask(torch.tensor([4, 3]), 4), states[:, 0])
    labels = torch.tensor([[1, 1, 2], [2, 0, 0]])
    log_probs = head.project(states).log_softmax(-1).detach()
    expected = -log_likelihood(log_probs[0], [1, 1, 2]) - log_likelihood(log_probs[1, :3], [2])
    assert head(memory, labels).item() == pytest.approx(expected / 4, rel=1e-5)


def test_ctc_leaves_out_what_cannot_be_spelled() -> None:
    head = CtcHead(4, 3)
    states = torch.randn(1, 2, 4, requires_grad=True)
    memory = Memory(states, torch.ones(1, 2, dtype=torch.bool), states[:, 0])
    loss = head(memory, torch.tensor([[1, 1, 2]]))  # needs a blank between the ones: 4 positions
    loss.backward()
    assert loss.item() == 0.0
    assert states.grad is not None and (states.grad == 0).all()
