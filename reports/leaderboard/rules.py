"""The rules of the leaderboard: a versioned YAML file, read once and checked.

`rules/1.yaml` is what counts; `rules/practice.yaml` lets a tiny run of one's own be tried out.
A rule that changes gets a new file, so that a bundle can always be judged by the rules it was
made for.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from bench.errors import UsageError, unknown_name

#: same: the suite's own budget and settings, and a model no larger than its own of that family.
#: open: anything goes.
Class = Literal["same", "open"]
CLASSES: dict[Class, str] = {
    "same": "Same budget and parameters",
    "open": "Anything goes",
}
DEFAULT = "1"
_FOLDER = Path(__file__).parent / "rules"


class FrozenModel(BaseModel):
    """Base of the leaderboard's files; unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


Model = TypeVar("Model", bound=FrozenModel)


class ClassRules(FrozenModel):
    """What an entry of a class may choose.

    settings: names of the settings that may differ from what the data set and the budget give;
        None for all. (Options of the attention may always be chosen.)
    parameters: how many times as large as the largest model that the suite builds of the same
        family (placement) in the same setting; None for any size.
    """

    settings: tuple[str, ...] | None = None
    parameters: float | None = Field(None, gt=0)


class Limits(FrozenModel):
    """Size limits of a bundle: bytes of the file, of one member, of all members unpacked; number
    of members; characters of one output; a number in a cell's options."""

    archive: int = Field(256 * 2**20, gt=0)
    member: int = Field(64 * 2**20, gt=0)
    unpacked: int = Field(2 * 2**30, gt=0)
    members: int = Field(20_000, gt=0)
    text: int = Field(10_000, gt=0)
    number: int = Field(1_000_000, gt=0)


class Track(FrozenModel):
    """Settings ("task/data set") that make one overall score, all under one budget."""

    name: str
    budget: str
    settings: tuple[str, ...] = Field(min_length=1)


class Rules(FrozenModel):
    """The content of a rules file.

    seeds: every entry has all of these in every setting; results of other seeds do not count.
    fixed: settings that nobody may change, whatever the class.
    """

    version: str
    description: str = ""
    seeds: tuple[int, ...] = Field(min_length=1)
    budgets: tuple[str, ...] = Field(min_length=1)
    fixed: tuple[str, ...] = ("test_limit",)
    classes: dict[Class, ClassRules] = Field(min_length=1)
    tracks: tuple[Track, ...] = ()
    limits: Limits = Limits()

    @model_validator(mode="after")
    def _seeds_once(self) -> Rules:
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError("duplicate seed")
        return self


def load_rules(name: str = DEFAULT) -> Rules:
    """Load rules by name, or from a file (`x.yaml`).

    Raises UsageError naming the file and the field that cannot be used.
    """
    return load_model(_path(name), Rules, "YAML", _parse_yaml)


def load_model(path: Path, model: type[Model], form: str, parse: Callable[[bytes], Any]) -> Model:
    """Read and validate a file.

    Args:
        form: "YAML" or "JSON", for messages.
        parse: raises ValueError for content of another form.

    Raises UsageError naming the file and every field that cannot be used.
    """
    try:
        return model.model_validate(parse(path.read_bytes()))
    except OSError as error:
        raise UsageError((error.strerror or str(error)).lower(), where=str(path)) from None
    except ValidationError as error:
        found = [
            f"{'.'.join(map(str, one['loc']))}: {one['msg'].lower()}" for one in error.errors()
        ]
        raise UsageError("; ".join(found), where=str(path)) from None
    except ValueError as error:
        raise UsageError(f"not {form} ({error})", where=str(path)) from None


def _parse_yaml(content: bytes) -> Any:
    import yaml

    try:
        return yaml.safe_load(content.decode())
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from None


def names() -> list[str]:
    """Return the names of the installed rules."""
    return sorted(path.stem for path in _FOLDER.glob("*.yaml"))


def _path(name: str) -> Path:
    if "/" in name or name.endswith((".yaml", ".yml")):
        return Path(name).expanduser()
    if name not in names():
        raise unknown_name("rules", name, names(), where="--rules")
    return _FOLDER / f"{name}.yaml"
