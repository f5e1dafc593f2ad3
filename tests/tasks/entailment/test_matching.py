"""Decomposable attention and ESIM, against their formulas written out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bench.attention.attention import ScoredOptions
from bench.attention.registries import scores
from bench.errors import NotApplicable
from tasks.base import Paths
from tasks.data.batching import LabelledBatch
from tasks.entailment.evaluate import evaluate
from tasks.entailment.matching import (
    BY_PREMISE,
    DecomposableModule,
    EsimModule,
    MatchingModule,
    SoftAlignment,
)
from tasks.entailment.settings import EntailmentSettings
from tasks.plan import make_cell, resolve

E, H, K, V = 6, 8, 3, 12
SETTINGS = EntailmentSettings(embedding_dim=E, hidden_dim=H, dropout=0.0, rnn_type="lstm")
KINDS: dict[str, type[MatchingModule]] = {"decomposable": DecomposableModule, "esim": EsimModule}


def module(reader: str, score: str = "dot", normaliser: str = "softmax") -> MatchingModule:
    torch.manual_seed(3)
    alignment = SoftAlignment(H, score, ScoredOptions(normaliser=normaliser))
    embedding = nn.Embedding(V, E, padding_idx=0)
    return KINDS[reader](embedding, alignment, K, SETTINGS).double().eval()


def batch() -> LabelledBatch:
    """Two pairs: premises of 3 and 2 words, hypotheses of 2 and 3, each with its end (2)."""
    source = torch.tensor([[4, 5, 6, 2], [7, 8, 2, 0]])
    text = torch.tensor([[5, 9, 2, 0], [7, 10, 11, 2]])
    return LabelledBatch(torch.arange(2), source, source != 0, text, torch.tensor([0, 2]))


def pairs() -> list[tuple[list[int], list[int]]]:
    """Premise with its end, and hypothesis, of each example."""
    return [([4, 5, 6, 2], [5, 9]), ([7, 8, 2], [7, 10, 11])]


def aligned(
    a: list[Tensor], b: list[Tensor], keys: list[Tensor], asked: list[Tensor]
) -> tuple[list[Tensor], list[Tensor]]:
    """For every premise word its mean of hypothesis words, and the other way round."""
    e = [[torch.dot(keys[i], asked[j]) for j in range(len(b))] for i in range(len(a))]
    beta, alpha = [], []
    for i in range(len(a)):
        total = sum(e[i][j].exp() for j in range(len(b)))
        beta.append(sum(e[i][j].exp() / total * b[j] for j in range(len(b))))
    for j in range(len(b)):
        total = sum(e[i][j].exp() for i in range(len(a)))
        alpha.append(sum(e[i][j].exp() / total * a[i] for i in range(len(a))))
    return beta, alpha  # type: ignore[return-value]


def mlp(layers: nn.Module, x: Tensor) -> Tensor:
    first, second = layers.first, layers.second
    hidden = (first.weight @ x + first.bias).clamp_min(0)  # type: ignore[operator, union-attr]
    return (second.weight @ hidden + second.bias).clamp_min(0)  # type: ignore[operator, union-attr]


def test_decomposable_attention_is_attend_compare_aggregate() -> None:
    made = module("decomposable")
    assert isinstance(made, DecomposableModule)
    found = made.logits(made.read(batch()), batch())
    for row, (premise, hypothesis) in enumerate(pairs()):
        a = [made.project.weight @ made.embedding.weight[word] for word in premise]  # type: ignore[union-attr, index]
        b = [made.project.weight @ made.embedding.weight[word] for word in hypothesis]  # type: ignore[union-attr, index]
        beta, alpha = aligned(
            a, b, [mlp(made.attend, x) for x in a], [mlp(made.attend, x) for x in b]
        )
        v1 = sum(mlp(made.compare_words, torch.cat(both)) for both in zip(a, beta, strict=True))
        v2 = sum(mlp(made.compare_words, torch.cat(both)) for both in zip(b, alpha, strict=True))
        joined = mlp(made.join, torch.cat((v1, v2)))  # type: ignore[arg-type]
        logits = made.classify.weight @ joined + made.classify.bias
        torch.testing.assert_close(found[row], logits)


def lstm_states(encoder: nn.Module, inputs: list[Tensor]) -> list[Tensor]:
    """A bidirectional LSTM, cell by cell."""

    def run(layer: nn.LSTM, steps: list[Tensor]) -> list[Tensor]:
        h = c = torch.zeros(H // 2, dtype=torch.float64)
        states = []
        for x in steps:
            gates = layer.weight_ih_l0 @ x + layer.bias_ih_l0
            gates = gates + layer.weight_hh_l0 @ h + layer.bias_hh_l0
            i, f, g, o = gates.chunk(4)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
            states.append(h)
        return states

    forwards, backwards = encoder.forwards[0], encoder.backwards[0]  # type: ignore[index]
    onwards, back = run(forwards, inputs), run(backwards, inputs[::-1])[::-1]
    return [torch.cat(both) for both in zip(onwards, back, strict=True)]


def test_esim_is_encoding_enhancement_composition_and_pooling() -> None:
    made = module("esim")
    assert isinstance(made, EsimModule)
    found = made.logits(made.read(batch()), batch())
    for row, (premise, hypothesis) in enumerate(pairs()):
        table: Tensor = made.embedding.weight  # type: ignore[assignment]
        a = lstm_states(made.encoder, [table[word] for word in premise])
        b = lstm_states(made.encoder, [table[word] for word in hypothesis])
        beta, alpha = aligned(a, b, a, b)
        pooled = []
        for own, other in ((a, beta), (b, alpha)):
            enhanced = [torch.cat((x, y, x - y, x * y)) for x, y in zip(own, other, strict=True)]
            local = [(made.enhance.weight @ m + made.enhance.bias).clamp_min(0) for m in enhanced]
            v = torch.stack(lstm_states(made.compose, local))
            pooled += [v.mean(0), v.amax(0)]
        joined = torch.tanh(made.join.weight @ torch.cat(pooled) + made.join.bias)
        logits = made.classify.weight @ joined + made.classify.bias
        torch.testing.assert_close(found[row], logits)


@pytest.mark.parametrize("normaliser", ["softmax", "sparsemax"])
@pytest.mark.parametrize("score", [n for n in scores.names() if not scores.get(n).reads])
@pytest.mark.parametrize("reader", KINDS)
def test_weights_go_both_ways_and_padding_changes_nothing(
    reader: str, score: str, normaliser: str
) -> None:
    made = module(reader, score, normaliser)
    reading = made.read(batch(), need_weights=True)
    logits = made.logits(reading, batch())
    assert reading.weights is not None
    for row, (premise, hypothesis) in enumerate(pairs()):
        S, T = len(premise), len(hypothesis)
        for weights, dim in ((reading.weights, 1), (reading.parts[BY_PREMISE], 0)):
            part = weights[row, :T, :S]
            torch.testing.assert_close(part.sum(dim), torch.ones_like(part.sum(dim)))
            assert weights[row].sum().item() == pytest.approx(part.sum().item())
        alone = LabelledBatch(
            torch.tensor([0]),
            torch.tensor([premise]),
            torch.ones(1, S, dtype=torch.bool),
            torch.tensor([[*hypothesis, 2]]),
            torch.tensor([0]),
        )
        torch.testing.assert_close(made.logits(made.read(alone), alone)[0], logits[row])


@pytest.mark.parametrize("reader", KINDS)
def test_a_trial_trains_and_is_evaluated_with_weights_and_gold(reader: str, tmp_path: Path) -> None:
    options = {"reader": reader, "gold_attention": "loss", "train_limit": 40}
    plan = resolve(make_cell("entailment", "global", "dot", budget="smoke", options=options))
    data = plan.task.prepare(plan, Paths(None, tmp_path))
    made = plan.task.module(plan, data)
    made.training_loss(data.train.batch(np.arange(8))).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in made.parameters())
    with torch.inference_mode():
        found = evaluate(made.eval(), data)
    assert found.alignment is not None and found.alignment.aer is not None
    assert all(BY_PREMISE in trace.parts for trace in found.traces)


@pytest.mark.parametrize(
    ("attention", "score", "options", "reason"),
    [
        ("soft", "dot", {}, "use global in a recurrent model"),
        ("none", None, {}, "use global in a recurrent model"),
        ("global", "location-aware", {}, "reads the step before"),
        ("global", "dot", {"heads": 2}, "not by several heads"),
        ("global", "dot", {"gold_attention": "given"}, "aligns both ways"),
        ("global", "dot", {"guided_loss": 1.0}, "guided_loss is an option of a decoder's"),
        ("global", "dot", {"coverage_loss": 1.0}, "coverage_loss is an option of a decoder's"),
        ("global", "dot", {"energy_factor": 2.0}, "energy_factor is an option of a decoder's"),
    ],
)
def test_what_does_not_align_by_one_matrix_is_refused(
    attention: str, score: str | None, options: dict[str, object], reason: str
) -> None:
    wanted = {"reader": "esim", **options}
    with pytest.raises(NotApplicable, match=reason):
        make_cell("entailment", attention, score, options=wanted)
