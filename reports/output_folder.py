"""The folder of the user's choice that a command writes pages and files into.

The folder's manifest (`.attnbench-report.json`: SHA-256 by name) lists what was written, so that
the next report removes the pages that it no longer has. Whatever is not listed, or was changed
since, is the user's and stays.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from bench.errors import UsageError

#: Digests by name. Several of one name while a report is being written: either may be there.
Written = Mapping[str, frozenset[str]]


def write_files(out: Path, files: Iterable[tuple[str, str | bytes]], what: str) -> list[Path]:
    """Write files below a folder, which is made if needed. Files of the same names are replaced;
    files that an earlier call for the same `what` wrote and this one does not are removed.

    Nothing is touched before all contents are made. Each file is replaced whole, the first page
    last, and only then are old files removed: where writing ends half way, every page that is
    linked is there, and the next call removes what is left over.

    Args:
        files: path below the folder, with forward slashes, and content; text becomes UTF-8.
        what: "report", for the message and for the name of the list.

    Raises UsageError where the folder cannot be written.
    """
    contents = {
        name: content.encode("utf-8") if isinstance(content, str) else content
        for name, content in files
    }
    new = {name: frozenset([_digest(content)]) for name, content in contents.items()}
    manifest = out / f".attnbench-{what}.json"
    old = _listed(manifest)
    try:
        either = {
            name: old.get(name, frozenset()) | new.get(name, frozenset()) for name in (*old, *new)
        }
        _replace(manifest, _listing(either))
        for name in sorted(contents, key=lambda one: (one == "index.html", one)):
            _replace(out / name, contents[name])
        for name in old.keys() - new.keys():
            _remove(out, name, old[name])
        _replace(manifest, _listing(new))
    except OSError as error:
        raise UsageError(
            f"the {what} cannot be written ({(error.strerror or str(error)).lower()})",
            where=str(out),
            remedy="choose another folder",
        ) from None
    return [out / name for name in contents]


def refuse_others(out: Path, names: Iterable[str], what: str) -> None:
    """Raise UsageError where a file stands under one of some names that no earlier call for the
    same `what` wrote."""
    own = _listed(out / f".attnbench-{what}.json")
    for name in names:
        if name not in own and os.path.lexists(out / name):
            raise UsageError(
                f"{name} is there already and is not of an earlier {what}",
                where=str(out),
                remedy="move it away, or choose another folder",
            )


def changed_since(out: Path, name: str, what: str) -> bool:
    """Whether a file stands under a name that no earlier call for the same `what` wrote, or that
    was changed since. Raises OSError where it cannot be read."""
    path = out / name
    if not os.path.lexists(path):
        return False
    own = _listed(out / f".attnbench-{what}.json").get(name, frozenset())
    return not path.is_file() or _digest(path.read_bytes()) not in own


def _replace(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(".attnbench-draft")  # one name, so that nothing killed leaves many
    try:
        draft.write_bytes(content)
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def _remove(out: Path, name: str, digests: frozenset[str]) -> None:
    """Remove a file if its content is unchanged since it was written, and the folders below
    `out` that are then empty."""
    path = out / name
    if path.is_symlink() or not path.is_file() or _digest(path.read_bytes()) not in digests:
        return
    path.unlink()
    for folder in path.relative_to(out).parents[:-1]:
        with contextlib.suppress(OSError):  # not empty
            (out / folder).rmdir()


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _listing(written: Written) -> bytes:
    return json.dumps({name: sorted(written[name]) for name in sorted(written)}, indent=0).encode()


def _listed(manifest: Path) -> Written:
    """Read a manifest; an unreadable one counts as empty."""
    try:
        found = json.loads(manifest.read_bytes())
    except (OSError, ValueError):
        return {}
    # It may come from elsewhere: only entries that name a file below the folder count.
    return {
        name: frozenset(map(str, digests))
        for name, digests in (found.items() if isinstance(found, dict) else ())
        if isinstance(digests, list)
        and not (path := PurePosixPath(name)).is_absolute()
        and ".." not in path.parts
    }
