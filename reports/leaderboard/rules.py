"""The rules of the leaderboard and its reference figures: versioned files, read once and checked.

The newest of `rules/` is what counts; `rules/practice.yaml` lets a tiny run of one's own be tried
out. A rule that changes gets a new file, so that a bundle can always be judged by the rules it was
made for.

A score is how far a figure lies above the mean of the suite's own mechanisms, in units of their
spread. Mean and spread are frozen in a file of `references/`, so that a new entry moves nobody
else's score.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NoReturn, TypeVar

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from bench.errors import UsageError, shortened, unknown_name
from bench.store.cell import Cell, Scalar
from bench.store.files import local_path, read_regular
from bench.store.store import Store
from reports.catalogue import Catalogue, catalogue_of
from reports.formats import plural
from reports.load import BenchmarkSetting, Frame, collect
from reports.results import read
from reports.samples import main_sample

#: same: the suite's own budget and settings, and a model no larger than its own of that family.
#: open: anything goes.
Class = Literal["same", "open"]
CLASSES: dict[Class, str] = {"same": "Same budget and parameters", "open": "Anything goes"}
#: Fewer mechanisms say nothing about how far mechanisms differ.
FEWEST = 3
RULES, REFERENCES = Path(__file__).parent / "rules", Path(__file__).parent / "references"


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


class TrackSetting(FrozenModel):
    """A task on a data set, with the options that all entries have there (what pictures are given
    as); in a file also "task/data set"."""

    task: str
    dataset: str
    options: dict[str, Scalar] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        if isinstance(value, str):
            task, _, dataset = value.partition("/")
            return {"task": task, "dataset": dataset}
        return value

    @property
    def label(self) -> str:
        return f"{self.task}/{self.dataset}"


class Track(FrozenModel):
    """Settings that make one overall score, all under one budget."""

    name: str
    budget: str
    settings: tuple[TrackSetting, ...] = Field(min_length=1)

    def setting(self, wanted: TrackSetting) -> BenchmarkSetting:
        """The setting of results, on any data."""
        options = tuple(sorted(wanted.options.items()))
        return BenchmarkSetting(wanted.task, wanted.dataset, self.budget, options)


class Rules(FrozenModel):
    """The content of a rules file.

    seeds: every entry has all of these in every setting in the end; until then those it lacks are
        open. Results of other seeds do not count.
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

    def catalogue(self, cells: Iterable[Cell]) -> Catalogue:
        """The catalogue of these cells, in which the options that a track gives to all belong to
        the setting and not to a mechanism."""
        known = catalogue_of(cells)
        given = dict(known.data_options)
        for track in self.tracks:
            for one in track.settings:
                key = one.task, one.dataset
                given[key] = given.get(key, frozenset()) | one.options.keys()
        return replace(known, data_options=given)


def load_rules(name: str | None = None) -> Rules:
    """Load rules by name, or from a file (`x.yaml`); by default the newest that count.

    Raises UsageError naming the file and the field that cannot be used.
    """
    return _load(name or installed(RULES, ".yaml")[-1], RULES, (".yaml", ".yml"), "rules", Rules)


def _load(
    name: str, folder: Path, endings: tuple[str, ...], what: str, model: type[Model]
) -> Model:
    """Read and validate a YAML or JSON file, given by its path or by the name of an installed one.
    Raises UsageError naming the file and every field that cannot be used."""
    if "/" in name or name.endswith(endings):
        path = local_path(name, where=f"--{what}")
    else:
        known = installed(folder, endings[0])
        if name not in known:
            raise unknown_name(what, name, known, where=f"--{what}")
        path = folder / f"{name}{endings[0]}"
    form = "JSON" if path.suffix == ".json" else "YAML"
    try:
        content = read_regular(path)
        return model.model_validate(
            parse_json(content) if form == "JSON" else yaml.safe_load(content.decode())
        )
    except OSError as error:
        raise UsageError((error.strerror or str(error)).lower(), where=str(path)) from None
    except ValidationError as error:
        raise UsageError("; ".join(field_errors(error)).lower(), where=str(path)) from None
    except (ValueError, LookupError, AttributeError, RecursionError, yaml.YAMLError) as error:
        told = shortened(str(error), 200)
        raise UsageError(f"not {form} ({told})", where=str(path)) from None


def parse_json(content: bytes) -> Any:
    """Parse standard JSON. Raises ValueError for anything else, including NaN and whole numbers
    beyond 64 bits."""
    try:
        return json.loads(content, parse_constant=_no_constant, parse_int=_whole)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")


def _whole(digits: str) -> int:
    if len(digits) > 19:
        raise ValueError(f"a whole number of {len(digits):,} digits")
    return int(digits)


def field_errors(error: ValidationError) -> list[str]:
    """Format the problems that a model found as `field.part: what is wrong`."""
    found = [
        (".".join(map(str, one["loc"])), one["msg"].removeprefix("Value error, "))
        for one in error.errors()
    ]
    return [f"{place}: {message}" if place else message for place, message in found]


def installed(folder: Path, ending: str) -> list[str]:
    """Return the names of the installed files, numbered versions last and the newest at the end."""
    found = [path.stem for path in folder.glob(f"*{ending}")]
    return sorted(found, key=lambda name: (int(name) if name.isdecimal() else -1, name))


