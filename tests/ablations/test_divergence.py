"""Models that diverge end as "diverged", whatever their attention makes of NaN."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ablations.trial import run_trial
from ablations.trial_interface import TrialOptions
from bench.attention.registries import attentions, normalisers
from tasks.base import Plan, TaskData, tasks
from tasks.plan import make_cell, refusal

#: Normalisers that sort, and mechanisms that draw or gather: indices are made of what they see.
DELICATE = [
    ("soft", "sparsemax"),
    ("global", "entmax"),
    ("hard", "softmax"),
    ("local-p", "softmax"),
]
CASES = [(task, *pair) for task in tasks.names() for pair in DELICATE] + [
    ("translation", attention, normaliser)
    for attention, kind in attentions.items()
    for normaliser in (normalisers.names() if kind.normalises else ["softmax"])
    if (attention, normaliser) not in DELICATE
]


@pytest.mark.parametrize(("task", "attention", "normaliser"), CASES)
def test_a_diverged_model_is_called_so(
    task: str, attention: str, normaliser: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, kind = tasks.get(task), attentions.get(attention)
    assert refusal(owner, attention, kind.classic_score) is None
    build = owner.module

    def diverged(plan: Plan, data: TaskData) -> torch.nn.Module:
        module = build(plan, data)
        for parameter in module.parameters():
            parameter.data.fill_(torch.nan)
        return module

    monkeypatch.setattr(owner, "module", diverged)
    cell = make_cell(task, attention, budget="smoke", options={"normaliser": normaliser})
    result = run_trial(cell, TrialOptions(None, None, str(tmp_path)))
    assert result.failure is not None and result.failure.kind == "diverged", result.failure
