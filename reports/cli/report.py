"""`attnbench report STORE`: the site, report.md, tables and figures of a store, for the user or for
everybody, and one W&B run."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ablations.cli.options import add_wandb, note
from bench.store.files import local_path

if TYPE_CHECKING:
    from bench.store.store import Store
    from reports.pages.report import Report


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = "Make the report of a store: a site, report.md and tables."
    parser.add_argument("store", metavar="STORE", help="folder or URL of the results")
    place = parser.add_mutually_exclusive_group()
    place.add_argument(
        "--out",
        metavar="DIR",
        help="where to write it (default: STORE/report, or ./report for a remote store)",
    )
    place.add_argument(
        "--publish",
        metavar="DIR",
        help="write it there for static hosting (GitHub Pages, Hugging Face Spaces), without the "
        "examples of data sets whose licence keeps them",
    )
    parser.add_argument("--study", metavar="NAME", help="only the results of this study")
    parser.add_argument(
        "--figures",
        nargs="+",
        choices=("svg", "pdf", "png", "json"),
        default=[],
        metavar="FORMAT",
        help="write figures as files too: svg, pdf, png, or json (Vega-Lite)",
    )
    add_wandb(parser, "off", "default: off")


def run(args: argparse.Namespace) -> int:
    """Write the report. Failed trials are shown in it and do not make this command fail."""
    from bench.store.store import Store
    from reports.formats import plural
    from reports.pages.publish import next_steps, write_published
    from reports.pages.report import build_report
    from reports.pages.site import write_report

    begun = time.perf_counter()
    publish = args.publish is not None
    given = local_path(args.publish, where="--publish") if publish else None
    store = Store.open(args.store)
    out = given or folder(store.address, args.out)
    report = build_report(store, study=args.study, publish=publish)
    formats = tuple(dict.fromkeys(args.figures))
    steps: tuple[str, ...] = ()
    if publish:
        steps = next_steps(out, own_readme=write_published(report, out, formats))
    else:
        write_report(report, out, formats)
    failed = sum(result.status == "failed" for result in report.collection.results)
    trials = plural(len(report.collection.results), "trial")
    told = f", {failed} failed" if failed else ""
    seconds = time.perf_counter() - begun
    sys.stdout.write(f"{out / 'index.html'}: {trials}{told}, {seconds:.1f} s\n")
    sys.stdout.writelines(f"{step}\n" for step in steps)
    note("left out", report.collection.problems)
    _track(args.wandb, report, store, out / "index.html")
    return 0


def _track(request: str, report: Report, store: Store, page: Path) -> None:
    """Log the report as one W&B run, where one is requested."""
    from bench.tracking import decide

    decision = decide(request, folder=store.wandb)
    if decision.mode == "off":
        return
    from reports.wandb_report import log_report

    problem = log_report(report, store, page, decision.mode)
    if problem:
        sys.stderr.write(f"{problem}\n")
    told = f"W&B {decision.mode} ({decision.reason}): a run of the sweep in {store.wandb}"
    sys.stdout.write(f"{told}\n")


def folder(address: str, out: str | None) -> Path:
    """Return the folder that the report is written to."""
    if out is not None:
        return local_path(out, where="--out")
    return Path("report") if "://" in address else Path(address) / "report"
