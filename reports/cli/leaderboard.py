"""`attnbench leaderboard`: bundles of results, their verification, the board."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable

from ablations.cli.options import note
from ablations.inputs import data_root_of
from bench.store.files import local_path

#: By which results are selected.
AXES = ("task", "attention", "score", "budget")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Results that others need not take on trust: pack them, verify a bundle by working "
        "everything out again, rank bundles."
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    _submit_arguments(actions.add_parser("submit", help="pack results into one bundle"))
    check = actions.add_parser("verify", help="work out every figure of a bundle again")
    check.add_argument("bundle", metavar="BUNDLE", help="a file made by `submit`")
    _add_common(check)
    board = actions.add_parser("rank", help="verify bundles and make the board of them")
    board.add_argument(
        "bundles",
        metavar="BUNDLE",
        nargs="*",
        help="files made by `submit` (default: the entries that come with this installation, "
        "verified by statistics alone unless --data-root is given)",
    )
    board.add_argument(
        "--out", metavar="DIR", default="leaderboard", help="where to write it (./leaderboard)"
    )
    board.add_argument(
        "--reference",
        metavar="NAME|FILE",
        help="frozen reference figures (default: the newest of this installation)",
    )
    _add_common(board)
    freeze = actions.add_parser(
        "save-reference", help="make reference figures of a store's results"
    )
    freeze.add_argument("stores", metavar="STORE", nargs="+", help="folders or URLs of the results")
    freeze.add_argument("--out", metavar="FILE", required=True, help="where to write them (.json)")
    freeze.add_argument("--name", metavar="NAME", help="their version (default: the file's name)")
    _add_rules(freeze)
    results = actions.add_parser("results", help="write what the entries show as a page of docs/")
    results.add_argument(
        "--docs", metavar="DIR", default="docs", help="where results.md is written (./docs)"
    )
    results.add_argument(
        "--readme", metavar="FILE", help="also rewrite the marked section of this README"
    )
    results.add_argument(
        "--study", metavar="STUDY", default="real", help="whose cells are shown (default: real)"
    )
    results.add_argument(
        "bundles", metavar="BUNDLE", nargs="*", help="in place of this installation's entries"
    )
    _add_rules(results)


def _submit_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("store", metavar="STORE", help="folder or URL of the results")
    parser.add_argument("--out", metavar="FILE", help="the bundle (default: NAME.zip)")
    parser.add_argument("--name", metavar="NAME", help="on the board (default: the store's name)")
    parser.add_argument(
        "--class",
        dest="kind",
        metavar="CLASS",
        choices=["same", "open"],
        default="same",
        help="same: the suite's budget and settings, a model of its size (default); "
        "open: anything goes",
    )
    for axis in AXES:
        parser.add_argument(
            f"--{axis}",
            metavar=axis.upper(),
            action="append",
            default=[],
            help=f"only results of this {axis}; may be repeated",
        )
    _add_rules(parser)


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data-root",
        metavar="DIR",
        default=os.environ.get("ATTNBENCH_DATA"),
        help="folder of the real data sets (or set ATTNBENCH_DATA)",
    )
    _add_rules(parser)


def _add_rules(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rules", metavar="NAME|FILE", help="2 (the default), practice, or a file")


def run(args: argparse.Namespace) -> int:
    """Run one action. Returns 1 for a bundle that fails verification; raises UsageError for a
    file that is not a bundle."""
    actions: dict[str, Callable[[argparse.Namespace], int]] = {
        "submit": _submit,
        "verify": _verify,
        "rank": _rank,
        "save-reference": _freeze,
        "results": _results,
    }
    return actions[args.action](args)


def _submit(args: argparse.Namespace) -> int:
    from bench.store.store import Store
    from reports.formats import plural
    from reports.leaderboard.rules import load_rules
    from reports.leaderboard.submission import submit
    from reports.load import slug

    store = Store.open(args.store)
    name = args.name or store.address.rstrip("/").rsplit("/", 1)[-1]
    done = submit(
        store,
        local_path(f"{slug(name)}.zip" if args.out is None else args.out, where="--out"),
        load_rules(args.rules),
        name=name,
        kind=args.kind,
        selected={axis: getattr(args, axis) for axis in AXES},
    )
    size = done.path.stat().st_size
    trials = plural(len(done.manifest.trials), "trial")
    sys.stdout.write(f"{done.path}: {trials}, {size:,} bytes, class {done.manifest.kind}\n")
    note("note", done.notes)
    return 0


def _verify(args: argparse.Namespace) -> int:
    from reports.formats import plural
    from reports.leaderboard.bundle import open_bundle, plain
    from reports.leaderboard.checks import open_summary
    from reports.leaderboard.rules import load_rules
    from reports.leaderboard.verify import verify
    from tasks.base import Paths

    rules = load_rules(args.rules)
    bundle = open_bundle(local_path(args.bundle, where="BUNDLE"), rules.limits)
    verdict = verify(bundle, rules, Paths.of_user(data_root_of(args.data_root)))
    note("note", [open_summary(verdict.open)] if verdict.open else [])
    name, id = plain(verdict.bundle.manifest.name), verdict.bundle.id[:12]
    note("note", verdict.notes)
    sys.stdout.writelines(f"{problem}\n" for problem in verdict.problems)
    if not verdict.is_verified:
        problems = plural(len(verdict.problems), "problem")
        sys.stdout.write(f"{name} ({id}): not verified, {problems}\n")
        return 1
    trials = plural(len(verdict.results), "trial")
    kind = verdict.bundle.manifest.kind
    sys.stdout.write(f"{name} ({id}): verified, {trials}, class {kind}\n")
    if verdict.stated:
        sys.stdout.write(f"  taken as stated: {', '.join(map(plain, verdict.stated))}\n")
    return 0


def _rank(args: argparse.Namespace) -> int:
    from reports.leaderboard.board import build_board, entry_files
    from reports.leaderboard.board_tables import write_board
    from reports.leaderboard.rules import load_reference, load_rules
    from tasks.base import Paths

    data_root = data_root_of(args.data_root)
    board = build_board(
        [local_path(path, where="BUNDLE") for path in args.bundles] or entry_files(),
        load_rules(args.rules),
        load_reference(args.reference),
        Paths.of_user(data_root) if args.bundles or data_root else None,
    )
    out = local_path(args.out, where="--out")
    write_board(board, out)
    note("not on the board", (f"{one.name}: {one.reasons[0]}" for one in board.refused))
    sys.stdout.write(f"{out / 'index.html'}: {board.summary}\n")
    return 1 if board.refused else 0


def _freeze(args: argparse.Namespace) -> int:
    from bench.store.store import Store
    from reports.formats import plural
    from reports.leaderboard.rules import load_rules, make_reference

    target = local_path(args.out, where="--out")
    stores = [Store.open(address) for address in args.stores]
    reference = make_reference(stores, args.name or target.stem, load_rules(args.rules))
    reference.write(target)
    settings = plural(len(reference.settings), "setting")
    sys.stdout.write(f"{target}: reference '{reference.version}' of {settings}\n")
    for one in reference.settings:
        sys.stdout.write(
            f"  {one.task}/{one.dataset} [{one.budget}]: {one.metric} {one.mean:.4g}, "
            f"spread {one.spread:.4g} ({one.mechanisms} mechanisms, "
            f"{plural(one.seeds, 'seed')} each)\n"
        )
    note("open", reference.left_out)
    return 0


def _results(args: argparse.Namespace) -> int:
    from reports.formats import plural
    from reports.leaderboard.results import write_results
    from reports.leaderboard.rules import load_rules

    readme = None if args.readme is None else local_path(args.readme, where="--readme")
    docs = local_path(args.docs, where="--docs")
    bundles = [local_path(path, where="BUNDLE") for path in args.bundles]
    written = write_results(docs, readme, load_rules(args.rules), args.study, bundles or None)
    shown, refused = written.results, written.results.board.refused
    note("not among the results", (f"{one.name}: {one.reasons[0]}" for one in refused))
    sys.stdout.write(
        f"{written.page}: {plural(len(shown.results), 'cell')}, {shown.core_hours:.1f} core-hours, "
        f"{plural(len(written.pictures), 'picture')}; {len(shown.open)} cells of "
        f"'{args.study}' are open\n"
    )
    return 1 if refused else 0
