"""`attnbench export STORE`: the finished results as records of another project's format."""

from __future__ import annotations

import argparse
import importlib
import sys
from datetime import UTC, datetime

from ablations.cli.options import note
from bench.errors import UsageError, blank, one_line
from bench.store.files import local_path
from reports.exchange import FORMATS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Write the finished results of a store as records of a format in which evaluations are "
        "exchanged: figures with their intervals, the data they were measured on, models and "
        "settings. No sentence, picture, sound or output is in them."
    )
    parser.add_argument("store", metavar="STORE", help="folder or URL of the results")
    parser.add_argument("--to", required=True, choices=tuple(FORMATS), help="the format")
    parser.add_argument("--out", metavar="DIR", required=True, help="where to write them")
    parser.add_argument("--study", metavar="NAME", help="only the results of this study")
    parser.add_argument(
        "--organization",
        metavar="NAME",
        default="unknown",
        help="who trained and evaluated the models (default: unknown)",
    )
    parser.add_argument(
        "--url", metavar="URL", default="", help="where the results are shown, as a report"
    )


def run(args: argparse.Namespace) -> int:
    """Write the records; failed trials are counted and left out. Raises UsageError where nothing
    has finished, and for a folder that cannot be written."""
    from bench.store.store import Store
    from reports.exchange.evaluation import About, evaluation_of
    from reports.formats import plural
    from reports.load import load
    from reports.output_folder import refuse_others, write_files

    if blank(args.organization):
        raise UsageError("the name is empty", where="--organization")
    if args.url and not args.url.startswith(("https://", "http://")):
        raise UsageError("no address of a page", where=f"--url {args.url}", remedy="give https://…")
    out = local_path(args.out, where="--out")
    store = Store.open(args.store)
    loaded = load(store, study=args.study)
    done = [one for one in loaded.records if one.status == "done"]
    if not done:
        raise UsageError(
            "the store holds no finished results",
            where=store.address,
            remedy="`attnbench status` says what became of them",
        )
    kept = store.models.names()
    about = About(one_line(args.organization), args.url, datetime.now(UTC))
    format = importlib.import_module(FORMATS[args.to])
    evaluations = [evaluation_of(one, kept.get(one.hash, "")) for one in done]
    files, what = dict(format.files(evaluations, about)), f"{args.to}-export"
    refuse_others(out, files, what)
    write_files(out, files.items(), what)
    failed = len(loaded.records) - len(done)
    told = f"; {plural(failed, 'failed trial')} left out" if failed else ""
    sys.stdout.write(f"{out}: {plural(len(done), 'model')} as {format.NAME}{told}\n")
    sys.stdout.write(f"next: {format.next_step(out)}\n")
    note("left out", loaded.problems)
    return 0
