"""`attnbench compare STORE STORE [...]`: what got better, worse, or cannot be told apart."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reports.statistics.comparison import CellDifference, StoreComparison


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
    """Format a comparison as a table for a terminal, followed by its counts."""
    return "\n".join(_lines(comparison)) + "\n"


def _lines(comparison: StoreComparison) -> Iterator[str]:
    from reports.formats import metric_name

    yield f"{comparison.before}  ->  {comparison.after}"
    for setting in dict.fromkeys(one.setting for one in comparison.differences):
        own = [one for one in comparison.differences if one.setting == setting]
        yield f"\n{setting.task}: {setting.label}, {metric_name(own[0].metric)}"
        if own[0].shared:
            yield own[0].shared
        yield from _aligned([_HEAD, *(_cells(one) for one in own)])
    yield ""
    for what, names in comparison.apart.items():
        yield f"{what}: {len(names)}"
        yield from (f"  {name}" for name in names)
    yield comparison.counts


_HEAD = ("attention + score", "before", "after", "difference", "95 % interval", "p", "verdict")


def _cells(one: CellDifference) -> tuple[str, ...]:
    from reports import formats

    digits = formats.decimals(one.metric)
    seeds = f", {formats.plural(len(one.seeds), 'seed')}"
    covered = f" ({one.basis}{seeds})" if not one.reason else f" ({one.reason})"
    return (
        one.contender,
        formats.number(one.before, digits),
        formats.number(one.after, digits),
        formats.signed(one.after - one.before, digits),
        "" if one.low is None or one.high is None else formats.interval(one.low, one.high, digits),
        "" if one.p is None else formats.probability(one.p),
        f"{one.told}{covered}{', not converged' if one.converged is False else ''}",
    )


def _aligned(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """Yield rows with columns as wide as their widest cell; texts are left-aligned, figures
    right-aligned."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    last = len(widths) - 1
    for row in rows:
        cells = [
            cell.ljust(width) if place in (0, last) else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()
