"""`attnbench data get`: a data set from its publisher or the hub, to a data root."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ablations.cli.options import add_data_root
from bench.errors import UsageError, unknown_name

if TYPE_CHECKING:
    from tasks.base import Dataset
    from tasks.data.archives import Distribution
    from tasks.data.download import DownloadResult
    from tasks.data.hub import Card


# Data sets as the commands of `attnbench data` name them.


@dataclass(frozen=True)
class Named:
    """A data set and the task it belongs to."""

    task: str
    name: str
    kind: type[Dataset]

    @property
    def label(self) -> str:
        return f"{self.task}/{self.name}"

    def places(self, root: Path) -> list[Path]:
        """What is there of it below a data root: enough to find it, not to say that it is whole."""
        card = self.kind.card
        if self.kind.places or card is None:
            there = [root / place for place in self.kind.places if (root / place).exists()]
            return there[:1]
        wanted = [root / place for place in card.places()]
        return wanted if all(path.exists() for path in wanted) else []


def all_data_sets(task: str | None = None) -> list[Named]:
    """Every data set, or those of one task. Raises UsageError for an unknown task."""
    from tasks.base import datasets, tasks

    if task is not None:
        tasks.get(task, where="--task")
    return [
        Named(name, dataset, kind)
        for name in ([task] if task else tasks.names())
        for dataset, kind in datasets(name).items()
    ]


def find_data_set(name: str, task: str | None) -> Named:
    """The data set of that name. Raises UsageError: none, or one in several tasks."""
    known = all_data_sets(task)
    found = [one for one in known if one.name == name]
    if not found:
        raise unknown_name("data set", name, {one.name for one in known})
    if len(found) > 1:
        raise UsageError(
            f"'{name}' is a data set of {', '.join(one.task for one in found)}",
            remedy="choose one with --task",
        )
    return found[0]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="as in `attnbench data list`")
    parser.add_argument("--task", metavar="T", help="where several tasks have a data set so named")
    parser.add_argument(
        "--dest", metavar="DIR", help="data root to put it in (default: --data-root); made if new"
    )
    parser.add_argument(
        "--revision",
        metavar="R",
        default="",
        help="another commit or branch of the hub than the pinned one; read with --set revision=R",
    )
    add_data_root(parser)


def run(args: argparse.Namespace) -> int:
    """0 once everything is in its place.

    Raises UsageError: nothing to get, no network, other contents than published, no space.
    """
    found = find_data_set(args.name, args.task)
    card = _card(found, args.revision)
    root = _destination(args)
    _say(f"{found.label}: {found.kind.summary}")
    for key, value in _terms(found, card, root).items():
        _say(f"  {key}: {value}")
    fetched = _fetch(card, root)
    if fetched.kept:
        _say(f"{len(fetched.kept)} of {len(fetched.kept) + len(fetched.got)} files were there")
    _say(f"complete; `attnbench data check {found.name} {root}` looks at every line of it")
    return 0


def _card(found: Named, revision: str) -> Card | Distribution:
    """What is to be got. Raises UsageError if there is nothing, or no such revision of it."""
    from tasks.data.archives import Distribution
    from tasks.data.hub import Card

    card = found.kind.card
    if card is None:
        generated = not found.kind.external
        raise UsageError(
            f"'{found.name}' cannot be got",
            remedy="it is generated, use it as it is"
            if generated
            else "it is read from files of your own or has no publisher we know; see docs/data.md",
        )
    if isinstance(card, Card):
        return card.at(revision)
    if revision:
        raise UsageError(
            f"'{found.name}' is distributed in one version only",
            where="--revision",
            remedy="leave it out",
        )
    assert isinstance(card, Distribution), card
    return card


def _destination(args: argparse.Namespace) -> Path:
    given = args.dest or args.data_root
    if given is None:
        raise UsageError(
            "where should it go?", where="--dest", remedy="name a folder, or set ATTNBENCH_DATA"
        )
    path = Path(given).expanduser().absolute()
    if path.exists() and not path.is_dir():
        raise UsageError("is no folder", where=f"--dest {given}")
    return path


def _terms(found: Named, card: Card | Distribution, root: Path) -> dict[str, str]:
    """What one should know before anything is downloaded."""
    from tasks.data.download import size_text

    terms = {
        "from": card.source,
        "licence": found.kind.licence,
        "citation": found.kind.citation,
        "size": size_text(card.size) if card.size else "not known before",
        "to": str(root),
    }
    return {key: value for key, value in terms.items() if value}


def _fetch(card: Card | Distribution, root: Path) -> DownloadResult:
    from tasks.data.archives import fetch_distribution
    from tasks.data.hub import Card, fetch

    if isinstance(card, Card):
        return fetch(card, root, report=_say)
    return fetch_distribution(card, root, report=_say)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()  # a download may take an hour
