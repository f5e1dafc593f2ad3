"""The manifest of a bundle (`bundle.json`): what is in it, and what it claims to be."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import re
import stat
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NoReturn

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)

import bench
from bench.attention.base import Placement
from bench.attention.registries import attentions
from bench.errors import UsageError
from bench.store.files import Files
from bench.store.provenance import library_versions
from bench.store.result import Result
from bench.store.store import Store
from reports.leaderboard.rules import Class, FrozenModel, Limits
from tasks.plan import resolve

SCHEMA: Final = 1
#: Its name in the archive.
NAME: Final = "bundle.json"
#: Everything that may stand in an archive.
MEMBER: Final = r"bundle\.json|trials/[0-9a-f]{64}\.(json|predictions\.jsonl)"

Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("has characters that cannot be printed")
    return text


#: A title or a version: one printable line.
Line = Annotated[str, StringConstraints(min_length=1, max_length=80), AfterValidator(_printable)]


class File(FrozenModel):
    """Size and SHA-256 of a member."""

    bytes: int = Field(ge=0)
    sha256: Digest


class Mechanism(FrozenModel):
    """An attention as it is installed where the bundle was made.

    origin: the package that has it, with its version.
    options: its options by name, with their defaults.
    """

    placement: Placement
    origin: Line
    options: dict[Line, Any] = Field(default_factory=dict)


class Trial(FrozenModel):
    """What a trial was trained on: the data's fingerprint and all settings, defaults too."""

    data: Digest | None
    settings: dict[Line, Any]


class Manifest(FrozenModel):
    """All of it. `name` is what the board calls the entry; `files` has all other members."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    schema_version: Literal[1] = Field(alias="schema")
    name: Line
    kind: Class = Field(alias="class")
    rules: Line
    versions: dict[Line, Line]
    mechanisms: dict[Line, Mechanism]
    trials: dict[Digest, Trial] = Field(min_length=1)
    files: dict[str, File]


def record_of(hash: str) -> str:
    """The member that holds a trial's record."""
    return f"trials/{hash}.json"


def predictions_of(hash: str) -> str:
    """The member that holds a trial's test examples."""
    return f"trials/{hash}.predictions.jsonl"


# What is wrong with a bundle, in lines that are safe to print.
#
# Everything in a bundle was written by a stranger. Whatever of it gets into a message goes through
# `plain`: a terminal must not obey an escape sequence in somebody's name.

#: Characters of a stranger's text that a message shows.
SHOWN = 120
#: Problems of one kind that are listed for one trial; the rest is counted.
LISTED = 10


@dataclass(frozen=True)
class Problem:
    """What is wrong, and where: a trial, a file, an entry."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" if self.where else self.what


def plain(text: object, most: int = SHOWN) -> str:
    """A stranger's text on one line, without control characters, not longer than `most`."""
    cut = str(text)[: most + 1]
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in cut)
    return f"{shown[:most]}..." if len(cut) > most else shown


def shortened(problems: Iterable[Problem], most: int = LISTED) -> Iterator[Problem]:
    """The first problems, and how many more there are."""
    found = list(problems)
    yield from found[:most]
    if len(found) > most:
        yield Problem(found[0].where, f"and {len(found) - most} more problems like these")


# Opening a stranger's bundle.
#
# Nothing is ever unpacked to disk, so no name can climb out of a folder; still, whatever is not
# one of the names a bundle may hold is refused, and said. Sizes are checked before anything is
# unpacked, and again while it is, because an archive may lie about them.

# The end of an archive: 22 bytes where there is no comment (PKWARE's APPNOTE, section 4.3.16).
_END, _END_SIZE = b"PK\x05\x06", 22
# Before it, in archives larger than ours may be, where the larger figures stand (4.3.15).
_FAR_END, _FAR_END_SIZE = b"PK\x06\x07", 20
# A directory entry has 46 bytes and its name; our names have up to 92.
_ENTRY = 256
_UNIX = 3


@dataclass(frozen=True)
class Bundle:
    """A bundle whose members may be read.

    Attributes:
        id: SHA-256 of the manifest, which has those of all other members.
    """

    path: Path
    id: str
    manifest: Manifest
    limits: Limits

    def read(self, name: str) -> bytes:
        """A member. Raises UsageError where it cannot be unpacked."""
        with zipfile.ZipFile(self.path) as archive:
            return _read(archive, name, self.limits, self.path)

    def is_whole(self, name: str, content: bytes) -> bool:
        """Whether a member is what the manifest says."""
        return hashlib.sha256(content).hexdigest() == self.manifest.files[name].sha256


def open_bundle(path: Path, limits: Limits) -> Bundle:
    """Raises UsageError, with everything that is wrong, for a file that is not a bundle."""
    try:
        _check_ending(path, limits)
        with zipfile.ZipFile(path) as archive:
            problems = list(_unsafe(archive.infolist(), limits))
            if problems:
                _refuse(path, problems)
            content = _read(archive, NAME, limits, path)
            names = set(archive.namelist())
    except (zipfile.BadZipFile, NotImplementedError) as error:
        _refuse(path, [f"not a zip archive ({plain(error)})"])
    except OSError as error:
        raise UsageError((error.strerror or str(error)).lower(), where=str(path)) from None
    manifest = _manifest(path, content)
    problems = list(_incomplete(manifest, names))
    if problems:
        _refuse(path, problems)
    return Bundle(path, hashlib.sha256(content).hexdigest(), manifest, limits)


