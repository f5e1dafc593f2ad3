"""Models trained side by side and alone: the same losses, gradients and parameters."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
import torch

from ablations.fit import seed_all
from bench.attention.registries import attentions
from bench.stacking.fold import RandomState, random_state, set_random_state
from bench.stacking.stack import NotStackable
from tasks.base import Paths
from tasks.plan import make_cell, resolve
from tasks.registries import tasks
from tasks.stacked import StackedTraining, clip_each
from tasks.training import StackableModule

SEEDS = (1, 2, 3)
#: Beside every attention with its paper's score: other ways through its code.
FURTHER: list[tuple[str, str | None, dict[str, Any]]] = [
    ("soft", "location-aware", {}),
    ("soft", "concat", {"doubly_stochastic": 1.0, "gate": True}),
    ("global", "dot", {"input_feeding": True}),
    ("global", "concat", {"decoder_layers": 2, "encoder_layers": 2, "cell": "lstm"}),
    ("local-p", "general", {"input_feeding": True, "decoder_layers": 2}),
    ("self", "general", {"positions": "learned"}),
    ("self", "concat", {}),
    ("none", None, {"residual": True, "bidirectional": False}),
    ("over", "dot", {"causal": False}),
]
CASES = [
    *((task, name, None, {}) for task in tasks.names() for name in attentions.names()),
    *(("translation", *one) for one in FURTHER[:-2]),
    *(("entailment", *one) for one in FURTHER[-2:]),
    ("speech", "soft", None, {"front": "pyramidal", "mask_bands": 4, "mask_frames": 4}),
    ("captioning", "soft", None, {"words_weight": 0.1, "words_share": 0.9, "flip": 0.5}),
    ("translation", "soft", None, {"joint_vocabulary": True}),
    ("translation", "soft", None, {"tied": False, "label_smoothing": 0.1}),
]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def made(
    cache: Path, task: str, attention: str, score: str | None, options: dict[str, Any]
) -> tuple[list[StackableModule], list[RandomState], list[tuple[Any, ...]]]:
    """Modules of several seeds, where each would draw from next, and two batches for each."""
    options = {"dropout": 0.3, "train_limit": 60, **options}
    cell = make_cell(task, attention, score, budget="smoke", options=options)
    plan = resolve(cell)
    data = plan.task.prepare(plan, Paths(None, cache))
    modules, states, streams = [], [], []
    for seed in SEEDS:
        seed_all(seed)
        module = plan.task.module(plan, data)
        assert isinstance(module, StackableModule)
        modules.append(module.train())
        states.append(random_state(torch.device("cpu")))
        streams.append(data.datamodule(seed).train_dataloader())
    return modules, states, list(itertools.islice(zip(*streams, strict=True), 2))


@pytest.mark.parametrize(("task", "attention", "score", "options"), CASES)
def test_losses_and_gradients_are_those_of_models_alone(
    cache: Path, task: str, attention: str, score: str | None, options: dict[str, Any]
) -> None:
    modules, states, steps = made(cache, task, attention, score, options)
    expected = []
    for model, module in enumerate(modules):
        set_random_state(torch.device("cpu"), states[model])
        for batches in steps:
            module.zero_grad()
            loss = module.training_loss(batches[model])
            loss.backward()
            learnt = {n: p.grad for n, p in module.named_parameters() if p.grad is not None}
            expected.append((loss.detach(), learnt))
    if attention == "hard":
        with pytest.raises(NotStackable, match="Sampling draws at every step"):
            StackedTraining(modules, states)
        return
    training = StackedTraining(modules, states).train()
    for step, batches in enumerate(steps):
        training.zero_grad()
        losses = training.losses(batches)
        torch.stack(losses).sum().backward()
        for model, module in enumerate(modules):
            loss, gradients = expected[model * len(steps) + step]
            torch.testing.assert_close(losses[model].detach(), loss, rtol=2e-6, atol=0)
            size = max(float(gradient.norm()) for gradient in gradients.values())
            for name, parameter in module.named_parameters():
                if parameter.grad is None:
                    assert name not in gradients
                    continue
                wanted = gradients.get(name, torch.zeros(()))
                # Rounding may turn a unit at the corner of its ReLU on or off: some tenths of a
                # per cent. A model with another's draws is off by half.
                assert float((parameter.grad - wanted).norm()) < 1e-2 * size, name


def test_norms_are_clipped_model_by_model() -> None:
    gradients = [
        torch.tensor([[3.0, 4.0], [0.3, 0.4], [0.1, 0.2]]),
        torch.tensor([[[0.0]], [[1.2]], [[0.3]]]),
    ]
    clip_each(gradients, 1.0)
    # One that is short enough stays as it is.
    assert torch.equal(gradients[0][2], torch.tensor([0.1, 0.2])) and gradients[1][2] == 0.3
    assert gradients[0][0].tolist() == pytest.approx([0.6, 0.8])
    joint = torch.tensor([0.3, 0.4, 1.2]) / 1.3
    found = [*gradients[0][1].tolist(), float(gradients[1][1])]
    assert found == pytest.approx(joint.tolist())
