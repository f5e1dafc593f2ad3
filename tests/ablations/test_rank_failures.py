"""What happens to other ranks is told apart: their deaths, their failures, and this rank's own."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ablations import distributed as ranks
from ablations import fit as fitting
from ablations.cancellation import RankFailed, RankLost
from ablations.cell_runner import run_cell
from ablations.fit import fit
from ablations.trial_interface import NO_HOOKS, TrialHooks, TrialOptions
from bench.store.store import Store
from tasks.plan import make_cell, resolve
from tasks.training.module import ProcessGroup

worker = pytest.importorskip("ablations.worker")

CELL = make_cell("translation", "soft", budget="smoke", options={"max_steps": 2, "test_limit": 2})
CLOSED = "[gloo/transport/tcp/pair.cc:547] Connection closed by peer [10.0.0.2]:19138"
RESET = "[gloo/transport/tcp/pair.cc:538] Read error [10.0.0.2]:27013: Connection reset by peer"


@pytest.mark.parametrize("said", [CLOSED, RESET])
def test_a_broken_connection_is_a_lost_rank(said: str) -> None:
    with pytest.raises(RankLost, match="peer"), ranks.with_context(NO_HOOKS):
        raise RuntimeError(said)


def test_what_other_ranks_say_comes_first() -> None:
    trouble = RankFailed("diverged", "the training loss was nan")
    hooks = TrialHooks(peer_failure=lambda: trouble)
    with pytest.raises(RankFailed, match="was nan"), ranks.with_context(hooks):
        raise RuntimeError(CLOSED)


def test_this_ranks_own_errors_stay_what_they_are() -> None:
    hooks = TrialHooks(peer_failure=lambda: None)
    with pytest.raises(RuntimeError, match="shapes"), ranks.with_context(hooks):
        raise RuntimeError("shapes differ")


class Broken(ProcessGroup):
    """The others are gone before the first step."""

    rank, count = 0, 2

    def broadcast(self, value: Any) -> Any:
        raise RuntimeError(CLOSED)


def test_a_rank_that_is_lost_before_training_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def share(seed: int, module: Any, served: Any, context: TrialOptions) -> None:
        module.group = Broken()

    monkeypatch.setattr(fitting, "_share", share)
    store = Store.open(tmp_path / "store", create=True)
    plan, context = resolve(CELL), TrialOptions(store.address, None, str(tmp_path), ranks=2)
    data = plan.task.prepare(plan, context.paths())
    with pytest.raises(RankLost):
        fit(plan, plan.task.module(plan, data), data, context, NO_HOOKS)


def test_the_best_loss_is_that_of_the_curve_so_far() -> None:
    curve = [{"step": float(step), "validation_loss": loss} for step, loss in enumerate((3, 1, 2))]
    points: list[Any] = []
    follow = fitting._ReportCurve(TrialHooks(report=points.append))
    # After going on from a checkpoint, three points come at once.
    follow.on_validation_end(None, SimpleNamespace(curve=curve))  # type: ignore[arg-type]
    assert [point["best_validation_loss"] for point in points] == [3, 1, 1]


class Answers:
    """Stands for Ray: its references are what comes of them, exceptions are raised."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(worker.ray, "get", self._get)
        monkeypatch.setattr(worker.ray, "wait", self._wait)

    def _get(self, answer: Any) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _wait(self, answers: Sequence[Any], num_returns: int, timeout: Any = None) -> Any:
        return list(answers[:num_returns]), list(answers[num_returns:])


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Answers:
    return Answers(monkeypatch)


def test_deaths_and_failures_of_others_are_told_apart(answers: Answers) -> None:
    assert worker._failure_of(None) is None
    assert isinstance(worker._failure_of(worker.ray.exceptions.RayActorError()), RankLost)
    failed = worker._failure_of(("diverged", "nan"))
    assert isinstance(failed, RankFailed) and (failed.kind, str(failed)) == ("diverged", "nan")
    # Of three ranks one dies; the second tells of its broken connection, and has not failed.
    lost = worker._failure_of(("RankLost", CLOSED))
    assert isinstance(lost, RankLost) and str(lost) == CLOSED


@pytest.mark.parametrize(
    ("said", "complete"),
    [([None, None], True), ([None, ("diverged", "nan")], True), ([None, ("RankLost", "x")], False)],
)
def test_a_worker_group_without_a_rank_is_not_complete(
    answers: Answers, said: Any, complete: bool
) -> None:
    assert worker._PeerWatch(said, lambda: None).end(0.0) is complete


def test_a_busy_rank_leaves_word_of_what_failed_elsewhere(
    answers: Answers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store.open(tmp_path / "store", create=True)
    began = "2026-01-01T00:00:00.000Z"
    context = TrialOptions(
        store.address, None, str(tmp_path), ranks=2, sweep="one", sweep_began=began
    )
    ended: list[Any] = []
    monkeypatch.setattr(worker, "_PATIENCE", 0.0)
    monkeypatch.setattr(worker, "EXPLANATION_SECONDS", 0.05)
    monkeypatch.setattr(worker.os, "_exit", ended.append)
    words = worker.partial(worker._store_failure, CELL, context, began)
    watch = worker._PeerWatch(
        [("unusable input", "no data here")], lambda: ended.append("group"), words
    )
    assert watch._known.wait(5)
    for thread in worker.threading.enumerate():
        if thread.name.startswith("rank watch"):
            thread.join(5)
    assert ended == ["group", worker._RANK_LOST_STATUS]
    # Tune tries the trial again, and finds what became of it.
    outcome = run_cell(CELL, context, "fake_trials:run")
    assert outcome.failure == ("unusable input", "no data here")


def test_gloo_talks_through_the_network_of_the_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    addresses = {"lo": ["127.0.0.1"], "eth0": ["192.0.2.7", "fe80::1"], "ib0": ["10.0.0.7"]}
    cards = {
        name: [SimpleNamespace(address=address) for address in held]
        for name, held in addresses.items()
    }
    monkeypatch.setattr(ranks.psutil, "net_if_addrs", lambda: cards)
    monkeypatch.delenv("GLOO_SOCKET_IFNAME", raising=False)
    ranks.choose_interface("203.0.113.1")
    assert "GLOO_SOCKET_IFNAME" not in os.environ, "an address of no card says nothing"
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "mine")
    ranks.choose_interface("10.0.0.7")
    assert os.environ["GLOO_SOCKET_IFNAME"] == "mine"
    monkeypatch.delenv("GLOO_SOCKET_IFNAME")
    ranks.choose_interface("10.0.0.7")
    assert os.environ["GLOO_SOCKET_IFNAME"] == "ib0"
    monkeypatch.delenv("GLOO_SOCKET_IFNAME")
