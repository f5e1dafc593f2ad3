"""Every way to compute the additive score against the formula written out."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from bench.attention import kernels as additive_tiles
from bench.attention.kernels import additive_in_tiles
from bench.attention.registries import scores
from bench.attention.scores import concat as concat_module
from bench.attention.scores.concat import additive, additive_written_out

Way = Callable[[Tensor, Tensor, Tensor], Tensor]
#: B, H, T, S, A; the last has more positions than a tile.
SHAPES = [(2, 1, 3, 4, 5), (3, 2, 1, 7, 3), (2, 3, 4, 1, 2), (1, 1, 1, 1, 1), (1, 2, 5, 150, 3)]


def inputs(
    B: int, H: int, T: int, S: int, A: int, dtype: torch.dtype = torch.float64
) -> list[Tensor]:
    sizes = ((B, H, T, A), (B, H, S, A), (H, A))
    return [torch.randn(size, dtype=dtype).requires_grad_() for size in sizes]


def found(way: Way, given: list[Tensor]) -> list[Tensor]:
    energies = way(*given)
    return [energies, *torch.autograd.grad(energies.sin().sum(), given)]


def assert_equal(way: Way, given: list[Tensor]) -> None:
    for one, other in zip(found(way, given), found(additive_written_out, given), strict=True):
        torch.testing.assert_close(one, other)


@pytest.fixture(params=[16, 2**18], ids=["small tiles", "one tile"])
def tile(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(additive_tiles, "TILE", request.param)
    return int(request.param)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_tiles_equal_the_formula(shape: tuple[int, ...], tile: int) -> None:
    assert_equal(additive_in_tiles, inputs(*shape))


@settings(deadline=None, max_examples=40)
@given(
    shape=st.tuples(*(st.integers(1, n) for n in (3, 3, 6, 9, 5))),
    tile=st.integers(1, 200),
    spread=st.sampled_from([0.1, 3.0, 200.0]),
    seed=st.integers(0, 99),
)
def test_tiles_equal_the_formula_whatever_the_sizes(
    shape: tuple[int, ...], tile: int, spread: float, seed: int
) -> None:
    torch.manual_seed(seed)
    queries, keys, vector = inputs(*shape)
    given = [(queries * spread).detach().requires_grad_(), keys, vector]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(additive_tiles, "TILE", tile)
        assert_equal(additive_in_tiles, given)


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("heads", [1, 2])
def test_gradients_agree_with_finite_differences(heads: int, steps: int, tile: int) -> None:
    given = inputs(2, heads, steps, 4, 3)
    assert gradcheck(additive_in_tiles, given)
    assert gradgradcheck(additive_in_tiles, given)


@pytest.mark.parametrize("unwanted", range(3))
def test_no_gradient_is_formed_that_nobody_wants(unwanted: int) -> None:
    given = inputs(2, 1, 1, 4, 3)
    given[unwanted] = given[unwanted].detach()
    assert gradcheck(additive_in_tiles, given)


@pytest.mark.parametrize("size", [39.0, 60.0, 1e4])
@pytest.mark.parametrize("steps", [1, 3])
def test_exponentials_never_overflow(size: float, steps: int) -> None:
    """In float32 exp(2q) alone does from q = 45 on, and inf times 0 is no number."""
    queries, keys, vector = (one.detach() for one in inputs(1, 1, steps, 9, 4))
    queries[..., :2], queries[..., 2:] = size, -size
    keys[:, :, 3:] -= queries[:, :, :1]  # sums near 0 of numbers that are large
    given = [one.float().requires_grad_() for one in (queries, keys, vector)]
    assert_equal(additive_in_tiles, given)


def test_what_is_no_number_stays_none() -> None:
    queries, keys, vector = (one.detach() for one in inputs(1, 1, 2, 3, 4))
    keys[0, 0, 1, 2] = float("nan")
    for way in (additive_in_tiles, additive_written_out):
        assert way(queries, keys, vector).isnan()[0, 0].tolist() == [[False, True, False]] * 2


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_summed_in_single(dtype: torch.dtype) -> None:
    given = inputs(2, 2, 3, 50, 40, dtype)
    doubles = [one.detach().double().requires_grad_() for one in given]
    upstream = torch.randn(2, 2, 3, 50).to(dtype)
    energies, exact = additive_in_tiles(*given), additive_written_out(*doubles)
    made = [energies, *torch.autograd.grad(energies, given, upstream)]
    expected = [exact, *torch.autograd.grad(exact, doubles, upstream.double())]
    for one, other in zip(made, expected, strict=True):
        assert one.dtype == dtype
        rounding = torch.finfo(dtype).eps  # of the result alone
        torch.testing.assert_close(one.double(), other, rtol=rounding, atol=1e-4)


@pytest.mark.parametrize("steps", [1, 3])
def test_autocast_decides_what_comes_out(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    queries, keys, vector = inputs(2, 1, steps, 5, 4, torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        given = (queries.bfloat16(), keys.bfloat16(), vector)
        slow = additive(*given)
        monkeypatch.setattr(concat_module, "STEP_FROM", 0)
        monkeypatch.setattr(concat_module, "TILES_FROM", 0)
        fast = additive(*given)
        fast.float().sum().backward()
    assert slow.dtype == fast.dtype == torch.bfloat16
    torch.testing.assert_close(fast, slow, rtol=0.05, atol=0.05)
    assert vector.grad is not None and vector.grad.dtype == torch.float32


@pytest.mark.parametrize("heads", [1, 2])
@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("name", ["concat", "coverage", "location-aware"])
def test_scores_are_the_same_by_the_fast_ways(
    name: str, steps: int, heads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    score = scores.get(name).build(6, 6, heads).double()
    if score.reads and steps > 1:
        return  # such a score is asked for one step at a time
    query, keys = torch.randn(2, steps, 6).double(), torch.randn(2, 5, 6).double()
    remembered = {name: torch.rand(2, heads, 5).double() for name in score.reads}

    def run() -> list[Tensor]:
        energies = score(query, score.project_keys(keys), remembered)
        return [energies, *torch.autograd.grad(energies.sin().sum(), list(score.parameters()))]

    slow = run()
    monkeypatch.setattr(concat_module, "STEP_FROM", 0)
    monkeypatch.setattr(concat_module, "TILES_FROM", 0)
    monkeypatch.setattr(concat_module, "additive_written_out", None)
    for one, other in zip(run(), slow, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize(
    ("shape", "way"),
    [
        ((2, 1, 1, 5, 16), "additive_written_out"),
        ((64, 1, 1, 15, 128), "additive_written_out"),
        ((8, 1, 1, 2000, 256), "additive_in_tiles"),
        ((8, 1, 15, 15, 128), "additive_written_out"),
        ((64, 1, 15, 15, 128), "additive_in_tiles"),
    ],
    ids=str,
)
def test_sizes_choose_the_way(
    shape: tuple[int, ...], way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[str] = []
    for name in ("additive_written_out", "additive_in_tiles"):
        monkeypatch.setattr(
            concat_module, name, lambda q, k, v, name=name: taken.append(name) or q.new_empty(0)
        )
    additive(*inputs(*shape, dtype=torch.float32))
    assert taken == [way]


def test_a_query_may_serve_the_whole_batch() -> None:
    queries, keys, vector = inputs(3, 1, 20, 100, 100, torch.float32)
    one = queries[:1]
    torch.testing.assert_close(
        additive(one, keys, vector), additive(one.expand(3, -1, -1, -1), keys, vector)
    )


def test_nothing_of_the_size_of_all_pairs_is_kept() -> None:
    given = inputs(4, 1, 40, 40, 100, torch.float32)

    def kept(way: Way) -> int:
        sizes: list[int] = []

        def pack(tensor: Tensor) -> Tensor:
            sizes.append(tensor.numel())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            way(*given)
        return sum(sizes)

    assert kept(additive) == sum(one.numel() for one in given)
    assert kept(additive_written_out) >= 4 * 40 * 40 * 100


def test_equal_inputs_give_equal_bits() -> None:
    for shape in ((64, 1, 1, 15, 128), (16, 2, 15, 40, 64)):
        given = inputs(*shape, dtype=torch.float32)
        for one, other in zip(found(additive, given), found(additive, given), strict=True):
            assert torch.equal(one, other)


def test_gradients_by_torch_func() -> None:
    queries, keys, vector = (one.detach() for one in inputs(8, 1, 15, 50, 100, torch.float32))
    made = torch.func.grad(lambda q: additive(q, keys, vector).sum())(queries)
    q = queries.clone().requires_grad_()
    additive(q, keys, vector).sum().backward()
    torch.testing.assert_close(made, q.grad)
