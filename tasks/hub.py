"""Data sets of a hub, described by declarative cards and got by pinned revision.

The layout is that of the Hugging Face hub: a file of a data set lies at
`<endpoint>/datasets/<identifier>/resolve/<revision>/<file>`. On disk it lies at
`<root>/hub/<identifier>/<revision>/<file>`, with `/` in names written `--`. A record beside the
files (`manifest.json`) names what was got: size, SHA-256, and the commit a branch stood for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from pydantic import Field

from bench.errors import UsageError
from tasks.base import DatasetOptions
from tasks.download import download
from tasks.fetched import Fetched, read_record, write_record
from tasks.unpack import unpack

ENDPOINT = "https://huggingface.co"
FOLDER = "hub"
MANIFEST = "manifest.json"

Format = Literal["parquet", "jsonl", "lines"]


@dataclass(frozen=True)
class Card:
    """A data set of a hub.

    Attributes:
        name: ours, for `--dataset` and `data get`.
        identifier: the hub's, `owner/name`.
        revision: commit hash, or a branch where no commit is pinned.
        format: "parquet" or "jsonl" files with columns; "lines": text files in parallel, the n-th
            of a split holding the n-th column.
        files: by split, in order, as they are called in the repository or inside its `archive`.
        columns: which column is what, in the order that `tasks.hub_rows` gives them.
        archive: the ZIP file in the repository that holds the files; None: they lie there bare.
        sha256: digests by file of the repository, where they are known.
        size: bytes to download; 0 where nobody says.
    """

    name: str
    identifier: str
    revision: str
    format: Format
    files: Mapping[str, tuple[str, ...]]
    columns: Mapping[str, str]
    licence: str
    citation: str
    archive: str | None = None
    sha256: Mapping[str, str] = field(default_factory=dict)
    size: int = 0

    def at(self, revision: str) -> Card:
        """The same files at another commit or branch, whose digests nobody knows; "" is this."""
        if revision in ("", self.revision):
            return self
        return replace(self, revision=revision, sha256={}, size=0)

    @property
    def source(self) -> str:
        """Who serves the files, and which version of them."""
        return f"{self.identifier} on the hub, at {self.revision}"

    def remote_files(self) -> tuple[str, ...]:
        """What is downloaded, each file once."""
        if self.archive is not None:
            return (self.archive,)
        return tuple(dict.fromkeys(name for names in self.files.values() for name in names))

    def url(self, name: str, endpoint: str = ENDPOINT) -> str:
        """The address of a file of the repository."""
        revision = quote(self.revision, safe="")
        return f"{endpoint.rstrip('/')}/datasets/{self.identifier}/resolve/{revision}/{quote(name)}"

    def folder(self, root: Path) -> Path:
        """Where the files lie under a data root."""
        parts = (self.identifier, self.revision)
        return root.joinpath(FOLDER, *(part.replace("/", "--") for part in parts))

    def places(self) -> tuple[str, ...]:
        """Every file that is read, below the data root."""
        folder = self.folder(Path())
        return tuple(str(folder / name) for names in self.files.values() for name in names)


class CardOptions(DatasetOptions):
    """Which revision of a card's files is read."""

    revision: str = Field(
        "", description="commit or branch got with `data get --revision`; empty: the pinned one"
    )


def fetch(
    card: Card,
    root: Path,
    endpoint: str = ENDPOINT,
    *,
    report: Callable[[str], None] = lambda line: None,
) -> Fetched:
    """Download what a card names, unless it is there. Interrupted downloads go on where they were
    cut off; every file is complete or absent.

    Args:
        root: the data root.
        endpoint: address of the hub or of a mirror with its layout.
        report: called with a line for every file that is got.

    Raises:
        UsageError: what `download` raises, or an archive without the files.
    """
    folder = card.folder(root)
    known = read_record(folder / MANIFEST)
    got, kept = [], []
    for name in card.remote_files():
        path = folder / name
        if name in known and path.is_file() and path.stat().st_size == known[name].size:
            kept.append(name)
            continue
        report(f"{card.name}: {name}")
        url = card.url(name, endpoint)
        known = {**known, name: download(url, path, sha256=card.sha256.get(name))}
        write_record(folder / MANIFEST, known)
        got.append(name)
    _require_one_commit(card, folder)
    if card.archive is not None:
        _unpack(card, folder)
    return Fetched(folder, tuple(got), tuple(kept))


def paths(card: Card, root: Path | None, split: str) -> tuple[Path, ...]:
    """The files of a split. Raises UsageError naming the first that is not there."""
    if root is None:
        raise UsageError(
            f"data set '{card.name}' needs its files",
            where="--data-root",
            remedy=f"name a folder; `attnbench data get {card.name}` fills it",
        )
    _require_one_commit(card, card.folder(root))
    found = tuple(card.folder(root) / name for name in card.files[split])
    for path in found:
        if not path.is_file():
            raise UsageError(
                "no such file",
                where=str(path),
                remedy=f"`attnbench data get {card.name} --dest {root}` gets it",
            )
    return found


def commit(card: Card, root: Path) -> str | None:
    """The commit that was got, if the hub named it."""
    record = read_record(card.folder(root) / MANIFEST)
    commits = {entry.commit for entry in record.values() if entry.commit}
    return ", ".join(sorted(commits)) or None


def provenance_note(card: Card, root: Path) -> str:
    """What a report says of where the data came from: the commit, if it is known."""
    return f"{card.identifier} at {commit(card, root) or card.revision}"


def _unpack(card: Card, folder: Path) -> None:
    """The card's files out of its archive; only those, and only those that are missing."""
    assert card.archive is not None
    missing = {
        name: name
        for names in card.files.values()
        for name in names
        if not (folder / name).is_file()
    }
    if missing:
        unpack("zip", folder / card.archive, missing, folder, folder / ".unpacked")


def _require_one_commit(card: Card, folder: Path) -> None:
    """Raise UsageError where a branch moved while its files were got."""
    commits = {entry.commit for entry in read_record(folder / MANIFEST).values() if entry.commit}
    if len(commits) > 1:
        raise UsageError(
            f"the files are of {len(commits)} commits; '{card.revision}' moved while they were got",
            where=str(folder),
            remedy="delete the folder and get the data again, best with --revision COMMIT",
        )
