"""Options of heads against their formulas, written out head by head; and what is refused."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bench.attention.attention import ScoredAttention, ScoredOptions, build_attention
from bench.attention.base import Memory, Sizes
from bench.attention.registries import attentions
from bench.errors import NotApplicable, UsageError

Q, D, H, S, T = 8, 6, 4, 5, 3
LENGTHS = torch.tensor([5, 3])


def build(score: str = "scaled-dot", heads: int = H, **options: Any) -> ScoredAttention:
    module = build_attention("global", Sizes(Q, D), score, _options(heads=heads, **options))
    assert isinstance(module, ScoredAttention)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    return module.double()


def _options(**options: Any) -> ScoredOptions:
    return attentions.get("global").Options(**options)


def attend(module: ScoredAttention) -> tuple[Tensor, Memory, Tensor, dict[str, Tensor]]:
    """The queries, the memory, the context, and the weights of each head."""
    mask = torch.arange(S) < LENGTHS[:, None]
    states = torch.randn(2, S, D, dtype=torch.float64)
    memory, query = Memory(states, mask, states[:, 0]), torch.randn(2, T, Q, dtype=torch.float64)
    keys = module.prepare(memory)
    found = module(query, keys, module.initial_state(keys))
    fused = module(query, keys, module.initial_state(keys), need_weights=False)
    torch.testing.assert_close(fused.context, found.context)
    return query, memory, found.context, dict(found.parts)


def pieces(vector: Tensor, count: int) -> list[Tensor]:
    return list(vector.chunk(count))


def softmax(energies: list[float]) -> list[float]:
    total = sum(math.exp(e) for e in energies)
    return [math.exp(e) / total for e in energies]


def dot(left: Tensor, right: Tensor) -> float:
    return sum(a * b for a, b in zip(left.tolist(), right.tolist(), strict=True))


def unit(vector: Tensor) -> Tensor:
    return vector / vector.square().sum().sqrt()


def assert_context(
    module: ScoredAttention, found: Tensor, weights: list[list[float]], values: list[list[Tensor]]
) -> None:
    """The context is the projection of the heads' weighted sums of `values[s][h]`."""
    heads = [sum(w * values[s][h] for s, w in enumerate(weights[h])) for h in range(len(weights))]
    torch.testing.assert_close(found, module.output_projection(torch.cat(heads)))


