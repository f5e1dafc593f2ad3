"""The figures of ten small cells, to be compared before and after a change that should alter none.

    python tests/performance/ten_cells.py run OUT
    python tests/performance/ten_cells.py compare BEFORE AFTER

`run` trains ten cells under `smoke`, two a task, and an eleventh that is stopped by SIGTERM and
resumed from its checkpoint; makes a report and a leaderboard bundle of them; and writes every
metric, prediction, trace and curve to OUT/figures.json. It takes three to six minutes. OUT, new or
empty, lies outside the repository. Run it in the root of each of two checkouts.

`compare` names what differs between two such folders, to the last bit, and exits with 1 if anything
does.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
#: Task, attention and, where it is not the attention's own, score.
CELLS = (
    ("translation", "soft"),
    ("translation", "local-p"),
    ("captioning", "hard"),
    ("captioning", "global"),
    ("entailment", "self"),
    ("entailment", "hierarchical"),
    ("speech", "multi-step"),
    ("speech", "global", "location-aware"),
    ("summarization", "local-m"),
    ("summarization", "self"),
)
#: The cell that is stopped: long enough for a checkpoint, of a mechanism that draws at random.
STOPPED = ("translation", "hard")
STOPPED_OPTIONS = ("--set", "max_steps=1500", "--checkpoint-every", "0.02")
#: Parts of a record that are no figures, or that no two runs have in common.
NO_FIGURES = frozenset(
    ("cell", "converged", "cost", "curve", "failure", "hash", "provenance", "schema", "status")
)
#: Seconds to wait for the first checkpoint.
PATIENCE = 240
COMMAND = (sys.executable, "-c", "import sys; from bench.cli.main import main; sys.exit(main())")

Figures = dict[str, dict[str, Any]]


def run(out: Path) -> None:
    """Train the cells, make a report and a bundle, write `out`/figures.json."""
    out.mkdir(parents=True, exist_ok=True)
    store = out / "store"
    for cell in CELLS:
        attnbench(*cell_arguments(*cell, store=store))
    arguments = [*cell_arguments(*STOPPED, store=store), *STOPPED_OPTIONS]
    stop_at_checkpoint(arguments, store)
    attnbench(*arguments)
    attnbench("report", str(store), "--out", str(out / "report"))
    bundle = str(out / "ten.zip")
    attnbench("leaderboard", "submit", str(store), "--name", "Ten cells", "--out", bundle)
    text = json.dumps(stored_figures(store), indent=0, sort_keys=True)
    (out / "figures.json").write_text(text, "utf-8")


def cell_arguments(
    task: str, attention: str, score: str | None = None, *, store: Path
) -> list[str]:
    """The command line of `attnbench run` for a cell."""
    line = ["run", "--task", task, "--attention", attention, "--budget", "smoke"]
    return [*line, *(["--score", score] if score else []), "--store", str(store)]


def attnbench(*arguments: str) -> None:
    """Run a command of this checkout. Raises CalledProcessError if it fails."""
    print("attnbench", *arguments, flush=True)
    subprocess.run([*COMMAND, *arguments], cwd=ROOT, env=environment(), check=True)


def environment() -> dict[str, str]:
    """One thread, nothing sent anywhere, and this checkout before one that is installed."""
    return {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(ROOT),
        "WANDB_MODE": "offline",
    }


def stop_at_checkpoint(arguments: list[str], store: Path) -> None:
    """Run a command and stop it by SIGTERM once a checkpoint lies in the store.

    Raises RuntimeError where it ended before that.
    """
    print("attnbench", *arguments, "(stopped)", flush=True)
    process = subprocess.Popen([*COMMAND, *arguments], cwd=ROOT, env=environment())
    deadline = time.monotonic() + PATIENCE
    try:
        while process.poll() is None and time.monotonic() < deadline:
            if any("checkpoint" in str(path) for path in store.rglob("*") if path.is_file()):
                process.send_signal(signal.SIGTERM)
                break
            time.sleep(0.05)
        status = process.wait(timeout=60)
    finally:
        process.kill()
    if status != 128 + signal.SIGTERM:
        raise RuntimeError(f"the cell to be stopped ended with status {status}")


def stored_figures(store: Path) -> Figures:
    """Figures, curves, predictions and traces of a store by cell and by path in their records."""
    found: Figures = {}
    for path in sorted((store / "trials").glob("*.json")):
        record = json.loads(path.read_text("utf-8"))
        cell = record["cell"]
        options = ",".join(f"{name}={value}" for name, value in sorted(cell["options"].items()))
        figures = dict(
            leaves({name: value for name, value in record.items() if name not in NO_FIGURES})
        )
        for kind in ("predictions", "traces"):
            rows = path.with_name(f"{path.stem}.{kind}.jsonl")
            lines = rows.read_text("utf-8").splitlines() if rows.exists() else []
            figures.update(leaves(list(map(json.loads, lines)), kind))
        curve = leaves(record["curve"], "curve")
        figures.update((name, value) for name, value in curve if not name.endswith("seconds"))
        found[" ".join([cell["task"], cell["attention"], cell["score"], options]).strip()] = figures
    return found


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The scalars of nested JSON data, each with its path."""
    if isinstance(value, Mapping):
        children: Iterator[tuple[Any, Any]] = iter(value.items())
    elif isinstance(value, list):
        children = iter(enumerate(value))
    else:
        yield path, value
        return
    for name, child in children:
        yield from leaves(child, f"{path}/{name}" if path else str(name))


def differences(before: Figures, after: Figures) -> list[str]:
    """A line for every cell that differs, with the first figures that do."""
    lines = []
    for cell in sorted(before.keys() | after.keys()):
        if cell not in before or cell not in after:
            lines.append(f"{cell}: only in {'AFTER' if cell in after else 'BEFORE'}")
            continue
        one, other = before[cell], after[cell]
        names = sorted(one.keys() | other.keys())
        absent = object()
        wrong = [name for name in names if one.get(name, absent) != other.get(name, absent)]
        if wrong:
            lines.append(f"{cell}: {len(wrong)} of {len(names)} figures differ")
            lines += [
                f"    {name}: {one.get(name, 'absent')}, {other.get(name, 'absent')}"
                for name in wrong[:6]
            ]
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run").add_argument("out", type=Path, metavar="OUT")
    comparison = commands.add_parser("compare")
    comparison.add_argument("before", type=Path, metavar="BEFORE")
    comparison.add_argument("after", type=Path, metavar="AFTER")
    arguments = parser.parse_args()
    if arguments.command == "run":
        out = arguments.out.resolve()
        if out.is_relative_to(ROOT) or (out.exists() and any(out.iterdir())):
            parser.error("OUT must be new or empty, and outside the repository")
        run(out)
        return 0
    before, after = (
        json.loads((folder / "figures.json").read_text("utf-8"))
        for folder in (arguments.before, arguments.after)
    )
    lines = differences(before, after)
    print("\n".join(lines) or f"{len(before)} cells are equal")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
