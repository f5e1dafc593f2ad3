"""The manifest of a bundle (`bundle.json`): what is in it, and what it claims to be."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from bench.attention.base import Placement
from reports.leaderboard.rules import Class

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


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class File(_Part):
    """Size and SHA-256 of a member."""

    bytes: int = Field(ge=0)
    sha256: Digest


class Mechanism(_Part):
    """An attention as it is installed where the bundle was made.

    origin: the package that has it, with its version.
    options: its options by name, with their defaults.
    """

    placement: Placement
    origin: Line
    options: dict[Line, Any] = Field(default_factory=dict)


class Trial(_Part):
    """What a trial was trained on: the data's fingerprint and all settings, defaults too."""

    data: Digest | None
    settings: dict[Line, Any]


class Manifest(_Part):
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
