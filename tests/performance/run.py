"""`make bench-performance`: every measure, and the peers' if they are given, as one table.

    make bench-performance MEASURE="[NAME ...] [--out FILE] [--reference FILE] [--docs]"
    make bench-performance MEASURE="--show FILE [--reference FILE] [--docs]"

NAMEs are modules of `measures`. With --show nothing is measured. ATTNBENCH_PEERS is a command that
measures other systems and prints a JSON list of {"name", "value", "unit"} as its last line; it runs
between `training_step` and `decoding`, so that all see the same machine. ATTNBENCH_DATA_ROOT names
the folder that holds `multi30k`; without it sentences are made up.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import shlex
import subprocess
import sys
import warnings
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import measures
from comparison import Table, against, between_markers, described_machine, figures_of, markdown
from measures.figure import Figure

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
REFERENCE = HERE / "reference.json"
PAGE = ROOT / "docs" / "performance.md"
#: Measured first, in this order; peers come before the last, next to both they compare with.
FIRST = ("machine", "training_step", "decoding")
#: Our rows, and the rows of peers that do the same.
PAIRS = (
    ("train: soft + concat", "OpenNMT-py train mlp+feed"),
    ("train: global + general, input feeding", "OpenNMT-py train general+feed"),
    ("train: global + general", "OpenNMT-py train general"),
    ("greedy: soft + concat", "OpenNMT-py greedy mlp+feed"),
    ("beam 5: soft + concat", "OpenNMT-py beam 5 mlp+feed"),
    ("greedy: global + general, input feeding", "OpenNMT-py greedy general+feed"),
    ("beam 5: global + general, input feeding", "OpenNMT-py beam 5 general+feed"),
    ("train: soft + concat", "JoeyNMT train mlp"),
    ("train: global + general, input feeding", "JoeyNMT train general"),
    ("greedy: soft + concat", "JoeyNMT greedy mlp"),
    ("beam 5: soft + concat", "JoeyNMT beam 5 mlp"),
    ("greedy: global + general, input feeding", "JoeyNMT greedy general"),
    ("beam 5: global + general, input feeding", "JoeyNMT beam 5 general"),
)


def available() -> list[str]:
    """Modules of `measures` that measure, `FIRST` first."""
    names = sorted(module.name for module in iter_modules(measures.__path__))
    found = [name for name in names if hasattr(import_module(f"measures.{name}"), "measure")]
    return [*FIRST, *(name for name in found if name not in FIRST)]


def measured(names: list[str]) -> list[Figure]:
    """All figures. A measure that fails is named and left out: the others are worth having."""
    actions = [(name, import_module(f"measures.{name}").measure) for name in names]
    place = names.index(FIRST[-1]) if FIRST[-1] in names else len(names)
    if "ATTNBENCH_PEERS" in os.environ:
        actions.insert(place, ("peers", peers))
    figures: list[Figure] = []
    for name, action in actions:
        print(f"measuring {name} ...", file=sys.stderr, flush=True)
        try:
            figures += action()
        except Exception as error:
            print(f"{name} failed: {error!r}", file=sys.stderr, flush=True)
    return figures + against(figures, PAIRS)


def peers() -> list[Figure]:
    """Rows of the command in ATTNBENCH_PEERS."""
    command = shlex.split(os.environ["ATTNBENCH_PEERS"])
    ran = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return list(figures_of(json.loads(ran.stdout.strip().splitlines()[-1])))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="what to measure; all by default")
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    parser.add_argument("--show", type=Path, metavar="FILE", help="the table of an earlier --out")
    parser.add_argument("--reference", type=Path, default=REFERENCE, help="an earlier --out")
    parser.add_argument(
        "--docs", action="store_true", help="write the table into docs/performance.md"
    )
    arguments = parser.parse_args()
    if arguments.show and (arguments.names or arguments.out):
        parser.error("--show measures nothing: no NAME and no --out go with it")
    known = available()
    unknown = [name for name in arguments.names if name not in known]
    if unknown:
        parser.error(f"no measure {', '.join(unknown)}; there are {', '.join(known)}")
    warnings.filterwarnings("ignore")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    if arguments.show:
        table = Table.from_json(arguments.show.read_text("utf-8"))
    else:
        table = Table(described_machine(), tuple(measured(arguments.names or known)))
    before = None
    if arguments.reference.exists():
        before = Table.from_json(arguments.reference.read_text("utf-8"))
    if before == table:  # the reference itself is shown
        before = None
    if arguments.out:
        arguments.out.write_text(table.to_json(), "utf-8")
    text = markdown(table, before)
    print(text)
    if arguments.docs:
        PAGE.write_text(between_markers(PAGE.read_text("utf-8"), text), "utf-8")


if __name__ == "__main__":
    main()
