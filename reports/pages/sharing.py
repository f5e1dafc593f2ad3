"""What of a store a published report may show.

Figures are the user's own; sentences, pictures and sounds belong to their data set. A report for
everybody shows them of generated data, and of data sets whose licence lets anybody pass them on
(`Dataset.shares_outputs`). Of others it leaves out examples, outputs, attention maps, and messages
of failures, which may quote a line of the data.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from bench.errors import UsageError
from bench.store.result import Result
from bench.store.store import Store
from tasks.base import datasets, tasks


@dataclass(frozen=True)
class Sharing:
    """Whether examples of a data set are shown, and the notes on that."""

    shown: bool
    notes: tuple[str, ...] = ()


#: Of a report that stays with the user.
EVERYTHING = Sharing(True)
_LEFT_OUT = "Examples, outputs and attention maps are left out of this published report"


def sharing_of(task: str, dataset: str) -> Sharing:
    """Return what a published report may show of a data set."""
    if task not in tasks or dataset not in datasets(task):
        why = f"the data set {dataset} is not installed here, so its licence is not known"
        return Sharing(False, (f"{_LEFT_OUT}: {why}.",))
    kind = datasets(task).get(dataset)
    if not kind.external:
        return EVERYTHING
    if not kind.shares_outputs():
        licence = f"the licence of {dataset} ({kind.licence})"
        why = f"{licence} is not known to let everybody pass them on"
        return Sharing(False, (f"{_LEFT_OUT}: {why}.",))
    citation = " ".join(kind.citation.split())
    note = f"Examples of {dataset} are shown under its licence, {kind.licence}. {citation}"
    return Sharing(True, (note.rstrip(),))


class PublishedStore(Store):
    """A store as a published report shows it: told of by its name, not by its address, and where
    examples are not shown it has none, and says why."""

    def __init__(self, store: Store, sharing: Sharing = EVERYTHING) -> None:
        super().__init__(store._files)
        self.address = PurePosixPath(store.address).name
        self._sharing = sharing

    def predictions(self, hash: str) -> list[dict[str, Any]]:
        if not self._sharing.shown:
            raise UsageError(" ".join(self._sharing.notes))
        return super().predictions(hash)

    def traces(self, hash: str) -> list[dict[str, Any]]:
        if not self._sharing.shown:
            raise KeyError(hash)
        return super().traces(hash)


def publishable(result: Result) -> Result:
    """Return a result as a published report shows it."""
    if result.failure is None or sharing_of(result.cell.task, result.cell.dataset).shown:
        return result
    failure = result.failure.model_copy(update={"message": "the store has the message"})
    return result.model_copy(update={"failure": failure})
