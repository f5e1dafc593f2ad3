"""Data sets of a hub, described by declarative cards and got by pinned revision.

The layout is that of the Hugging Face hub: a file of a data set lies at
`<endpoint>/datasets/<identifier>/resolve/<revision>/<file>`. On disk it lies at
`<root>/hub/<identifier>/<revision>/<file>`, with `/` in names written `--`. A record beside the
files (`manifest.json`) names what was got: size, SHA-256, and the commit a branch stood for.
"""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from bench.errors import UsageError
from tasks.download import Downloaded, download
from tasks.rows import read_json

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


@dataclass(frozen=True)
class Fetched:
    """What `fetch` did: the files got now, and those that had been there."""

    folder: Path
    got: tuple[str, ...]
    kept: tuple[str, ...]


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
    known = _manifest(folder)
    got, kept = [], []
    for name in card.remote_files():
        path = folder / name
        if name in known and path.is_file() and path.stat().st_size == known[name].size:
            kept.append(name)
            continue
        report(f"{card.name}: {name}")
        url = card.url(name, endpoint)
        known = {**known, name: download(url, path, sha256=card.sha256.get(name))}
        _write_manifest(folder, known)
        got.append(name)
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
    found = tuple(card.folder(root) / name for name in card.files[split])
    for path in found:
        if not path.is_file():
            raise UsageError(
                "no such file",
                where=str(path),
                remedy=f"`attnbench data get {card.name} --data-root {root}` gets it",
            )
    return found


def commit(card: Card, root: Path) -> str | None:
    """The commit that was got, if the hub named it."""
    commits = {entry.commit for entry in _manifest(card.folder(root)).values() if entry.commit}
    return ", ".join(sorted(commits)) or None


def _unpack(card: Card, folder: Path) -> None:
    """The card's files out of its archive; only those, and only those that are missing."""
    assert card.archive is not None
    archive = folder / card.archive
    missing = [name for name in _members(card) if not (folder / name).is_file()]
    if not missing:
        return
    try:
        with zipfile.ZipFile(archive) as opened:
            for name in missing:
                path = folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                part = path.with_name(f"{path.name}.part")
                with opened.open(name) as source, part.open("wb") as target:
                    shutil.copyfileobj(source, target)
                part.replace(path)
    except KeyError as error:
        raise UsageError(f"the archive lacks {error.args[0]}", where=str(archive)) from None
    except (zipfile.BadZipFile, EOFError) as error:
        raise UsageError(
            f"no ZIP archive ({error})", where=str(archive), remedy="delete it and get it again"
        ) from None
    except OSError as error:
        raise UsageError(
            f"cannot be unpacked ({error.strerror or error})", where=str(archive)
        ) from None


def _members(card: Card) -> Iterator[str]:
    for names in card.files.values():
        yield from names


def _manifest(folder: Path) -> dict[str, Downloaded]:
    path = folder / MANIFEST
    if not path.is_file():
        return {}
    try:
        return {name: Downloaded(**entry) for name, entry in read_json(path).items()}
    except (TypeError, AttributeError):
        raise UsageError(
            "not a record of downloads", where=str(path), remedy="delete it and get the data again"
        ) from None


def _write_manifest(folder: Path, known: Mapping[str, Downloaded]) -> None:
    path = folder / MANIFEST
    temporary = path.with_name(f".{MANIFEST}.{os.getpid()}")
    text = json.dumps({name: asdict(entry) for name, entry in sorted(known.items())}, indent=1)
    try:
        temporary.write_text(text + "\n", "utf-8")
        temporary.replace(path)
    except OSError as error:
        raise UsageError(
            f"cannot be written ({error.strerror or error})", where=str(path)
        ) from None
