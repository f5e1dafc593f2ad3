"""`hierarchical` against Yang 2016 written out with loops, and the table of segments."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from attention_pairs import normalisers_of
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from bench.attention.attention import build_attention
from bench.attention.base import AttentionOutput, AttentionState, Memory, Sizes, lengths_to_mask
from bench.attention.mechanisms.hierarchical import (
    HierarchicalAttention,
    HierarchicalOptions,
    segment_layout,
)
from bench.attention.registries import scores

SIZE = 4
Make = Callable[..., Memory]
PLAIN = [name for name, kind in scores.items() if not (kind.reads or kind.positional)]
#: Numbers of segments: out of order, as regions of a picture are; with numbers left out, and
#: garbage under the padding.
SEGMENTS = torch.tensor([[0, 0, 1, 0, 2, 1, 2], [0, 2, 2, 5, 99, -7, 99], [0] * 7])
LENGTHS = [7, 4, 1]


def build(score: str, **options: object) -> HierarchicalAttention:
    chosen = HierarchicalOptions(**options)
    module = build_attention("hierarchical", Sizes(SIZE, SIZE), score, chosen)
    assert isinstance(module, HierarchicalAttention)
    return module.double()


def attend(module: HierarchicalAttention, query: Tensor, memory: Memory) -> AttentionOutput:
    keys = module.prepare(memory)
    result: AttentionOutput = module(query, keys, module.initial_state(keys))
    return result


def written_out(
    module: HierarchicalAttention, h: Tensor, states: Tensor, segments: list[int]
) -> tuple[Tensor, Tensor, Tensor]:
    """Context, weights and segment weights of one query h over n real states."""

    def energies(score: torch.nn.Module, vectors: Tensor) -> Tensor:
        return score(h[None, None], score.project_keys(vectors[None]))[0, 0, 0]

    numbers = sorted(set(segments))
    alphas, vectors = {}, []
    word_energies = energies(module.score, states)
    for number in numbers:
        inside = [s for s, segment in enumerate(segments) if segment == number]
        alphas[number] = module.normaliser(word_energies[inside], None)
        vectors.append(sum(a * states[s] for a, s in zip(alphas[number], inside, strict=True)))
    if module.segment_encoder is not None:  # Yang 2016, section 2.2.3
        vectors = list(module.segment_encoder(torch.stack(vectors))[0])
    betas = module.normaliser(energies(module.segment_score, torch.stack(vectors)), None)
    context = sum(beta * vector for beta, vector in zip(betas, vectors, strict=True))
    weights, spread = [], []
    for s, number in enumerate(segments):
        beta = betas[numbers.index(number)]
        place = sum(1 for earlier in segments[:s] if earlier == number)
        weights.append(beta * alphas[number][place])
        spread.append(beta)
    return context, torch.stack(weights), torch.stack(spread)


@pytest.mark.parametrize("encoder", [False, True])
@pytest.mark.parametrize("normaliser", normalisers_of("hierarchical"))
@pytest.mark.parametrize("score", PLAIN)
def test_both_levels_are_those_of_the_paper(
    make_memory: Make, score: str, normaliser: str, encoder: bool
) -> None:
    # Without numbers left out, whose empty segments the loops below do not know.
    numbers = torch.where(SEGMENTS == 5, 1, SEGMENTS) if encoder else SEGMENTS
    memory = make_memory(LENGTHS, SIZE, segments=numbers)
    module = build(score, normaliser=normaliser, segment_encoder=encoder)
    query = 2 * torch.randn(3, 4, SIZE, dtype=torch.float64)
    found = attend(module, query, memory)
    for b, length in enumerate(LENGTHS):
        for t in range(4):
            context, weights, spread = written_out(
                module, query[b, t], memory.states[b, :length], numbers[b, :length].tolist()
            )
            torch.testing.assert_close(found.context[b, t], context)
            torch.testing.assert_close(found.weights[b, t, :length], weights)
            torch.testing.assert_close(found.parts["segments"][b, t, :length], spread)
            assert (found.weights[b, t, length:] == 0).all()
            assert (found.parts["segments"][b, t, length:] == 0).all()


def test_the_two_levels_have_parameters_of_their_own() -> None:
    module = build("concat")
    word = {id(parameter) for parameter in module.score.parameters()}
    segment = {id(parameter) for parameter in module.segment_score.parameters()}
    assert len(word) == len(segment) == 4 and not word & segment


def test_values_that_differ_from_what_is_scored_are_averaged(make_memory: Make) -> None:
    values = torch.randn(3, 7, SIZE, dtype=torch.float64)
    memory = make_memory(LENGTHS, SIZE, segments=SEGMENTS, values=values)
    found = attend(build("general"), torch.randn(3, 2, SIZE, dtype=torch.float64), memory)
    torch.testing.assert_close(found.context, found.weights @ values)


@pytest.mark.parametrize("size", [1, 3, 10])
def test_without_segments_they_have_a_fixed_width(make_memory: Make, size: int) -> None:
    named = make_memory(LENGTHS, SIZE, segments=(torch.arange(7) // size).expand(3, 7))
    unnamed = Memory(named.states, named.mask, named.summary)
    module = build("concat", segment_size=size)
    query = torch.randn(3, 2, SIZE, dtype=torch.float64)
    torch.testing.assert_close(
        attend(module, query, unnamed).weights, attend(module, query, named).weights
    )


def test_one_segment_is_plain_attention(make_memory: Make) -> None:
    memory = make_memory(LENGTHS, SIZE, segments=torch.zeros(3, 7, dtype=torch.int64))
    module = build("general")
    plain = build_attention("global", Sizes(SIZE, SIZE), "general").double()
    plain.score.load_state_dict(module.score.state_dict())
    query = torch.randn(3, 2, SIZE, dtype=torch.float64)
    expected = plain(query, plain.prepare(memory), AttentionState())
    torch.testing.assert_close(attend(module, query, memory).weights, expected.weights)


@settings(deadline=None, max_examples=80)
@given(
    rows=st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=8), min_size=1, max_size=4),
    padding=st.integers(-5, 5),
)
def test_the_table_holds_every_position_once(rows: list[list[int]], padding: int) -> None:
    """`rows` are the segment numbers of real positions, in any order."""
    S = max(len(row) for row in rows)
    numbers = [torch.tensor(row) for row in rows]
    segments = torch.full((len(rows), S), padding)
    for row, found in zip(segments, numbers, strict=True):
        row[: len(found)] = found
    lengths = torch.tensor([len(row) for row in rows])
    states = torch.zeros(len(rows), S, 1)
    memory = Memory(states, lengths_to_mask(lengths, S), states[:, 0], segments=segments)
    layout = segment_layout(memory, width=5)
    B, G, L = layout.open.shape
    assert 1 + max(int(found.max()) for found in numbers) == G
    assert max(int(found.bincount().max()) for found in numbers) == L
    assert layout.open.any(-1).all(), "every row can be normalised"
    for b in range(B):
        for s in range(int(lengths[b])):
            g, place = divmod(int(layout.place[b, s]), L)
            assert g == segments[b, s] and layout.slots[b, g, place] == s
            assert layout.open[b, g, place] and layout.real[b, g]
        opened = (layout.open[b] & layout.real[b, :, None]).sum()
        assert opened == lengths[b]
