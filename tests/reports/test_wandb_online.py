"""What W&B's own client sends to a server, online and by `wandb sync`, and what it leaves be."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from doc_blocks import blocks, command_lines
from marked_processes import SUPPORT, Marked
from wandb_server import ReceivedRun, WandbServer, wandb_server

from bench.store.result import Result
from bench.store.store import Store
from bench.tracking import sync_command

pytest.importorskip("wandb")

PAGE = Path(__file__).parents[2] / "docs" / "reading.md"
CURVE = ("step", "loss", "validation_loss", "validation_accuracy")


def finished(process: Marked) -> Marked:
    """Without an error, and with nothing left behind."""
    try:
        assert process.wait(240) == 0, process.stderr
        assert process.alive() == []
    finally:
        process.kill()
    return process


def sync(server: WandbServer, folder: Path, *arguments: str) -> Marked:
    return finished(Marked("-m", ["wandb", "sync", *arguments], folder, server.environment))


def documented() -> list[list[str]]:
    """The arguments of `wandb sync` as docs/reading.md has them."""
    lines = [line for block in blocks(PAGE.read_text()) for line in command_lines(block.body)]
    return [line.split()[2:] for line in lines if line.startswith("wandb sync ")]


def proposed(command: str) -> list[str]:
    """The arguments of `wandb sync`, as a shell reads a command that we propose."""
    program, action, *arguments = shlex.split(command)
    assert (program, action) == ("wandb", "sync")
    return arguments


def check(run: ReceivedRun, result: Result, study: str | None) -> None:
    """That a server has all of a trial but its table."""
    assert run.exit_code == 0
    assert run.fields["groupName" if study else "jobType"] == (study or "translation")
    assert run.fields["displayName"] == result.cell.label
    assert run.fields["project"] == "attention-bench"
    assert set(run.fields["tags"]) == {"soft", "dot", "synthetic", "smoke"}
    assert run.config == {name: value for name, value in result.cell_json.items() if value != {}}
    curve = [{name: row[name] for name in CURVE} for row in run.history if "loss" in row]
    rounded = [{name: one[name] for name in CURVE} for one in result.curve]
    assert curve == [pytest.approx(point, abs=1e-5) for point in rounded]
    assert result.primary is not None
    told = {name: run.summary[name] for name in ("primary", "primary_low", "primary_high")}
    expected = (result.primary.value, result.primary.low, result.primary.high)
    assert tuple(told.values()) == pytest.approx(expected)
    assert run.summary["primary_name"] == result.primary.name
    assert run.summary["status"] == "done"
    assert {name: run.summary[name] for name in result.metrics} == pytest.approx(result.metrics)
    picture = run.history[-1]["alignment 1"]
    assert run.files[picture["path"]].startswith(b"\x89PNG")


def check_table(run: ReceivedRun) -> None:
    """That its predictions can be seen."""
    shown = run.history[-1]["predictions"]
    table = json.loads(run.files[shown["path"]])
    assert len(table["data"]) == shown["nrows"] == 20


#: One process, in this order; the second runs again, the server fails while the next to last runs.
TRIALS = (
    {"seed": 1, "mode": "online"},
    {"seed": 2, "mode": "online", "study": "tiny"},
    {"seed": 2, "mode": "online", "study": "tiny"},
    {"seed": 3, "mode": "offline", "study": "tiny"},
    {"seed": 4, "mode": "online", "study": "tiny", "patience": 2},
    {"seed": 5, "mode": "online", "study": "tiny"},
)


@dataclass
class Tracked:
    """A store of TRIALS, and the server that heard of them and works again.

    Attributes:
        results: of TRIALS.
        problems: that each of them told of.
        before: the runs that the server knew before anything was synced.
    """

    server: WandbServer
    store: Store
    results: list[Result]
    problems: list[list[str]]
    before: set[str]
    stderr: str


@pytest.fixture(scope="module")
def tracked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tracked]:
    folder = tmp_path_factory.mktemp("tracked")
    address = str(folder / "a user's store")  # the commands that are proposed must quote it
    specification = json.dumps({"store": address, "trials": TRIALS})
    with wandb_server() as server:
        server.broken = lambda asked: asked == "file_stream" and len(server.runs) == 3
        script = str(SUPPORT / "tracked_trials.py")
        worker = finished(Marked(script, [specification], folder / "run", server.environment))
        server.heal()
        store, told = Store.open(address), json.loads(worker.stdout)
        assert {one["status"] for one in told} == {"done"}
        results = {result.hash: result for result in store.results()}
        yield Tracked(
            server,
            store,
            [results[one["hash"]] for one in told],
            [one["problems"] for one in told],
            set(server.runs),
            worker.stderr,
        )
        assert server.errors == [], server.errors[0]
        assert server.unknown == [], "answered with nothing"


@pytest.mark.timeout(600)
def test_online_trials_arrive_whole(tracked: Tracked) -> None:
    by_command, _, of_study = tracked.results[:3]
    check(tracked.server.runs[by_command.hash], by_command, None)
    check(tracked.server.runs[of_study.hash], of_study, "tiny")
    for result in (by_command, of_study):
        check_table(tracked.server.runs[result.hash])
    assert tracked.problems[:3] == [[]] * 3
    assert tracked.stderr == "", "W&B itself says nothing either"


@pytest.mark.timeout(600)
def test_a_server_that_fails_in_mid_run_costs_one_warning(tracked: Tracked) -> None:
    cut, after = tracked.problems[4:]
    assert len(cut) == 1
    assert cut[0].startswith("W&B did not take all of a run; `wandb sync --include-online ")
    assert after == [], "it did not try any more"
    online = {result.hash for result in tracked.results if result.cell.seed in (1, 2, 4)}
    assert tracked.before == online


@pytest.mark.timeout(600)
def test_what_stayed_on_disk_arrives_by_sync(tracked: Tracked, tmp_path: Path) -> None:
    server = tracked.server
    offline, cut, after = tracked.results[3:]
    every, one = documented()
    folder = every[-1].replace("runs/overview", tracked.store.address)
    assert proposed(sync_command(tracked.store.wandb)) == [folder]
    synced = sync(server, tmp_path / "first", folder)
    check(server.runs[offline.hash], offline, "tiny")
    check(server.runs[after.hash], after, "tiny")
    check_table(server.runs[offline.hash])
    assert "Skipped 4 online run(s)" in synced.stderr

    asked = len(server.asked)
    again = sync(server, tmp_path / "again", folder)
    assert "No runs to sync" in again.stderr
    assert server.asked[asked:] == []

    *option, pattern = one
    name = Path(pattern).name.replace("HASH", cut.hash)
    (path,) = Path(folder).glob(name)
    assert proposed(tracked.problems[4][0].split("`")[1]) == [*option, str(path)]
    sync(server, tmp_path / "cut", *option, str(path))
    check(server.runs[cut.hash], cut, "tiny")


@pytest.mark.timeout(600)
def test_the_run_of_a_sweep_brings_tables_picture_and_store(
    tracked: Tracked, tmp_path: Path
) -> None:
    server, store = tracked.server, tracked.store
    before = set(server.runs)
    arguments = ["bench.cli.main", "report", store.address, "--wandb", "online"]
    arguments += ["--out", str(tmp_path / "report")]
    report = finished(Marked("-m", arguments, tmp_path / "run", server.environment))
    assert report.stderr == ""
    assert "W&B online (a key is set" in report.stdout
    (id,) = set(server.runs) - before
    run = server.runs[id]
    assert (run.fields["groupName"], run.fields["jobType"], run.exit_code) == ("tiny", "sweep", 0)
    assert run.config["studies"] == ["tiny"]
    assert run.summary["cells"] == run.summary["done"] == 5
    (shown,) = run.history
    assert run.files[shown["overview/picture"]["path"]].startswith(b"\x89PNG")
    page = tmp_path / "report" / "index.html"
    assert run.files[shown["overview/page"]["path"]] == page.read_bytes()
    table = json.loads(run.files[shown["tables/results"]["path"]])
    assert {row[0] for row in table["data"]} == {result.hash for result in store.results()}

    (artifact,) = [one for one in server.artifacts.values() if one.type == "store"]
    assert (artifact.name, artifact.committed) == ("store-tiny", True)
    trials = Path(store.address) / "trials"
    kept = {f"trials/{path.name}": path.read_bytes() for path in trials.iterdir()}
    assert len(kept) == 3 * 5, "the record, the predictions and the traces of each"
    assert artifact.files == kept
    listed: dict[str, Any] = artifact.manifest["contents"]
    assert {name: entry["size"] for name, entry in listed.items()} == {
        name: len(content) for name, content in kept.items()
    }
