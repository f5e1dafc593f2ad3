from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fake_trials import fake_cell

from ablations.cluster import Resources
from ablations.trial_interface import Outcome, TrialOptions
from bench.store.store import Store

tuning = pytest.importorskip("ablations.tune")


class Listener:
    """Cannot be pickled, as a terminal cannot."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.heard: list[Any] = []

    def started(self, hash: str) -> None:
        self.heard.append(hash)

    def finished(self, outcome: Outcome) -> None:
        self.heard.append(outcome)

    def located(self, hash: str, node: str) -> None:
        self.heard.append((hash, node))

    def tick(self) -> None:
        self.heard.append("tick")


class Trial:
    """What Tune tells of a trial that failed."""

    def __init__(self, folder: Path, said: str | None) -> None:
        self.config = {"cell": fake_cell(1).to_json()}
        failures = 1 if said is None else said.count("Failure # ")
        self.run_metadata = SimpleNamespace(num_failures=failures)
        self.error_file = str(folder / "error.txt") if said is not None else None
        if said is not None:
            (folder / "error.txt").write_text(said)


@pytest.fixture
def context(tmp_path: Path) -> TrialOptions:
    return TrialOptions(str(tmp_path / "store"), None, str(tmp_path), study="s", sweep="one")


def watch(
    listener: Listener,
    context: TrialOptions,
    retries: int = 0,
) -> Any:
    return tuning._Watch(listener, context, retries)


def test_tune_can_pickle_what_listens_to_it(context: TrialOptions) -> None:
    from ray import cloudpickle

    cloudpickle.dumps(watch(Listener(), context))


@pytest.mark.parametrize(
    ("said", "kind", "message"),
    [
        (
            "Failure # 1 (x)\nThe actor died. Worker exit type: SYSTEM_ERROR Worker exit detail: "
            "Worker unexpectedly exits. Some common causes include: ...\n",
            "worker died",
            "its process was killed or crashed (Worker unexpectedly exits.)",
        ),
        (
            "Failure # 1 (x)\nTask was killed due to the node running low on memory.\n"
            "Failure # 2 (x)\nTask was killed due to the node running low on memory.\n",
            "out of memory",
            "its process was killed because the machine ran low on memory, 2 times",
        ),
        (
            "Failure # 1 (x)\nablations.distributed.RankLost: The actor died. Worker exit detail: "
            "Worker unexpectedly exits. There are some potential root causes. (1) ...\n",
            "worker died",
            "the process of one of its ranks was killed or crashed (Worker unexpectedly exits.)",
        ),
        (
            "Failure # 1 (x)\nablations.distributed.RankLost: Connection closed by peer\n",
            "worker died",
            "the process of one of its ranks was killed or crashed (Connection closed by peer)",
        ),
        (None, "worker died", "its process ended without a report"),
    ],
)
def test_the_death_of_a_worker_becomes_a_stored_result(
    tmp_path: Path, context: TrialOptions, said: str | None, kind: str, message: str
) -> None:
    store = Store.open(tmp_path / "store", create=True)
    listener = Listener()
    watch(listener, context).on_trial_error(1, [], Trial(tmp_path, said))
    (outcome,) = listener.heard
    assert (outcome.failure, outcome.stored) == ((kind, message), True)
    result = store.get(fake_cell(1).hash)
    assert (result.status, result.provenance.study) == ("failed", "s")


def test_a_death_that_cannot_be_stored_is_still_told(tmp_path: Path, context: TrialOptions) -> None:
    (tmp_path / "store").touch()  # a file where the store was
    listener = Listener()
    watch(listener, context).on_trial_error(1, [], Trial(tmp_path, "Failure # 1"))
    assert not listener.heard[0].stored


def test_trials_given_up_too_early_are_run_again(tmp_path: Path, context: TrialOptions) -> None:
    Store.open(tmp_path / "store", create=True)
    listener = Listener()
    listening = watch(listener, context, retries=3)
    early = Trial(tmp_path, "Failure # 1\nFailure # 2\n")
    listening.on_trial_error(1, [], early)
    assert [outcome.status for outcome in listener.heard] == ["interrupted"]
    assert listening.forsaken() == [fake_cell(1)]
    assert listening.forsaken() == []
    listening.on_trial_error(1, [], early)
    assert listening.forsaken() == [], "deaths are counted over all attempts"
    failure = listener.heard[-1].failure
    assert failure is not None and "4 times" in failure[1]


def test_a_trial_whose_process_died_does_not_run_until_it_starts_again(
    context: TrialOptions,
) -> None:
    listener = Listener()
    listening = watch(listener, context)
    listening.on_trial_start(1, [], Ran())
    listening.on_trial_recover(2, [], Ran())
    hash, outcome = listener.heard
    assert (hash, outcome.hash, outcome.status) == (fake_cell(1).hash, hash, "interrupted")
    listening.on_trial_recover(2, [], Ran())
    assert len(listener.heard) == 2, "one that had not started yet is not told of"


class Ran:
    """A trial as Tune's callbacks see it."""

    def __init__(self) -> None:
        self.config = {"cell": fake_cell(1).to_json()}
        self.last_result: dict[str, Any] = Outcome(fake_cell(1).hash, "interrupted").to_json()


