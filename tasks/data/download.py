"""Downloads over HTTPS: resumable, checked, and complete or not there at all; and their records."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import shutil
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from bench.errors import UsageError
from tasks.data.readers import read_json

CHUNK = 1 << 20
#: Tries of one file; each goes on where the one before broke off.
TRIES = 4
TIMEOUT_SECONDS = 30.0
# Pause before the second try; doubled before each further one.
_PAUSE_SECONDS = 0.5
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True)
class FileRecord:
    """Size, digest and origin of a downloaded file.

    Attributes:
        size: in bytes.
        sha256: hexadecimal digest of its contents.
        commit: the hub's commit that it belongs to; None where it does not come from the hub.
    """

    size: int
    sha256: str
    commit: str | None = None


class _BrokenError(Exception):
    """A connection that broke off, or a busy server: trying again may help."""


def download(
    url: str,
    path: Path,
    *,
    sha256: str | None = None,
    md5: str | None = None,
    timeout: float = TIMEOUT_SECONDS,
) -> FileRecord:
    """Download a file. What has arrived is kept in `<path>.part` until it is complete, so that a
    second call goes on where the first one was cut off; `path` only ever holds the whole file.

    Args:
        sha256, md5: hexadecimal digests the contents must have, or None.
        timeout: seconds without a byte before a connection counts as broken.

    Raises:
        UsageError: no HTTPS, not found, no connection, contents other than expected, no space.
    """
    require_https(url)
    part = path.with_name(f"{path.name}.part")
    tag = path.with_name(f"{path.name}.part.etag")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _with_retries(url, part, tag, timeout)
        tag.unlink(missing_ok=True)
        found = verified(part, url, sha256=sha256, md5=md5)
        part.replace(path)
    except OSError as error:
        raise unwritable(path, error) from None
    return found


def unwritable(path: Path, error: OSError, what: str = "cannot be written") -> UsageError:
    return UsageError(f"{what} ({error.strerror or error})", where=str(path))


def verified(
    path: Path, where: str, *, sha256: str | None = None, md5: str | None = None
) -> FileRecord:
    """Size and digest of a file that has arrived. Raises UsageError, and deletes the file, if it is
    not what was published; `where` is the address it came from."""
    for kind, expected in (("sha256", sha256), ("md5", md5)):
        if expected is not None and (found := _digest(path, kind)) != expected.lower():
            path.unlink()
            raise UsageError(
                f"the contents are not what was published ({kind} {found[:12]}...)",
                where=where,
                remedy=f"expected {expected[:12]}...; download it again, or ask who serves it",
            )
    return FileRecord(path.stat().st_size, _digest(path, "sha256"))


def require_space(folder: Path, size: int) -> None:
    """Raise UsageError unless the disk of a folder has room for `size` bytes."""
    free = shutil.disk_usage(folder).free
    if size > free:
        raise UsageError(
            f"{size:,} bytes are needed, {free:,} are free",
            where=str(folder),
            remedy="make room, or choose another folder",
        )


def require_https(url: str) -> None:
    """Raise UsageError unless an address is HTTPS, or HTTP on this machine."""
    scheme, host = urlsplit(url).scheme, urlsplit(url).hostname
    if scheme != "https" and not (scheme == "http" and host in _LOOPBACK):
        raise UsageError(f"'{scheme or 'no'}' addresses are refused", where=url, remedy="use https")


def _with_retries(url: str, part: Path, tag: Path, timeout: float) -> None:
    for attempt in range(TRIES):
        try:
            _fetch(url, part, tag, timeout)
            return
        except _BrokenError as error:
            if attempt == TRIES - 1:
                remedy = "check the network; what has arrived is kept"
                raise UsageError(f"download failed ({error})", where=url, remedy=remedy) from None
        time.sleep(_PAUSE_SECONDS * 2**attempt)


def _fetch(url: str, part: Path, tag: Path, timeout: float) -> None:
    """Make one try: get the rest of the file, or all of it where the server does not resume."""
    have = part.stat().st_size if part.exists() and tag.exists() else 0
    headers = {"User-Agent": "attention-bench"}
    if have:
        # If-Range: the rest of that very file, or else the whole of the new one.
        headers |= {"Range": f"bytes={have}-", "If-Range": tag.read_text("utf-8")}
    opener = urllib.request.build_opener(_SecureRedirects())
    try:
        with opener.open(urllib.request.Request(url, headers=headers), timeout=timeout) as reply:
            resumed = reply.status == http.HTTPStatus.PARTIAL_CONTENT
            require_space(part.parent, int(reply.headers.get("Content-Length") or 0))
            _remember(tag, reply.headers)
            with part.open("ab" if resumed else "wb") as file:
                _copy(reply, file)
    except urllib.error.HTTPError as error:
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            # All of it had arrived, or it is another file by now: from the start, to be sure.
            part.unlink(missing_ok=True)
            raise _BrokenError("it changed meanwhile") from None
        if error.code >= 500 or error.code == http.HTTPStatus.TOO_MANY_REQUESTS:
            raise _BrokenError(f"HTTP {error.code}") from None
        if error.code == http.HTTPStatus.NOT_FOUND:
            raise not_found(url) from None
        raise UsageError(f"refused (HTTP {error.code} {error.reason})", where=url) from None
    except urllib.error.URLError as error:
        raise _BrokenError(str(error.reason)) from None
    except (http.client.HTTPException, TimeoutError, ConnectionError, ssl.SSLError) as error:
        raise _BrokenError(str(error) or type(error).__name__) from None


def _copy(reply: Any, file: IO[bytes]) -> None:
    expected = reply.headers.get("Content-Length")
    got = 0
    while block := reply.read(CHUNK):
        file.write(block)
        got += len(block)
    if expected is not None and got < int(expected):
        raise _BrokenError(f"{got} of {expected} bytes arrived")


def _remember(tag: Path, headers: Mapping[str, str]) -> None:
    """Keep what identifies the file's version; without it no try is resumed."""
    version = headers.get("ETag")
    # A weak tag does not promise the same bytes.
    if version and not version.startswith("W/"):
        tag.write_text(version, "utf-8")
    else:
        tag.unlink(missing_ok=True)


