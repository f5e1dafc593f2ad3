"""Data sets as their publishers distribute them: files and archives at addresses of their own,
brought into the layout that our readers know.

Work in progress lies in `<root>/.downloads/<name>/`. What is complete and checked is moved to its
place in one step, so whatever stands in its place is whole.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tasks.download import download
from tasks.fetched import Fetched, read_record, size_text, write_record
from tasks.unpack import Form, unpack

WORK = ".downloads"


@dataclass(frozen=True)
class Piece:
    """One file to download, and where what is in it belongs.

    Attributes:
        url: its address.
        places: places below the data root, by what goes there: a file of the archive, or a folder
            of it (ends with "/"); "" where the piece is the file itself.
        form: "file", a compressed file ("gz"), or an archive ("zip"; "tar", which is compressed).
        size: in bytes; 0 where nobody says.
        sha256, md5: hexadecimal digests; None where none is published.
    """

    url: str
    places: Mapping[str, str]
    form: Form = "file"
    size: int = 0
    sha256: str | None = None
    md5: str | None = None

    @property
    def name(self) -> str:
        return self.url.rpartition("/")[2].partition("?")[0]


@dataclass(frozen=True)
class Distribution:
    """A data set's files at their publisher's.

    Attributes:
        name: of the data set, for `attnbench data get`.
        source: who serves the files, and which version of them.
    """

    name: str
    source: str
    pieces: tuple[Piece, ...]

    @property
    def size(self) -> int:
        """Bytes to download, as far as they are known."""
        return sum(piece.size for piece in self.pieces)

    def places(self) -> tuple[str, ...]:
        """Everything it consists of, below the data root."""
        return tuple(place for piece in self.pieces for place in piece.places.values())


def fetch_distribution(
    card: Distribution, root: Path, *, report: Callable[[str], None] = lambda line: None
) -> Fetched:
    """Download what is not in its place yet. Interrupted downloads go on where they were cut off.

    Args:
        root: the data root.
        report: called with a line for every file that is got.

    Raises:
        UsageError: what `download` raises; an archive that is damaged or lacks what it should hold;
            no space, no permission.
    """
    work, record = root / WORK / card.name, root / WORK / f"{card.name}.json"
    got: list[str] = []
    kept: list[str] = []
    for piece in card.pieces:
        missing = {
            inside: place for inside, place in piece.places.items() if not (root / place).exists()
        }
        if not missing:
            kept.append(piece.name)
            continue
        path = work / piece.name
        # One that is there was complete; only its unpacking failed.
        if not path.is_file():
            report(f"{card.name}: {piece.name}" + (f", {size_text(piece.size)}" * bool(piece.size)))
            known = download(piece.url, path, sha256=piece.sha256, md5=piece.md5)
            write_record(record, {**read_record(record), piece.url: known})
        unpack(piece.form, path, missing, root, work / "unpacked")
        path.unlink()
        got.append(piece.name)
    shutil.rmtree(work, ignore_errors=True)
    return Fetched(root, tuple(got), tuple(kept))
