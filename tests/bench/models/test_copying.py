"""The pointer-generator against equations 8 and 9 of See 2017, written out with loops."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from bench.models.base import Decoded
from bench.models.copying import (
    LEAST,
    PointerGenerator,
    PointerGeneratorDecoder,
    unchanged,
)
from bench.models.layers import VocabularyHead
from bench.models.search import greedy_search
from bench.models.search.beam import beam_search

V, UNKNOWN, FURTHER = 9, 3, 2
SIZE = V + FURTHER
MODELS = [
    ("soft", "concat", "recurrent"),
    ("global", "general", "recurrent"),
    ("sentinel", "concat", "convolutional"),
    ("self", "scaled-dot", "transformer"),
]


def written_out(
    pointer: PointerGenerator,
    head: VocabularyHead,
    decoded: Decoded,
    words: Tensor,
    embedded: Tensor,
    place: tuple[int, int],
) -> list[float]:
    """Probabilities of all words at one target position."""
    b, t = place
    weights = [abs(float(weight)) for weight in decoded.last_weights[b, t]]
    read = torch.cat((decoded.contexts[b, t], decoded.hidden[b, t], embedded[b, t]))
    z = float(pointer.gate.weight[0] @ read + pointer.gate.bias[0])
    g = 1 / (1 + math.exp(-z)) if sum(weights) else 1.0
    logits = head(decoded.features[b, t]).tolist()
    total = sum(map(math.exp, logits))
    found = [g * math.exp(logit) / total for logit in logits] + [0.0] * FURTHER
    for s, weight in enumerate(weights):
        if weight:
            found[int(words[b, s])] += (1 - g) * weight / sum(weights)
    return found


@pytest.fixture
def parts() -> tuple[PointerGenerator, VocabularyHead, Decoded, Tensor, Tensor]:
    """Two sentences of three positions over sources of four; one position attends to nothing, one
    with signs."""
    decoder = nn.Module()
    decoder.embedding, decoder.context_size, decoder.state_size = nn.Embedding(V, 2), 3, 4
    pointer = PointerGenerator(decoder, UNKNOWN).double()  # type: ignore[arg-type]
    head = VocabularyHead(5, nn.Embedding(V, 5), tied=False).double()
    weights = torch.rand(2, 3, 4).double().softmax(-1)
    weights[0, 1] = 0.0
    weights[1, 0, 2] = -0.5
    decoded = Decoded(
        torch.randn(2, 3, 5).double(),
        contexts=torch.randn(2, 3, 3).double(),
        hidden=torch.randn(2, 3, 4).double(),
        last_weights=weights,
    )
    words = torch.tensor([[4, V, 4, 2], [V + 1, 5, V, 0]])
    return pointer, head, decoded, words, torch.randn(2, 3, 2).double()


def test_words_are_generated_or_copied(parts: tuple) -> None:
    pointer, head, decoded, words, embedded = parts
    copied = pointer.copied(decoded, words, embedded, SIZE)
    log_probs = pointer.log_probs(head(decoded.features).flatten(0, 1), copied).view(2, 3, SIZE)
    for b in range(2):
        for t in range(3):
            expected = written_out(*parts, (b, t))
            assert sum(expected) == pytest.approx(1.0)
            torch.testing.assert_close(log_probs[b, t].exp(), torch.tensor(expected).double())


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_is_that_of_the_mixture(parts: tuple, smoothing: float) -> None:
    pointer, head, decoded, words, embedded = parts
    real = torch.tensor([[True, True, True], [True, True, False]])
    labels = torch.tensor([4, V, 2, V + 1, 6])  # the second attends to nothing
    copied = pointer.copied(decoded, words, embedded, SIZE, real)
    found = pointer.loss(head, decoded.features[real], copied, labels, smoothing=smoothing)
    nll, spread, right = [], 0.0, []
    for place, label in zip(real.nonzero().tolist(), labels.tolist(), strict=True):
        every = written_out(*parts, tuple(place))
        nll.append(-math.log(max(every[label], LEAST)))
        right.append(every[label] == max(every))
        spread += float(head(decoded.features[*place]).log_softmax(-1).mean()) / len(labels)
    torch.testing.assert_close(found.nll, torch.tensor(nll).double())
    assert found.right.tolist() == right
    expected = (1 - smoothing) * sum(nll) / len(nll) - smoothing * spread
    assert float(found.loss) == pytest.approx(expected)
    found.loss.backward()
    for parameter in (*pointer.parameters(), *head.parameters()):
        assert parameter.grad is not None and bool(parameter.grad.isfinite().all())


def test_gradients_agree_with_finite_differences(parts: tuple) -> None:
    pointer, head, decoded, words, embedded = parts
    labels = torch.tensor([4, 5, V, V, V + 1, 5])

    def loss(weights: Tensor, features: Tensor) -> Tensor:
        changed = replace(decoded, last_weights=weights)
        copied = pointer.copied(changed, words, embedded, SIZE)
        return pointer.loss(head, features.flatten(0, 1), copied, labels, smoothing=0.1).loss

    weights = torch.rand(2, 3, 4).double().requires_grad_()
    assert torch.autograd.gradcheck(loss, (weights, decoded.features.requires_grad_()))


@pytest.mark.parametrize(("attention", "score", "backbone"), MODELS)
def test_search_writes_what_is_likely_under_the_mixture(
    attention: str, score: str, backbone: str, make_model: Callable, make_batch: Callable
) -> None:
    encoder, decoder = make_model(attention, score, backbone=backbone)
    pointer = PointerGenerator(decoder, UNKNOWN).double()
    nn.init.constant_(pointer.gate.bias, -2.0)  # copies more than it generates
    head = VocabularyHead(decoder.output_size, decoder.embedding).double()
    features, mask, _ = make_batch([3, 5, 2, 6])
    memory = replace(encoder(features, mask), words=torch.randint(V - 2, SIZE, mask.shape))
    searched = PointerGeneratorDecoder(decoder, head, pointer, SIZE)
    assert not searched.training
    options = {"bos": 1, "eos": 2, "max_length": 6, "forbidden": (0, 1, UNKNOWN)}
    greedy = greedy_search(searched, unchanged, memory, **options)
    assert bool((greedy.tokens >= V).any())
    for found in (greedy, beam_search(searched, unchanged, memory, beam=3, **options)):
        # The same by reading what was written at once, and the last layer's weights.
        inputs = torch.cat((torch.ones_like(found.tokens[:, :1]), found.tokens[:, :-1]), dim=1)
        known = pointer.known(inputs)
        assert int(known.max()) < V
        decoded = decoder(known, memory, need_weights=True)
        embedded = decoder.embedding(known)
        for b, length in enumerate(found.lengths.tolist()):
            total = 0.0
            for t in range(length):
                every = written_out(pointer, head, decoded, memory.words, embedded, (b, t))
                total += math.log(every[int(found.tokens[b, t])])
            assert float(found.log_probs[b]) == pytest.approx(total, abs=1e-6)


def test_the_last_layer_copies(make_model: Callable, make_batch: Callable) -> None:
    encoder, decoder = make_model("self", "scaled-dot")
    features, mask, tokens = make_batch([4, 2])
    decoded = decoder(tokens, encoder(features, mask), need_weights=True)
    heads = [decoded.parts[f"layer 2 head {number}"] for number in (1, 2)]
    torch.testing.assert_close(decoded.last_weights, sum(heads) / 2)