def _check_ending(path: Path, limits: Limits) -> None:
    """Refuse what would cost much merely to list."""
    size = path.stat().st_size
    if size > limits.archive:
        _refuse(path, [f"{size:,} bytes, more than the {limits.archive:,} allowed"])
    with path.open("rb") as file:
        file.seek(max(0, size - _END_SIZE - _FAR_END_SIZE))
        tail = file.read()
    end = tail[-_END_SIZE:]
    if len(end) < _END_SIZE or not end.startswith(_END):
        _refuse(path, ["not a zip archive, or one with something behind its end"])
    if tail.startswith(_FAR_END):
        _refuse(path, ["an archive of the ZIP64 form, which no bundle needs"])
    directory = int.from_bytes(end[12:16], "little")
    if directory > limits.members * _ENTRY:
        _refuse(path, [f"a directory of {directory:,} bytes: too many members"])


def _unsafe(members: list[zipfile.ZipInfo], limits: Limits) -> Iterator[str]:
    """Everything that keeps an archive from being read at all."""
    if len(members) > limits.members:
        yield f"{len(members):,} members, more than the {limits.members:,} allowed"
    seen: set[str] = set()
    for one in members:
        shown = repr(plain(one.orig_filename))
        mode = one.external_attr >> 16 if one.create_system == _UNIX else 0
        if stat.S_ISLNK(mode):
            yield f"{shown} is a link"
        elif mode and not stat.S_ISREG(mode) and stat.S_IFMT(mode):
            yield f"{shown} is not a plain file"
        elif climbs(one.orig_filename):
            yield f"{shown} leads out of the bundle"
        elif not re.fullmatch(MEMBER, one.orig_filename):
            yield f"{shown} does not belong into a bundle"
        if one.filename in seen:
            yield f"{shown} is there twice"
        seen.add(one.filename)
        if one.flag_bits & 0x1:
            yield f"{shown} is encrypted"
        if one.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            yield f"{shown} is compressed in another way than deflate"
        if one.file_size > limits.member:
            yield f"{shown} unpacks to {one.file_size:,} bytes, {limits.member:,} are allowed"
    total = sum(one.file_size for one in members)
    if total > limits.unpacked:
        yield f"it unpacks to {total:,} bytes, {limits.unpacked:,} are allowed"
    if NAME not in seen:
        yield f"there is no {NAME} in it"


def climbs(name: str) -> bool:
    """Whether a path leads out of the folder it is meant to be in."""
    parts = re.split(r"[/\\]", name)
    return ".." in parts or (parts[0] == "" and len(parts) > 1) or ":" in parts[0]


def _read(archive: zipfile.ZipFile, name: str, limits: Limits, path: Path) -> bytes:
    try:
        with archive.open(name) as member:
            content = member.read(limits.member + 1)  # what is declared need not be true
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, KeyError) as error:
        _refuse(path, [f"{name} cannot be unpacked ({plain(error)})"])
    if len(content) > limits.member:
        _refuse(path, [f"{name} unpacks to more than {limits.member:,} bytes"])
    return content


def _manifest(path: Path, content: bytes) -> Manifest:
    try:
        return Manifest.model_validate(parse(content))
    except ValidationError as error:
        found = [
            f"{NAME}: {plain('.'.join(map(str, one['loc'])))}: {plain(one['msg'])}"
            for one in error.errors()
        ]
        _refuse(path, found)
    except ValueError as error:
        _refuse(path, [f"{NAME} is not JSON ({plain(error)})"])


def _incomplete(manifest: Manifest, names: set[str]) -> Iterator[str]:
    """Where members and manifest do not agree about what there is."""
    known = set(manifest.files) | {NAME}
    yield from (f"{name} is not in the manifest" for name in sorted(names - known))
    yield from (f"{plain(name)} is missing" for name in sorted(known - names))
    for hash in manifest.trials:
        for name in (record_of(hash), predictions_of(hash)):
            if name not in manifest.files:
                yield f"{name} is missing in the manifest"
    owned = {name for hash in manifest.trials for name in (record_of(hash), predictions_of(hash))}
    yield from (
        f"{plain(name)} belongs to no trial" for name in sorted(set(manifest.files) - owned)
    )


def _refuse(path: Path, problems: list[str]) -> NoReturn:
    more = f"; and {len(problems) - LISTED} more" if len(problems) > LISTED else ""
    raise UsageError(
        f"not a bundle that can be used: {'; '.join(problems[:LISTED])}{more}", where=str(path)
    )


