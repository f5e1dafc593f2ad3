"""`attnbench report` and `attnbench compare` from the command line."""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.errors import UsageError
from bench.store.store import Store
from reports import results
from reports.cli import compare as compare_cli
from reports.cli import report as cli
from reports.pages import report


def parsed(module, *words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)
    return parser.parse_args(words)


@pytest.fixture(autouse=True)
def known(monkeypatch, catalogue):
    """The registries would import torch; what is registered is given instead."""
    monkeypatch.setattr(report, "catalogue_of", lambda cells: catalogue)


def test_report_lies_in_the_store_and_says_so(made, tmp_path, capsys):
    store = Store.open(tmp_path / "store", create=True)
    result = next(one for one in made.store.results() if one.cell_json["attention"] == "soft")
    store.put(result, made.store.predictions(result.hash))
    assert cli.run(parsed(cli, str(tmp_path / "store"))) == 0
    page = tmp_path / "store" / "report" / "index.html"
    assert page.exists()
    assert capsys.readouterr().out.startswith(f"{page}: 1 trial, ")


def test_unreadable_records_are_named_and_do_not_stop_the_rest(made, tmp_path, capsys):
    store = Store.open(tmp_path / "store", create=True)
    result = next(one for one in made.store.results() if one.cell_json["attention"] == "soft")
    store.put(result)
    (tmp_path / "store" / "trials" / ("0" * 64 + ".json")).write_text("{")
    assert cli.run(parsed(cli, str(tmp_path / "store"), "--out", str(tmp_path / "out"))) == 0
    assert "0" * 64 in capsys.readouterr().err
    assert "0" * 64 in (tmp_path / "out" / "index.html").read_text("utf-8")


def test_an_empty_store_is_said_in_one_line(tmp_path):
    Store.open(tmp_path, create=True)
    with pytest.raises(UsageError, match="holds no results") as caught:
        cli.run(parsed(cli, str(tmp_path)))
    assert "\n" not in str(caught.value)


