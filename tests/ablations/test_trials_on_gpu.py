"""Trials and sweeps on a CUDA device. CI has none."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from marked_processes import Marked

from ablations import distributed as ranks
from ablations.cancellation import Interrupted
from ablations.trial import run_trial
from ablations.trial_interface import OUT_OF_MEMORY, TrialHooks, TrialOptions
from bench.attention.registries import attentions
from bench.store.result import Result
from bench.store.store import Store
from tasks.base import tasks
from tasks.plan import make_cell

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]

PACKED = """
tasks: [translation]
budget: smoke
blocks:
  - {attentions: [none, soft, global, self], options: {max_steps: 20, test_limit: 8}}
"""
#: The second has some 150 M parameters, 0.6 GB of them alone.
LARGE = """
tasks: [translation]
budget: smoke
blocks:
  - {attentions: [soft], options: {max_steps: 4, test_limit: 8}}
  - {attentions: [none], options: {max_steps: 4, test_limit: 8, hidden_dim: 4096}}
"""


@pytest.fixture
def context(tmp_path: Path) -> Callable[[str], TrialOptions]:
    def make(name: str) -> TrialOptions:
        store = Store.open(tmp_path / name, create=True)
        return TrialOptions(store.address, None, str(tmp_path / "cache"), device="cuda")

    return make


def figures(result: Result) -> str:
    """All that must repeat, as text in which floats have all their digits."""
    assert result.status == "done", result.failure
    record = result.to_json()
    kept = ("metrics", "primary", "by_length", "alignment")
    curve = [{k: v for k, v in point.items() if "seconds" not in k} for point in record["curve"]]
    return json.dumps({**{name: record[name] for name in kept}, "curve": curve}, sort_keys=True)


@pytest.mark.parametrize("attention", attentions.names())
@pytest.mark.parametrize("task", tasks.names())
def test_every_pair_trains_and_repeats_to_the_last_bit(
    task: str, attention: str, context: Callable[[str], TrialOptions]
) -> None:
    cell = make_cell(task, attention, budget="smoke")
    first, again = (run_trial(cell, context(name)) for name in ("first", "again"))
    assert first.provenance.device == torch.cuda.get_device_name()
    assert (first.cost.peak_memory_bytes or 0) > 2**20
    assert figures(first) == figures(again)


@pytest.mark.parametrize("attention", ["soft", "self", "multi-step", "hard"])
def test_half_precision_trains_alike(
    attention: str, context: Callable[[str], TrialOptions]
) -> None:
    options = {"max_steps": 40, "dropout": 0.0}
    whole, half = (
        run_trial(
            make_cell("translation", attention, budget="smoke", options={**options, **more}),
            context(name),
        )
        for name, more in (("whole", {}), ("half", {"precision": "bf16"}))
    )
    assert half.status == whole.status == "done", half.failure
    losses = [result.curve[-1]["validation_loss"] for result in (whole, half)]
    assert losses[1] == pytest.approx(losses[0], rel=0.1)


@pytest.mark.parametrize("task", tasks.names())
def test_an_interrupted_trial_ends_as_one_that_was_not(
    task: str, context: Callable[[str], TrialOptions]
) -> None:
    cell = make_cell(task, "hard", budget="smoke", options={"max_steps": 8, "dropout": 0.3})
    expected = run_trial(cell, context("whole"))
    left = iter([False] * 5 + [True] * 100)
    with pytest.raises(Interrupted):
        run_trial(cell, context("parts"), TrialHooks(asked_to_stop=lambda: next(left)))
    assert figures(run_trial(cell, context("parts"))) == figures(expected)


def sweep(folder: Path, study: str, *options: str, status: int = 0) -> tuple[Store, Any]:
    (folder / "study.yaml").write_text(study)
    path = folder / "store"
    arguments = ["bench.cli.main", "sweep", str(folder / "study.yaml"), "--store", str(path)]
    command = Marked("-m", [*arguments, *options, "--wandb", "off"], folder / "run")
    try:
        assert command.wait(300) == status, command.stderr
        assert command.alive() == []
    finally:
        command.kill()
    return Store.open(path), command


def test_trials_that_share_a_gpu_are_as_those_alone(
    tmp_path: Path, context: Callable[[str], TrialOptions]
) -> None:
    store, _ = sweep(tmp_path, PACKED, "--gpus-per-trial", "0.25", "--cpus-per-trial", "1")
    assert len(store.hashes()) == 4
    for result in store.results([]):
        assert figures(run_trial(result.cell, context("alone"))) == figures(result)


def test_a_trial_that_needs_more_than_its_share_fails_alone(tmp_path: Path) -> None:
    options = ("--gpus-per-trial", "0.005", "--cpus-per-trial", "1")
    store, command = sweep(tmp_path, LARGE, *options, status=1)
    found = {result.cell.attention: result for result in store.results([])}
    assert found["soft"].status == "done"
    failure = found["none"].failure
    assert failure is not None and failure.kind == OUT_OF_MEMORY
    assert "out of memory" in command.stderr


def test_a_process_group_for_gpus() -> None:
    """NCCL for tensors on GPUs, gloo for those that are not: here of one process."""
    rendezvous = ranks.open_rendezvous("127.0.0.1", 1)
    try:
        ranks.join_process_group(rendezvous, 1, TrialOptions(None, None, "", device="cuda"))
        for device in ("cuda", "cpu"):
            tensor = torch.ones(3, device=device)
            torch.distributed.all_reduce(tensor)
            assert tensor.tolist() == [1.0, 1.0, 1.0]
    finally:
        ranks.leave_process_group()
