from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fake_trials import PREDICTIONS, fake_result
from pytorch_lightning.utilities.exceptions import SIGTERMException

from ablations.cli.run import summary
from ablations.trial import UNUSABLE
from ablations.trial_interface import TrialHooks, TrialOptions, failed_result
from bench.cli import main as cli
from bench.store.cell import Cell
from bench.store.claims import claim
from bench.store.result import Result
from bench.store.store import Store
from tasks.plan import make_cell

RUN = ["run", "--task", "translation", "--attention", "soft", "--budget", "smoke"]


@pytest.fixture
def trials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[Cell, TrialOptions]]:
    """Trials that train nothing; what they were asked for."""
    asked: list[tuple[Cell, TrialOptions]] = []

    def run_trial(cell: Cell, context: TrialOptions, hooks: TrialHooks) -> Result:
        asked.append((cell, context))
        result = fake_result(cell, 30.0 + len(asked))
        if context.store_address:
            Store.open(context.store_address).put(result, PREDICTIONS)
        return result

    monkeypatch.setattr("ablations.trial.run_trial", run_trial)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("ATTNBENCH_DATA", raising=False)
    return asked


def test_a_summary_for_people(
    trials: list[tuple[Cell, TrialOptions]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(RUN) == 0
    printed = capsys.readouterr().out
    assert "translation/synthetic soft+concat seed 1 [smoke]" in printed
    assert "BLEU  31  (95 %: 30 to 32)" in printed
    (cell, context), *_ = trials
    assert (cell.score, cell.budget, cell.seed) == ("concat", "smoke", 1)
    assert context.store_address is None
    assert context.wandb == "off"
    assert context.threads == 1


def test_json_is_the_record_and_nothing_else(
    trials: list[tuple[Cell, TrialOptions]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*RUN, "--json", "--seed", "4", "--set", "max_steps=7"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert Result.from_json(record).cell == trials[0][0]
    assert (record["cell"]["seed"], record["cell"]["options"]) == (4, {"max_steps": 7})


def test_several_settings_may_follow_one_flag(trials: list[tuple[Cell, TrialOptions]]) -> None:
    settings = ["--set", "max_steps=7", "hidden_dim=64", "--seed", "4", "--set", "dropout=0.3"]
    assert cli.main([*RUN, *settings]) == 0
    (cell, _), *_ = trials
    assert cell.options == {"dropout": 0.3, "hidden_dim": 64, "max_steps": 7}
    assert cell.seed == 4


@pytest.mark.parametrize(
    ("given", "keep"),
    [([], None), (["--keep-model"], "all"), (["--keep-model", "best"], "best")],
)
def test_models_are_kept_where_asked(
    given: list[str],
    keep: str | None,
    trials: list[tuple[Cell, TrialOptions]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    command = [*RUN, "--store", str(tmp_path / "s"), *given]
    assert cli.main(command) == 0
    assert trials[0][1].keep_model == keep
    capsys.readouterr()
    assert cli.main(command) == 0  # the trials of this test keep no model
    said = capsys.readouterr().err
    assert ("its model was not kept; --force runs it again and keeps it" in said) == bool(keep)
    assert len(trials) == 1


@pytest.mark.parametrize(
    ("given", "wandb", "track"),
    [
        ([], "off", ()),
        (["--track", "csv", "mlflow", "csv"], "off", ("csv", "mlflow")),
        (["--track", "wandb", "tensorboard"], "offline", ("tensorboard",)),
        (["--track", "csv", "--wandb", "offline"], "offline", ("csv",)),
    ],
)
def test_trackers_are_those_named(
    given: list[str],
    wandb: str,
    track: tuple[str, ...],
    trials: list[tuple[Cell, TrialOptions]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")  # what auto comes to
    assert cli.main([*RUN, "--store", str(tmp_path / "s"), *given]) == 0
    (_, options), *_ = trials
    assert (options.wandb, options.track) == (wandb, track)


def test_a_tracker_that_is_not_installed_is_named_before_anything_runs(
    trials: list[tuple[Cell, TrialOptions]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert cli.main([*RUN, "--store", str(tmp_path / "s"), "--track", "mlflow"]) == 2
    said = "--track mlflow: MLflow is not installed; pip install 'attention-bench[mlflow]'"
    assert said in capsys.readouterr().err
    assert not trials
    assert not (tmp_path / "s").exists()


def test_a_stored_result_is_shown_instead_of_run_again(
    trials: list[tuple[Cell, TrialOptions]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [*RUN, "--json", "--store", str(tmp_path / "s")]
    assert cli.main(command) == 0
    first = json.loads(capsys.readouterr().out)
    assert cli.main(command) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out) == first
    assert "from the store" in captured.err
    assert len(trials) == 1

    assert cli.main([*command, "--force"]) == 0
    assert json.loads(capsys.readouterr().out)["metrics"] != first["metrics"]
    assert len(trials) == 2


def test_a_failed_cell_is_named_and_its_status_is_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run_trial(cell: Cell, context: TrialOptions, hooks: TrialHooks) -> Result:
        return failed_result(cell, "diverged", "the loss is nan", started="2025-01-01T00:00:00Z")

    monkeypatch.setattr("ablations.trial.run_trial", run_trial)
    assert cli.main([*RUN, "--json"]) == 1
    captured = capsys.readouterr()
    assert json.loads(captured.out)["failure"]["kind"] == "diverged"
    assert captured.err == (
        "failed: translation/synthetic soft+concat seed 1: diverged: the loss is nan\n"
    )


def test_what_the_user_must_mend_is_no_failed_cell(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run_trial(cell: Cell, context: TrialOptions, hooks: TrialHooks) -> Result:
        return failed_result(cell, UNUSABLE, "a.txt:3: empty", started="2025-01-01T00:00:00Z")

    monkeypatch.setattr("ablations.trial.run_trial", run_trial)
    assert cli.main(RUN) == 2
    assert capsys.readouterr().err == "attnbench: error: a.txt:3: empty\n"


@pytest.mark.parametrize(
    ("converged", "line"),
    [
        (True, "  converged: yes, the validation loss had stopped improving"),
        (False, "  converged: no, the validation loss was still improving at the end: train for"),
        (None, None),
    ],
)
def test_a_line_says_whether_training_had_converged(
    converged: bool | None, line: str | None
) -> None:
    cell = make_cell("translation", "soft", budget="smoke")
    told = summary(fake_result(cell).model_copy(update={"converged": converged}))
    found = [one for one in told if "converged" in one]
    assert found == [] if line is None else found[0].startswith(line) and len(found) == 1


MISTAKES: list[tuple[list[str], str]] = [
    (["--attention", "sfot"], "unknown attention 'sfot'; did you mean 'soft'?"),
    (["--score", "conact"], "unknown score 'conact'; did you mean 'concat'?"),
    (["--attention", "self", "--score", "location-aware"], "self takes all steps at once"),
    (["--task", "translaton"], "unknown task 'translaton'; did you mean 'translation'?"),
    (["--dataset", "multi30"], "unknown data set 'multi30'; did you mean 'multi30k'?"),
    (["--budget", "laptp"], "unknown budget 'laptp'; did you mean 'laptop'?"),
    (["--set", "stepz=3"], "unknown option 'stepz'; did you mean 'max_steps'?"),
    (["--set", "max_steps=0"], "max_steps=0 cannot be used"),
    (["--set", "steps"], "expected KEY=VALUE, got 'steps'"),
    (["--seed", "-1"], "a seed is a whole number from 0"),
    (["--threads", "0"], "--threads"),
    (["--device", "gpu"], "no device 'gpu'; auto, cpu, cuda, cuda:<index> or mps"),
    (["--device", "mps"], "no device 'mps'; this machine has no GPU of Apple's"),
    (["--device", "cuda:99"], "no device 'cuda:99'"),
    (["--dataset", "multi30k"], "data set 'multi30k' needs its files"),
    (["--dataset", "multi30k", "--data-root", "/nowhere"], "--data-root /nowhere: no such folder"),
    (["--wandb", "online"], "W&B keeps its files in a store; add --store"),
    (["--keep-model"], "--keep-model: models are kept in a store; add --store"),
    (["--track", "csv"], "--track: trackers write to a store; add --store"),
    (["--track", "wandb", "--wandb", "off"], "--track: names wandb, and --wandb is off"),
]


@pytest.mark.parametrize(("changes", "said"), MISTAKES)
def test_mistakes_are_answered_in_one_line_with_status_2(
    trials: list[Any], capsys: pytest.CaptureFixture[str], changes: list[str], said: str
) -> None:
    assert cli.main([*RUN, *changes]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("attnbench: error: ")
    assert captured.err.count("\n") == 1
    assert said in captured.err
    assert trials == []


def test_a_store_that_cannot_be_written_is_found_before_training(
    trials: list[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert cli.main([*RUN, "--store", str(tmp_path / "file" / "s")]) == 2
    assert "the store cannot be written (not a directory)" in capsys.readouterr().err
    assert trials == []


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "train.src: no such file"),
        ({"train.src": b"a\n", "train.tgt": b""}, "empty"),
        ({"train.src": b"a\nb\n", "train.tgt": b"a\n"}, "2 lines"),
        ({"train.src": b"a\nb\xff\n", "train.tgt": b"a\nb\n"}, "UTF-8"),
    ],
)
def test_data_that_cannot_be_used_is_found_before_training(
    trials: list[Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    files: dict[str, bytes],
    said: str,
) -> None:
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    assert cli.main([*RUN, "--dataset", "parallel", "--data-root", str(tmp_path)]) == 2
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    assert said in printed
    assert str(tmp_path) in printed
    assert trials == []


def test_a_real_cell_from_end_to_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    store = tmp_path / "s"
    assert cli.main([*RUN, "--json", "--set", "max_steps=4", "--store", str(store)]) == 0
    result = Result.from_json(json.loads(capsys.readouterr().out))
    assert result.primary is not None
    assert result.primary.name == "bleu"
    stored = Store.open(store)
    assert stored.get(result.hash) == result
    assert stored.predictions(result.hash)
    assert stored.traces(result.hash)
    assert {path.name for path in store.iterdir()} <= {"trials", "cache", "claims"}


def test_a_run_without_a_store_says_that_it_was_stopped(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*arguments: object) -> None:  # as Lightning does it
        raise SIGTERMException

    monkeypatch.setattr("ablations.trial.run_trial", stopped)
    command = ["run", "--task", "translation", "--attention", "soft", "--budget", "smoke"]
    assert cli.main(command) == 143
    assert capsys.readouterr().err == "SIGTERM: nothing is kept without --store\n"


def test_a_cell_that_another_process_runs_is_refused(
    trials: list[tuple[Cell, TrialOptions]], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    store = Store.open(tmp_path / "s", create=True)
    hash = make_cell("translation", "soft", budget="smoke", seed=1).hash
    with claim(store, hash, "sweep 7"):
        assert cli.main([*RUN, "--store", str(tmp_path / "s")]) == 2
    said = capsys.readouterr().err
    assert "the cell is being run by sweep 7 on " in said and said.count("\n") == 1
    assert trials == []
    assert cli.main([*RUN, "--store", str(tmp_path / "s")]) == 0
    assert store.claim_numbers(hash) == []
