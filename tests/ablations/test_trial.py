"""One cell from its names to its stored result."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from scheduler import SCHEDULER

from ablations.trial import UNUSABLE, run_trial
from ablations.trial_interface import TrialOptions
from bench.attention.registries import attentions
from bench.store.cell import Cell
from bench.store.result import Result, Trace
from bench.store.store import Store
from tasks.base import tasks
from tasks.plan import make_cell


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> TrialOptions:
    folder = tmp_path_factory.mktemp("store")
    Store.open(folder, create=True)
    return TrialOptions(store_address=str(folder), data_root=None, cache=str(folder / "cache"))


def cell(attention: str, score: str | None = None, **options: object) -> Cell:
    return make_cell("translation", attention, score, budget="smoke", options=options)


def figures(result: Result) -> dict:
    """Everything that must repeat to the last bit: not times, not memory."""
    record = result.to_json()
    curve = [{k: v for k, v in point.items() if k != "seconds"} for point in record["curve"]]
    kept = ("hash", "metrics", "primary", "by_length", "alignment")
    return {name: record[name] for name in kept} | {"curve": curve}


@pytest.mark.parametrize("attention", attentions.names())
def test_every_attention_gives_a_whole_result(attention: str, context: TrialOptions) -> None:
    result = run_trial(cell(attention), context)
    assert result.status == "done", result.failure
    store = Store.open(context.store_address or "")
    assert store.get(result.hash) == result
    assert {"bleu", "chrf", "perplexity", "long_bleu"} <= set(result.metrics)
    assert result.primary is not None and result.primary.low <= result.primary.value
    assert [int(point["step"]) for point in result.curve] == [6, 12]
    predictions = store.predictions(result.hash)
    assert {row["subset"] for row in predictions} == {"test", "long"}
    assert len(predictions) == 2 * 24
    traces = [Trace.from_json(row) for row in store.traces(result.hash)]
    if attention == "none":
        assert not traces and result.alignment is None
        assert result.cost.attention_parameters == 0
    else:
        assert {trace.mode for trace in traces} == {"free", "forced"}
        # Rows are shares of 1, or nothing where a monotonic mechanism has stopped nowhere.
        sums = np.concatenate([trace.weights.sum(axis=1) for trace in traces])
        assert (np.minimum(abs(sums - 1), abs(sums)) < 1e-2).all()
        assert result.alignment is not None and "uniform" in result.alignment.baselines
        if attention in ("soft", "global", "self", "over"):
            scored_by_dot = attentions.get(attention).classic_score == "dot"  # has no parameters
            assert (result.cost.attention_parameters == 0) == scored_by_dot
    assert (result.cost.parameters or 0) > 0 and (result.cost.train_tokens_per_second or 0) > 0
    # Every weight of a product meets each source or target word of an example at least once.
    assert (result.cost.macs_per_example or 0) > 1000
    assert result.cost.real_time_factor is None, "words are no sounds"
    assert (result.cost.core_seconds or 0) > 0


def test_speech_is_decoded_in_a_share_of_its_own_time(context: TrialOptions) -> None:
    result = run_trial(make_cell("speech", "soft", budget="smoke"), context)
    rows = Store.open(context.store_address or "").predictions(result.hash)
    sound = sum(row["extra"]["seconds"] for row in rows)
    seconds = len(rows) / (result.cost.decode_examples_per_second or 0)
    assert result.cost.real_time_factor == pytest.approx(seconds / sound, rel=0.02)


@pytest.mark.parametrize("task", tasks.names())
@pytest.mark.parametrize("attention", ["soft", "self", "multi-step", "hard"])
def test_half_precision_trains_alike(task: str, attention: str, context: TrialOptions) -> None:
    apart = dataclasses.replace(context, store_address=None)
    options = {"dropout": 0.0, "test_limit": 8}
    whole, half = (
        run_trial(make_cell(task, attention, budget="smoke", options={**options, **more}), apart)
        for more in ({}, {"precision": "bf16"})
    )
    assert half.status == whole.status == "done", half.failure
    losses = [result.curve[-1]["validation_loss"] for result in (whole, half)]
    assert losses[1] == pytest.approx(losses[0], rel=0.1)
    assert losses[1] != losses[0], "it was not used"


def test_the_same_cell_repeats_to_the_last_bit_whatever_ran_before(
    context: TrialOptions, tmp_path: Path
) -> None:
    apart = dataclasses.replace(context, store_address=None)
    first = run_trial(cell("hard"), apart)
    run_trial(cell("self", normaliser="entmax"), apart)
    again = run_trial(cell("hard"), apart)
    assert figures(first) == figures(again)
    script = (
        "import sys, json\n"
        "from ablations.trial_interface import TrialOptions\n"
        "from ablations.trial import run_trial\n"
        "from bench.store.cell import Cell\n"
        "cell = Cell.from_json(json.loads(sys.argv[1]))\n"
        "context = TrialOptions(store_address=None, data_root=None, cache=sys.argv[2])\n"
        "print(json.dumps(run_trial(cell, context).to_json()))\n"
    )
    arguments = [json.dumps(cell("hard").to_json()), str(tmp_path)]  # and an empty cache
    other = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True
    )
    elsewhere = Result.from_json(json.loads(other.stdout.splitlines()[-1]))
    assert figures(elsewhere) == figures(first)


def test_a_coverage_loss_changes_nothing_before_its_start(context: TrialOptions) -> None:
    apart = dataclasses.replace(context, store_address=None)
    plain, late, soon = (
        run_trial(cell("soft", max_steps=8, **options), apart).curve
        for options in (
            {},
            {"coverage_loss": 1.0, "coverage_start": 0.5},
            {"coverage_loss": 1.0},
        )
    )
    names = ("step", "loss", "validation_loss", "validation_accuracy")
    first, last = ([[curve[i][name] for name in names] for curve in (plain, late)] for i in (0, -1))
    assert first[0] == first[1] and first[0][0] == 4
    assert last[0] != last[1]
    assert soon[0]["loss"] > plain[0]["loss"]


def test_seeds_make_different_models(context: TrialOptions) -> None:
    apart = dataclasses.replace(context, store_address=None)
    losses = [run_trial(cell("soft").with_seed(seed), apart).curve[0]["loss"] for seed in (1, 2)]
    assert losses[0] != losses[1]


def test_variables_of_a_scheduler_change_nothing(
    context: TrialOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny, apart = cell("soft", max_steps=4), dataclasses.replace(context, store_address=None)
    alone = figures(run_trial(tiny, apart))
    for name, value in SCHEDULER.items():
        monkeypatch.setenv(name, value)
    assert figures(run_trial(tiny, apart)) == alone


def test_what_the_user_must_mend_is_named_as_such(context: TrialOptions) -> None:
    bad = make_cell("translation", "soft", dataset="multi30k", budget="smoke")
    result = run_trial(bad, context)
    assert result.status == "failed" and result.failure is not None
    assert result.failure.kind == UNUSABLE
    assert "multi30k" in result.failure.message or "data-root" in result.failure.message


def test_a_diverging_trial_fails_with_its_reason(context: TrialOptions) -> None:
    wild = cell("soft", learning_rate=1e30, grad_clip_norm=1e30, warmup_fraction=0.0)
    result = run_trial(wild, context)
    assert result.failure is not None and result.failure.kind == "diverged"
    assert "loss" in result.failure.message or "finite" in result.failure.message


def test_a_trial_that_needs_too_much_memory_fails_by_that_name(context: TrialOptions) -> None:
    result = run_trial(cell("soft", hidden_dim=3_000_000), context)
    assert result.failure is not None and result.failure.kind == "out of memory"
    assert "allocate" in result.failure.message


def test_a_trial_leaves_no_setting_behind(context: TrialOptions) -> None:
    before = torch.are_deterministic_algorithms_enabled()
    run_trial(cell("global"), dataclasses.replace(context, store_address=None))
    assert torch.are_deterministic_algorithms_enabled() == before


def test_importing_a_trial_needs_neither_ray_nor_wandb() -> None:
    check = (
        "import sys, ablations.trial, tasks.translation.task; "
        "print(sorted({'ray', 'wandb'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_a_share_of_a_gpu_is_a_share_of_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    from ablations import trial

    shares: list[float] = []
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", shares.append)
    with trial.isolated_process_state(
        1, TrialOptions(None, None, "", device="cuda", gpu_share=0.25)
    ):
        pass
    with trial.isolated_process_state(1, TrialOptions(None, None, "", device="cpu")):
        pass
    assert shares == [0.25]
