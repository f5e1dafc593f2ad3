"""Data sets as their publishers distribute them: files and archives at addresses of their own,
brought into the layout that our readers know.

Work in progress lies in `<root>/.downloads/<name>/`. What is complete and checked is moved to its
place in one step, so whatever stands in its place is whole.
"""

from __future__ import annotations

import gzip
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from bench.errors import UsageError
from tasks.data.download import (
    DownloadResult,
    download,
    read_record,
    size_text,
    unwritable,
    write_record,
)

#: A file as it is; compressed by gzip; a ZIP archive; a tar archive compressed by gzip.
Form = Literal["file", "gz", "zip", "tar"]


def unpack(form: Form, path: Path, places: Mapping[str, str], root: Path, scratch: Path) -> None:
    """Unpack what is wanted of an archive into its places. The archive itself stays, unless it is
    damaged: then it is deleted, so that it is downloaded anew.

    Args:
        places: places below `root`, by what goes there: a member, or a folder of members (ends with
            "/"); "" where the file is no archive. What is there is replaced.
        scratch: folder for work in progress, on the same file system as `root`; emptied first.

    Raises:
        UsageError: a damaged archive, one without a wanted member, no space, no permission.
    """
    try:
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        _extract(form, path, places, scratch)
        for inside, place in places.items():
            if not (scratch / place).exists():
                raise UsageError(
                    f"the archive lacks {inside}",
                    where=str(path),
                    remedy="its publisher may have changed it",
                )
        for place in places.values():
            (root / place).parent.mkdir(parents=True, exist_ok=True)
            (scratch / place).replace(root / place)
    except (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError) as error:
        path.unlink(missing_ok=True)
        raise UsageError(
            f"the archive is damaged ({error})", where=str(path), remedy="download it again"
        ) from None
    except OSError as error:
        raise unwritable(path, error, "cannot be unpacked") from None
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _extract(form: Form, path: Path, places: Mapping[str, str], scratch: Path) -> None:
    """Extract the wanted files to their places below `scratch`. An archive is read to its end,
    where its checksums are."""
    if form == "zip":
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                if not info.is_dir() and (target := _target(info.filename, places)):
                    info.filename = target
                    archive.extract(info, scratch)
    elif form == "tar":
        with gzip.open(path) as unzipped:
            with tarfile.open(fileobj=unzipped, mode="r|") as stream:
                for member in stream:
                    if member.isfile() and (target := _target(member.name, places)):
                        stream.extract(member.replace(name=target), scratch, filter="data")
            while unzipped.read(1 << 20):  # the checksum comes after the padding
                pass
    else:
        (scratch / places[""]).parent.mkdir(parents=True, exist_ok=True)
        with (
            gzip.open(path) if form == "gz" else path.open("rb") as source,
            (scratch / places[""]).open("wb") as sink,
        ):
            shutil.copyfileobj(source, sink, 1 << 20)


def _target(name: str, places: Mapping[str, str]) -> str | None:
    """The path that a member of an archive is unpacked to, None if it is not wanted. Never outside
    of its place."""
    name = name.removeprefix("./")
    if ".." in PurePosixPath(name).parts:
        return None
    for inside, place in places.items():
        if name == inside:
            return place
        if inside.endswith("/") and name.startswith(inside):
            return f"{place}/{name.removeprefix(inside)}"
    return None


#: Folder of the data root for work in progress.
WORK = ".downloads"


@dataclass(frozen=True)
class Piece:
    """One file to download, and where what is in it belongs.

    Attributes:
        url: its address.
        places: places below the data root, by what goes there, as `unpack` takes them.
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
    """A data set's files at their publisher's: a `tasks.base.Downloadable`."""

    name: str
    source: str
    pieces: tuple[Piece, ...]

    @property
    def size(self) -> int:
        return sum(piece.size for piece in self.pieces)

    def places(self) -> tuple[str, ...]:
        return tuple(place for piece in self.pieces for place in piece.places.values())


def fetch_distribution(
    card: Distribution, root: Path, *, report: Callable[[str], None] = lambda line: None
) -> DownloadResult:
    """Download what is not in its place yet. Interrupted downloads go on where they were cut off.

    Args:
        root: the data root.
        report: called with a line for every file that is downloaded.

    Raises:
        UsageError: what `download` and `unpack` raise.
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
    return DownloadResult(root, tuple(got), tuple(kept))
