"""Frozen reference figures that scores on the board are measured by.

A score is how far a figure lies above the mean of the suite's own mechanisms, in units of their
spread. Mean and spread are frozen in a versioned file, so that a new entry moves nobody else's
score.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from pydantic import Field

from bench.errors import UsageError, unknown_name
from bench.store.cell import Scalar
from bench.store.store import Store
from reports import load as catalogues
from reports.formats import plural
from reports.leaderboard.bundle import parse
from reports.leaderboard.rules import FrozenModel, load_model
from reports.load import BenchmarkSetting, Frame, collect, read, read_samples

_FOLDER = Path(__file__).parent / "references"
#: Fewer mechanisms say nothing about how far mechanisms differ.
FEWEST = 3


class ReferenceSetting(FrozenModel):
    """Mean and spread of the main metric in one setting.

    spread: standard deviation between mechanisms, each a mean over its seeds.
    test_set: digest of the names and references of the main test set's examples.
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

    def of(self, setting: BenchmarkSetting) -> ReferenceSetting | None:
        return next((one for one in self.settings if one.setting == setting), None)

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


def names() -> list[str]:
    """Return the names of the installed references, the newest last."""
    found = [path.stem for path in _FOLDER.glob("*.json")]
    return sorted(found, key=lambda name: (int(name) if name.isdecimal() else -1, name))


def load_reference(name: str | None = None) -> Reference | None:
    """Load a reference by name or path; by default the newest one installed, None without any.

    Raises UsageError for a name that is not known and a file that cannot be used.
    """
    if name is None:
        if not names():
            return None
        path = _FOLDER / f"{names()[-1]}.json"
    elif "/" in name or name.endswith(".json"):
        path = Path(name).expanduser()
    elif name in names():
        path = _FOLDER / f"{name}.json"
    else:
        raise unknown_name("reference", name, names(), where="--reference")
    return load_model(path, Reference, "JSON", parse)


def make_reference(store: Store, version: str) -> Reference:
    """Measure the reference figures of all settings in which enough plain mechanisms have finished.

    A plain mechanism is one without options. Raises UsageError where there is no such setting.
    """
    results, problems = read(store)
    known = catalogues.catalogue_of(result.cell for result in results)
    frames = collect(store.address, results, known).frames
    settings: list[ReferenceSetting] = []
    left_out = list(problems)
    for frame in frames:
        found = _reference_setting(frame, store)
        if isinstance(found, str):
            left_out.append(f"{frame.setting.task}, {frame.setting.label}: {found}")
        else:
            settings.append(found)
    if not settings:
        raise UsageError(
            f"no setting has enough results ({left_out[0] if left_out else 'there are none'})",
            where=store.address,
        )
    versions = sorted({f"attention-bench {one.provenance.package_version}" for one in results})
    return Reference(
        version=version,
        made_with=", ".join(versions),
        settings=tuple(settings),
        left_out=tuple(left_out),
    )


def _reference_setting(frame: Frame, store: Store) -> ReferenceSetting | str:
    """Return the reference of one setting, or the reason why there is none."""
    plain = [one for one in frame.contenders if not one.options and one.done]
    if len(plain) < FEWEST:
        return f"{plural(len(plain), 'mechanism')} without options, {FEWEST} are needed"
    test_sets = {test_set_of(store, one.done[0].hash) for one in plain}
    if len(test_sets) > 1:
        return "its results were tested on different examples"
    test_set = test_sets.pop()
    if test_set is None:
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
    )


def test_set_of(store: Store, hash: str) -> str | None:
    """Return the digest of a result's main test set, None without predictions."""
    found, _ = read_samples(store, hash)
    return next(iter(found.values())).test_set if found else None
