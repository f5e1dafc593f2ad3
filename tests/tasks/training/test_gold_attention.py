"""Attention trained on gold alignments, and gold in place of attention, in all five tasks."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bench.attention.attention import build_attention
from bench.attention.base import AttentionState, Memory, Sizes
from bench.attention.registries import attentions
from bench.errors import NotApplicable, UsageError
from bench.models.losses import gold_attention_loss
from tasks.base import Paths
from tasks.captioning.alignment import gold_weights as gold_regions
from tasks.captioning.datasets import Box, Caption, Phrase
from tasks.evaluation.alignment import gold_weights, merge_pieces
from tasks.plan import make_cell, resolve
from tasks.speech.alignment import TimeGrid
from tasks.speech.alignment import gold_weights as gold_spans
from tasks.training.classifier import ClassificationModule

TASKS = ("translation", "captioning", "entailment", "speech", "summarization")


def test_the_loss_is_the_cross_entropy_of_the_paper() -> None:
    torch.manual_seed(0)
    weights = torch.rand(2, 3, 4).softmax(-1)
    gold = torch.zeros(2, 3, 4)
    gold[0, 0, 1], gold[0, 2, 0], gold[0, 2, 3], gold[1, 1, 2] = 1.0, 0.5, 0.5, 1.0
    expected = [0.0, 0.0]
    for b in range(2):
        for t in range(3):
            for s in range(4):
                expected[b] -= gold[b, t, s].item() * math.log(weights[b, t, s].item())
    torch.testing.assert_close(gold_attention_loss(weights, gold), torch.tensor(expected))
    # what is no distribution counts as shares
    torch.testing.assert_close(gold_attention_loss(-3 * weights, gold), torch.tensor(expected))
    sparse = torch.zeros(1, 1, 4, requires_grad=True)
    gold_attention_loss(sparse, gold[:1, :1]).sum().backward()
    assert sparse.grad is not None and sparse.grad.isfinite().all()


def test_gold_over_pieces_is_uniform_over_words_when_merged() -> None:
    target_words = np.array([[0, 0, 1, 2, -1], [0, 1, -1, -1, -1]])
    source_words = np.array([[0, 1, 1, 1, 2, -1], [0, 0, 1, -1, -1, -1]])
    links = [((0, 1), (0, 2), (2, 0), (2, 0)), None]
    gold = gold_weights(links, target_words, source_words)
    assert gold.shape == (2, 5, 6) and gold.dtype == np.float32
    np.testing.assert_allclose(gold[0, 0], [0, 1 / 6, 1 / 6, 1 / 6, 1 / 2, 0], rtol=1e-6)
    np.testing.assert_array_equal(gold[0, 1], gold[0, 0])  # pieces of one word
    assert not gold[0, 2].any() and not gold[0, 4].any() and not gold[1].any()
    merged = merge_pieces(gold[0], target_words[0], source_words[0])
    np.testing.assert_allclose(merged, [[0, 0.5, 0.5], [0, 0, 0], [1, 0, 0]], atol=1e-7)


def test_links_to_words_that_were_cut_off_are_left_out() -> None:
    found = gold_weights([((0, 0), (0, 5), (4, 0))], np.array([[0, -1]]), np.array([[0, 1, -1]]))
    np.testing.assert_array_equal(found, [[[1, 0, 0], [0, 0, 0]]])


def test_gold_of_boxes_and_spans() -> None:
    left = Box(left=0.0, top=0.0, right=0.5, bottom=1.0)
    caption = Caption("a dog sleeps", (Phrase(0, 2, (left,)),))
    found = gold_regions([caption, Caption("so")], 4, (2, 2))
    row = [0.5, 0.0, 0.5, 0.0]
    np.testing.assert_array_equal(found[0], [row, row, [0] * 4, [0] * 4])
    assert not found[1].any()
    grid = TimeGrid(step=0.1)
    spans = gold_spans([((0.0, 0.2), (0.2, 0.3)), None], 3, [4, 2], grid)
    np.testing.assert_array_equal(spans[0], [[0.5, 0.5, 0, 0], [0, 0, 1, 0], [0] * 4])
    assert not spans[1].any()


@pytest.mark.parametrize("name", attentions.names())
def test_given_weights_are_used_at_once_and_step_by_step(name: str) -> None:
    kind = attentions.get(name)
    if not kind.takes_given_weights():
        pytest.skip("it makes its context in another way")
    torch.manual_seed(0)
    attention = build_attention(name, Sizes(8, 8, heads=2)).double().eval()
    states = torch.randn(2, 5, 8, dtype=torch.float64)
    mask = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    given = torch.zeros(2, 3, 5)
    given[0, 0, 4], given[0, 2, :2], given[1, 1, 1] = 1.0, 0.5, 1.0
    query = torch.randn(2, 4, 8, dtype=torch.float64)
    plain = attention.prepare(Memory(states, mask, states[:, 0]))
    keys = attention.prepare(Memory(states, mask, states[:, 0], given=given))
    found = attention(query, keys, attention.initial_state(keys))
    own = attention(query, plain, attention.initial_state(plain))
    fused = attention(query, keys, attention.initial_state(keys), need_weights=False)
    assert found.weights is not None and own.weights is not None
    has = torch.nn.functional.pad(given, (0, 0, 0, 1)).sum(-1) > 0  # B,T
    if not kind.samples:
        torch.testing.assert_close(found.weights[:, :3][has[:, :3]], given.double()[has[:, :3]])
    torch.testing.assert_close(found.weights[~has], own.weights[~has])
    torch.testing.assert_close(fused.context, found.context)
    state: AttentionState = attention.initial_state(keys)
    for t in range(4):
        step = attention(query[:, t : t + 1], keys, state)
        state = step.state
        torch.testing.assert_close(step.context[:, 0], found.context[:, t])
    # beams that share a row of keys
    if attention.keys_shared_across_beams:
        beams = attention(query[:, 0].repeat_interleave(2, 0)[:, None], keys, AttentionState(2))
        assert beams.weights is not None
        torch.testing.assert_close(beams.weights[0, 0], given[0, 2].double())
        torch.testing.assert_close(beams.weights[1, 0], given[0, 2].double())


@cache
def prepared(task: str, attention: str, cache_folder: Path, **options: Any) -> tuple[Any, Any, Any]:
    """A module in the mode of training without dropout, the data, and a training batch."""
    wanted = {"dropout": 0.0, "train_limit": 40, **options}
    plan = resolve(make_cell(task, attention, budget="smoke", options=wanted))
    data = plan.task.prepare(plan, Paths(None, cache_folder))
    torch.manual_seed(1)
    module = plan.task.module(plan, data)
    return module, data, data.train.batch(np.arange(6))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def seen(module: Any, batch: Any) -> torch.Tensor:
    """The weights that a batch is read with, B,T,S over the target units with gold rows."""
    if isinstance(module, ClassificationModule):
        weights = module.read(batch, need_weights=True).weights
    else:
        weights = module.decoder(batch.inputs, module.encode(batch), need_weights=True).weights
    assert weights is not None
    return weights


@pytest.mark.parametrize("attention", ["soft", "global"])
@pytest.mark.parametrize("task", TASKS)
def test_given_gold_is_the_attention_of_every_unit_that_has_gold(
    task: str, attention: str, folder: Path
) -> None:
    module, _, batch = prepared(task, attention, folder, gold_attention="given")
    weights = seen(module, batch)
    gold = batch.gold[:, : weights.shape[1]]
    assert gold.shape == weights.shape
    has = gold.sum(-1) > 0
    assert has.any()
    torch.testing.assert_close(gold.sum(-1)[has], torch.ones(int(has.sum())))
    torch.testing.assert_close(weights[has], gold[has])
    assert (weights[~has] - gold[~has]).abs().sum() > 0


@pytest.mark.parametrize("task", TASKS)
def test_the_loss_on_gold_is_added_in_training_only(task: str, folder: Path) -> None:
    options = {"gold_attention": "loss", "gold_weight": 2.0}
    module, _, batch = prepared(task, "soft", folder, **options)
    plain, _, same = prepared(task, "soft", folder)
    assert same.gold is None and batch.gold is not None
    plain.load_state_dict(module.state_dict())
    weights = seen(module, batch)
    wrong = gold_attention_loss(weights, batch.gold[:, : weights.shape[1]])
    if isinstance(module, ClassificationModule):
        extra = (wrong / (batch.text[:, 1:] != 0).sum(1)).mean()
        losses = [one.training_loss(batch) for one in (module, plain)]
    else:
        extra = wrong.sum() / batch.units
        losses = [one.loss_terms(batch).loss for one in (module, plain)]
        module.eval()
        torch.testing.assert_close(
            module.loss_terms(batch).loss, plain.eval().loss_terms(batch).loss
        )
        module.train(), plain.train()
    torch.testing.assert_close(losses[0], losses[1] + 2.0 * extra)


def test_a_head_of_that_name_is_trained_or_asked_for(folder: Path) -> None:
    options = {"gold_attention": "loss", "gold_head": "layer 1 head 2"}
    module, _, batch = prepared("translation", "self", folder, **options)
    assert torch.isfinite(module.loss_terms(batch).loss)
    wrong, _, _ = prepared("translation", "self", folder, **{**options, "gold_head": "head 9"})
    with pytest.raises(UsageError, match="unknown head 'head 9'"):
        wrong.loss_terms(batch)


@pytest.mark.parametrize(
    ("task", "attention", "dataset", "setting", "reason"),
    [
        ("translation", "none", "synthetic", "loss", "without attention there are no weights"),
        ("entailment", "soft", "sick", "loss", "data set 'sick' has no gold alignments"),
        ("translation", "hard", "synthetic", "loss", "it attends to drawn positions"),
        ("translation", "hierarchical", "synthetic", "given", "more than a mean under the weights"),
    ],
)
def test_what_has_no_gold_or_cannot_use_it_is_refused(
    task: str, attention: str, dataset: str, setting: str, reason: str
) -> None:
    with pytest.raises(NotApplicable, match=reason):
        make_cell(task, attention, dataset=dataset, options={"gold_attention": setting})


def test_weight_and_head_name_no_other_trial_where_they_are_not_read() -> None:
    given = {"gold_attention": "given"}
    assert make_cell("translation", "soft", options={"gold_weight": 3.0, "gold_head": "x"}) == (
        make_cell("translation", "soft")
    )
    assert make_cell("translation", "soft", options={**given, "gold_weight": 3.0}) == (
        make_cell("translation", "soft", options=given)
    )


def test_boxes_do_not_move_with_random_crops(folder: Path) -> None:
    with pytest.raises(UsageError, match="are cropped or mirrored at random"):
        prepared("captioning", "soft", folder, gold_attention="loss", flip=0.5)