def test_a_folder_that_cannot_be_written_is_said_in_one_line(store, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written"):
        cli.run(parsed(cli, store.address, "--out", str(tmp_path / "file" / "report")))


def test_an_unknown_study_names_those_there_are(store):
    with pytest.raises(UsageError, match="studies in this store: overview"):
        cli.run(parsed(cli, store.address, "--study", "nobody's"))


def test_a_study_takes_in_what_another_one_had_run(made, monkeypatch):
    every = list(made.store.results())
    wanted = frozenset(result.hash for result in every[:3])
    monkeypatch.setattr(results, "_cells_of", lambda study: wanted)
    assert {result.hash for result in results.of_study(every, "another")} == wanted
    assert len(results.of_study(every, "overview")) == len(every)


def test_default_folders():
    assert cli.folder("/data/store", None) == Path("/data/store/report")
    assert cli.folder("s3://bucket/store", None) == Path("report")
    assert cli.folder("/data/store", "x") == Path("x")


def test_commands_are_parsed_without_heavy_imports():
    code = (
        "import sys, reports.cli.report, reports.cli.compare;"
        "heavy = {'torch', 'numpy', 'pandas', 'matplotlib', 'scipy', 'jinja2'} & set(sys.modules);"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.fixture(scope="module")
def changed(made, tmp_path_factory) -> Store:
    """A second store: one mechanism better, one worse, one gone, one the same, one new failure."""
    store = Store.open(tmp_path_factory.mktemp("changed"), create=True)
    by_name = {}
    for result in made.store.results():
        by_name[
            result.cell_json["attention"], result.cell_json["score"], result.cell_json["seed"]
        ] = result
    swapped = {("over", "dot", 1): ("global", "dot", 1), ("global", "dot", 1): ("over", "dot", 1)}
    for key, result in by_name.items():
        if key[0] == "hierarchical" or result.status == "failed":
            continue
        if key[0] == "multi-step":
            made_there = type(made)(store, examples=2)
            made_there.fail(result.cell, "killed", "by a signal")
            continue
        giver = by_name[swapped.get(key, key)]
        taken = result.model_copy(update={"primary": giver.primary, "metrics": giver.metrics})
        store.put(taken, made.store.predictions(giver.hash))
    return store


def test_compare_tells_better_from_worse_from_the_same(store, changed, capsys):
    assert compare_cli.run(parsed(compare_cli, store.address, changed.address, "--json")) == 0
    (compared,) = json.loads(capsys.readouterr().out)
    verdicts = {one["contender"]: one["verdict"] for one in compared["differences"]}
    assert verdicts["over + dot"] == "better"
    assert verdicts["global + dot"] == "worse"
    assert verdicts["soft + concat"] == "identical"
    better = next(one for one in compared["differences"] if one["contender"] == "over + dot")
    assert 0 < better["low"] < better["after"] - better["before"] < better["high"]
    assert better["p"] < 0.05
    assert len(compared["only_before"]) == 2
    assert [name.split()[1] for name in compared["newly_failed"]] == ["multi-step+dot"]


def test_compare_prints_a_table_with_counts_last(store, changed, capsys):
    assert compare_cli.run(parsed(compare_cli, store.address, changed.address)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "1 better, 1 worse, 9 identical"
    (row,) = [line for line in lines if line.startswith("over + dot")]
    assert " better " in row and " seeds and paired examples " in row
    assert all(len(line) < 160 for line in lines)


def test_compare_names_what_it_leaves_out(made, store, tmp_path, capsys):
    other = Store.open(tmp_path / "other", create=True)
    kept, dropped = [one for one in made.store.results() if one.status == "done"][:2]
    other.put(kept, made.store.predictions(kept.hash))
    (tmp_path / "other" / "trials" / f"{dropped.hash}.json").write_text("{")
    words = [store.address, other.address, "--out", str(tmp_path / "page")]
    assert compare_cli.run(parsed(compare_cli, *words)) == 0
    lines = capsys.readouterr().out.splitlines()
    place = lines.index("left out, since they cannot be read: 1")
    assert dropped.hash in lines[place + 1] and "not a valid record" in lines[place + 1]
    assert dropped.hash in (tmp_path / "page" / "index.html").read_text("utf-8")


def test_cells_of_one_store_are_in_order_and_say_where_they_failed(made, store, tmp_path, capsys):
    other = Store.open(tmp_path / "other", create=True)
    kept = next(one for one in made.store.results() if one.status == "done")
    other.put(kept)
    assert compare_cli.run(parsed(compare_cli, store.address, other.address, "--json")) == 0
    (compared,) = json.loads(capsys.readouterr().out)
    names = [name.removesuffix(", failed") for name in compared["only_before"]]
    assert names == sorted(names) and len(names) > 5
    failed = {one.cell.label for one in made.store.results() if one.status == "failed"}
    told = {name.removesuffix(", failed") for name in compared["only_before"] if ", failed" in name}
    assert failed and told == failed


def test_compare_writes_a_page(store, changed, tmp_path, capsys):
    words = [store.address, changed.address, "--out", str(tmp_path / "page")]
    assert compare_cli.run(parsed(compare_cli, *words)) == 0
    counts = capsys.readouterr().out.splitlines()[-1]
    page = (tmp_path / "page" / "index.html").read_text("utf-8")
    assert counts.capitalize() in page
    assert "Finished in the first, failed in the second: 1" in page
    (table,) = (tmp_path / "page" / "tables").iterdir()
    rows = {row["attention + score"]: row for row in csv.DictReader(table.open())}
    assert rows["over + dot"]["verdict"] == "better"
    better = rows["over + dot"]
    gain = float(better["after"]) - float(better["before"])
    assert float(better["difference"]) == pytest.approx(gain)
    assert float(better["difference_low"]) > 0
    assert f'href="tables/{table.name}"' in page


def test_compare_takes_several_stores_against_the_first(store, changed, capsys):
    words = [store.address, changed.address, store.address]
    compare_cli.run(parsed(compare_cli, *words, "--json"))
    compared = json.loads(capsys.readouterr().out)
    assert [one["after"] for one in compared] == [changed.address, store.address]
    assert {one["verdict"] for one in compared[1]["differences"]} == {"identical"}


def test_other_test_examples_are_not_comparable(made, store, tmp_path, capsys):
    other = Store.open(tmp_path, create=True)
    result = next(one for one in made.store.results() if one.cell_json["attention"] == "soft")
    rows = [{**row, "references": ["other"]} for row in made.store.predictions(result.hash)]
    other.put(result, rows)
    compare_cli.run(parsed(compare_cli, store.address, other.address, "--json"))
    (compared,) = json.loads(capsys.readouterr().out)
    (found,) = compared["differences"]
    assert found["verdict"] == "not comparable"
    assert found["reason"] == "tested on different examples"
    assert found["p"] is None


def test_stores_without_predictions_are_compared_unpaired(made, store, tmp_path, capsys):
    other = Store.open(tmp_path, create=True)
    result = next(one for one in made.store.results() if one.cell_json["attention"] == "over")
    other.put(result)
    (tmp_path / "trials" / f"{result.hash}.predictions.jsonl").unlink()
    compare_cli.run(parsed(compare_cli, store.address, other.address, "--json"))
    (compared,) = json.loads(capsys.readouterr().out)
    (found,) = compared["differences"]
    assert found["basis"] == "examples, unpaired"
    assert found["verdict"] == "cannot be told apart"


@pytest.mark.parametrize("words", [["one"], ["one", "two"]])
def test_compare_refuses_what_it_cannot_compare(made, store, tmp_path, words):
    empty = Store.open(tmp_path, create=True)
    addresses = {"one": store.address, "two": empty.address}
    with pytest.raises(UsageError, match=r"at least two stores|share no cell"):
        compare_cli.run(parsed(compare_cli, *(addresses[word] for word in words)))
