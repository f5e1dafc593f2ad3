"""200 real cells over a head and three nodes, with a worker killed every few seconds: the store
must equal the undisturbed one. A new worker imports for ten seconds, or for minutes on a busy
machine, so the next one is killed once some trials have ended: else none would ever get to its end.
Takes minutes, so it is run with the benchmarks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from marked_processes import SUPPORT, Marked

from bench.store.store import Store

pytestmark = pytest.mark.performance

CELLS = 200
STUDY = """
tasks: [translation]
budget: smoke
seeds: 20
options: {test_limit: 8}
blocks: [{attentions: all}]
"""


def figures(store: Store) -> dict[str, Any]:
    """Everything but times, memory and who did it."""
    found = {}
    for result in store.results(problems=[]):
        record = result.to_json()
        curve = [{k: v for k, v in point.items() if k != "seconds"} for point in record["curve"]]
        kept = ("status", "failure", "metrics", "primary", "by_length", "alignment")
        found[result.hash] = json.dumps([{name: record[name] for name in kept}, curve])
    return found


@pytest.mark.timeout(7200)
def test_a_sweep_survives_random_kills(tmp_path: Path) -> None:
    study = tmp_path / "kills.yaml"
    study.write_text(STUDY)
    sweep = ["-m", "bench.cli.main", "sweep", str(study), "--limit", str(CELLS), "--wandb", "off"]
    sweep += ["--checkpoint-every", "0.02", "--retries", "100", "--store"]
    specification = {
        "command": [*sweep, str(tmp_path / "disturbed"), "--address", "ADDRESS"],
        "store": str(tmp_path / "disturbed"),
        "nodes": 3,
        "kill_every": [5.0, 4],
    }
    disturbed = Marked(
        str(SUPPORT / "fake_cluster.py"), [json.dumps(specification)], tmp_path / "first"
    )
    alone = None
    try:
        assert disturbed.wait(5000) == 0, disturbed.stderr
        assert disturbed.alive() == []
        told = json.loads(disturbed.stdout.splitlines()[-1])
        alone = Marked("-m", [*sweep[1:], str(tmp_path / "alone")], tmp_path / "second")
        assert alone.wait(5000) == 0, alone.stderr
    finally:
        disturbed.kill()
        if alone is not None:
            alone.kill()
    stores = [Store.open(tmp_path / name) for name in ("disturbed", "alone")]
    first, second = map(figures, stores)
    assert len(first) == CELLS and first == second
    for hash in first:
        assert stores[0].predictions(hash) == stores[1].predictions(hash)
    assert told["groups"] == [] and told["free"] == told["whole"]
    print(f"\n{CELLS} cells, {len(told['happened'])} workers killed, stores equal to the last bit")
