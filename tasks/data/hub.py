"""Data sets of the Hugging Face hub: declarative cards, downloaded at pinned revisions.

`huggingface_hub` downloads; address of a mirror (`HF_ENDPOINT`), token and offline mode are its
own. On disk a file lies at `<root>/hub/<identifier>/<revision>/<file>`, with `/` in names written
`--`. A record beside the files (`manifest.json`) names what was downloaded: size, SHA-256, and the
commit a branch stood for.
"""

from __future__ import annotations

import http
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from bench.errors import UsageError
from tasks.base import DatasetOptions
from tasks.data.archives import unpack
from tasks.data.download import (
    TIMEOUT_SECONDS,
    DownloadResult,
    not_found,
    read_record,
    require_https,
    require_space,
    verified,
    write_record,
)
from tasks.data.lines import TextLines, TextRow
from tasks.data.rows import JsonRows, ParallelLines, ParquetRows

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError


# Settings of `huggingface_hub` where the user has none. It reads them when it is first imported:
# nothing is written outside the data root (as Xet's logs are), sent unasked, or told twice.
_LIBRARY_SETTINGS = {
    "HF_HUB_DISABLE_XET": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_VERBOSITY": "error",
}
FOLDER = "hub"
MANIFEST = "manifest.json"

Format = Literal["parquet", "jsonl", "lines"]


@dataclass(frozen=True)
class Card:
    """A data set of a hub: a `tasks.base.Downloadable`.

    Attributes:
        name: ours, for `--dataset` and `data download`.
        identifier: the hub's, `owner/name`.
        revision: commit hash, or a branch where no commit is pinned.
        format: "parquet" or "jsonl" files with columns; "lines": text files in parallel, the n-th
            of a split holding the n-th column.
        files: by split, in order, as they are called in the repository or inside its `archive`.
        columns: which column is what, in the order that `tasks.data.hub` gives them.
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
        return f"{self.identifier} on the hub, at {self.revision}"

    def remote_files(self) -> tuple[str, ...]:
        """What is downloaded, each file once."""
        if self.archive is not None:
            return (self.archive,)
        return tuple(dict.fromkeys(self._read_files()))

    def folder(self, root: Path) -> Path:
        """Where the files lie under a data root."""
        parts = (self.identifier, self.revision)
        return root.joinpath(FOLDER, *(part.replace("/", "--") for part in parts))

    def places(self) -> tuple[str, ...]:
        return tuple(str(self.folder(Path()) / name) for name in self._read_files())

    def _read_files(self) -> Iterator[str]:
        return chain.from_iterable(self.files.values())


class CardOptions(DatasetOptions):
    """Which revision of a card's files is read."""

    revision: str = Field(
        "",
        description="commit or branch got with `data download --revision`; empty: the pinned one",
    )


def fetch(
    card: Card, root: Path, *, report: Callable[[str], None] = lambda line: None
) -> DownloadResult:
    """Download what a card names, unless it is there. Every file is complete or absent.

    Args:
        root: the data root.
        report: called with a line for every file that is got.

    Raises:
        UsageError: not found, no access, no connection, offline mode, contents other than expected,
            no space, no permission, or an archive without the files.
    """
    folder = card.folder(root)
    known = read_record(folder / MANIFEST)
    got: list[str] = []
    kept: list[str] = []
    for name in card.remote_files():
        path = folder / name
        whole = name in known and path.is_file() and path.stat().st_size == known[name].size
        (kept if whole else got).append(name)
    if got:
        _download(card, got, folder, report)
    _require_one_commit(card, folder)
    # Only what is read is taken out of an archive, and only what is missing.
    missing = {name: name for name in card._read_files() if not (folder / name).is_file()}
    if card.archive is not None and missing:
        unpack("zip", folder / card.archive, missing, folder, folder / ".unpacked")
    return DownloadResult(folder, tuple(got), tuple(kept))


def paths(card: Card, root: Path | None, split: str) -> tuple[Path, ...]:
    """The files of a split. Raises UsageError naming the first that is not there."""
    if root is None:
        raise UsageError(
            f"data set '{card.name}' needs its files",
            where="--data-root",
            remedy=f"name a folder; `attnbench data download {card.name}` fills it",
        )
    _require_one_commit(card, card.folder(root))
    found = tuple(card.folder(root) / name for name in card.files[split])
    for path in found:
        if not path.is_file():
            raise UsageError(
                "no such file",
                where=str(path),
                remedy=f"`attnbench data download {card.name} --data-root {root}` gets it",
            )
    return found


def commit(card: Card, root: Path) -> str | None:
    """The commit that was got, if the hub named it."""
    return ", ".join(sorted(_commits(card.folder(root)))) or None


