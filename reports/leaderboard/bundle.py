"""Bundles of results: the manifest, and how the archive of a stranger is opened.

A bundle is a zip of `bundle.json`, the manifest, two members a trial, its record and its test
examples, and one for each test set (`reports.leaderboard.examples`). Nothing is ever unpacked to
disk, so no name can climb out of a folder; still, every name that a bundle may not hold is refused.
Sizes are checked before anything is unpacked, and again while it is, because an archive may lie
about them. Text of a bundle gets into messages only through `plain`: a terminal must not obey an
escape sequence in somebody's name.
"""

from __future__ import annotations

import hashlib
import re
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NoReturn

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints, ValidationError

from bench.attention import Backbone
from bench.attention.base import Placement
from bench.errors import UsageError
from reports.leaderboard.examples import (
    Columns,
    TestSet,
    read_columns,
    read_test_set,
    sample,
)
from reports.leaderboard.rules import Class, FrozenModel, Limits, field_errors, parse_json
from reports.samples import Sample

SCHEMA: Final = 2
#: Its name in the archive.
NAME: Final = "bundle.json"
#: Everything that may stand in an archive.
MEMBER: Final = (
    r"bundle\.json|trials/[0-9a-f]{64}\.(json|examples\.json)|testsets/[0-9a-f]{64}\.json"
)

#: Characters of a stranger's text that a message shows.
SHOWN = 120
#: Problems of one kind that are listed for one trial; the rest is counted.
LISTED = 10

# The end of an archive: 22 bytes where there is no comment (PKWARE's APPNOTE, section 4.3.16).
_END, _END_SIZE = b"PK\x05\x06", 22
# Before it, in archives larger than ours may be, where the larger figures stand (4.3.15).
_FAR_END, _FAR_END_SIZE = b"PK\x06\x07", 20
# A directory entry has 46 bytes and its name; our names have up to 92.
_ENTRY = 256
_UNIX = 3
#: Larger members that shrank more than this are no text that a model wrote.
MOST_COMPRESSED, SMALL = 200, 2**20
#: What `zipfile` raises for archives that are damaged or made to do damage.
_DAMAGED = (
    zipfile.BadZipFile,
    NotImplementedError,
    RuntimeError,
    EOFError,
    KeyError,
    IndexError,
    ValueError,
    OverflowError,
    struct.error,
    zlib.error,
)

Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


#: Characters of a title.
LONGEST = 80
#: Alphabets with letters that look like those of another one.
_ALIKE = ("LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC")


def title_problem(text: str) -> str | None:
    """Why a text cannot be a title on a board: two entries must not look like one."""
    if not text.strip():
        return "is empty"
    if len(text) > LONGEST:
        return f"has {len(text):,} characters, {LONGEST} are allowed"
    if hidden := next((one for one in text if not one.isprintable()), None):
        return f"has a character that cannot be printed (U+{ord(hidden):04X})"
    if other := next((one for one in text if unicodedata.normalize("NFKC", one) != one), None):
        return f"has a character that stands for another one (U+{ord(other):04X})"
    for word in re.findall(r"[^\W\d_]+", text):
        names = {unicodedata.name(one, "").partition(" ")[0] for one in word}
        mixed = [name.capitalize() for name in _ALIKE if name in names]
        if len(mixed) > 1:
            return f"has letters of two alphabets in one word ({' and '.join(mixed)})"
    if re.search(r"\s{2}|^\s|\s$", text):
        return "has blanks that cannot be seen"
    marks = [unicodedata.combining(one) > 0 for one in unicodedata.normalize("NFC", text)]
    if any(map(all, zip(marks, marks[1:], marks[2:], strict=False))):
        return "has marks upon marks"
    return None


def _plain_line(text: str) -> str:
    if problem := title_problem(text):
        raise ValueError(problem)
    return text


#: A title or a version: one printable line without lookalikes.
Line = Annotated[str, AfterValidator(_plain_line)]


class File(FrozenModel):
    """Size and SHA-256 of a member."""

    bytes: int = Field(ge=0)
    sha256: Digest


class Mechanism(FrozenModel):
    """An attention mechanism as installed where the bundle was made.

    origin: the package that has it, with its version.
    options: its options by name, with their defaults.
    """

    placement: Placement
    backbone: Backbone
    origin: Line
    options: dict[Line, Any] = Field(default_factory=dict)


class Trial(FrozenModel):
    """The fingerprint of the data that a trial was trained with, and the names and digests of the
    test sets that it was tested on, that of the headline figure first."""

    data: Digest | None
    test_sets: tuple[tuple[Line, Digest], ...] = Field(min_length=1)

    @property
    def digests(self) -> dict[str, str]:
        """The digests of its test sets by name, in order."""
        return dict(self.test_sets)