class ReferenceSetting(FrozenModel):
    """Mean and spread of the main metric in one setting.

    spread: standard deviation between mechanisms, each a mean over its seeds.
    test_set: digest of the names and references of the main test set's examples.
    data: fingerprint of the data; "" where it was not recorded.
    """

    task: str
    dataset: str
    options: dict[str, Scalar] = Field(default_factory=dict)
    budget: str
    metric: str
    higher_is_better: bool
    mean: float
    spread: float = Field(gt=0)
    mechanisms: int = Field(ge=FEWEST)
    seeds: int = Field(ge=1)
    test_set: str
    data: str = ""

    @property
    def setting(self) -> BenchmarkSetting:
        return BenchmarkSetting(self.task, self.dataset, self.budget, tuple(self.options.items()))

    def score(self, value: float) -> float:
        """Convert a value of the metric to a score; higher is better."""
        sign = 1 if self.higher_is_better else -1
        return sign * (value - self.mean) / self.spread


class Reference(FrozenModel):
    """A reference file. `left_out` lists what of the store could not be used."""

    version: str
    made_with: str
    settings: tuple[ReferenceSetting, ...]
    left_out: tuple[str, ...] = Field(default=(), exclude=True)

    def of(self, setting: BenchmarkSetting) -> tuple[ReferenceSetting, ...]:
        """Return the reference of a setting: several where it was measured on several data."""
        return tuple(one for one in self.settings if one.setting == setting.on_any_data)

    def write(self, path: Path) -> None:
        """Write a new file. Raises UsageError where it cannot be written or exists: a reference
        is never changed, the next one gets another name."""
        text = json.dumps(self.model_dump(mode="json"), ensure_ascii=False, indent=1)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                file.write(text + "\n")
        except FileExistsError:
            raise UsageError(
                "exists, and a reference is never changed",
                where=str(path),
                remedy="choose another name with --out",
            ) from None
        except OSError as error:
            raise UsageError((error.strerror or str(error)).lower(), where=str(path)) from None


def load_reference(name: str | None = None) -> Reference | None:
    """Load a reference by name or path; by default the newest one installed, None without any.

    Raises UsageError for a name that is not known and a file that cannot be used.
    """
    name = name or next(reversed(installed(REFERENCES, ".json")), None)
    return _load(name, REFERENCES, (".json",), "reference", Reference) if name else None


def make_reference(stores: Sequence[Store], version: str, rules: Rules) -> Reference:
    """Measure the reference figures of all settings in which enough plain mechanisms have finished
    with a seed that counts.

    A plain mechanism is one without options. Stores may have part of what the rules ask for: what
    is left out, and what has fewer seeds, is named. Raises UsageError where there is no such
    setting, and where two stores have the same one.
    """
    settings: dict[tuple[BenchmarkSetting, str], ReferenceSetting] = {}
    left_out: list[str] = []
    versions: set[str] = set()
    for store in stores:
        every, problems = read(store)
        results = [one for one in every if one.cell.seed in rules.seeds]
        left_out += problems
        versions |= {f"attention-bench {one.provenance.package_version}" for one in results}
        known = rules.catalogue(result.cell for result in results)
        for frame in collect(store.address, results, known).frames:
            name = f"{frame.setting.task}, {frame.setting.label}"
            found = _reference_setting(frame, store)
            if isinstance(found, str):
                left_out.append(f"{name}: {found}")
                continue
            if (key := (found.setting, found.data)) in settings:
                raise UsageError(f"two stores have {name}", where=store.address)
            settings[key] = found
            if found.seeds < len(rules.seeds):
                seeds = f"{found.seeds} of {plural(len(rules.seeds), 'seed')}"
                left_out.append(f"{name}: a mechanism has {seeds}; freeze it again when all have")
    if not settings:
        raise UsageError(
            f"no setting has enough results ({left_out[0] if left_out else 'there are none'})",
            where=", ".join(store.address for store in stores),
        )
    measured = {one.setting for one in settings.values()}
    for track in rules.tracks:
        lacking = [one.label for one in track.settings if track.setting(one) not in measured]
        if lacking:
            left_out.append(f"track '{track.name}': no reference of {', '.join(lacking)}")
    return Reference(
        version=version,
        made_with=", ".join(sorted(versions)),
        settings=tuple(settings.values()),
        left_out=tuple(left_out),
    )


def _reference_setting(frame: Frame, store: Store) -> ReferenceSetting | str:
    """Return the reference of one setting, or the reason why there is none."""
    plain = [one for one in frame.contenders if not one.options and one.done]
    if len(plain) < FEWEST:
        return f"{plural(len(plain), 'mechanism')} without options, {FEWEST} are needed"
    samples = (main_sample(store, one.done[0].hash) for one in plain)
    test_sets = {sample.test_set if sample else "" for sample in samples}
    if len(test_sets) > 1:
        return "its results were tested on different examples"
    (test_set,) = test_sets
    if not test_set:
        return "its results have no predictions"
    means = np.array([np.mean(one.values) for one in plain])
    spread = float(np.std(means, ddof=1))
    if spread <= 0:
        return "all mechanisms have the same figure"
    return ReferenceSetting(
        task=frame.setting.task,
        dataset=frame.setting.dataset,
        options=dict(frame.setting.options),
        budget=frame.setting.budget,
        metric=frame.main_metric,
        higher_is_better=frame.higher_is_better,
        mean=float(means.mean()),
        spread=spread,
        mechanisms=len(plain),
        seeds=min(len(one.done) for one in plain),
        test_set=test_set,
        data=frame.data,
    )
