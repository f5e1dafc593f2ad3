"""`attnbench leaderboard` from the command line, and the files it comes with."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import pytest
from bundles import changed, in_record

from bench.cli.main import main
from bench.errors import UsageError
from bench.store.cell import Cell
from bench.store.store import Store
from reports.cli import leaderboard as cli
from reports.leaderboard.bundle import record_of
from reports.leaderboard.rules import REFERENCES, RULES, installed, load_reference, load_rules
from tasks.base import datasets, tasks
from tasks.plan import resolve
from tasks.settings import BUDGETS


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("ATTNBENCH_DATA", raising=False)


def test_submit_verify_rank(trials, tmp_path: Path, capsys) -> None:
    bundle, out = tmp_path / "b.zip", tmp_path / "board"
    practice = ["--rules", "practice"]
    chosen = ["--task", "entailment", "--attention", "soft", "--name", "ours"]
    submit = ["leaderboard", "submit", trials.store.address, "--out", str(bundle)]
    assert main([*submit, *chosen, *practice]) == 0
    assert capsys.readouterr().out.startswith(f"{bundle}: 1 trial, ")
    assert main(["leaderboard", "verify", str(bundle), *practice]) == 0
    assert ": verified, 1 trial, class same\n" in capsys.readouterr().out
    assert main(["leaderboard", "rank", str(bundle), "--out", str(out), *practice]) == 0
    assert capsys.readouterr().out == f"{out / 'index.html'}: 1 entry of 1 bundle\n"
    lie = in_record(lambda record: record["metrics"].update(accuracy=1.0))
    changed(bundle, tmp_path / "lie.zip", {record_of(trials.trial("entailment")): lie})
    assert main(["leaderboard", "verify", str(tmp_path / "lie.zip"), *practice]) == 1
    said = capsys.readouterr().out.splitlines()
    assert said[0].endswith("by the outputs, not 1") and said[-1].endswith(
        "not verified, 1 problem"
    )
    both = [str(bundle), str(tmp_path / "lie.zip")]
    assert main(["leaderboard", "rank", *both, "--out", str(out), *practice]) == 1
    assert "not on the board: lie.zip" in capsys.readouterr().err
    bundle.write_bytes(b"PK")
    assert main(["leaderboard", "verify", str(bundle)]) == 2
    assert capsys.readouterr().err.startswith(f"attnbench: error: {bundle}: not a bundle")


def test_submit_says_beforehand_what_the_rules_will_say(trials, tmp_path: Path, capsys) -> None:
    submit = ["leaderboard", "submit", trials.store.address, "--out", str(tmp_path / "b.zip")]
    assert main([*submit, "--task", "entailment", "--attention", "soft"]) == 0
    said = capsys.readouterr().err
    assert "no result of seed 2, 3" in said and "the budget smoke is none of" in said


def test_a_cell_of_other_defaults_is_named_beforehand(trials, tmp_path: Path, capsys) -> None:
    """Stored when its options were no defaults yet: nothing here would run it under that name."""
    result = trials.results["entailment", "soft"]
    steps = resolve(result.cell).settings.max_steps
    aged = Cell.from_json({**result.cell_json, "options": {"max_steps": steps}})
    store = Store.open(tmp_path / "store", create=True)
    rows = trials.store.predictions(result.hash)
    store.put(result.model_copy(update={"hash": aged.hash, "cell_json": aged.to_json()}), rows)
    store.put(result, rows)
    submit = ["leaderboard", "submit", store.address, "--out", str(tmp_path / "b.zip")]
    assert main([*submit, "--name", "aged", "--rules", "practice"]) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("note: the rules will say: entailment/synthetic soft+")
    assert line.endswith("it repeats defaults, or has options that change nothing")


def test_a_cell_that_nothing_here_could_run_is_named(trials, tmp_path: Path, capsys) -> None:
    result = trials.results["entailment", "soft"]
    foreign = Cell.from_json({**result.cell_json, "options": {"of_another_version": 1}})
    store = Store.open(tmp_path / "store", create=True)
    rows = trials.store.predictions(result.hash)
    store.put(
        result.model_copy(update={"hash": foreign.hash, "cell_json": foreign.to_json()}), rows
    )
    bundle = tmp_path / "b.zip"
    words = ["leaderboard", "submit", store.address, "--out", str(bundle), "--rules", "practice"]
    assert main(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"attnbench: error: {foreign.label}: nothing here could run it")
    assert "of_another_version" in line
    assert not bundle.exists()


def test_nothing_to_submit(trials, tmp_path: Path) -> None:
    parser = argparse.ArgumentParser()
    cli.add_arguments(parser)
    empty = str(tmp_path / "store")
    Store.open(empty, create=True)
    for words in ([empty], [trials.store.address, "--task", "nothing"]):
        with pytest.raises(UsageError, match="no finished result"):
            cli.run(parser.parse_args(["submit", *words, "--out", str(tmp_path / "b.zip")]))
    assert not (tmp_path / "b.zip").exists()


def test_records_that_cannot_be_read_are_named_where_nothing_is_left(tmp_path: Path) -> None:
    parser = argparse.ArgumentParser()
    cli.add_arguments(parser)
    store = Store.open(tmp_path / "store", create=True)
    (tmp_path / "store" / "trials" / f"{64 * '0'}.json").write_text("{")
    words = ["submit", store.address, "--out", str(tmp_path / "b.zip")]
    with pytest.raises(UsageError, match=f"1 record cannot be read, as trials/{24 * '0'}"):
        cli.run(parser.parse_args(words))


def test_freeze(trials, tmp_path: Path, capsys) -> None:
    freeze = [
        "leaderboard",
        "save-reference",
        trials.store.address,
        "--out",
        str(tmp_path / "9.json"),
    ]
    assert main(freeze) == 0
    assert "reference '9' of 2 settings" in capsys.readouterr().out
    assert load_reference(str(tmp_path / "9.json")).version == "9"
    assert main(freeze) == 2  # it is there already


def test_the_command_is_parsed_without_heavy_imports() -> None:
    code = (
        "import sys, reports.cli.leaderboard;"
        "heavy = {'torch', 'numpy', 'pydantic', 'jinja2', 'yaml'} & set(sys.modules);"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", installed(RULES, ".yaml"))
def test_rules_name_what_there_is(name: str) -> None:
    rules = load_rules(name)
    assert rules.version == name
    assert set(rules.budgets) <= set(BUDGETS)
    fields = {field for task in tasks.names() for field in tasks.get(task).Settings.model_fields}
    for one in rules.classes.values():
        assert set(one.settings or ()) <= fields
    assert set(rules.fixed) <= fields
    for track in rules.tracks:
        assert track.budget in rules.budgets
        for setting in track.settings:
            assert setting.dataset in datasets(setting.task)
            assert set(setting.options) <= fields


def test_the_rules_that_count_want_three_seeds_and_all_tasks() -> None:
    rules = load_rules()
    assert rules.seeds == (1, 2, 3) and "smoke" not in rules.budgets
    assert len(rules.tracks) == 2
    for track in rules.tracks:
        assert {one.task for one in track.settings} == set(tasks.names())


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("version: '1'", "seeds"),
        ("seeds: [1, 1]\nversion: x\nbudgets: [a]\nclasses: {open: {}}", "duplicate seed"),
        ("version: x\nlikes: 3", "likes"),
        ("{", "not yaml"),
    ],
)
def test_rules_that_are_none(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "r.yaml").write_text(text)
    with pytest.raises(UsageError) as caught:
        load_rules(str(tmp_path / "r.yaml"))
    assert reason in str(caught.value).lower()
    with pytest.raises(UsageError, match="unknown rules 'two'"):
        load_rules("two")


@pytest.mark.parametrize("name", installed(REFERENCES, ".json"))
def test_references_that_are_installed_can_be_read(name: str) -> None:
    reference = load_reference(name)
    assert reference is not None and reference.version == name
    assert all(one.task in tasks for one in reference.settings)