class Manifest(FrozenModel):
    """The manifest of a bundle. `name` is the entry's title on the board; `files` lists all
    other members."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    schema_version: Literal[2] = Field(alias="schema")
    name: Line
    kind: Class = Field(alias="class")
    rules: Line
    versions: dict[Line, Line]
    mechanisms: dict[Line, Mechanism]
    trials: dict[Digest, Trial] = Field(min_length=1)
    files: dict[str, File]


def record_of(hash: str) -> str:
    """Return the member name of a trial's record."""
    return f"trials/{hash}.json"


def examples_of(hash: str) -> str:
    """Return the member name of a trial's test examples."""
    return f"trials/{hash}.examples.json"


def member_of(digest: str) -> str:
    """Return the member name of a test set."""
    return f"testsets/{digest}.json"


@dataclass(frozen=True)
class Problem:
    """A problem of a bundle and its place: a trial, a file, an entry."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" if self.where else self.what


def plain(text: object, most: int = SHOWN) -> str:
    """Return a stranger's text on one line, without control characters, at most `most`
    characters long."""
    cut = str(text)[: most + 1]
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in cut)
    return f"{shown[:most]}..." if len(cut) > most else shown


def shortened(problems: Iterable[Problem], most: int = LISTED) -> Iterator[Problem]:
    """Yield the first problems, then the number of the others."""
    found = list(problems)
    yield from found[:most]
    if len(found) > most:
        yield Problem(found[0].where, f"and {len(found) - most} more problems like these")


@dataclass(frozen=True)
class Bundle:
    """An opened bundle with a checked manifest.

    Attributes:
        id: SHA-256 of the manifest, which has those of all other members.
    """

    path: Path
    id: str
    manifest: Manifest
    limits: Limits

    def read(self, name: str) -> bytes:
        """Return the content of a member. Raises UsageError where it cannot be unpacked."""
        try:
            with zipfile.ZipFile(self.path) as archive:
                return _read(archive, name, self.limits, self.path)
        except zipfile.BadZipFile as error:  # changed since it was opened
            _refuse(self.path, [f"not a zip archive ({plain(error)})"])

    def is_whole(self, name: str, content: bytes) -> bool:
        """Whether the content of a member has the digest in the manifest."""
        return hashlib.sha256(content).hexdigest() == self.manifest.files[name].sha256

    def whole(self, name: str) -> bytes:
        """Return the content of a member. Raises ValueError where it is not the one that the
        manifest names, UsageError where it cannot be unpacked."""
        content = self.read(name)
        if not self.is_whole(name, content):
            raise ValueError("not what the manifest names (SHA-256 differs)")
        return content

    def examples(self, hash: str) -> tuple[dict[str, Columns], dict[str, TestSet]]:
        """Return the examples of a trial, and the test sets that they are of. Raises UsageError
        where a member cannot be read."""
        digests = self.manifest.trials[hash].digests
        name = ""
        try:
            test_sets = {}
            for subset, digest in digests.items():
                name = member_of(digest)
                test_sets[subset] = read_test_set(self.whole(name))
            sizes = {subset: len(one.examples) for subset, one in test_sets.items()}
            name = examples_of(hash)
            return read_columns(self.whole(name), sizes), test_sets
        except ValueError as error:
            if isinstance(error, UsageError):
                raise
            raise UsageError(f"{name}: {plain(error, 300)}", where=str(self.path)) from None


def open_bundle(path: Path, limits: Limits) -> Bundle:
    """Open a bundle and check its members and manifest. Raises UsageError, naming every problem,
    for a file that is not a bundle."""
    try:
        _check_ending(path, limits)
        with zipfile.ZipFile(path) as archive:
            if problems := list(_unsafe(archive.infolist(), limits)):
                _refuse(path, problems)
            content = _read(archive, NAME, limits, path)
            names = set(archive.namelist())
    except UsageError:
        raise
    except _DAMAGED as error:
        _refuse(path, [f"not a zip archive, or a damaged one ({plain(error)})"])
    except OSError as error:
        raise UsageError((error.strerror or str(error)).lower(), where=str(path)) from None
    manifest = _manifest(path, content)
    if problems := list(_incomplete(manifest, names)):
        _refuse(path, problems)
    return Bundle(path, hashlib.sha256(content).hexdigest(), manifest, limits)


def _check_ending(path: Path, limits: Limits) -> None:
    """Refuse archives that are too expensive even to list."""
    size = path.stat().st_size
    if size > limits.archive:
        _refuse(path, [f"{size:,} bytes, more than the {limits.archive:,} allowed"])
    if not path.is_file() and not path.is_dir():  # a named pipe would be waited for
        _refuse(path, ["not a file"])
    with path.open("rb") as file:
        file.seek(max(0, size - _END_SIZE - _FAR_END_SIZE))
        tail = file.read()
    end = tail[-_END_SIZE:]
    if len(end) < _END_SIZE or not end.startswith(_END):
        _refuse(path, ["not a zip archive, or one cut off, or one with something behind its end"])
    if tail.startswith(_FAR_END):
        _refuse(path, ["an archive of the ZIP64 form, which no bundle needs"])
    directory = int.from_bytes(end[12:16], "little")
    if directory > limits.members * _ENTRY:
        _refuse(path, [f"a directory of {directory:,} bytes: too many members"])


def _unsafe(members: list[zipfile.ZipInfo], limits: Limits) -> Iterator[str]:
    """Yield every reason why an archive must not be read."""
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
            yield f"{shown} may not be in a bundle"
        if one.filename in seen:
            yield f"{shown} is a duplicate"
        seen.add(one.filename)
        if one.flag_bits & 0x1:
            yield f"{shown} is encrypted"
        if one.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            yield f"{shown} is compressed in another way than deflate"
        if one.file_size > limits.member:
            yield f"{shown} unpacks to {one.file_size:,} bytes, {limits.member:,} are allowed"
        elif one.file_size > max(SMALL, MOST_COMPRESSED * one.compress_size):
            yield f"{shown} unpacks {one.compress_size:,} bytes to {one.file_size:,}"
    total = sum(one.file_size for one in members)
    if total > limits.unpacked:
        yield f"it unpacks to {total:,} bytes, {limits.unpacked:,} are allowed"
    if NAME not in seen:
        yield f"there is no {NAME} in it"


def climbs(name: str) -> bool:
    """Whether a path leads out of its folder."""
    parts = re.split(r"[/\\]", name)
    return ".." in parts or (parts[0] == "" and len(parts) > 1) or ":" in parts[0]


def _read(archive: zipfile.ZipFile, name: str, limits: Limits, path: Path) -> bytes:
    try:
        with archive.open(name) as member:
            content = member.read(limits.member + 1)  # what is declared need not be true
    except (*_DAMAGED, OSError) as error:
        _refuse(path, [f"{name} cannot be unpacked ({plain(error)})"])
    if len(content) > limits.member:
        _refuse(path, [f"{name} unpacks to more than {limits.member:,} bytes"])
    return content


def _manifest(path: Path, content: bytes) -> Manifest:
    try:
        return Manifest.model_validate(parse_json(content))
    except ValidationError as error:
        _refuse(path, [f"{NAME}: {plain(one, 2 * SHOWN)}" for one in field_errors(error)])
    except ValueError as error:
        _refuse(path, [f"{NAME} is not JSON ({plain(error)})"])


def _incomplete(manifest: Manifest, names: set[str]) -> Iterator[str]:
    """Yield every disagreement between the members and the manifest."""
    known = set(manifest.files) | {NAME}
    owned = [name for hash in manifest.trials for name in (record_of(hash), examples_of(hash))]
    digests = {one for trial in manifest.trials.values() for one in trial.digests.values()}
    owned += map(member_of, sorted(digests))
    yield from (f"{name} is not in the manifest" for name in sorted(names - known))
    yield from (f"{plain(name)} is missing" for name in sorted(known - names))
    yield from (f"{name} is missing in the manifest" for name in owned if name not in known)
    yield from (
        f"{plain(name)} does not belong to any trial"
        for name in sorted(set(manifest.files).difference(owned))
    )


def _refuse(path: Path, problems: list[str]) -> NoReturn:
    more = f"; and {len(problems) - LISTED} more" if len(problems) > LISTED else ""
    raise UsageError(
        f"not a bundle that can be used: {'; '.join(problems[:LISTED])}{more}",
        where=str(path),
        remedy="make one with `attnbench leaderboard submit`",
    )


@dataclass(frozen=True)
class BundleReader:
    """Reads the examples of several bundles' results as samples, for `reports.statistics`.

    Two people may send results of the same cell. Among several bundles a result is called
    `<bundle id>-<hash>`.
    """

    bundles: Mapping[str, Bundle]

    def main_test_set(self, hash: str) -> str:
        """Return the digest of a result's main test set."""
        bundle, own = self._find(hash)
        return bundle.manifest.trials[own].test_sets[0][1]

    def _find(self, hash: str) -> tuple[Bundle, str]:
        id, _, own = hash.partition("-")
        return self.bundles[id], own

    def __call__(self, hash: str) -> tuple[dict[str, Sample], str | None]:
        """Return the samples of a result by test set. Raises UsageError where a member is not what
        was verified."""
        bundle, own = self._find(hash)
        columns, test_sets = bundle.examples(own)
        digests = bundle.manifest.trials[own].digests
        return {
            name: sample(digests[name], test_sets[name], one) for name, one in columns.items()
        }, None
