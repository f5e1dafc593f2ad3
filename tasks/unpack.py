"""Archives: what is wanted of one, unpacked beside its place and moved there when it is whole."""

from __future__ import annotations

import gzip
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Literal

from bench.errors import UsageError

#: A file as it is; compressed by gzip; a ZIP archive; a tar archive compressed by gzip.
Form = Literal["file", "gz", "zip", "tar"]


def unpack(form: Form, path: Path, places: Mapping[str, str], root: Path, scratch: Path) -> None:
    """Put what is in an archive into its places. The archive itself stays, unless it is damaged:
    then it is deleted, so that it is got anew.

    Args:
        places: places below `root`, by what goes there: a member, or a folder of members (ends with
            "/"); "" where the file is no archive. What is there is replaced.
        scratch: folder for work in progress, on the same file system as `root`; emptied first.

    Raises:
        UsageError: a damaged archive, one without a wanted member, no space, no permission.
    """
    try:
        with _damage(path):
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
    except OSError as error:
        raise UsageError(
            f"cannot be unpacked ({error.strerror or error})", where=str(path)
        ) from None
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
    """Where a member of an archive belongs; None if nowhere. Never outside of its place."""
    name = name.removeprefix("./")
    if ".." in PurePosixPath(name).parts:
        return None
    for inside, place in places.items():
        if name == inside:
            return place
        if inside.endswith("/") and name.startswith(inside):
            return f"{place}/{name.removeprefix(inside)}"
    return None


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    try:
        yield
    except (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError) as error:
        path.unlink(missing_ok=True)
        raise UsageError(
            f"the archive is damaged ({error})", where=str(path), remedy="get it again"
        ) from None
