"""Kept models give on input of a user's own what testing gave on the same examples."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from kept import CELLS, kept, own_input, small_cell

from bench.errors import UsageError
from bench.store.result import Trace
from bench.store.store import Store
from tasks.base import tasks
from tasks.kept_model import KeptModel, find_model, load_model


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "store", create=True)


@pytest.fixture(scope="module")
def translation(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store with the models of translation with seed 1 and of entailment."""
    folder = tmp_path_factory.mktemp("kept")
    store = Store.open(folder / "store", create=True)
    kept(store, small_cell("translation"), folder)
    kept(store, small_cell("entailment"), folder)
    return store


def test_every_task_of_ours_keeps_models() -> None:
    assert set(CELLS) == {name for name, task in tasks.items() if task.inputs}
    assert set(CELLS) == set(tasks.names())


@pytest.mark.parametrize("task", CELLS)
def test_output_and_attention_are_those_of_the_test(
    task: str, store: Store, tmp_path: Path
) -> None:
    cell = small_cell(task)
    plan, module, data = kept(store, cell, tmp_path / "cache")
    with torch.inference_mode():
        tested = plan.task.evaluate(plan, module, data)
    state = torch.get_rng_state()
    model = load_model(store.address, cell.hash[:12])
    assert torch.equal(torch.get_rng_state(), state)
    assert (model.cell, model.inputs) == (cell, plan.task.inputs)
    predictions = [one for one in tested.predictions if one.subset == "test"]
    traces = [one for one in tested.traces if one.subset == "test"]
    wanted = "forced" if task == "entailment" else "free"
    seen = {one.example: one for one in traces if one.mode == wanted}
    for place, prediction in enumerate(predictions[:2]):
        output = model.predict(**own_input(data, task, place, tmp_path))
        assert output.text == prediction.prediction
        figure = "probabilities" if task == "entailment" else "log_prob"
        told = output.figures if task == "entailment" else output.figures["log_prob"]
        assert told == pytest.approx(prediction.extra[figure], abs=2e-4)
        trace = seen[prediction.example]
        assert output.trace is not None
        assert (output.trace.source, output.trace.target) == (trace.source, trace.target)
        assert output.trace.kind == trace.kind
        np.testing.assert_allclose(output.trace.weights, trace.weights, atol=1e-4)
        again = Trace.from_json(output.to_json()["attention"])
        np.testing.assert_allclose(again.weights, trace.weights, atol=1e-4)


@pytest.mark.parametrize(
    ("task", "attention", "options"),
    [
        ("translation", "self", {"tie_embeddings": True, "joint_vocab": True}),
        ("translation", "none", {}),
        ("entailment", "global", {"reader": "esim"}),
    ],
)
def test_other_models_are_built_again(
    task: str, attention: str, options: dict[str, object], store: Store, tmp_path: Path
) -> None:
    cell = small_cell(task, attention=attention, options=options)
    parts = ("embedding", "alignment") if "reader" in options else ("encoder", "decoder", "head")
    import one_step

    from tasks.base import Paths
    from tasks.kept_model import packed
    from tasks.plan import resolve

    plan = resolve(cell)
    data = plan.task.prepare(plan, Paths(None, tmp_path / "cache"))
    module = one_step.trained(plan.task, plan, data, parts)
    store.models.put(*packed(plan, module, data, "all", None))
    with torch.inference_mode():
        tested = plan.task.evaluate(plan, module, data)
    output = load_model(store, cell).predict(**own_input(data, task, 0, tmp_path))
    assert output.text == tested.predictions[0].prediction
    assert (output.trace is None) == (attention == "none")


def test_decoding_can_be_changed(translation: Store) -> None:
    model = load_model(translation, small_cell("translation"))
    greedy, text = model.predict(text="ba ko"), "ba ko"
    assert model.predict(text=text, decoding={"max_length": 1}).text.count(" ") == 0
    beam = model.predict(text=text, decoding={"beam_size": "4", "length_penalty": 0})
    assert beam.figures["log_prob"] >= greedy.figures["log_prob"]
    assert model.predict(text=text).text == greedy.text, "other decoding is for one input alone"
    for name, value in (("max_steps", 5), ("beam_size", 0)):
        with pytest.raises(UsageError, match=f"--set: .*{name}"):
            model.predict(text=text, decoding={name: value})


def test_unknown_words_are_told(translation: Store) -> None:
    model = load_model(translation, small_cell("translation"))
    output = model.predict(text="qqq ba\u0301x")
    assert output.notes == ("unknown to the model: qqq, báx",)


@pytest.mark.parametrize(
    ("task", "given", "said"),
    [
        ("translation", {"sound": "x.wav"}, "--sound: a model of translation takes --text"),
        ("translation", {}, "--text missing"),
        ("translation", {"text": " \u200b"}, "--text: there are no words"),
        ("translation", {"text": 100_001 * "x"}, "100,001 characters are too many"),
        ("entailment", {"text": "a"}, "--hypothesis missing: .* takes --text and --hypothesis"),
    ],
)
def test_input_of_another_kind_is_refused(
    task: str, given: dict[str, str], said: str, translation: Store
) -> None:
    with pytest.raises(UsageError, match=said):
        load_model(translation, small_cell(task)).predict(**given)


def test_models_are_found_by_the_beginning_of_a_hash(translation: Store) -> None:
    hash = small_cell("translation").hash
    assert find_model(translation, hash[:6].upper()) == hash
    with pytest.raises(UsageError, match="is empty"):
        find_model(translation, "")
    with pytest.raises(UsageError, match=rf"no kept model begins with 'zz'; kept: .*{hash[:12]}"):
        find_model(translation, "zz")
    other = small_cell("translation", seed=2)
    with pytest.raises(UsageError, match="no cell"):
        load_model(translation, other)


def test_stored_cells_without_a_model_say_what_would_do(translation: Store) -> None:
    from fake_trials import fake_result

    other = small_cell("translation", seed=2)
    translation.put(fake_result(other))
    kept_instead = small_cell("translation").hash[:12]
    with pytest.raises(UsageError, match=f"seed 1, {kept_instead}; else run it again: .*--force"):
        load_model(translation, other.hash[:12])


def test_gold_alignments_cannot_be_had(store: Store, tmp_path: Path) -> None:
    cell = small_cell("translation", options={"gold_attention": "given"})
    kept(store, cell, tmp_path)
    with pytest.raises(UsageError, match="gold alignment"):
        load_model(store, cell)


def test_a_file_that_is_none_is_named(translation: Store, tmp_path: Path) -> None:
    store = Store.open(tmp_path / "s", create=True)
    cell = small_cell("translation")
    folder = Path(translation.address) / "models"
    [name] = [path.name for path in folder.iterdir() if cell.hash in path.name]
    (tmp_path / "s" / "models").mkdir()
    whole = (folder / name).read_bytes()
    for content in (b"", b"{}", whole[:-100], whole[:500]):
        (tmp_path / "s" / "models" / name).write_bytes(content)
        with pytest.raises(UsageError, match=f"{name}: not a kept model"):
            load_model(store, cell)
    assert isinstance(load_model(translation, cell), KeptModel)
