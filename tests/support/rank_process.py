"""One rank of trials that several processes train together, without Ray: RANK RANKS PORT_FILE
TRIALS. A trial is JSON: `store`, `cell`, and `stop_before`, a step or null."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from ablations.cancellation import Interrupted
from ablations.context import TrialContext
from ablations.distributed import find_meeting, leave, meet, open_meeting
from ablations.trial import assist, run_trial
from bench.store.cell import Cell


def main(rank: int, ranks: int, port_file: Path, trials: list[dict[str, Any]]) -> None:
    if rank == 0:
        meeting = open_meeting("127.0.0.1", ranks)
        port_file.with_suffix(".part").write_text(str(meeting.port))
        port_file.with_suffix(".part").rename(port_file)
    else:
        while not port_file.exists():
            time.sleep(0.05)
        meeting = find_meeting("127.0.0.1", int(port_file.read_text()), ranks)
    meet(meeting, 0, rank, ranks, "cpu")
    for trial in trials:
        store, steps = trial["store"], trial["stop_before"]
        context = TrialContext(
            store, None, f"{store}/cache", ranks=ranks, rank=rank, asked_to_stop=_after(steps)
        )
        work = run_trial if rank == 0 else assist
        try:
            work(Cell.from_json(trial["cell"]), context)
        except Interrupted:
            assert steps is not None
    leave()


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
