"""Every score against its formula, written out with loops in float64."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Mapping

import pytest
import torch
from torch import Tensor

from bench.attention.attention import ScoredOptions
from bench.attention.base import Score
from bench.attention.heads import merge_heads, split_heads
from bench.attention.registries import scores
from bench.attention.scores import concat as concat_module
from bench.errors import NotApplicable, UsageError

B, T, S, Q, D = 2, 3, 5, 6, 6
#: What a score may read, as multiples of some weights.
READ = {"previous": 1.0, "coverage": 3.0}
#: Scores that have no form of an inner product.
NO_DOT = {
    *("concat", "coverage", "dynamic-convolution", "bilinear-tanh", "cosine", "tanh-dot"),
    *("location-aware", "location-aware-2d", "location-aware-coverage", "location-aware-recurrent"),
}


def energies_of(
    score: Score, query: Tensor, keys: Tensor, remembered: Mapping[str, Tensor]
) -> Tensor:
    """B,H,T,S; step by step, so that scores with a previous step can be tried alike."""
    projected = score.project_keys(keys)
    steps = [score(step, projected, remembered) for step in query.split(1, dim=1)]
    return torch.cat(steps, 2)


def pair_energy(
    score: Score, head: int, h: Tensor, s: Tensor, place: int, remembered: Mapping[str, Tensor]
) -> Tensor:
    """The formula for one head's slices of one query and one key.

    Args:
        place: of the key in the source.
        remembered: what the score reads, S each; what it keeps itself.
    """
    name = next(name for name, kind in scores.items() if type(score) is kind)
    if name == "dot":
        return sum(h[i] * s[i] for i in range(len(h)))
    if name == "scaled-dot":
        return sum(h[i] * s[i] for i in range(len(h))) / math.sqrt(len(h))
    if name == "cosine":
        norms = math.sqrt(sum(x * x for x in h)) * math.sqrt(sum(x * x for x in s))
        return score.log_sharpness[head].exp() * sum(h[i] * s[i] for i in range(len(h))) / norms
    if name == "general":
        W = score.matrix.weight[head]
        return sum(h[i] * W[i, j] * s[j] for i in range(len(h)) for j in range(len(s)))
    if name == "tanh-dot":
        (W, b), (U, c) = ((one.weight[head], one.bias[head]) for one in (score.query, score.key))
        asked, key = torch.tanh(W @ h + b), torch.tanh(U @ s + c)
        return sum(asked[a] * key[a] for a in range(len(key))) / math.sqrt(len(key))
    if name == "bilinear-tanh":
        W = score.matrix.weight[head]
        return torch.tanh(h @ (W @ s) + score.bias[head, 0, 0])
    if name == "biaffine":
        (U, w_s), (w_h, b) = (
            (one[:-1], one[-1]) for one in (score.matrix.weight[head], score.matrix.bias[head])
        )
        return h @ U @ s + torch.cat([w_h, w_s]) @ torch.cat([h, s]) + b
    if name == "trilinear":
        w = torch.cat([score.query[head], score.key[head], score.product[head]])
        return w @ torch.cat([h, s, h * s])
    if name == "location":
        return (score.places[head] @ h)[place]
    if name == "dynamic-convolution":
        return convolved_energy(score, head, h, place, remembered["previous"])
    hidden = score.query.weight[head] @ h + score.key.weight[head] @ s + score.key.bias[head]
    if name == "location-aware":
        hidden = hidden + score.location.weight @ convolved(
            score.convolution.weight[:, 0], remembered["previous"], place
        )
    elif name == "location-aware-coverage":
        hidden = hidden + score.location.weight @ convolved(
            score.convolution.weight[:, 0], remembered["coverage"], place
        )
    elif name == "location-aware-2d":
        for step, weights in enumerate(remembered["kept"]):
            hidden = hidden + score.location.weight @ convolved(
                score.convolution.weight[:, step], weights, place
            )
    elif name == "location-aware-recurrent":
        hidden = hidden + remembered["kept"][0]
    elif name == "coverage":
        hidden = hidden + score.covered[head] * remembered["coverage"][place]
    else:
        assert name == "concat", f"no formula is written down for the score '{name}'"
    return sum(score.vector[head][a] * torch.tanh(hidden[a]) for a in range(len(hidden)))


def convolved(filters: Tensor, previous: Tensor, s: int) -> Tensor:
    """Filters F,K over the previous weights around position s (Chorowski 2015, equation 8)."""
    half = filters.shape[1] // 2
    total = torch.zeros(len(filters), dtype=previous.dtype)
    for k in range(filters.shape[1]):
        position = s + k - half
        if 0 <= position < len(previous):
            total = total + filters[:, k] * previous[position]
    return total


def convolved_energy(score: Score, head: int, h: Tensor, place: int, previous: Tensor) -> Tensor:
    """v . tanh(U f + T g + b) + p for one place (Battenberg 2020)."""
    f = convolved(score.convolution.weight[:, 0], previous, place)
    asked = torch.tanh(score.query.weight[head] @ h + score.query.bias[head])
    filters = (score.kernels.weight[head] @ asked).view(score.filters, score.width)
    g = convolved(filters, previous, place)
    hidden = score.static.weight @ f + score.static.bias + score.dynamic.weight @ g
    arrived = [
        score.prior[moved] * previous[place - moved]
        for moved in range(len(score.prior))
        if moved <= place
    ]
    return score.vector[head] @ torch.tanh(hidden) + math.log(max(sum(arrived), 1e-6))


@pytest.mark.parametrize("heads", [1, 2])
@pytest.mark.parametrize("name", scores.names())
def test_energies_are_those_of_the_formula(name: str, heads: int) -> None:
    score = scores.get(name).build(Q, D, heads).double()
    query = torch.randn(B, T, Q, dtype=torch.float64)
    keys = torch.randn(B, S, D, dtype=torch.float64)
    previous = torch.rand(B, heads, S, dtype=torch.float64).softmax(-1)
    remembered = {name: previous * factor for name, factor in READ.items()}
    if "kept" in score.reads:
        mask = torch.ones(B, S, dtype=torch.bool)
        remembered["kept"] = score.keep(score.keep(None, previous.flip(2), mask), previous, mask)
    found = energies_of(score, query, keys, remembered)
    assert found.shape == (B, heads, T, S)
    for b in range(B):
        for head in range(heads):
            for t in range(T):
                for s in range(S):
                    h = query[b, t].chunk(heads)[head]
                    key = keys[b, s].chunk(heads)[head]
                    read = {name: one[b, head] for name, one in remembered.items()}
                    expected = pair_energy(score, head, h, key, s, read)
                    assert found[b, head, t, s].item() == pytest.approx(expected.item(), abs=1e-10)


@pytest.mark.parametrize(("name", "factor"), [("dot", 1.0), ("scaled-dot", 1 / math.sqrt(3))])
@pytest.mark.parametrize("heads", [1, 2])
def test_dots_of_projections_are_those_of_the_formula(name: str, factor: float, heads: int) -> None:
    options = ScoredOptions(attention_size=3)
    score = scores.get(name).build(4, D, heads, options).double()
    query = torch.randn(B, T, 4, dtype=torch.float64)
    keys = torch.randn(B, S, D, dtype=torch.float64)
    found = score(query, score.project_keys(keys))
    for head in range(heads):
        W, U = score.query.weight[head], score.key.weight[head]
        assert (len(W), len(U)) == (3, 3)
        pairs = zip(query.chunk(heads, -1), keys.chunk(heads, -1), strict=True)
        h, s = list(pairs)[head]
        for b, t, j in itertools.product(range(B), range(T), range(S)):
            expected = factor * sum((W[a] @ h[b, t]) * (U[a] @ s[b, j]) for a in range(3))
            assert found[b, head, t, j].item() == pytest.approx(expected.item(), abs=1e-10)


@pytest.mark.parametrize("name", [name for name, kind in scores.items() if not kind.positional])
def test_projecting_keys_is_affine(name: str) -> None:
    """What `hierarchical` relies on: projected mixtures are mixtures of projected keys."""
    score = scores.get(name).build(Q, D).double()
    keys = torch.randn(1, S, D, dtype=torch.float64)
    mixing = torch.rand(1, 1, S, dtype=torch.float64).softmax(-1)
    mixed_first = score.project_keys(mixing @ keys)
    mixed_last = mixing[:, None] @ score.project_keys(keys)
    torch.testing.assert_close(mixed_first, mixed_last)


@pytest.mark.parametrize("name", scores.names())
def test_the_dot_form_gives_the_same_energies(name: str) -> None:
    score = scores.get(name).build(Q, D, 2).double()
    query = torch.randn(B, 1, Q, dtype=torch.float64)
    projected = score.project_keys(torch.randn(B, S, D, dtype=torch.float64))
    dot = score.as_dot(query)
    if dot is None:
        assert name in NO_DOT
        return
    vectors, factor = dot
    expected = factor * torch.einsum("bhtk,bhsk->bhts", vectors, projected)
    torch.testing.assert_close(score(query, projected), expected)


@pytest.mark.parametrize("name", scores.names())
def test_sizes_that_differ(name: str) -> None:
    kind = scores.get(name)
    if kind.refusal(4, 6) is None:
        score = kind.build(4, 6)
        remembered = {read: torch.ones(B, 1, S) for read in score.reads - {"kept"}}
        if "kept" in score.reads:
            mask = torch.ones(B, S, dtype=torch.bool)
            remembered["kept"] = score.keep(None, torch.ones(B, 1, S), mask)
        projected = score.project_keys(torch.randn(B, S, 6))
        assert score(torch.randn(B, 1, 4), projected, remembered).shape == (B, 1, 1, S)
        return
    with pytest.raises(NotApplicable, match="needs equal sizes, queries have 4 and keys 6"):
        kind.build(4, 6)


def test_only_element_wise_products_refuse_sizes() -> None:
    refusing = {name for name, kind in scores.items() if kind.refusal(4, 6)}
    assert refusing == {"dot", "scaled-dot", "trilinear", "cosine"}


@pytest.mark.parametrize("name", scores.names())
def test_every_score_says_what_it_is(name: str) -> None:
    kind = scores.get(name)
    assert kind.summary and kind.formula and kind.citation


def test_a_wrong_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'scaled-dot'"):
        scores.get("scaled_dott")


@pytest.mark.parametrize("heads", [1, 2])
def test_concat_in_chunks_equals_concat_at_once(
    heads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    score = scores.get("concat").build(Q, D, heads).double()
    inputs = [torch.randn(B, n, D, dtype=torch.float64, requires_grad=True) for n in (T, S)]
    pieces: list[int] = []

    def run() -> tuple[Tensor, ...]:
        found = score(inputs[0], score.project_keys(inputs[1]))
        gradients = torch.autograd.grad(found.sin().sum(), [*inputs, *score.parameters()])
        return found, *gradients

    def counted(function: Callable[[Tensor], Tensor], rows: Tensor, **kwargs: int) -> Tensor:
        def counting(piece: Tensor) -> Tensor:
            pieces.append(piece.shape[kwargs["dim"]])
            return function(piece)

        return real(counting, rows, **kwargs)

    whole = run()
    real = functools.partial(concat_module.in_chunks, limit=2 * B * S * D)
    monkeypatch.setattr(concat_module, "in_chunks", counted)
    for one, other in zip(whole, run(), strict=True):
        torch.testing.assert_close(one, other)
    assert pieces[:2] == [2, 1], "two rows fit into the limit"


def test_concat_starts_highest_where_query_and_key_agree() -> None:
    size = 64
    score = scores.get("concat").build(size, size)
    states = torch.randn(1, 20, size)
    energies = score(states, score.project_keys(states))[0, 0]  # 20,20
    assert (energies.argmax(dim=1) == torch.arange(20)).all()


def test_heads_split_and_merge() -> None:
    vectors = torch.randn(B, S, D)
    for heads in (1, 2, 3):
        split = split_heads(vectors, heads)
        assert split.shape == (B, heads, S, D // heads)
        torch.testing.assert_close(split[:, -1], vectors[..., -(D // heads) :])
        torch.testing.assert_close(merge_heads(split), vectors)
