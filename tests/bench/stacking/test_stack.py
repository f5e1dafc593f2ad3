from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from bench.attention.heads import HeadLinear
from bench.models.recurrent_cells import Lstm
from bench.stacking.fold import Draws, Fold, RandomState
from bench.stacking.rows import affine, plus, rows_product
from bench.stacking.stack import NotStackable, stack_models

K, ROWS, SIZE = 3, 4, 7
#: Rows and positions of each model; some are padded.
OWN_ROWS, OWN_SIZES = (4, 2, 3), (7, 5, 6)

LAYERS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "linear": (lambda: nn.Linear(8, 5), (SIZE, 8)),
    "linear without bias": (lambda: nn.Linear(8, 5, bias=False), (8,)),
    "layer norm": (lambda: nn.LayerNorm(8, eps=0.1), (SIZE, 8)),
    "group norm": (lambda: nn.GroupNorm(2, 8, eps=0.1), (8, 5, 5)),
    "convolution": (lambda: nn.Conv1d(8, 6, 3), (8, SIZE)),
    "picture": (lambda: nn.Conv2d(8, 6, 3).to(memory_format=torch.channels_last), (8, 5, 5)),
    "gru": (lambda: nn.GRU(8, 6, batch_first=True), (SIZE, 8)),
    "lstm": (lambda: Lstm(8, 6, num_layers=2, batch_first=True), (SIZE, 8)),
    "heads": (lambda: HeadLinear(8, 3, heads=2), (SIZE, 8)),
    "one head": (lambda: HeadLinear(8, 3), (SIZE, 8)),
}


def fold() -> Fold:
    states = [RandomState(torch.get_rng_state())] * K
    return Fold(
        K, {ROWS: OWN_ROWS}, {SIZE: OWN_SIZES}, OWN_SIZES, Draws(torch.device("cpu"), states)
    )


def first(output: Tensor | tuple[Tensor, object]) -> Tensor:
    return output if isinstance(output, Tensor) else output[0]


@pytest.mark.parametrize("name", LAYERS)
def test_a_stacked_layer_does_what_the_layers_do(name: str) -> None:
    make, shape = LAYERS[name]
    torch.manual_seed(1)
    # Norms begin alike; here no two parameters are.
    layers = [make() for _ in range(K)]
    for layer in layers:
        for parameter in layer.parameters():
            nn.init.normal_(parameter)
    rows = torch.randn(K * ROWS, *shape)
    recurrent = isinstance(layers[0], nn.GRU | nn.LSTM)
    parts = fold().parts(rows) if recurrent else list(rows.chunk(K))
    alone = [first(layer(part)) for layer, part in zip(layers, parts, strict=True)]
    gradients = [torch.randn_like(one) for one in alone]
    for one, gradient in zip(alone, gradients, strict=True):
        one.backward(gradient)
    expected = [[one.grad for one in layer.parameters()] for layer in layers]

    stacked = stack_models(layers)
    assert all(not one.grad.any() for one in stacked.parameters if one.grad is not None)
    with fold().in_force():
        output = first(stacked.model(rows))
    found = fold().parts(output) if recurrent else list(output.chunk(K))
    for mine, one in zip(found, alone, strict=True):
        torch.testing.assert_close(mine, one, rtol=1e-5, atol=1e-5)
    torch.autograd.backward(found, gradients)
    for layer, wanted in zip(layers, expected, strict=True):
        for parameter, gradient in zip(layer.parameters(), wanted, strict=True):
            torch.testing.assert_close(parameter.grad, gradient, rtol=1e-4, atol=1e-4)


def test_every_model_drops_between_its_recurrent_layers_what_it_would_alone() -> None:
    layers = [Lstm(8, 6, num_layers=2, batch_first=True, dropout=0.5) for _ in range(K)]
    rows, alone = torch.randn(K * ROWS, SIZE, 8), []
    for model, (layer, part) in enumerate(zip(layers, fold().parts(rows), strict=True)):
        torch.manual_seed(model)
        alone.append([layer(part)[0].detach() for _ in range(2)])  # twice: draws go on
    states = [RandomState(torch.manual_seed(model).get_state()) for model in range(K)]
    folded = replace(fold(), draws=Draws(torch.device("cpu"), states))
    stacked = stack_models(layers)
    with folded.in_force():
        together = [folded.parts(stacked.model(rows)[0]) for _ in range(2)]
    for model in range(K):
        for time in range(2):
            torch.testing.assert_close(together[time][model], alone[model][time])


