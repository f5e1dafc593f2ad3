"""The W&B run of a sweep, read back from the files that W&B wrote offline."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up import MECHANISMS
from PIL import Image
from wandb_files import OfflineRun, offline_runs, own_environment

from bench.store.store import Store
from reports.cli import report as cli
from reports.pages import report
from reports.tables import Column, Label, Missing, Number, Row, Table
from reports.wandb_report import columns_and_rows, log_report, overview_picture
from reports.writers import csv_frame

wandb = pytest.importorskip("wandb")


_own_environment = pytest.fixture(autouse=True)(own_environment)


@pytest.fixture(scope="module")
def swept(made: Any, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store of its own, which W&B may write beside: three mechanisms, one of them failed."""
    from bench.store.cell import Cell

    store = Store.open(tmp_path_factory.mktemp("swept") / "store", create=True)
    maker = type(made)(store, examples=20)
    for mechanism in MECHANISMS[:3]:
        maker.add(mechanism, 1)
    maker.fail(Cell("translation", "synthetic", "over", "dot"), "diverged", "nan")
    return store


def run_of(store: Store) -> OfflineRun:
    wandb.teardown()  # its process writes a little behind
    (run,) = offline_runs(store.wandb).values()
    return run


def file_of(store: Store, path: str) -> Path:
    (found,) = store.wandb.rglob(path)
    return found


def test_one_run_gathers_a_sweep(
    swept: Store, catalogue: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(report, "catalogue_of", lambda cells: catalogue)
    parser = argparse.ArgumentParser()
    cli.add_arguments(parser)
    assert cli.run(parser.parse_args([swept.address, "--wandb", "offline"])) == 0
    assert "W&B offline (as asked)" in capsys.readouterr().out
    run = run_of(swept)
    assert (run.job_type, run.group, run.name) == ("sweep", "overview", "overview: 4 cells")
    assert set(run.tags) == {"sweep", "translation"}
    assert run.config["studies"] == ["overview"]
    assert run.exit_code == 0

    results = {result.hash: result for result in swept.results()}
    figures = [one.primary.value for one in results.values() if one.primary]
    assert run.summary["cells"] == 4
    assert (run.summary["done"], run.summary["failed"]) == (3, 1)
    assert run.summary["translation-synthetic-laptop/bleu"] == pytest.approx(max(figures))
    assert run.summary["translation-synthetic-laptop/best"] == "soft + concat"

    (logged,) = [row for row in run.history if "overview/page/_type" in row]
    table = json.loads(file_of(swept, logged["tables/results/path"]).read_text("utf-8"))
    place = table["columns"].index("value")
    told = {row[0]: row[place] for row in table["data"]}
    assert told == {
        hash: pytest.approx(one.primary.value) if one.primary else None
        for hash, one in results.items()
    }
    why = table["columns"].index("failure")
    assert [row[why] for row in table["data"] if row[place] is None] == ["diverged: nan"]
    grid = json.loads(
        file_of(swept, logged["tables/translation-synthetic-laptop-scores/path"]).read_text("utf-8")
    )
    assert len(grid["data"]) == len(catalogue.attentions)
    page = file_of(swept, logged["overview/page/path"]).read_text("utf-8")
    assert "Which attention, with which score function" in page
    with Image.open(file_of(swept, logged["overview/picture/path"])) as picture:
        assert min(picture.size) > 100
        assert len(np.unique(np.asarray(picture))) > 50

    (artifact,) = [one for one in run.artifacts if one.type == "store"]
    assert artifact.name == "store-overview"
    kept = {path.name for path in (Path(swept.address) / "trials").iterdir()}
    assert {f"trials/{name}" for name in kept} == set(artifact.files)
    for name, copied in artifact.files.items():
        own = Path(swept.address) / name
        assert Path(copied).read_bytes() == own.read_bytes(), "what will be uploaded"


def test_the_same_results_are_the_same_run(swept: Store, catalogue: Any, made: Any) -> None:
    from reports.wandb_report import identity

    first = identity(report.build_report(swept, catalogue=catalogue))
    assert identity(report.build_report(swept, catalogue=catalogue)).id == first.id
    assert identity(report.build_report(made.store, catalogue=catalogue)).id != first.id


def test_what_goes_wrong_is_said_and_not_raised(
    swept: Store, catalogue: Any, tmp_path: Path
) -> None:
    told = log_report(
        report.build_report(swept, catalogue=catalogue), swept, tmp_path / "no page", "offline"
    )
    assert told is not None
    assert told.startswith("tracking failed: FileNotFoundError")
    assert "\n" not in told


def test_a_message_of_several_lines_is_told_in_one(
    swept: Store, catalogue: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object, **names: object) -> None:
        raise OSError("the server\nis away")

    page = tmp_path / "index.html"
    page.write_text("<p>page</p>")
    monkeypatch.setattr(wandb.sdk.wandb_run.Run, "log_artifact", refuse)
    told = log_report(report.build_report(swept, catalogue=catalogue), swept, page, "offline")
    assert told == "tracking failed: OSError: the server is away"


def test_figures_stay_numbers_and_missing_ones_say_why() -> None:
    table = Table(
        "t",
        "T",
        "name",
        (Column("a", "a"), Column("b", "b", text=True)),
        (
            Row("1", (Number(0.5, 0.4, 0.6), Label("7"))),
            Row("2", (Missing("failed", "nan"), Label("8"))),
        ),
    )
    columns, rows = columns_and_rows(csv_frame(table))
    told = dict(zip(columns, zip(*rows, strict=True), strict=True))
    assert told["name"] == ("1", "2")
    assert told["a"] == (0.5, None)
    assert told["a_missing"] == ("", "failed: nan")
    assert (told["a_low"], told["a_high"]) == ((0.4, None), (0.6, None))
    assert told["b"] == ("7", "8")
    assert "a_low_missing" not in told


def test_the_picture_is_darker_where_figures_are_better() -> None:
    row = [Row("x", (Number(1.0, shade=0.0),)), Row("y", (Number(2.0, shade=1.0),))]
    pixels = overview_picture(Table("t", "T", "name", (Column("c", "c"),), tuple(row)))
    assert pixels.dtype == np.uint8
    middle = pixels[:, pixels.shape[1] * 3 // 4].astype(int).sum(axis=-1)
    ground = [value for value in middle if value < 760]
    assert np.mean(ground[: len(ground) // 3]) > np.mean(ground[-len(ground) // 3 :]) + 50
