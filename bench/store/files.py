"""Files of a store, in a local folder or at any address that fsspec knows (`s3://...`).

Both kinds write a file whole or not at all, and object stores need no rename for it. Local paths
that users name, and the folder of a user's caches, are found here as well.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import os
import platform
import re
import stat
import tempfile
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from bench.errors import UsageError


class Files(ABC):
    """Base of local and remote files: small, by relative name ("trials/x.json"), at one address."""

    #: Absolute path or URL; another process opens the same files with it.
    address: str

    @abstractmethod
    def write(self, name: str, chunks: Iterable[bytes]) -> None:
        """Write a file; readers see the old content or the new, never a part. Raises OSError."""

    @abstractmethod
    def create(self, name: str, content: bytes) -> bool:
        """Write a file that is not there yet; returns False where it is. Of several writers one
        succeeds (`RemoteFiles.create` says where that is not certain). Raises OSError."""

    @abstractmethod
    def read(self, name: str) -> bytes:
        """Read a file. Raises FileNotFoundError (an OSError) where there is none."""

    def read_start(self, name: str, count: int) -> bytes:
        """Read the first `count` bytes of a file, or all of it where it is shorter. Raises as
        `read` does."""
        return self.read(name)[:count]

    @abstractmethod
    def names(self, folder: str) -> list[str]:
        """List the names (without the folder) of the files in a folder, unsorted."""

    @abstractmethod
    def exists(self, name: str) -> bool: ...

    @abstractmethod
    def remove(self, name: str) -> None:
        """Remove a file; nothing happens where there is none."""

    @abstractmethod
    def make(self) -> None:
        """Make the address ready for writing, and remove what killed writers have left."""

    def read_many(self, names: Sequence[str]) -> dict[str, bytes | Exception]:
        """Read several files at once; a file that cannot be read gives its exception."""
        found: dict[str, bytes | Exception] = {}
        for name in names:
            try:
                found[name] = self.read(name)
            except OSError as error:
                found[name] = error
        return found


#: A file that is being written: machine and process of the writer.
_DRAFT = re.compile(r"\..*\.([0-9a-f]{8})-([0-9]+)-[0-9a-f]{8}\.tmp.*")

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}

#: Age at which unfinished work of another machine's is taken for left behind.
DEAD_SECONDS = 24 * 3600.0


def draft_of(target: Path, suffix: str = "") -> Path:
    """A new hidden name beside a file, for writing it until it is whole. It tells who writes."""
    name = f".{target.name}.{machine()}-{os.getpid()}-{uuid.uuid4().hex[:8]}.tmp{suffix}"
    return target.with_name(name)


def remove_dead_drafts(folder: Path) -> None:
    """Remove what killed processes were writing in a folder: drafts of this machine whose process
    is gone, and others after a day."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            found = _DRAFT.fullmatch(entry.name)
            if found is None:
                continue
            with contextlib.suppress(OSError):
                ours = found[1] == machine()
                aged = time.time() - entry.stat().st_mtime > DEAD_SECONDS
                if (ours and not process_lives(int(found[2]))) or aged:
                    Path(entry.path).unlink()


@functools.cache
def machine() -> str:
    """A name for all that process numbers belong to: host, its last start, and container."""
    parts = [platform.node()]
    with contextlib.suppress(OSError):  # on Linux
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text())
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:8]


def process_lives(pid: int) -> bool:
    """Whether this machine has a process of that number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # somebody else's
        return True
    return True


class LocalFiles(Files):
    """A local folder. Writes are atomic: a temporary file beside the target, fsync, rename."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.address = str(root)

    def write(self, name: str, chunks: Iterable[bytes]) -> None:
        target = self.root / name
        target.parent.mkdir(exist_ok=True)
        # The dot hides unfinished files from listings; what a killed writer leaves, `make` removes.
        draft = draft_of(target)
        try:
            with draft.open("wb") as file:
                file.writelines(chunks)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(target)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
        _sync_folder(target.parent)

    def create(self, name: str, content: bytes) -> bool:
        """A link to a draft appears whole, and only where there is none, on NFS as well. File
        systems without links get an exclusive file, which a reader may see before its content."""
        target = self.root / name
        target.parent.mkdir(exist_ok=True)
        draft = draft_of(target)
        try:
            draft.write_bytes(content)
            try:
                os.link(draft, target)
            except FileExistsError:
                return False
            except OSError:
                with target.open("xb") as file:
                    file.write(content)
        except FileExistsError:
            return False
        finally:
            draft.unlink(missing_ok=True)
        return True

    def read(self, name: str) -> bytes:
        return read_regular(self.root / name)

    def read_start(self, name: str, count: int) -> bytes:
        with (self.root / name).open("rb") as file:
            return file.read(count)

    def names(self, folder: str) -> list[str]:
        try:
            with os.scandir(self.root / folder) as entries:
                return [entry.name for entry in entries if not entry.name.startswith(".")]
        except FileNotFoundError:
            return []

    def exists(self, name: str) -> bool:
        return (self.root / name).is_file()

    def remove(self, name: str) -> None:
        (self.root / name).unlink(missing_ok=True)

    def make(self) -> None:
        (self.root / "trials").mkdir(parents=True, exist_ok=True)
        for folder in ("trials", "sweeps", "checkpoints", "models", "claims"):
            remove_dead_drafts(self.root / folder)


