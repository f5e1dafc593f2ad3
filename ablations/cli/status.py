"""`attnbench status`: what a store holds, and where its sweeps stand, from any shell or machine."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bench.errors import REMEDY_SHOWN, one_line

if TYPE_CHECKING:
    from ablations.progress import SweepStatus
    from bench.store.store import Store

_SHOWN_FAILURES = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("store", metavar="STORE", help="folder or URL of the results")
    parser.add_argument("--json", action="store_true", help="as JSON")


def run(args: argparse.Namespace) -> int:
    """Always 0; raises UsageError where there is no store."""
    from bench.store.store import Store

    store = Store.open(args.store)
    now = datetime.now(UTC)
    records = sweeps(store)
    counts = Counter[str](store.statuses(store.hashes()).values())
    if args.json:
        shown = [{**record.to_json(), "state": state(record, now)} for record in records]
        sys.stdout.write(json.dumps({"results": counts, "sweeps": shown}, indent=1) + "\n")
    else:
        sys.stdout.write("\n".join(describe(store.address, counts, records, now)) + "\n")
    return 0


def sweeps(store: Store) -> list[SweepStatus]:
    """The last status of every sweep of a store, the newest first."""
    from ablations.progress import SweepStatus

    found = []
    for record in store.sweeps():
        with contextlib.suppress(ValueError):  # of another version
            found.append(SweepStatus.from_json(record))
    return sorted(found, key=lambda record: record.began, reverse=True)


def state(record: SweepStatus, now: datetime) -> str:
    """The state of a sweep by its own account, or "silent" if that is too old to be true."""
    from ablations.progress import SILENCE_SECONDS

    alive = record.state in ("starting", "running")
    return "silent" if alive and record.silent_seconds(now) > SILENCE_SECONDS else record.state


def describe(
    address: str, counts: dict[str, int], records: list[SweepStatus], now: datetime
) -> Iterable[str]:
    """Lines for a person: the store, then every sweep that runs, or else the newest."""
    shown = ", ".join(f"{number} {status}" for status, number in sorted(counts.items()))
    yield f"{address}: {shown or 'no results yet'}"
    under_way = [one for one in records if state(one, now) in ("starting", "running")]
    if not records:
        yield "no sweep has run here"
    for record in under_way or records[:1]:
        yield from _sweep_lines(record, now)


def _sweep_lines(record: SweepStatus, now: datetime) -> Iterable[str]:
    from ablations.progress import counts_line
    from ablations.trial_progress import duration

    how = state(record, now)
    since = duration(max(0.0, record.silent_seconds(now)))
    driver = f"{record.host}, process {record.pid}"
    ends = {
        "silent": f"not heard of for {since}; run it again to continue",
        "finished": f"finished {since} ago",
        "stopped": f"stopped {since} ago",
    }
    yield one_line(f"{record.study} ({driver}): {ends.get(how, how)}")
    done = record.stored + record.done
    left = record.seconds_left if how == "running" else None
    yield "  " + counts_line(done, record.cells, len(record.running), record.failed, left)
    for node in record.nodes:
        gpus = f", {node.gpus:g} GPUs" if node.gpus else ""
        gone = "" if node.alive else ", gone"
        trials = f"{node.running} running, {node.finished} ended"
        yield f"  {one_line(node.name)}: {node.cpus:g} CPUs{gpus}{gone}; {trials}"
    for trial in record.running:
        where = f" on {trial.node}" if trial.node else ""
        stands = f"; {trial.stands}" if trial.stands else ""
        yield f"  running {duration(trial.seconds):>8}  {one_line(f'{trial.label}{where}{stands}')}"
    for label, kind, message in record.failures[-_SHOWN_FAILURES:]:
        yield f"  failed  {one_line(f'{label}: {kind}: {message}', REMEDY_SHOWN)}"
