"""The command without Ray: what it asks for, and what it says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from fake_trials import fake_result

from ablations import cluster as clusters
from ablations.cluster import Resources
from ablations.sweep import SweepPlan, SweepSummary
from ablations.trial_interface import Outcome, TrialOptions, failed_result
from bench.attention.registries import scores
from bench.cli import main as cli
from bench.store.result import Result
from bench.store.store import Store


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("ATTNBENCH_DATA", raising=False)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def sweeps(monkeypatch: pytest.MonkeyPatch) -> list[tuple[SweepPlan, TrialOptions, Resources]]:
    """Sweeps that finish at once: attention `none` fails, the others are done."""
    asked = []

    def run_sweep(
        plan: SweepPlan, context: TrialOptions, resources: Resources, renderer: Any, **more: Any
    ) -> SweepSummary:
        asked.append((plan, context, resources))
        assert context.store_address is not None
        store, outcomes = Store.open(context.store_address), []
        for cell in plan.to_run:
            result: Result = fake_result(cell)
            if cell.attention == "none":
                result = failed_result(cell, "diverged", "nan", started="2025-01-01T00:00:00Z")
            store.put(result)
            outcomes.append(Outcome.of(result, 1.0))
        return SweepSummary(plan, tuple(outcomes))

    monkeypatch.setattr("ablations.sweep.run_sweep", run_sweep)
    return asked


def test_several_settings_may_follow_one_flag(
    sweeps: list[tuple[SweepPlan, TrialOptions, Resources]], capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = ["--task", "translation", "--attention", "soft", "--seeds", "1"]
    assert cli.main(["sweep", *chosen, "--set", "max_steps=7", "dropout=0.3"]) == 0
    [cell] = sweeps[0][0].to_run
    assert cell.options == {"dropout": 0.3, "max_steps": 7}
    assert cli.main(["sweep", "--set", "max_steps=7", "overview", "--dry-run"]) == 2
    assert "got 'overview'; as in max_steps=100; what is no option goes" in capsys.readouterr().err


def test_cells_without_their_model_are_told_and_trained_again_where_asked(
    sweeps: list[tuple[SweepPlan, TrialOptions, Resources]], capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["sweep", "--task", "translation", "--attention", "soft", "--seeds", "2"]
    assert cli.main(command) == 0
    assert (sweeps[-1][1].keep_model, sweeps[-1][1].again) == (None, False)
    assert "kept model" not in capsys.readouterr().err
    assert cli.main([*command, "--keep-model", "all"]) == 0
    assert sweeps[-1][0].to_run == ()
    assert "note: 2 stored cells have no kept model: --again trains" in capsys.readouterr().err
    assert cli.main([*command, "--keep-model", "--again", "--dry-run"]) == 0
    captured = capsys.readouterr()
    assert captured.out.splitlines()[-1] == "2 cells, 1 to run"
    assert "note: 1 stored cell has no kept model: trained again" in captured.err
    assert cli.main([*command, "--keep-model", "all", "--again"]) == 0
    plan, options, _ = sweeps[-1]
    assert [cell.seed for cell in plan.to_run] == [1, 2]
    assert (options.keep_model, options.again) == ("all", True)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--again"], "--again: trains stored cells for their models; add --keep-model"),
        (["--again", "--keep-model", "--tune", "2"], "for their models; leave out --tune"),
    ],
)
def test_again_is_for_models(
    given: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["sweep", *given]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "wandb", "track"),
    [
        ([], "offline", ()),
        (["--track", "csv"], "off", ("csv",)),
        (["--track", "wandb", "csv"], "offline", ("csv",)),
    ],
)
def test_trackers_are_those_named(
    given: list[str],
    wandb: str,
    track: tuple[str, ...],
    sweeps: list[tuple[SweepPlan, TrialOptions, Resources]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    chosen = ["--task", "translation", "--attention", "soft", "--seeds", "1"]
    assert cli.main(["sweep", *chosen, *given]) == 0
    assert (sweeps[0][1].wandb, sweeps[0][1].track) == (wandb, track)
    assert ("csv in " in capsys.readouterr().out) == ("csv" in given)


def test_a_dry_run_lists_cells_and_ends_with_their_number(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert cli.main(["sweep", "--task", "translation", "--dry-run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "14 cells, 14 to run"
    assert lines[-2] == "expected: 0.082 core-hours (14 as noted for their budget)"
    assert len(lines) == 16
    assert sum("translation/synthetic global+" in line for line in lines) == 5
    assert list(tmp_path.iterdir()) == [], "a dry run makes no store"


def test_a_dry_run_names_what_does_not_apply(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["sweep", "full", "--task", "translation", "--attention", "self", "none", "--dry-run"]
    assert cli.main(command) == 0
    lines = capsys.readouterr().out.splitlines()
    reasons = [line for line in lines if line.startswith("not applicable: ")]
    valid = len(scores.names()) + 1 - len(reasons)
    assert lines[-1] == f"{valid} cells, {valid} to run"
    said = "not applicable: translation self+location-aware: self takes all steps at once"
    assert any(reason.startswith(said) for reason in reasons)


def test_a_sweep_resumes(
    sweeps: list[tuple[SweepPlan, TrialOptions, Resources]],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    command = ["sweep", "--task", "translation", "--attention", "soft", "none", "--seeds", "2"]
    assert cli.main(command) == 1
    captured = capsys.readouterr()
    assert "4 cells, 4 to run" in captured.out
    assert "2 done, 2 failed" in captured.out
    assert "attnbench report runs/overview" in captured.out
    assert "failed: translation/synthetic none+none seed 2: diverged: nan\n" in captured.err

    assert cli.main(command) == 1
    captured = capsys.readouterr()
    assert "4 cells, 2 to run" in captured.out, "the failed ones"
    assert "0 done, 2 were done before, 2 failed" in captured.out
    assert [len(plan.to_run) for plan, _, _ in sweeps] == [4, 2]

    assert cli.main([*command, "--dry-run"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in listed[:-1]].count("done") == 2
    assert listed[-1] == "4 cells, 2 to run"

    context = sweeps[0][1]
    assert context.store_address == str(tmp_path / "runs" / "overview")
    assert (context.study, context.wandb, context.threads) == ("overview", "offline", 1)


def test_the_next_command_can_be_pasted(
    sweeps: list[tuple[SweepPlan, TrialOptions, Resources]], capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["sweep", "--task", "translation", "--attention", "soft", "--store", "my runs/é"]
    assert cli.main(command) == 0
    assert "next: attnbench report 'my runs/é'" in capsys.readouterr().out


def test_options_reach_the_trials(
    sweeps: list[tuple[SweepPlan, TrialOptions, Resources]], tmp_path: Path
) -> None:
    study = tmp_path / "mine.yaml"
    study.write_text("blocks:\n  - attentions: [soft]\n    scores: [dot, concat]\n")
    command = [
        "sweep", str(study), "--task", "translation", "--score", "dot", "--set", "max_steps=3",
        "--budget", "smoke", "--cpus-per-trial", "2", "--gpus-per-trial", "0.25",
        "--address", "auto", "--wandb", "off", "--store", "elsewhere", "--retries", "9",
    ]  # fmt: skip
    assert cli.main(command) == 0
    plan, context, resources = sweeps[0]
    (cell,) = plan.to_run
    assert (cell.score, cell.budget, dict(cell.options)) == ("dot", "smoke", {"max_steps": 3})
    assert resources == Resources("auto", 2, 0.25, retries=9)
    assert (context.threads, context.device, context.wandb) == (2, "cuda", "off")
    assert context.store_address == str(tmp_path / "elsewhere")
    assert context.study == "mine"


@pytest.mark.parametrize("address", [None, "auto"])
def test_a_dashboard_needs_its_packages_where_ray_is_started(
    sweeps: list[tuple[SweepPlan, TrialOptions, Resources]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    address: str | None,
) -> None:
    command = ["sweep", "--task", "translation", "--attention", "soft", "--dashboard"]
    command += ["--address", address] if address else []
    monkeypatch.setattr(clusters, "_DASHBOARD_PACKAGES", ("json", "no_such_package"))
    assert cli.main(command) == (0 if address else 2)
    told = capsys.readouterr().err.splitlines()
    assert address or told == [
        "attnbench: error: --dashboard: the packages of Ray's dashboard are not installed; "
        "pip install 'attention-bench[dashboard]'"
    ]
    monkeypatch.setattr(clusters, "_DASHBOARD_PACKAGES", ("json",))
    assert cli.main([*command, "--store", "other"]) == 0
    assert {resources.dashboard for _, _, resources in sweeps} == {True}


def test_a_limit_leaves_the_rest_for_later(
    sweeps: list[tuple[SweepPlan, TrialOptions, Resources]], capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["sweep", "--task", "translation", "--attention", "global", "--limit", "2"]
    assert cli.main(command) == 0
    printed = capsys.readouterr().out
    assert "5 cells, 2 to run" in printed
    assert "2 done, 3 left, run the same command again" in printed


def test_a_limit_limits_the_search_too(
    sweeps: list[tuple[SweepPlan, TrialOptions, Resources]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    searches = []

    def search(plan: SweepPlan, context: TrialOptions, *rest: Any, **more: Any) -> SweepSummary:
        assert context.store_address is not None and not context.tests
        store = Store.open(context.store_address)
        searches.append(plan.to_run)
        for place, cell in enumerate(plan.to_run):  # the last one wins
            figures = {"validation_loss": 3.0 - place, "steps": 12.0}
            store.put(fake_result(cell).model_copy(update={"metrics": figures}))
        return SweepSummary(plan)

    monkeypatch.setattr("ablations.hyperparameters.run_sweep", search)
    command = ["sweep", "--task", "translation", "--attention", "global", "soft", "--tune", "3"]
    command += ["--limit", "1"]
    assert cli.main([*command, "--dry-run"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert (listed[0], listed[-1]) == ("search: 3 cells, 3 to run", "6 cells, 1 to run")
    assert [line.split()[0] for line in listed[1:-1]].count("later") == 5
    for already in range(3):
        assert cli.main(command) == 0
        printed = capsys.readouterr().out
        assert "overview: search: 3 cells, 3 to run" in printed
        assert "overview: 6 cells, 1 to run" in printed
        assert f"{5 - already} left" in printed
    mechanisms = [{(cell.attention, cell.score) for cell in cells} for cells in searches]
    assert [len(names) for names in mechanisms] == [1, 1, 1], "only of the cell that follows"
    assert len(set.union(*mechanisms)) == 3, "another one every time"
    for (plan, context, _), cells in zip(sweeps, searches, strict=True):
        (cell,) = plan.to_run
        assert cell.with_seed(0) == cells[-1], "the winner's settings"
        assert context.notes_of(cell) == context.notes != ()


@pytest.mark.parametrize(
    ("arguments", "ranks", "gpus", "device"),
    [
        (["--processes-per-trial", "2", "--gpus-per-trial", "0"], 2, 0.0, "cpu"),
        (["--gpus-per-trial", "4"], 4, 1.0, "cuda"),
        (["--gpus-per-trial", "0.5"], 1, 0.5, "cuda"),
    ],
)
def test_trials_of_several_processes(
    sweeps: list[tuple[SweepPlan, TrialOptions, Resources]],
    arguments: list[str],
    ranks: int,
    gpus: float,
    device: str,
) -> None:
    assert cli.main(["sweep", "--task", "translation", "--attention", "soft", *arguments]) == 0
    _, context, resources = sweeps[0]
    assert (context.ranks, context.rank, context.device) == (ranks, 0, device)
    assert (resources.ranks, resources.gpus_per_rank) == (ranks, gpus)
    assert context.gpu_share == (gpus or 1.0)


def test_a_search_comes_first(
    sweeps: list[tuple[SweepPlan, TrialOptions, Resources]],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []

    def run_search(
        plan: SweepPlan,
        context: TrialOptions,
        resources: Resources,
        renderer: Any,
        *,
        early_stopping: Mapping[str, str] | None,
    ) -> SweepSummary:
        assert early_stopping is not None
        assert set(early_stopping) == {cell.hash for cell in plan.to_run}
        asked.append((context, len(set(early_stopping.values())) == 1))
        store = Store.open(context.store_address or "")
        for number, cell in enumerate(plan.to_run):
            loss = {"validation_loss": float(-number), "steps": 12.0}
            store.put(fake_result(cell).model_copy(update={"metrics": loss}))
        return SweepSummary(plan)

    monkeypatch.setattr("ablations.hyperparameters.run_sweep", run_search)
    command = ["sweep", "--task", "translation", "--attention", "soft", "--seeds", "2"]
    command += ["--tune", "4", "--scheduler", "asha"]
    assert cli.main([*command, "--dry-run"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "search: 4 cells, 4 to run"
    assert cli.main(command) == 0
    (context, early_stopping), (plan, final, _) = asked[0], sweeps[0]
    assert early_stopping and not context.tests and final.tests
    assert (context.store_address or "").endswith("overview/search")
    (note,) = final.notes
    assert "4 candidates" in note and "ASHA" in note
    assert {cell.seed for cell in plan.to_run} == {1, 2}
    assert all({"learning_rate", "dropout"} & set(cell.options) for cell in plan.to_run)
    capsys.readouterr()
    assert cli.main([*command, "--dry-run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "search: 4 cells, 0 to run"
    assert lines[-1] == "2 cells, 0 to run"


def test_shards_share_the_cells_out(
    sweeps: list[tuple[SweepPlan, TrialOptions, Resources]],
) -> None:
    command = ["sweep", "--task", "translation", "--seeds", "2", "--no-ray", "--store", "s"]
    for index in (1, 2, 3):
        assert cli.main([*command, "--shard", f"{index}/3"]) in (0, 1)
    hashes = [cell.hash for plan, _, _ in sweeps for cell in plan.cells]
    assert len(hashes) == len(set(hashes)) == 28
    assert all(resources.in_process for _, _, resources in sweeps)


def test_shards_agree_on_which_seed_is_the_best(
    sweeps: list[tuple[SweepPlan, TrialOptions, Resources]],
) -> None:
    command = ["sweep", "--task", "translation", "--attention", "soft", "--seeds", "4"]
    assert cli.main(command) == 0
    for index in (1, 2, 3):
        shard = ["--keep-model", "best", "--again", "--shard", f"{index}/3"]
        assert cli.main([*command, *shard]) == 0
    assert [cell.seed for plan, _, _ in sweeps[1:] for cell in plan.to_run] == [1]


def test_cells_that_others_run_are_told_of(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run_sweep(plan: SweepPlan, *rest: Any, **more: Any) -> SweepSummary:
        return SweepSummary(plan, elsewhere={cell.hash: "by node7" for cell in plan.to_run})

    monkeypatch.setattr("ablations.sweep.run_sweep", run_sweep)
    assert cli.main(["sweep", "--task", "translation", "--attention", "soft", "none"]) == 0
    captured = capsys.readouterr()
    assert "0 done, 2 run elsewhere; " in captured.out
    assert "run elsewhere: 2 cells; first: translation/synthetic " in captured.err


MISTAKES: list[tuple[list[str], str]] = [
    (["overveiw"], "unknown study 'overveiw'; did you mean 'overview'?"),
    (["nowhere.yaml"], "nowhere.yaml: no such file"),
    (["--attention", "sfot"], "--attention: unknown attention 'sfot'; did you mean 'soft'?"),
    (["--score", "conact"], "--score: unknown score 'conact'; did you mean 'concat'?"),
    (["--task", "translaton"], "--task: unknown task 'translaton'"),
    (["--dataset", "mulit30k"], "unknown data set 'mulit30k'"),
    (["--budget", "laptp"], "unknown budget 'laptp'; did you mean 'laptop'?"),
    (["--set", "max_steps=0"], "max_steps=0 cannot be used"),
    (["--set", "max_stepz=1"], "unknown option 'max_stepz'; did you mean 'max_steps'?"),
    (["--seeds", "0"], "--seeds: must be ≥ 1, got 0"),
    (["--limit", "0"], "--limit: must be ≥ 1, got 0"),
    (["--seeds", "20261125"], "--seeds: at most 10,000 seeds"),
    (["--cpus-per-trial", "0"], "--cpus-per-trial: must be > 0, got 0"),
    (["--retries", "-1"], "--retries: must be ≥ 0, got -1"),
    (["--processes-per-trial", "0"], "--processes-per-trial: needs at least 1 process"),
    (
        ["--processes-per-trial", "2", "--gpus-per-trial", "0.5"],
        "2 processes cannot share 0.5 GPUs",
    ),
    (["--gpus-per-trial", "1.5"], "1 processes cannot share 1.5 GPUs"),
    (["--tune", "0"], "--tune: must be ≥ 1, got 0"),
    (["--scheduler", "asha"], "ASHA applies to hyperparameter search only"),
    (["--searcher", "optuna"], "Optuna applies to hyperparameter search only"),
    (["--attention", "soft", "--score", "dot"], "no cell of study 'overview' is left"),
    (["--task", "translation", "--dataset", "multi30k"], "data set 'multi30k' needs its files"),
    (["--store", "file/x"], "the store cannot be written (not a directory)"),
    (["--store", "file"], "the store cannot be written"),
    (["--shard", "3"], "--shard: expected I/N with I from 1 to N (or from 0), got '3'"),
    (["--shard", "3/2"], "--shard: expected I/N"),
    (["--shard", "0/0"], "--shard: expected I/N"),
    (["--no-ray", "--address", "auto"], "--no-ray: without Ray one trial at a time"),
    (["--no-ray", "--dashboard"], "--no-ray: without Ray one trial at a time"),
    (["--no-ray", "--processes-per-trial", "2"], "--no-ray: without Ray one trial at a time"),
    (["--no-ray", "--trial-timeout", "5"], "--trial-timeout: needs Ray"),
    (["--no-ray", "--tune", "2", "--scheduler", "asha"], "--scheduler asha: needs Ray"),
    (["study.yaml"], "study.yaml:2: unknown key 'attention'; did you mean 'attentions'?"),
]


@pytest.mark.parametrize(("arguments", "said"), MISTAKES)
def test_mistakes_are_answered_in_one_line_with_status_2(
    sweeps: list[Any],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    arguments: list[str],
    said: str,
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "study.yaml").write_text("blocks:\n  - attention: all\n")
    assert cli.main(["sweep", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("attnbench: error: ")
    assert captured.err.count("\n") == 1
    assert said in captured.err
    assert sweeps == []
