"""`attnbench compare STORE STORE [...]`: what got better, worse, or cannot be told apart."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reports.statistics.comparison import StoreComparison


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Compare stores cell by cell: the first one with each of the others. Shared cells are "
        "judged example by example where predictions are kept."
    )
    parser.add_argument("stores", metavar="STORE", nargs="+", help="two stores or more")
    parser.add_argument("--out", metavar="DIR", help="write a page of it there as well")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")


def run(args: argparse.Namespace) -> int:
    """Print the comparisons and write their page where `--out` is given."""
    from bench.errors import UsageError
    from bench.store.files import local_path
    from bench.store.store import Store
    from reports.statistics.comparison import compare

    if len(args.stores) < 2:
        raise UsageError(
            "at least two stores are needed",
            where="attnbench compare",
            remedy="name two stores or more",
        )
    first, *others = [Store.open(address) for address in args.stores]
    comparisons = [compare(first, other) for other in others]
    if args.out is not None:
        from reports.pages.comparison import write_comparisons

        write_comparisons(comparisons, local_path(args.out, where="--out"))
    if args.json:
        plain = [dataclasses.asdict(comparison) for comparison in comparisons]
        sys.stdout.write(json.dumps(plain, indent=2, ensure_ascii=False) + "\n")
    else:
        sys.stdout.write("\n".join(text(comparison) for comparison in comparisons))
    return 0


def text(comparison: StoreComparison) -> str:
    """Format a comparison as tables for a terminal, followed by its counts."""
    from reports.tables.comparison import comparison_tables
    from reports.writers import terminal_text

    lines = [f"{comparison.before}  ->  {comparison.after}", ""]
    lines += map(terminal_text, comparison_tables(comparison))
    for what, names in comparison.apart.items():
        lines += [f"{what}: {len(names)}", *(f"  {name}" for name in names)]
    return "\n".join([*lines, comparison.counts, ""])
