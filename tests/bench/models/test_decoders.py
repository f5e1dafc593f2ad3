"""Decoders with every registered mechanism and score: one pass or step by step, alone or in a
batch, padded or not, the result is the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
import torch
from attention_pairs import valid_pairs
from torch import Tensor

from bench.attention.base import Memory
from bench.attention.registries import attentions
from bench.models.base import Decoded, Decoder, select_rows

PAIRS = [(name, score) for name, score, reason in valid_pairs() if reason is None]
CLASSIC = [(name, kind.classic_score) for name, kind in attentions.items()]
FURTHER = [
    pytest.param("soft", "concat", {"rnn_type": "lstm"}, id="lstm before"),
    pytest.param("global", "general", {"rnn_type": "lstm"}, id="lstm after"),
    pytest.param("none", "none", {"rnn_type": "lstm"}, id="lstm fixed"),
    pytest.param("global", "general", {"input_feeding": True}, id="fed"),
    pytest.param("local-p", "general", {"input_feeding": True, "rnn_type": "lstm"}, id="fed lstm"),
    pytest.param("global", "location-aware", {"input_feeding": True}, id="fed, located"),
    pytest.param("soft", "concat", {"residual": True}, id="residual before"),
    pytest.param("none", "none", {"residual": True}, id="residual fixed"),
    pytest.param("global", "dot", {"residual": True, "input_feeding": True}, id="residual fed"),
    pytest.param("multi-step", "dot", {"kernel_size": 1}, id="kernel 1"),
    pytest.param(
        "multi-step", "dot", {"kernel_size": 4, "attention_layers": (2,)}, id="one attends"
    ),
    pytest.param("self", "dot", {"num_heads": 1, "embedding_dim": 8}, id="one head"),
    pytest.param("self", "dot", {"positional_encoding": "learned"}, id="learned positions"),
    pytest.param("soft", "location-aware", {"carry": False}, id="not carried"),
    pytest.param("soft", "dot", {"carry": False, "rnn_type": "lstm"}, id="not carried lstm"),
    pytest.param("soft", "dot", {"decoder_layers": 1, "bidirectional": False}, id="one layer"),
]
EVERY = [
    *(pytest.param(name, score, {}, id=f"{name} {score}") for name, score in PAIRS),
    *FURTHER,
]
#: Every mechanism with its paper's score, and every score before and after the decoder's step:
#: enough for what a mechanism and a score do each for itself.
EACH = [
    *(
        pytest.param(name, score, {}, id=f"{name} {score}")
        for name, score in PAIRS
        if (name, score) in CLASSIC or name in ("soft", "global")
    ),
    *FURTHER,
]


def _stepped(decoder: Decoder, memory: Memory, tokens: Tensor) -> Decoded:
    state, steps = decoder.start(memory), []
    for position in range(tokens.shape[1]):
        decoded, state = decoder.step(tokens[:, position], state)
        assert decoded.features.shape[1] == 1
        steps.append(decoded)
    return Decoded(
        features=_joined([step.features for step in steps]),
        weights=None if steps[0].weights is None else _joined([step.weights for step in steps]),
        parts={name: _joined([step.parts[name] for step in steps]) for name in steps[0].parts},
        contexts=_joined([step.contexts for step in steps]),
        hidden=_joined([step.hidden for step in steps]),
    )


def _joined(tensors: list) -> Tensor:
    return torch.cat(tensors, dim=1)


def _tensors(decoded: Decoded) -> Mapping[str, Tensor]:
    named = {
        "features": decoded.features,
        "weights": decoded.weights,
        "contexts": decoded.contexts,
        "hidden": decoded.hidden,
        **decoded.parts,
    }
    return {name: tensor for name, tensor in named.items() if tensor is not None}


def _assert_same(one: Decoded, other: Decoded) -> None:
    ours, theirs = _tensors(one), _tensors(other)
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        torch.testing.assert_close(tensor, theirs[name], msg=lambda text, name=name: name + text)


@pytest.mark.parametrize(("attention", "score", "changed"), EVERY)
def test_steps_equal_the_parallel_pass(
    attention: str, score: str, changed: dict, make_model: Callable, make_batch: Callable
) -> None:
    encoder, decoder = make_model(attention, score, **changed)
    features, mask, tokens = make_batch([6, 1, 4])
    memory = encoder(features, mask)
    decoded = decoder(tokens, memory, need_weights=True)
    _assert_same(_stepped(decoder, memory, tokens), decoded)
    plain = decoder(tokens, memory)
    torch.testing.assert_close(plain.features, decoded.features)
    assert plain.weights is None


@pytest.mark.parametrize(("attention", "score"), PAIRS)
def test_sizes_of_what_comes_out(
    attention: str, score: str, make_model: Callable, make_batch: Callable
) -> None:
    encoder, decoder = make_model(attention, score)
    features, mask, tokens = make_batch([6, 1, 4])
    decoded = decoder(tokens, encoder(features, mask), need_weights=True)
    B, T, S = 3, tokens.shape[1], 6
    assert decoded.features.shape == (B, T, decoder.output_size)
    assert decoder.output_size == decoder.embedding.embedding_dim
    assert decoded.hidden.shape[:2] == decoded.contexts.shape[:2] == (B, T)
    assert all(part.shape == (B, T, S) for part in decoded.parts.values())
    if attention == "none":
        assert decoded.weights is None
        return
    assert decoded.weights.shape == (B, T, S)
    if decoder.weights_kind == "distribution":
        ones = torch.ones(B, T, dtype=torch.float64)
        torch.testing.assert_close(decoded.weights.sum(dim=2), ones)
    assert not decoded.weights.masked_select(~mask[:, None]).any()


@pytest.mark.parametrize(("attention", "score", "changed"), EVERY)
def test_neither_padding_nor_the_batch_reaches_an_example(
    attention: str,
    score: str,
    changed: dict,
    make_model: Callable,
    make_batch: Callable,
    repad: Callable,
) -> None:
    encoder, decoder = make_model(attention, score, **changed)
    lengths = [6, 1, 4]
    features, mask, tokens = make_batch(lengths)
    decoded = decoder(tokens, encoder(features, mask), need_weights=True)

    padded = decoder(tokens, encoder(*repad(features, mask, 2)), need_weights=True)
    torch.testing.assert_close(padded.features, decoded.features)
    if decoded.weights is not None:
        torch.testing.assert_close(padded.weights[:, :, :6], decoded.weights)
        assert not padded.weights[:, :, 6:].any()

    for row, length in enumerate(lengths):
        one = slice(row, row + 1)
        memory = encoder(features[one, :length], mask[one, :length])
        alone = decoder(tokens[one, : 3 + row], memory)
        torch.testing.assert_close(alone.features, decoded.features[one, : 3 + row])


@pytest.mark.parametrize(("attention", "score", "changed"), EVERY)
def test_no_token_reaches_an_earlier_position(
    attention: str, score: str, changed: dict, make_model: Callable, make_batch: Callable
) -> None:
    encoder, decoder = make_model(attention, score, **changed)
    features, mask, tokens = make_batch([4, 3])
    memory = encoder(features, mask)
    other = tokens.clone()
    other[:, 3:] = tokens[:, 3:] % 8 + 1  # another token, every one
    decoded, changed_later = decoder(tokens, memory), decoder(other, memory)
    torch.testing.assert_close(changed_later.features[:, :3], decoded.features[:, :3])
    assert not torch.allclose(changed_later.features[:, 3], decoded.features[:, 3])


@pytest.mark.parametrize(("attention", "score", "changed"), EVERY)
def test_a_state_can_be_reordered_and_thinned(
    attention: str, score: str, changed: dict, make_model: Callable, make_batch: Callable
) -> None:
    encoder, decoder = make_model(attention, score, **changed)
    features, mask, tokens = make_batch([6, 1, 4])
    memory = encoder(features, mask)
    whole = decoder(tokens, memory).features
    state = decoder.start(memory)
    for position in range(2):
        _, state = decoder.step(tokens[:, position], state, need_weights=False)
    index = torch.tensor([2, 0, 2, 1])
    state = select_rows(state, index)
    for position in range(2, 4):
        decoded, state = decoder.step(tokens[index, position], state)
        torch.testing.assert_close(decoded.features[:, 0], whole[index, position])


@pytest.mark.parametrize(("attention", "score", "changed"), EACH)
def test_the_loss_reaches_every_parameter(
    attention: str, score: str, changed: dict, make_model: Callable, make_batch: Callable
) -> None:
    options = {"estimator": "gumbel"} if attention == "hard" else {}
    encoder, decoder = make_model(attention, score, options=options, **changed)
    encoder.train()
    decoder.train()
    features, mask, tokens = make_batch([6, 5, 4])
    decoder(tokens, encoder(features, mask)).features.square().sum().backward()
    for module in (encoder, decoder):
        for name, parameter in module.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name


@pytest.mark.parametrize(("attention", "score"), CLASSIC)
def test_dropout_works_in_training_and_rests_in_evaluation(
    attention: str, score: str, make_model: Callable, make_batch: Callable
) -> None:
    encoder, decoder = make_model(attention, score, dropout=0.5)
    features, mask, tokens = make_batch([6, 1, 4])
    memory = encoder(features, mask)
    calm = decoder(tokens, memory).features
    torch.testing.assert_close(decoder(tokens, memory).features, calm)
    decoder.train()
    assert (decoder(tokens, memory).features == 0).double().mean() > 0.3
    assert not (calm == 0).any()


@pytest.mark.parametrize(("attention", "score", "changed"), EACH)
def test_single_precision_agrees_with_double(
    attention: str, score: str, changed: dict, make_model: Callable, make_batch: Callable
) -> None:
    encoder, decoder = make_model(attention, score, **changed)
    features, mask, tokens = make_batch([6, 1, 4])
    if attention == "hard":
        tokens = tokens[:, :1]  # a tie that falls the other way changes all that follows
    exact = decoder(tokens, encoder(features, mask)).features
    encoder.float()
    decoder.float()
    memory = encoder(features.float(), mask)
    single = decoder(tokens, memory).features
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), exact, atol=1e-4, rtol=1e-3)
    if attention != "hard":
        stepped = _stepped(decoder, memory, tokens).features
        torch.testing.assert_close(stepped, single, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("attention", "score", "changed"), EACH)
def test_half_precision_trains_and_steps(
    attention: str, score: str, changed: dict, make_model: Callable, make_batch: Callable
) -> None:
    encoder, decoder = make_model(attention, score, **changed)
    features, mask, tokens = make_batch([6, 1, 4], targets=3)
    exact = decoder(tokens, encoder(features, mask)).features
    encoder.float().train()
    decoder.float().train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        memory = encoder(features.float(), mask)
        trained = decoder(tokens, memory).features
    trained.float().sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in decoder.parameters())
    encoder.eval()
    decoder.eval()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        memory = encoder(features.float(), mask)
        read = decoder(tokens, memory).features.float()
        stepped = _stepped(decoder, memory, tokens).features.float()
    if attention != "hard":
        assert (read.double() - exact).abs().mean() < 0.1
        assert (stepped - read).abs().mean() < 0.05


def test_parts_are_named_by_layer_and_head(make_model: Callable, make_batch: Callable) -> None:
    features, mask, tokens = make_batch([4, 3])
    encoder, decoder = make_model("self", "scaled-dot")
    decoded = decoder(tokens, encoder(features, mask), need_weights=True)
    names = [f"layer {layer} head {head}" for layer in (1, 2) for head in (1, 2)]
    assert list(decoded.parts) == names
    torch.testing.assert_close(decoded.weights, torch.stack(list(decoded.parts.values())).mean(0))

    encoder, decoder = make_model("multi-step", "dot", decoder_layers=3, attention_layers=(1, 3))
    decoded = decoder(tokens, encoder(features, mask), need_weights=True)
    assert list(decoded.parts) == ["layer 1", "layer 3"]
    torch.testing.assert_close(decoded.weights, sum(decoded.parts.values()) / 2)


def test_sampled_locations_come_out_in_training(make_model: Callable, make_batch: Callable) -> None:
    encoder, decoder = make_model("hard", "concat", options={"expected_probability": 0.0})
    features, mask, tokens = make_batch([4, 3])
    memory = encoder(features, mask)
    assert decoder(tokens, memory).sampled is None
    decoder.train()
    decoded = decoder(tokens, memory, need_weights=True)
    assert decoded.sampled.log_prob.shape == decoded.sampled.entropy.shape == tokens.shape
    assert (decoded.sampled.log_prob <= 0).all()
    assert decoded.sampled.log_prob.requires_grad
    assert ((decoded.weights == 0) | (decoded.weights == 1)).all()


def test_segments_reach_the_hierarchy(make_model: Callable, make_batch: Callable) -> None:
    encoder, decoder = make_model("hierarchical", "concat")
    features, mask, tokens = make_batch([6, 3])
    segments = torch.tensor([[0, 0, 0, 1, 1, 1], [0, 0, 1, 0, 0, 0]])
    memory = encoder(features, mask, segments)
    decoded = decoder(tokens, memory, need_weights=True)
    _assert_same(_stepped(decoder, memory, tokens), decoded)
    inside = decoded.parts["segments"][0]  # T,S: one weight per segment
    torch.testing.assert_close(inside[:, 0], inside[:, 2])
    torch.testing.assert_close(inside[:, 0] + inside[:, 3], torch.ones_like(inside[:, 0]))


def test_the_fixed_vector_sees_nothing_but_the_summary(
    make_model: Callable, make_batch: Callable
) -> None:
    encoder, decoder = make_model("none", "none")
    features, mask, tokens = make_batch([4, 3])
    memory = encoder(features, mask)
    blind = Memory(torch.zeros_like(memory.states), mask, memory.summary)
    torch.testing.assert_close(decoder(tokens, blind).features, decoder(tokens, memory).features)
    contexts = decoder(tokens, memory).contexts
    torch.testing.assert_close(contexts, memory.summary[:, None].expand_as(contexts))


def test_input_feeding_lets_the_context_reach_the_next_state(
    make_model: Callable, make_batch: Callable
) -> None:
    features, mask, tokens = make_batch([4, 3])
    for feeding in (False, True):
        encoder, decoder = make_model("global", "general", input_feeding=feeding)
        memory = encoder(features, mask)
        other = Memory(memory.states + 1.0, mask, memory.summary)
        before, after = decoder(tokens, memory).hidden, decoder(tokens, other).hidden
        torch.testing.assert_close(after[:, 0], before[:, 0])
        assert torch.allclose(after[:, 1:], before[:, 1:]) is not feeding


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_without_a_state_that_is_carried_nothing_counts_steps(
    cell: str, make_model: Callable, make_batch: Callable
) -> None:
    features, mask, tokens = make_batch([1, 1])  # one position, so that attention is always there
    tokens[:, 3:5] = tokens[:, :2] = tokens.new_tensor([4, 5])
    for carry in (True, False):
        encoder, decoder = make_model("soft", "location-aware", rnn_type=cell, carry=carry)
        hidden = decoder(tokens, encoder(features, mask)).hidden
        assert torch.allclose(hidden[:, 4], hidden[:, 1]) is not carry
