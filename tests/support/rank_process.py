"""One rank of trials that several processes train together, without Ray: RANK RANKS PORT_FILE
TRIALS. A trial is JSON: `store`, `cell`, and `stop_before`, a step or null."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from ablations.cancellation import Interrupted
from ablations.distributed import (
    find_rendezvous,
    join_process_group,
    leave_process_group,
    open_rendezvous,
)
from ablations.trial import run_rank, run_trial
from ablations.trial_interface import TrialHooks, TrialOptions
from bench.store.cell import Cell


def main(rank: int, ranks: int, port_file: Path, trials: list[dict[str, Any]]) -> None:
    if rank == 0:
        rendezvous = open_rendezvous("127.0.0.1", ranks)
        port_file.with_suffix(".part").write_text(str(rendezvous.port))
        port_file.with_suffix(".part").rename(port_file)
    else:
        while not port_file.exists():
            time.sleep(0.05)
        rendezvous = find_rendezvous("127.0.0.1", int(port_file.read_text()), ranks)
    group = TrialOptions(None, None, "", ranks=ranks, rank=rank)
    join_process_group(rendezvous, 0, group)
    for trial in trials:
        store, steps = trial["store"], trial["stop_before"]
        options = TrialOptions(store, None, f"{store}/cache", ranks=ranks, rank=rank)
        work = run_trial if rank == 0 else run_rank
        try:
            work(Cell.from_json(trial["cell"]), options, TrialHooks(asked_to_stop=_after(steps)))
        except Interrupted:
            assert steps is not None
    leave_process_group()


def _after(steps: int | None) -> Any:
    left = [steps]

    def asked() -> bool:
        if left[0] is None:
            return False
        left[0] -= 1
        return left[0] <= 0

    return asked


if __name__ == "__main__":
    rank, ranks, port_file, trials = sys.argv[1:]
    main(int(rank), int(ranks), Path(port_file), json.loads(trials))
