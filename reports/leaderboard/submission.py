"""Choosing what goes into a bundle, and saying beforehand what the rules will not like."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.errors import UsageError
from bench.store.result import Result
from bench.store.store import Problem as Unreadable
from bench.store.store import Store
from reports.formats import plural
from reports.leaderboard.bundle import Manifest, Problem, pack, plain
from reports.leaderboard.checks import check_settings, missing_seeds, named, planned
from reports.leaderboard.rules import Class, Rules


@dataclass(frozen=True)
class Choice:
    """Which results of a store; an empty tuple takes all."""

    tasks: tuple[str, ...] = ()
    attentions: tuple[str, ...] = ()
    scores: tuple[str, ...] = ()
    budgets: tuple[str, ...] = ()

    def takes(self, result: Result) -> bool:
        """Whether a result is chosen."""
        axes = {
            "task": self.tasks,
            "attention": self.attentions,
            "score": self.scores,
            "budget": self.budgets,
        }
        return all(not names or result.cell[axis] in names for axis, names in axes.items())


@dataclass(frozen=True)
class Submission:
    """A bundle that was written, and what to know of it."""

    path: Path
    manifest: Manifest
    notes: tuple[str, ...]


def submit(
    store: Store,
    target: Path,
    rules: Rules,
    *,
    name: str,
    kind: Class = "same",
    choice: Choice | None = None,
) -> Submission:
    """Pack the finished results of the rules' seeds.

    Raises UsageError where there are none, or the bundle cannot be written.
    """
    choice = choice or Choice()
    unreadable: list[Unreadable] = []
    found = [one for one in store.results(unreadable) if choice.takes(one)]
    done = [one for one in found if one.status == "done"]
    packed = [one for one in done if one.cell["seed"] in rules.seeds]
    if not packed:
        seeds = ", ".join(map(str, rules.seeds))
        why = f"{plural(len(done), 'finished result')} of other seeds" if done else "none finished"
        if unreadable:
            why += f"; {plural(len(unreadable), 'record')} cannot be read, as {unreadable[0]}"
        raise UsageError(
            f"no finished result of seed {seeds} is chosen ({why})",
            where=store.address,
            remedy="`attnbench sweep --seeds` makes some",
        )
    manifest = pack(store, packed, target, name=name, kind=kind, rules=rules.version)
    left_out = {
        "that failed": len(found) - len(done),
        "of seeds that do not count": len(done) - len(packed),
    }
    notes = [
        *(f"left out: {one}" for one in unreadable),
        *(f"left out: {plural(n, 'result')} {why}" for why, n in left_out.items() if n),
        *(f"the rules will say: {one}" for one in _foreseen(packed, manifest, rules)),
    ]
    return Submission(target, manifest, tuple(notes))


def _foreseen(results: Sequence[Result], manifest: Manifest, rules: Rules) -> Iterator[Problem]:
    """What verifying will find that needs no data."""
    yield from missing_seeds([one.key for one in results], rules)
    for one in results:
        cell = one.key
        mechanism = manifest.mechanisms.get(cell.attention)
        trial = manifest.trials[cell.hash]
        try:
            one_planned = planned(cell, mechanism)
        except UsageError as error:  # run by a version with other names or defaults
            yield Problem(named(cell), plain(error, 300))
            continue
        for what in check_settings(one_planned, trial, manifest, rules):
            yield Problem(named(cell), what)