def parse(content: bytes) -> Any:
    """JSON as the standard has it. Raises ValueError for anything else, NaN among it."""
    try:
        return json.loads(content, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


class BundleFiles(Files):
    """The predictions of several bundles under names of their own, as a store reads them.

    Two people may send results of the same cell. On a board each is `<bundle id>-<hash>`.
    """

    def __init__(self, bundles: dict[str, Bundle]) -> None:
        self.address = "leaderboard"
        self._bundles = bundles

    def read(self, name: str) -> bytes:
        id, _, rest = name.removeprefix("trials/").partition("-")
        if id not in self._bundles or not rest:
            raise FileNotFoundError(name)
        bundle, member = self._bundles[id], f"trials/{rest}"
        content = bundle.read(member)
        if not bundle.is_whole(member, content):
            raise UsageError(f"{member} is not what was verified", where=str(bundle.path))
        return content

    def names(self, folder: str) -> list[str]:
        return []

    def exists(self, name: str) -> bool:
        return False

    def write(self, name: str, chunks: object) -> None:
        raise PermissionError(f"{name}: bundles are only read")

    def remove(self, name: str) -> None:
        raise PermissionError(f"{name}: bundles are only read")

    def make(self) -> None:
        """Nothing: there is nothing to write."""


# Packing results into a bundle: a zip of JSON, the same bytes for the same results.
#
# No code, no pickle, no traces: records and test examples as the store has them, and the manifest.

# Zip files date their members; this is the earliest date they know.
_DATE = (1980, 1, 1, 0, 0, 0)
_REGULAR_FILE = 0o100644 << 16
_UNIX_SYSTEM = 3


def pack(
    store: Store,
    results: Sequence[Result],
    target: Path,
    *,
    name: str,
    kind: Class = "same",
    rules: str = "1",
) -> Manifest:
    """Write a bundle of these finished results.

    Raises UsageError where a result has no predictions or its cell is not known here, and where
    the file cannot be written. A file that was there stays until the new one is whole.
    """
    ordered = sorted(results, key=lambda one: one.hash)
    trials = {one.hash: _trial(one) for one in ordered}
    draft = target.with_name(f".{target.name}.tmp")
    try:
        with zipfile.ZipFile(draft, "w") as archive:
            files: dict[str, File] = {}
            for one in ordered:
                record = record_of(one.hash), _pretty(one.to_json())
                examples = predictions_of(one.hash), _lines(_predictions(store, one))
                for member, content in (record, examples):
                    files[member] = _add(archive, member, content)
            manifest = Manifest(
                schema_version=SCHEMA,
                name=name,
                kind=kind,
                rules=rules,
                versions={"attention-bench": bench.__version__, **library_versions()},
                mechanisms={
                    attention: _mechanism(attention)
                    for attention in sorted({str(one.cell["attention"]) for one in ordered})
                },
                trials=trials,
                files=files,
            )
            _add(archive, NAME, _pretty(manifest.model_dump(mode="json", by_alias=True)))
        draft.replace(target)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UsageError(f"the bundle cannot be written ({reason})", where=str(target)) from None
    finally:
        draft.unlink(missing_ok=True)
    return manifest


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> File:
    info = zipfile.ZipInfo(name, _DATE)
    info.external_attr, info.create_system = _REGULAR_FILE, _UNIX_SYSTEM
    archive.writestr(info, content, zipfile.ZIP_DEFLATED, compresslevel=9)
    return File(bytes=len(content), sha256=hashlib.sha256(content).hexdigest())


def _predictions(store: Store, result: Result) -> list[dict[str, Any]]:
    try:
        rows = store.predictions(result.hash)
    except KeyError:
        rows = []
    if not rows:
        raise UsageError(
            "the store has no predictions of it, so nobody could check its figures",
            where=result.key.label,
            remedy="run it again",
        )
    return rows


def _trial(result: Result) -> Trial:
    try:
        plan = resolve(result.key)
    except UsageError as error:  # run by a version with other names
        raise UsageError(
            f"nothing here could run it ({error})",
            where=result.key.label,
            remedy="choose others with --task, --attention or --score",
        ) from None
    return Trial(
        data=result.provenance.data_fingerprint,
        settings=plan.settings.model_dump(mode="json"),
    )


def _mechanism(name: str) -> Mechanism:
    kind = attentions.get(name)
    return Mechanism(
        placement=kind.placement,
        origin=origin_of(kind),
        options=kind.Options().model_dump(mode="json"),
    )


def origin_of(kind: type) -> str:
    """The package a class is from, with its version where that is known."""
    package = kind.__module__.partition(".")[0]
    if package == "bench":
        return f"attention-bench {bench.__version__}"
    for distribution in importlib.metadata.packages_distributions().get(package, []):
        return f"{distribution} {importlib.metadata.version(distribution)}"
    return package


def _pretty(record: Mapping[str, Any]) -> bytes:
    text = json.dumps(record, ensure_ascii=False, allow_nan=False, indent=1, sort_keys=True)
    return text.encode() + b"\n"


def _lines(rows: Iterable[Mapping[str, Any]]) -> bytes:
    return b"".join(
        json.dumps(row, ensure_ascii=False, allow_nan=False).encode() + b"\n" for row in rows
    )
