"""Every mechanism with every valid score through the path of a trial; whole trials; bad input."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ablations.trial import run_trial
from ablations.trial_interface import TrialOptions
from bench.attention.registries import NO_SCORE, attentions, scores
from bench.cli.main import main
from bench.store.store import Store
from tasks.base import Evaluation, Paths, Plan, tasks
from tasks.captioning.data import CaptioningData
from tasks.captioning.model import CaptioningModule
from tasks.plan import make_cell, refusal, resolve

TASK = tasks.get("captioning")
TESTED = 6
OPTIONS = {"train_size": 60, "validation_size": 8, "test_size": TESTED}


def plan_of(attention: str, score: str | None = None, **options: object) -> Plan:
    settings = {"batch_tokens": 150, "max_length": 10, **OPTIONS, **options}
    return resolve(make_cell("captioning", attention, score, budget="smoke", options=settings))


def valid_pairs() -> list[tuple[str, str]]:
    return [
        (attention, score)
        for attention in attentions.names()
        for score in (*scores.names(), NO_SCORE)
        if (score == NO_SCORE) == (attentions.get(attention).classic_score == NO_SCORE)
        and refusal(TASK, attention, score) is None
    ]


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> Paths:
    return Paths(None, tmp_path_factory.mktemp("cache"))


def prepared(plan: Plan, paths: Paths) -> CaptioningData:
    data = TASK.prepare(plan, paths)
    assert isinstance(data, CaptioningData)
    return data


@pytest.fixture(scope="module")
def data(paths: Paths) -> CaptioningData:
    return prepared(plan_of("soft"), paths)


def trained(plan: Plan, data: CaptioningData) -> CaptioningModule:
    """After one step, which must reach every part."""
    torch.manual_seed(1)
    module = TASK.module(plan, data)
    assert isinstance(module, CaptioningModule)
    batch = next(iter(data.datamodule(1).train_dataloader()))
    before = {name: value.detach().clone() for name, value in module.named_parameters()}
    optimizer = module.configure_optimizers()["optimizer"]
    loss = module.training_loss(batch)
    loss.backward()
    assert math.isfinite(loss.item())
    optimizer.step()
    changed = [name for name, value in module.named_parameters() if (value != before[name]).any()]
    for part in ("front", "encoder", "decoder", "head"):
        assert any(name.startswith(part) for name in changed), part
    return module.eval()


def evaluated(plan: Plan, data: CaptioningData) -> Evaluation:
    module = trained(plan, data)
    with torch.inference_mode():
        return TASK.evaluate(plan, module, data)


@pytest.mark.parametrize(("attention", "score"), valid_pairs())
def test_every_mechanism_trains_and_is_tested(
    attention: str, score: str, data: CaptioningData
) -> None:
    plan = plan_of(attention, score)
    found = evaluated(plan, data)
    figures = {"cider", "bleu_1", "bleu_4", "rouge_l", "exact", "perplexity", "distinct_captions"}
    assert figures | {f"long_{name}" for name in figures} <= set(found.metrics)
    assert all(math.isfinite(value) for value in found.metrics.values())
    assert found.primary.name == TASK.headline
    assert found.primary.value == pytest.approx(found.metrics["cider"])
    assert found.primary.low <= found.primary.value <= found.primary.high
    assert [one.subset for one in found.predictions] == ["test"] * TESTED + ["long"] * TESTED
    assert sum(one.examples for one in found.by_length) == 2 * TESTED
    if attentions.get(attention).placement == "fixed":
        assert found.alignment is None and not found.traces
        return
    assert found.alignment is not None and found.alignment.forced is not None
    assert found.alignment.forced.coverage == 1.0
    assert set(found.alignment.baselines) == {"uniform", "centre"}
    assert found.traces
    for trace in found.traces:
        cells = data.grid[0] * data.grid[1]
        assert trace.weights.shape[1] == cells
        if plan.attention.weights_kind != "distribution":
            assert trace.weights.min(initial=0) >= 0
        elif plan.attention_options.model_dump().get("renormalise", True):
            np.testing.assert_allclose(trace.weights.sum(axis=1), 1.0, atol=1e-4)


def test_outputs_begin_with_how_often_words_are_used(paths: Paths) -> None:
    plan = plan_of("soft", words_weight=0.5)
    data = prepared(plan, paths)
    module = TASK.module(plan, data)
    assert isinstance(module, CaptioningModule) and module.words is not None
    texts = [text for picture in data.corpus.train for text in picture.references]
    for word in ("north", "red", "there"):
        (token,) = data.tokenizer.encode_batch([word])[0]
        share = sum(word in text.split() for text in texts) / len(texts)
        assert module.words.bias[token].sigmoid().item() == pytest.approx(share, abs=0.01)
        uses = sum(text.split().count(word) for text in texts)
        total = sum(len(text.split()) + 1 for text in texts)
        expected = math.log(uses / total)
        assert module.head.projection.bias[token].item() == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize("pool", ["max", "mean"])
def test_the_helper_loss_sees_the_pictures_words(pool: str, paths: Paths) -> None:
    plan = plan_of("soft", words_weight=0.5, words_pool=pool)
    data = prepared(plan, paths)
    module = TASK.module(plan, data)
    assert isinstance(module, CaptioningModule) and module.words is not None
    batch = data.train.batch(np.arange(4))
    memory = module.encode(batch)
    loss = module.auxiliary_loss(memory, batch)
    assert loss is not None and batch.words is not None
    cells = module.words(memory.states)
    logits = cells.amax(1) if pool == "max" else cells.mean(1)
    by_hand = []
    for picture, shares in enumerate(batch.words):
        row = batch.owner.tolist().index(picture)
        p, share = logits[row, 4:].sigmoid(), shares[4:]
        by_hand.append(-(share * p.log() + (1 - share) * (1 - p).log()).sum().item())
    assert 1 < len(by_hand) < 4, "pictures with several captions"
    assert loss.item() == pytest.approx(0.5 * np.mean(by_hand), rel=1e-4)
    plain = TASK.module(plan_of("soft"), data)
    assert isinstance(plain, CaptioningModule)
    assert plain.auxiliary_loss(plain.encode(batch), batch) is None


def test_the_encoder_may_learn_alone_first(paths: Paths) -> None:
    plan = plan_of("soft", words_weight=0.5, words_share=0.5)
    data = prepared(plan, paths)
    module = TASK.module(plan, data)
    assert isinstance(module, CaptioningModule)
    batch = data.train.batch(np.arange(4))
    module.training_loss(batch).backward()
    assert all(one.grad is None for one in module.decoder.parameters())
    assert module.front.project.weight.grad is not None


@pytest.mark.parametrize(
    "options",
    [
        {"gate": True, "doubly_stochastic": 1.0},
        {"crop": 0.2, "flip": 0.5, "tint": 0.2, "label_smoothing": 0.1, "dropout": 0.3},
        {"beam_size": 3, "vocab_size": 12},
    ],
)
def test_options_of_the_papers_and_of_training(options: dict[str, object], paths: Paths) -> None:
    plan = plan_of("soft", **options)
    found = evaluated(plan, prepared(plan, paths))
    assert math.isfinite(found.primary.value)
    assert not any("<unk>" in one.prediction for one in found.predictions)


def test_an_examples_memory_does_not_depend_on_its_batch(data: CaptioningData) -> None:
    module = TASK.module(plan_of("soft"), data).eval()
    assert isinstance(module, CaptioningModule)
    together = data.train.by_picture(6).make(np.arange(6))
    alone = data.train.by_picture(1).make(np.arange(1))
    one, other = module.encode(together), module.encode(alone)
    torch.testing.assert_close(one.states[:1], other.states, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("attention", ["hierarchical", "none"])
def test_a_whole_trial(attention: str, paths: Paths, tmp_path: Path) -> None:
    store = Store.open(str(tmp_path / "store"), create=True)
    cell = plan_of(attention, max_steps=4).cell
    context = TrialOptions(store.address, None, str(paths.cache))
    results = [run_trial(cell, context) for _ in range(2)]
    assert [one.status for one in results] == ["done", "done"], results[0].failure
    assert results[0].metrics == results[1].metrics, "the same cell gives the same figures"
    stored = store.get(cell.hash)
    assert stored is not None and stored.primary == results[1].primary
    assert len(stored.curve) == 2


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "photos"
    root.mkdir()
    lines = ["image\tcaption\tsplit"]
    for number, split in enumerate(["train", "train", "val", "test"]):
        Image.new("RGB", (40, 40), (60 * number, 99, 0)).save(root / f"{number}.png")
        lines.append(f"{number}.png\ta dog number {number}\t{split}")
    (root / "captions.tsv").write_text("\n".join(lines) + "\n")
    return root


def _truncate(root: Path) -> None:
    path = root / "1.png"
    path.write_bytes(path.read_bytes()[:60])


def _garble(root: Path) -> None:
    (root / "1.png").write_text("no picture")


def _remove(root: Path) -> None:
    (root / "1.png").unlink()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_truncate, "cannot be read as a picture"),
        (_garble, "cannot be read as a picture"),
        (_remove, "no picture '1.png'"),
    ],
)
def test_bad_pictures_end_with_one_line_and_status_2(
    spoil: object, message: str, folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert callable(spoil)
    spoil(folder)
    chosen = ["--task", "captioning", "--dataset", "folder", "--data-root", str(folder)]
    options = ["--budget", "smoke", "--attention", "soft", "--store", str(tmp_path / "store")]
    assert main(["run", *chosen, *options]) == 2
    written = capfd.readouterr()
    lines = [line for line in written.err.splitlines() if message in line]
    assert len(lines) == 1 and "1.png" in lines[0]
    assert "Traceback" not in written.err + written.out
    assert main(["data", "check", "folder", *chosen[:2], *chosen[4:]]) == 2
    written = capfd.readouterr()
    assert message in written.out + written.err


def test_a_folder_of_ones_own_is_trained_on_and_spare_pictures_are_noted(
    folder: Path, tmp_path: Path
) -> None:
    Image.new("RGB", (9, 9)).save(folder / "spare.png")
    store = Store.open(str(tmp_path / "store"), create=True)
    options = {"max_steps": 2, "max_length": 6, "size": 48}
    cell = make_cell("captioning", "soft", dataset="folder", budget="smoke", options=options)
    result = run_trial(cell, TrialOptions(store.address, str(folder), str(tmp_path / "cache")))
    assert result.status == "done", result.failure
    assert any("1 pictures" in note and "no caption" in note for note in result.provenance.notes)