def test_what_a_scheduler_ended_is_stored(tmp_path: Path, context: TrialOptions) -> None:
    store = Store.open(tmp_path / "store", create=True)
    listener, trial = Listener(), Ran()
    trial.last_result = {"step": 6.0, "validation_loss": 2.0, "best_validation_loss": 2.0}
    listening = watch(listener, context)
    listening.on_trial_start(1, [], trial)
    listening.on_trial_complete(2, [], trial)
    _, outcome = listener.heard
    assert (outcome.figure, outcome.stored) == (("validation loss", 2.0), True)
    assert store.get(outcome.hash).metrics == {"validation_loss": 2.0, "steps": 6.0}


def test_the_first_of_two_reports_tells_the_place(context: TrialOptions) -> None:
    listener = Listener()
    listening = watch(listener, context)
    listening.on_trial_result(1, [], Ran(), {"node": "here 012345"})
    listening.on_trial_result(2, [], Ran(), Ran().last_result)
    assert listener.heard == [(fake_cell(1).hash, "here 012345")]


@pytest.mark.parametrize(
    ("nodes", "resources", "slots"),
    [
        ([{"CPU": 2}], Resources(), 2),
        ([{"CPU": 2}, {"CPU": 3}], Resources(cpus_per_trial=2), 2),
        ([{"CPU": 8, "GPU": 1}], Resources(gpus_per_trial=0.25), 4),
        ([{"CPU": 2, "GPU": 1}, {"CPU": 8}], Resources(gpus_per_trial=0.25), 2),
        ([{"CPU": 3}, {"CPU": 2}], Resources(ranks=2), 2),
        ([{"CPU": 8, "GPU": 1}, {"CPU": 8, "GPU": 3}], Resources(gpus_per_trial=2), 2),
    ],
)
def test_slots_are_counted_by_node(
    monkeypatch: pytest.MonkeyPatch, nodes: list[Any], resources: Resources, slots: int
) -> None:
    dead = {"Alive": False, "Resources": {"CPU": 64, "GPU": 8}}
    alive = [{"Alive": True, "Resources": node} for node in nodes]
    monkeypatch.setattr("ray.nodes", lambda: [*alive, dead])
    monkeypatch.setattr("ray.cluster_resources", lambda: nodes[0])
    assert tuning._slots(resources) == slots


def test_a_trial_that_fits_nowhere_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = [{"Alive": True, "Resources": {"CPU": 2}}, {"Alive": True, "Resources": {"CPU": 4}}]
    monkeypatch.setattr("ray.nodes", lambda: nodes)
    monkeypatch.setattr("ray.cluster_resources", lambda: {"CPU": 6})
    with pytest.raises(ValueError, match="needs 5 CPUs and 0 GPUs fits on no machine") as caught:
        tuning._slots(Resources(cpus_per_trial=5))
    assert "the largest has 4 CPUs and 0 GPUs (all together 6 and 0)" in str(caught.value)


class QueuedTrial(SimpleNamespace):
    def is_finished(self) -> bool:
        return self.status in ("TERMINATED", "ERROR")

    def __hash__(self) -> int:
        return id(self)


def test_every_cell_is_handed_out_once_in_order() -> None:
    cells = [fake_cell(number, width=number) for number in (3, 1, 2)]
    given = tuning.GivenCells(cells)
    found = [given.suggest(str(number)) for number in range(3)]
    assert found == [{"cell": cell.to_json()} for cell in cells]
    assert given.suggest("late") == tuning.Searcher.FINISHED


def test_trials_start_in_order_and_again_after_the_death_of_their_process() -> None:
    scheduler: Any = tuning.InOrder()
    first, second, third = (QueuedTrial(name=name, status="PENDING") for name in "abc")
    for trial in (first, second, third):
        scheduler.on_trial_add(None, trial)
    assert scheduler.choose_trial_to_run(None) is first
    first.status = "RUNNING"
    assert scheduler.choose_trial_to_run(None) is second
    second.status = "TERMINATED"
    assert scheduler.choose_trial_to_run(None) is third
    third.status = "RUNNING"
    assert scheduler.choose_trial_to_run(None) is None
    first.status = "PENDING"  # its process died
    scheduler.on_trial_add(None, first)
    assert scheduler.choose_trial_to_run(None) is first
    assert scheduler._open == [first, third], "what has ended is not looked at again"