def test_embeddings_of_padding_are_zero_and_learn_nothing() -> None:
    models = [nn.Embedding(6, 4, padding_idx=0) for _ in range(2)]
    nn.init.ones_(models[1].weight)  # padding's row too
    stacked = stack_models(models)
    tokens = torch.tensor([[1, 2, 0], [5, 0, 0]])
    found = stacked.model(tokens)
    assert torch.equal(found[0], models[0](tokens[0]))
    assert torch.equal(found[1], torch.tensor([1.0, 0, 0])[:, None].expand(3, 4))
    found.sum().backward()
    gradient = models[1].weight.grad
    assert gradient is not None and gradient[0].sum() == 0 and gradient[5].sum() == 4


class Tied(nn.Module):
    """A matrix that stands in two places."""

    def __init__(self) -> None:
        super().__init__()
        self.enter, self.leave = nn.Embedding(6, 4), nn.Linear(4, 6)
        self.leave.weight = self.enter.weight

    def forward(self, tokens: Tensor) -> Tensor:
        return self.leave(self.enter(tokens))


def test_what_is_shared_is_stacked_once_and_gathers_all_gradients() -> None:
    models = [Tied() for _ in range(2)]
    tokens = torch.tensor([1, 2])
    for model, token in zip(models, tokens, strict=True):
        model(token[None]).sum().backward()
    expected = [model.enter.weight.grad for model in models]
    stacked = stack_models(models)
    assert len(stacked.parameters) == 2
    stacked.model(tokens).sum().backward()
    for model, gradient in zip(models, expected, strict=True):
        torch.testing.assert_close(model.enter.weight.grad, gradient)


def test_models_and_their_stack_are_one_memory() -> None:
    models = [nn.Linear(3, 2) for _ in range(2)]
    stacked = stack_models(models)
    weight = stacked.parameters[0]
    # Work that is left to the models adds to the same gradients.
    stacked.model(torch.ones(4, 3)).sum().backward()
    models[1](torch.ones(1, 3)).sum().backward()
    assert weight.grad is not None and weight.grad[:, 0, 0].tolist() == [2.0, 3.0]
    with torch.no_grad():
        weight += 1.0
    assert torch.equal(models[1].weight, weight[1])


def test_what_does_not_learn_has_no_gradient() -> None:
    models = [nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 2)) for _ in range(2)]
    for model in models:
        model[0].requires_grad_(False)
    stacked = stack_models(models)
    assert len(stacked.parameters) == 2
    stacked.model(torch.ones(4, 3)).sum().backward()
    assert models[0][0].weight.grad is None


class Own(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3))


class Drawing(nn.Module):
    draws = True


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (Own, "Own has parameters of its own"),
        (Drawing, "Drawing draws at every step"),
        (lambda: nn.Dropout(0.1), "Dropout draws from one stream"),
    ],
)
def test_what_cannot_be_stacked_is_named_and_left_as_it_was(
    part: Callable[[], nn.Module], said: str
) -> None:
    models = [nn.Sequential(nn.Linear(3, 3), part()) for _ in range(2)]
    weights = [model[0].weight.data_ptr() for model in models]
    with pytest.raises(NotStackable, match=f"^1: {said}"):
        stack_models(models)
    assert [model[0].weight.data_ptr() for model in models] == weights


def test_rows_of_one_model_are_as_ever() -> None:
    rows, weight, bias = torch.randn(5, 3), torch.randn(2, 3), torch.randn(2)
    assert torch.equal(affine(rows, weight, bias), nn.functional.linear(rows, weight, bias))
    assert torch.equal(rows_product(bias, rows, weight.t()), torch.addmm(bias, rows, weight.t()))


def test_rows_of_several_models_meet_their_own() -> None:
    rows, weight, bias = torch.randn(6, 3), torch.randn(2, 4, 3), torch.randn(2, 4)
    expected = torch.cat(
        [affine(rows[:3], weight[0], bias[0]), affine(rows[3:], weight[1], bias[1])]
    )
    matrix = weight.transpose(1, 2)
    torch.testing.assert_close(affine(rows, weight, bias), expected)
    torch.testing.assert_close(rows_product(bias, rows, matrix), expected)
    each = bias.repeat_interleave(3, 0)
    torch.testing.assert_close(rows_product(each, rows, matrix), expected)
    states, values = torch.randn(6, 5, 3), torch.randn(2, 5, 3)
    torch.testing.assert_close(plus(states, values), states + values.repeat_interleave(3, 0))