@pytest.mark.parametrize("groups", [1, 2])
def test_groups_of_heads_share_keys_and_values(groups: int) -> None:
    module = build(key_value_heads=groups)
    assert module.key_projection.weight.shape == (Q // H * groups, D)
    query, memory, context, parts = attend(module)
    for b, length in enumerate(LENGTHS.tolist()):
        keys = [pieces(module.key_projection(s), groups) for s in memory.states[b, :length]]
        values = [pieces(module.value_projection(s), groups) for s in memory.states[b, :length]]
        for t in range(T):
            q = pieces(module.query_projection(query[b, t]), H)
            group = [h * groups // H for h in range(H)]
            weights = [
                softmax([dot(q[h], key[group[h]]) / math.sqrt(Q // H) for key in keys])
                for h in range(H)
            ]
            shared = [[value[group[h]] for h in range(H)] for value in values]
            assert parts["head 3"][b, t, :length].tolist() == pytest.approx(weights[2])
            assert_context(module, context[b, t], weights, shared)


@pytest.mark.parametrize("kind", ["l2", "rms"])
def test_queries_and_keys_are_normalised(kind: str) -> None:
    module = build("dot", query_key_norm=kind)
    query, memory, _, parts = attend(module)
    for t in range(T):
        q = pieces(module.query_projection(query[0, t]), H)[1]
        energies = []
        for state in memory.states[0]:
            k = pieces(module.key_projection(state), H)[1]
            if kind == "l2":
                energies.append(dot(unit(q), unit(k)) * module.query_norm.scale.item())
            else:
                left = unit(q) * math.sqrt(Q // H) * module.query_norm.scale
                right = unit(k) * math.sqrt(Q // H) * module.key_norm.scale
                energies.append(dot(left, right))
        assert parts["head 2"][0, t].tolist() == pytest.approx(softmax(energies), abs=1e-5)


def test_heads_talk_before_and_after_the_softmax() -> None:
    module = build(talking_heads=True)
    query, memory, context, parts = attend(module)
    before, after = module.normaliser.energies, module.normaliser.weights
    keys = [pieces(module.key_projection(s), H) for s in memory.states[0]]
    values = [pieces(module.value_projection(s), H) for s in memory.states[0]]
    for t in range(T):
        q = pieces(module.query_projection(query[0, t]), H)
        plain = [[dot(q[h], key[h]) / math.sqrt(Q // H) for key in keys] for h in range(H)]
        mixed = [
            softmax([sum(before[g, h].item() * plain[g][s] for g in range(H)) for s in range(S)])
            for h in range(H)
        ]
        weights = [
            [sum(after[g, h].item() * mixed[g][s] for g in range(H)) for s in range(S)]
            for h in range(H)
        ]
        assert parts["head 1"][0, t].tolist() == pytest.approx(weights[0])
        assert_context(module, context[0, t], weights, values)


def test_a_sink_takes_weight_and_gives_nothing() -> None:
    module = build(sink=True)
    query, memory, context, parts = attend(module)
    keys = [pieces(module.key_projection(s), H) for s in memory.states[1, :3]]
    values = [pieces(module.value_projection(s), H) for s in memory.states[1, :3]]
    for t in range(T):
        q = pieces(module.query_projection(query[1, t]), H)
        weights = []
        for h in range(H):
            energies = [dot(q[h], key[h]) / math.sqrt(Q // H) for key in keys]
            weights.append(softmax([*energies, module.normaliser.energy[h].item()])[:-1])
        assert parts["head 4"][1, t, :3].tolist() == pytest.approx(weights[3])
        assert sum(weights[3]) < 1
        assert_context(module, context[1, t], weights, values)


def test_differential_attention_is_the_papers() -> None:
    module = build(heads=2, differential=True, differential_start=0.6)
    query, memory, context, parts = attend(module)
    q1, k1, q2, k2 = module.normaliser.vectors
    factor = math.exp(dot(q1, k1)) - math.exp(dot(q2, k2)) + 0.6
    keys = [pieces(module.key_projection(s), 4) for s in memory.states[0]]
    values = [pieces(module.value_projection(s), 2) for s in memory.states[0]]
    for t in range(T):
        q = pieces(module.query_projection(query[0, t]), 4)
        heads = []
        for h in range(2):
            both = [
                softmax([dot(q[one], key[one]) / math.sqrt(Q // 4) for key in keys])
                for one in (2 * h, 2 * h + 1)
            ]
            weights = [a - factor * b for a, b in zip(*both, strict=True)]
            assert parts[f"head {h + 1}"][0, t].tolist() == pytest.approx(weights)
            mixed = sum(w * values[s][h] for s, w in enumerate(weights))
            root = (mixed.square().mean() + 1e-5).sqrt()
            heads.append(mixed / root * module.head_output.scale * (1 - 0.6))
        expected = module.output_projection(torch.cat(heads))
        torch.testing.assert_close(context[0, t], expected)


@pytest.mark.parametrize("gate", ["head", "element"])
def test_a_gate_scales_what_heads_found(gate: str) -> None:
    module = build(output_gate=gate)
    query, memory, context, parts = attend(module)
    values = [pieces(module.value_projection(s), H) for s in memory.states[0]]
    for t in range(T):
        gates = pieces(torch.sigmoid(module.head_output.gate.weight @ query[0, t]), H)
        heads = [
            gates[h] * sum(parts[f"head {h + 1}"][0, t, s] * values[s][h] for s in range(S))
            for h in range(H)
        ]
        torch.testing.assert_close(context[0, t], module.output_projection(torch.cat(heads)))


@pytest.mark.parametrize("kind", ["own", "several-widths"])
def test_heads_convolve_previous_weights_on_their_own(kind: str) -> None:
    """ESPnet's AttMultiHeadLoc and AttMultiHeadMultiResLoc."""
    reach, filters = 3, 2
    options = {"location_heads": kind, "location_kernel": 7, "location_filters": filters}
    module = build("location-aware", **options)
    score, before = module.score, torch.rand(1, H, S, dtype=torch.float64)
    query, state = torch.randn(1, 1, Q, dtype=torch.float64), torch.randn(1, S, Q).double()
    found = score(query, score.project_keys(state), {"previous": before})
    for h in range(H):
        own = reach * (h + 1) // H if kind == "several-widths" else reach
        kernels = score.own_convolutions[h].weight[:, 0]
        assert kernels.shape == (filters, 2 * own + 1)
        for s in range(S):
            seen = torch.zeros(filters, dtype=torch.float64)
            for k in range(-own, own + 1):
                if 0 <= s + k < S:
                    seen += kernels[:, k + own] * before[0, h, s + k]
            hidden = score.query.weight[h] @ pieces(query[0, 0], H)[h] + score.key.bias[h]
            hidden = hidden + score.key.weight[h] @ pieces(state[0, s], H)[h]
            hidden = hidden + score.location.weight[h] @ seen
            expected = score.vector[h] @ torch.tanh(hidden)
            torch.testing.assert_close(found[0, h, 0, s], expected)


def test_what_is_off_adds_no_parameter_and_draws_nothing() -> None:
    torch.manual_seed(3)
    module = build_attention("global", Sizes(Q, D), "general", _options())
    after = torch.rand(1)
    torch.manual_seed(3)
    assert [name for name, _ in module.named_parameters()] == ["score.matrix.weight"]
    torch.empty(1, Q, D).uniform_()
    assert torch.equal(torch.rand(1), after)


@pytest.mark.parametrize(
    ("attention", "score", "options", "said"),
    [
        ("global", "general", {"sink": True, "normaliser": "sigmoid"}, "does not fix"),
        (
            "global",
            "dot",
            {"sink": True, "normaliser": "constrained-softmax"},
            "counts the weights",
        ),
        ("self", "dot", {"differential": True, "talking_heads": True}, "choose one"),
        ("self", "dot", {"differential": True, "normaliser": "sigmoid"}, "two distributions"),
        ("soft", "location-aware", {"differential": True}, "previous weights"),
        ("self", "concat", {"query_key_norm": "l2"}, "bounds a product"),
        ("self", "cosine", {"query_key_norm": "rms"}, "bounds already"),
        ("hierarchical", "dot", {"query_key_norm": "rms"}, "averages projected keys"),
        ("hierarchical", "concat", {"sink": True}, "needs weights that are a distribution"),
        ("over", "dot", {"normaliser": "sigmoid"}, "needs weights that are a distribution"),
        ("over", "dot", {"normaliser": "alpha-entmax", "heads": 2}, "one head at a time"),
        ("hard", "concat", {"talking_heads": True, "heads": 2}, "they are signed"),
        ("local-p", "dot", {"sink": True}, "sum to 1 again"),
        ("soft", "dot", {"sink": True, "doubly_stochastic": 1.0}, "shares out"),
    ],
)
def test_options_that_mean_nothing_are_refused(
    attention: str, score: str, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(NotApplicable, match=said):
        build_attention(attention, Sizes(Q, Q), score, attentions.get(attention).Options(**options))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"key_value_heads": 3}, "cannot share"),
        ({"score": "general", "talking_heads": True, "heads": 1}, "no other to talk to"),
        ({"differential": True, "heads": 8}, "does not split into 16 heads"),
    ],
)
def test_options_that_do_not_fit_the_sizes_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        build(**options)