class _SecureRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, HTTPS only."""

    def redirect_request(
        self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        require_https(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def not_found(url: str) -> UsageError:
    return UsageError("not found", where=url, remedy="the data set may have moved; check its card")


def _digest(path: Path, kind: str) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, kind).hexdigest()


@dataclass(frozen=True)
class DownloadResult:
    """The outcome of downloading a data set.

    Attributes:
        folder: where the files lie.
        got: files downloaded now.
        kept: files that had been there.
    """

    folder: Path
    got: tuple[str, ...]
    kept: tuple[str, ...]


def read_record(path: Path) -> dict[str, FileRecord]:
    """Downloaded files by name; none without a record. Raises UsageError if it is damaged."""
    if not path.is_file():
        return {}
    try:
        return {name: FileRecord(**entry) for name, entry in read_json(path).items()}
    except (TypeError, AttributeError):
        raise UsageError(
            "not a record of downloads",
            where=str(path),
            remedy="delete it and download the data again",
        ) from None


def write_record(path: Path, known: Mapping[str, FileRecord]) -> None:
    """Replace the record in one step. Raises UsageError where it cannot be written."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    text = json.dumps({name: asdict(entry) for name, entry in sorted(known.items())}, indent=1)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(text + "\n", "utf-8")
        temporary.replace(path)
    except OSError as error:
        raise unwritable(path, error) from None


def size_text(size: int) -> str:
    """A number of bytes in words: "6.4 GB", "22 kB"."""
    amount, unit = float(size), "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if amount < 1000:
            break
        amount, unit = amount / 1000, larger
    return f"{amount:.1f} {unit}" if amount < 10 and unit != "bytes" else f"{amount:.0f} {unit}"
