"""The guided attention loss in training, in all five tasks and all backbones."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from tasks.base import Paths
from tasks.plan import make_cell, resolve
from tasks.training.classifier import ClassificationModule


@pytest.mark.parametrize(
    ("task", "attention", "backbone"),
    [
        *((task, "soft", None) for task in ("captioning", "entailment", "speech", "summarization")),
        *(("translation", "soft", one) for one in ("recurrent", "convolutional", "transformer")),
        ("translation", "self", None),
    ],
)
def test_it_is_a_mean_over_units_and_positions(
    task: str, attention: str, backbone: str | None, tmp_path: Path
) -> None:
    losses = []
    for more in ({}, {"guided_loss": 2.0, "guided_width": 0.4}):
        options = {"dropout": 0.0, "train_limit": 40, **more}
        cell = make_cell(task, attention, budget="smoke", backbone=backbone, options=options)
        plan = resolve(cell)
        data = plan.task.prepare(plan, Paths(None, tmp_path))
        torch.manual_seed(1)
        module, batch = plan.task.module(plan, data), data.train.batch(np.arange(6))
        if isinstance(module, ClassificationModule):
            reading = module.read(batch, need_weights=True)
            losses.append(module.training_loss(batch))
            weights, real, source_mask = reading.weights, reading.mask, batch.source_mask
        else:
            memory = module.encode(batch)
            weights = module.decoder(batch.inputs, memory, need_weights=True).weights
            losses.append(module.loss_terms(batch).loss)
            real, source_mask = batch.outputs != 0, memory.mask
    means = []
    for b in range(len(weights)):
        T, S = int(real[b].sum()), int(source_mask[b].sum())
        costs = (
            weights[b, t, s].item() * (1 - math.exp(-((s / S - t / T) ** 2) / (2 * 0.4**2)))
            for t in range(T)
            for s in range(S)
        )
        means.append(sum(costs) / (T * S))
    # the loss is a mean over examples, or over target units
    units = None if isinstance(module, ClassificationModule) else real.sum(1)
    assert min(means) > 0
    extra = 2.0 * float(np.average(means, weights=units))
    torch.testing.assert_close(losses[1] - losses[0], torch.tensor(extra), rtol=1e-3, atol=1e-5)
