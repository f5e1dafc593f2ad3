"""Testing a trained generator: what it writes, and what is said of one that has diverged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from bench.errors import NotApplicable, UsageError
from tasks.base import Paths, tasks
from tasks.data.batching import Batch, Copies
from tasks.data.vocabulary import EOS, PAD
from tasks.evaluation.decode import decode, read_references
from tasks.plan import make_cell, resolve
from tasks.training.module import DivergedError
from tasks.training.sequence import GenerationModule


def made(folder: Path, **options: object) -> tuple[GenerationModule, list[Batch]]:
    """An untrained module, and two batches of validation."""
    plan = resolve(make_cell("translation", "soft", budget="smoke", options=options))
    data = tasks.get("translation").prepare(plan, Paths(None, folder))
    torch.manual_seed(3)
    module = plan.task.module(plan, data)
    assert isinstance(module, GenerationModule)
    batches = list(data.datamodule(1).val_dataloader())
    return module.eval(), batches[:2]


def limit(batch: Batch) -> Tensor:
    return batch.source_mask.sum(dim=1) + 1


COPYING = {"copying": "pointer-generator", "vocab_size": 30}


@pytest.mark.parametrize("options", [{}, COPYING, {**COPYING, "joint_vocab": True}])
@pytest.mark.parametrize("beam", [1, 3])
@torch.inference_mode()
def test_scores_are_the_likelihoods_of_what_was_written(
    tmp_path: Path, beam: int, options: dict[str, object]
) -> None:
    module, batches = made(tmp_path, beam_size=beam, **options)
    found = decode(module, reversed(batches), limit)
    indices = sorted(int(index) for batch in batches for index in batch.index)
    assert [one.index for one in found.written] == [one.index for one in found.read] == indices
    by_index = {one.index: one for one in found.written}
    for batch in batches:
        for row, index in enumerate(batch.index.tolist()):
            one, source = by_index[index], int(batch.source_mask[row].sum())
            assert len(one.tokens) <= source + 1 and EOS not in one.tokens
            assert one.weights is not None and one.weights.shape == (len(one.tokens), source)
            ended = torch.tensor([[*one.tokens, EOS][: source + 1]])
            outputs, copies = ended, None
            if batch.copies is not None:
                assert module.pointer is not None and one.further == batch.copies.words
                outputs = module.pointer.known(ended)
                copies = Copies(batch.copies.source[row : row + 1], ended, one.further)
            again = Batch(
                batch.index[row : row + 1],
                batch.source[row : row + 1],
                batch.source_mask[row : row + 1],
                torch.cat((torch.ones_like(outputs[:, :1]), outputs[:, :-1]), dim=1),
                outputs,
                None if batch.segments is None else batch.segments[row : row + 1],
                copies=copies,
            )
            [read] = read_references(module, [again])
            assert read.units == ended.shape[1]
            assert one.score == pytest.approx(-read.nll, rel=1e-4)


def test_without_attention_nothing_can_be_copied(tmp_path: Path) -> None:
    plan = resolve(make_cell("translation", "none", budget="smoke", options=COPYING))
    data = tasks.get("translation").prepare(plan, Paths(None, tmp_path))
    with pytest.raises(NotApplicable, match="no weights to copy by"):
        plan.task.module(plan, data)


@torch.inference_mode()
def test_references_are_read_without_their_padding(tmp_path: Path) -> None:
    module, batches = made(tmp_path)
    for batch in batches:
        read = read_references(module, [batch])
        assert [one.index for one in read] == sorted(batch.index.tolist())
        terms = module.loss_terms(batch)
        assert sum(one.nll for one in read) == pytest.approx(float(terms.nll), rel=1e-5)
        assert sum(one.units for one in read) == int((batch.outputs != PAD).sum())
        units = (batch.outputs != PAD).sum(dim=1).tolist()
        lengths = dict(zip(batch.index.tolist(), units, strict=True))
        for one in read:
            assert one.weights is not None and len(one.weights) == lengths[one.index] - 1
            assert np.allclose(one.weights.sum(axis=1), 1.0, atol=1e-5)


@pytest.mark.parametrize("beam", [1, 3])
@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
@torch.inference_mode()
def test_a_model_that_has_diverged_is_named_so(tmp_path: Path, beam: int, wrong: float) -> None:
    """After its last validation, or that would have said so."""
    module, batches = made(tmp_path, beam_size=beam)
    module.head.projection.bias[5] = wrong
    with pytest.raises(DivergedError, match="not finite"):
        decode(module, batches, limit)


def test_no_text_is_written_with_attention_to_words_to_come(tmp_path: Path) -> None:
    plan = resolve(make_cell("translation", "over", budget="smoke", options={"causal": False}))
    data = tasks.get("translation").prepare(plan, Paths(None, tmp_path))
    with pytest.raises(UsageError, match="non-causal attention"):
        plan.task.module(plan, data)