def _sync_folder(folder: Path) -> None:
    """Make a rename survive a power cut, where the file system lets folders be synced."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


class RemoteFiles(Files):
    """An fsspec file system. Writes are atomic: an object is put whole in a single call."""

    def __init__(self, address: str) -> None:
        self.address = address.rstrip("/")
        self._system, self._root = _file_system(self.address)

    def write(self, name: str, chunks: Iterable[bytes]) -> None:
        self._system.pipe_file(self._path(name), b"".join(chunks))

    def create(self, name: str, content: bytes) -> bool:
        """S3 and Google's storage are asked to refuse the second writer, which other makes of S3
        may ignore; fsspec's other systems look first and then write, so that two writers within
        the same moment may both succeed."""
        try:
            self._system.pipe_file(self._path(name), content, mode="create")
        except Exception as error:
            if isinstance(error, FileExistsError) or _is_precondition(error):
                return False
            raise
        return True

    def read(self, name: str) -> bytes:
        content: bytes = self._system.cat_file(self._path(name))
        return content

    def read_start(self, name: str, count: int) -> bytes:
        content: bytes = self._system.cat_file(self._path(name), start=0, end=count)
        return content

    def read_many(self, names: Sequence[str]) -> dict[str, bytes | Exception]:
        # One call: fsspec's asynchronous file systems then fetch many objects at a time.
        paths = [self._path(name) for name in names]
        if not paths:
            return {}
        found = self._system.cat(paths, on_error="return")
        found = found if isinstance(found, dict) else {paths[0]: found}
        plain = self._system._strip_protocol
        by_path = {plain(path): value for path, value in found.items()}
        return {name: by_path[plain(path)] for name, path in zip(names, paths, strict=True)}

    def names(self, folder: str) -> list[str]:
        try:
            listed = self._system.ls(self._path(folder), detail=True, refresh=True)
        except FileNotFoundError:
            return []
        paths = [entry["name"] for entry in listed if entry["type"] == "file"]
        return [path.rsplit("/", 1)[-1] for path in paths]

    def exists(self, name: str) -> bool:
        return bool(self._system.isfile(self._path(name)))

    def remove(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._system.rm_file(self._path(name))

    def make(self) -> None:
        """Do nothing: object stores have no folders. (`check_writable` finds missing buckets.)"""

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"


def _is_precondition(error: BaseException | None) -> bool:
    """Whether an object store refused a write because the object is there already."""
    while error is not None:
        response = getattr(error, "response", None)  # botocore's
        code = response.get("Error", {}).get("Code") if isinstance(response, dict) else None
        status = getattr(error, "code", None)  # of gcsfs and others
        if code in ("PreconditionFailed", "ConditionalRequestConflict") or status in (412, "412"):
            return True
        error = error.__cause__
    return False


def _file_system(address: str) -> tuple[Any, str]:
    import fsspec

    try:
        # Other machines write to the same store, so remembered listings would be wrong.
        system, root = fsspec.url_to_fs(address, use_listings_cache=False)
    except ImportError as error:
        raise UsageError(
            f"no support for {address.split('://')[0]}:// is installed",
            where=address,
            remedy=f"install it ({_first_line(error)})",
        ) from None
    except ValueError as error:
        raise UsageError(_first_line(error), where=address) from None
    return system, root.rstrip("/")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def local_path(given: str | os.PathLike[str], *, where: str) -> Path:
    """The path of a file or folder that a user names; a leading `~` is a home.

    Raises UsageError for an empty path, and for a home that nobody knows.
    """
    text = os.fspath(given)
    if not text.strip():
        raise UsageError("the path is empty", where=where, remedy="name a file or folder")
    try:
        return Path(text).expanduser()
    except RuntimeError:  # no such user, or one without a home
        what = f"the home folder of '{text.partition('/')[0]}' is not known"
        raise UsageError(what, where=where, remedy="give the whole path") from None


def irregular(path: Path) -> str:
    """What is there in place of a regular file ("a named pipe"); "" for a file. Raises OSError."""
    kind = stat.S_IFMT(path.stat().st_mode)
    return "" if kind == stat.S_IFREG else _KINDS.get(kind, "something else")


def read_regular(path: Path) -> bytes:
    """The content of a file. Raises OSError, also for a named pipe, which nobody may ever write
    to, and for a device, which may never end."""
    kind = irregular(path)
    if kind and not path.is_dir():
        raise OSError(errno.EINVAL, kind, str(path))
    return path.read_bytes()


def user_cache() -> Path:
    """The user's cache folder (`$XDG_CACHE_HOME` or `~/.cache`), or a folder of this user's own
    among the temporary files where that cannot be written or there is no home."""
    try:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser().absolute()
        there = next(one for one in (folder, *folder.parents) if one.exists())
        if there.is_dir() and os.access(there, os.W_OK | os.X_OK):
            return folder
    except (RuntimeError, OSError):  # no home; a path that cannot be looked at
        pass
    folder = Path(tempfile.gettempdir()) / f"cache-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():  # somebody else's: what lies there is not to be trusted
        return Path(tempfile.mkdtemp(prefix="cache-"))
    return folder


def open_files(address: str | os.PathLike[str]) -> Files:
    """Open the files at an address: `s3://...` and other URLs remotely, all others locally.

    Raises UsageError for an address that is empty or cannot be used.
    """
    text = os.fspath(address).removeprefix("file://")
    if "://" in text:
        return RemoteFiles(text)
    return LocalFiles(local_path(text, where="store").absolute())