def _commits(folder: Path) -> set[str]:
    return {entry.commit for entry in read_record(folder / MANIFEST).values() if entry.commit}


def provenance_note(card: Card, root: Path | None) -> str:
    """What a report says of where the data came from: the commit, if it is known."""
    assert root is not None, "its files have been read"
    return f"{card.identifier} at {commit(card, root) or card.revision}"


def _download(
    card: Card, names: Sequence[str], folder: Path, report: Callable[[str], None]
) -> None:
    """Download files of a card's repository, all at the commit that its revision stands for now,
    and record each."""
    client = _client()
    address = f"{client.endpoint}/datasets/{card.identifier}"
    require_https(address)
    known = read_record(folder / MANIFEST)
    with _told_in_one_line(address, folder):
        info = client.dataset_info(
            card.identifier, revision=card.revision, files_metadata=True, timeout=TIMEOUT_SECONDS
        )
        folder.mkdir(parents=True, exist_ok=True)
        sizes = {file.rfilename: file.size or 0 for file in info.siblings or ()}
        require_space(folder, sum(sizes.get(name, 0) for name in names))
        for name in names:
            report(f"{card.name}: {name}")
            path = folder / name
            if name in known:  # got once and changed since
                path.unlink(missing_ok=True)
            client.hf_hub_download(
                card.identifier, name, repo_type="dataset", revision=info.sha, local_dir=folder
            )
            found = verified(path, f"{address}/{name}", sha256=card.sha256.get(name))
            known[name] = replace(found, commit=info.sha)
            write_record(folder / MANIFEST, known)


def _client() -> HfApi:
    for name, value in _LIBRARY_SETTINGS.items():
        os.environ.setdefault(name, value)
    from huggingface_hub import HfApi  # here, since it takes most of a second

    # The library itself reads the variable once, when it is imported.
    return HfApi(endpoint=os.environ.get("HF_ENDPOINT") or None, library_name="attention-bench")


@contextmanager
def _told_in_one_line(address: str, folder: Path) -> Iterator[None]:
    """Raise UsageError for what goes wrong while the hub is asked and files are written."""
    from huggingface_hub.errors import (
        HfHubHTTPError,
        HTTPError,  # of the HTTP client that the library uses
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
    )

    try:
        yield
    except OfflineModeIsEnabled:
        raise UsageError(
            "cannot be downloaded in offline mode", where=address, remedy="unset HF_HUB_OFFLINE"
        ) from None
    except HfHubHTTPError as error:
        raise _refused(error) from None
    except (HTTPError, LocalEntryNotFoundError) as error:
        if isinstance(error.__cause__, HfHubHTTPError):
            raise _refused(error.__cause__) from None
        raise _unreachable(str(error.__cause__ or error), address) from None
    except OSError as error:
        if error.errno is None:  # fewer bytes than announced
            raise _unreachable(str(error), address) from None
        raise UsageError(
            f"cannot be written ({error.strerror})", where=error.filename or str(folder)
        ) from None


def _refused(error: HfHubHTTPError) -> UsageError:
    status, address = error.response.status_code, str(error.response.url).partition("?")[0]
    if status == http.HTTPStatus.NOT_FOUND:
        return not_found(address)
    if status in (http.HTTPStatus.UNAUTHORIZED, http.HTTPStatus.FORBIDDEN):
        remedy = "it may be gated or gone: accept its terms on the hub, and set HF_TOKEN"
        return UsageError(f"refused (HTTP {status})", where=address, remedy=remedy)
    return _unreachable(f"HTTP {status}", address)


def _unreachable(reason: str, address: str) -> UsageError:
    return UsageError(
        f"download failed ({reason})",
        where=address,
        remedy="check the network; files that are complete are kept",
    )


def _require_one_commit(card: Card, folder: Path) -> None:
    """Raise UsageError where a branch moved while its files were got."""
    commits = _commits(folder)
    if len(commits) > 1:
        raise UsageError(
            f"the files are of {len(commits)} commits; '{card.revision}' moved while they were got",
            where=str(folder),
            remedy="delete the folder and download the data again, best with --revision COMMIT",
        )


def read_split(card: Card, root: Path | None, split: str) -> Sequence[TextRow]:
    """The rows of a split: tuples in the order of `card.columns`; an empty text where a value is
    missing.

    Raises UsageError: files missing or unreadable, columns missing.
    """
    found = paths(card, root, split)
    columns = tuple(card.columns.values())
    if card.format == "parquet":
        return ParquetRows(found, columns)
    if card.format == "lines":
        return ParallelLines(tuple(TextLines(path, texts=True) for path in found))
    return [row for path in found for row in JsonRows(path, columns)]
