"""The results of a store as pandas DataFrames, read when they are asked for.

Every kind of frame is declared once, column by column (`KINDS`), so that a reader takes only the
columns named. Texts that repeat are categories; a figure that was not measured is NaN, a truth
value or whole number that is not known `pd.NA`, a text that does not exist missing; nothing is 0
or "" for want of a value.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from bench.errors import UsageError, unknown_name
from bench.store.result import AlignmentFigures, Cost, Result
from bench.store.store import Problem
from reports.data import fingerprint_of, without_data
from tasks.plan import current_results

if TYPE_CHECKING:
    from bench.store.store import Store

KindName = Literal["trials", "metrics", "curves", "lengths", "alignments", "examples"]


@dataclass(frozen=True)
class Field:
    """A column: its dtype, what it holds, and how it is taken from a row's source."""

    dtype: str
    help: str
    of: Callable[[Any], Any]


@dataclass(frozen=True)
class Kind:
    """A kind of frame: what a row is, its columns, and a record's rows.

    Attributes:
        rows: the sources of a record's rows, of which the fields take their values; None where
            they are no part of the record.
    """

    row: str
    fields: Mapping[str, Field]
    rows: Callable[[Result], Iterable[Any]] | None


def failure_text(one: Result) -> str | None:
    """Return why a result failed, `diverged: loss is nan`; None where it finished."""
    return f"{one.failure.kind}: {one.failure.message}" if one.failure else None


def _cell(name: str, help: str, dtype: str = "category") -> Field:
    return Field(dtype, help, lambda one: one.cell_json.get(name))


def _part(part: str, name: str, help: str, dtype: str = "float64") -> Field:
    """A field of a part of the record, which may be missing."""
    return Field(dtype, help, lambda one: getattr(getattr(one, part), name, None))


def _at(place: int, dtype: str, help: str) -> Field:
    """A field of rows that are tuples."""
    return Field(dtype, help, lambda row: row[place])


_HASH = Field("str", "names the trial in all frames and in the store", lambda one: one.hash)
_ITS_HASH = _at(0, "str", "of the trial")
_COSTS = {
    "parameters": "trainable parameters",
    "attention_parameters": "of them those of the attention",
    "train_seconds": "training, seconds",
    "train_tokens_per_second": "target units a second in training",
    "decode_examples_per_second": "examples a second in decoding",
    "peak_memory_bytes": "peak memory, bytes",
    "macs_per_example": "multiply-accumulates of reading an example and its reference",
    "real_time_factor": "seconds of decoding by seconds of sound",
    "core_seconds": "training and testing, processor seconds",
    "total_seconds": "the whole trial, seconds",
}
_FIGURES = {
    "aer": "alignment error rate of the arg-max links; lower is better",
    "mass_on_gold": "mean weight on gold units",
    "pointing_accuracy": "share of units whose largest weight is on gold",
    "coverage": "share of units with gold that could be judged",
}
assert _COSTS.keys() == Cost.model_fields.keys()
assert _FIGURES.keys() == AlignmentFigures.model_fields.keys()

_TRIALS = {
    "hash": _HASH,
    "task": _cell("task", "name of the task"),
    "dataset": _cell("dataset", "name of the data set"),
    "attention": _cell("attention", "name of the attention"),
    "score": _cell("score", "name of the score function, none where there is none"),
    "backbone": _cell("backbone", "where it is not that of the attention's paper"),
    "budget": _cell("budget", "smoke, laptop or gpu"),
    "seed": _cell("seed", "seed of the trial", "int64"),
    "options": Field(
        "category",
        "options that differ from their defaults, as JSON",
        lambda one: json.dumps(one.cell_json["options"], sort_keys=True),
    ),
    "data": Field(
        "category",
        "fingerprint of the examples: compare trials only where it is the same",
        lambda one: fingerprint_of(one) or None,
    ),
    "status": Field("category", "done or failed", lambda one: one.status),
    "failure": Field("str", "why it failed: kind and message", failure_text),
    "main_metric": _part("primary", "name", "name of the main metric", "category"),
    "value": _part("primary", "value", "the main metric on the test set"),
    "low": _part("primary", "low", "its 95 % interval over examples, lower end"),
    "high": _part("primary", "high", "its upper end"),
    "higher_is_better": _part(
        "primary", "higher_is_better", "direction of the main metric", "boolean"
    ),
    "converged": Field(
        "boolean", "whether training had stopped improving", lambda one: one.converged
    ),
    "best_step": Field(
        "Int64",
        "step whose parameters were tested, where the best were kept",
        lambda one: one.best_step,
    ),
    **{
        name: _part("alignment", name, f"{help}, decoding freely")
        for name, help in _FIGURES.items()
    },
    **{name: _part("cost", name, help) for name, help in _COSTS.items()},
    "study": _part("provenance", "study", "study that ran it", "category"),
    "device": _part("provenance", "device", "machine that ran it", "category"),
    "version": _part("provenance", "package_version", "version of attention-bench", "category"),
    "commit": _part("provenance", "commit", "its commit", "category"),
    "started": _part("provenance", "started", "beginning", "datetime64[ms, UTC]"),
    "finished": _part("provenance", "finished", "end", "datetime64[ms, UTC]"),
}

_METRICS = {
    "hash": _ITS_HASH,
    "metric": _at(
        1,
        "category",
        "name in the record: other test sets in front (long_bleu), baseline_NAME for baselines",
    ),
    "value": _at(2, "float64", "on the test set; rates are fractions, BLEU and chrF run to 100"),
}

_CURVES = {
    "hash": _ITS_HASH,
    "figure": _at(1, "category", "what is measured: loss, validation_loss, ..."),
    "step": _at(2, "float64", "training step"),
    "seconds": _at(3, "float64", "training time until then"),
    "value": _at(4, "float64", "the figure at this step"),
}

_LENGTHS = {
    "hash": _ITS_HASH,
    "subset": Field("category", "name of the test set", lambda row: row[1].subset),
    "low": Field("int64", "shortest source of the bin", lambda row: row[1].low),
    "high": Field("int64", "longest source of the bin", lambda row: row[1].high),
    "examples": Field("int64", "examples in the bin", lambda row: row[1].examples),
    "value": Field("float64", "main metric over these examples", lambda row: row[1].value),
}

_ALIGNMENTS = {
    "hash": _ITS_HASH,
    "weights": _at(
        1, "category", "own for the trained attention; uniform, diagonal, ... for baselines"
    ),
    "mode": _at(2, "category", "free while decoding, forced while reading the reference"),
    **{
        name: Field("float64", help, lambda row, name=name: getattr(row[3], name))  # type: ignore[misc]
        for name, help in _FIGURES.items()
    },
}


def _stored(name: str, dtype: str, help: str) -> Field:
    return Field(dtype, help, lambda row: row[1].get(name))


_EXAMPLES = {
    "hash": _ITS_HASH,
    "subset": _stored("subset", "category", "name of the test set"),
    "example": _stored("example", "str", "name of the example"),
    "source": _stored("source", "str", "source text, or the name of a recording or picture"),
    "references": _stored("references", "object", "reference texts"),
    "prediction": _stored("prediction", "str", "what the model wrote"),
    "length": _stored("length", "Int64", "source length, in the task's unit"),
    "score": _stored("score", "float64", "figure of this example; higher is better"),
    "statistics": _stored("statistics", "object", "summands of the main metric"),
    "extra": _stored("extra", "object", "what else the task keeps of it"),
}


def _curve_rows(one: Result) -> Iterator[tuple[Any, ...]]:
    for point in one.curve:
        step, seconds = point.get("step"), point.get("seconds")
        for name, value in point.items():
            if name not in ("step", "seconds"):
                yield one.hash, name, step, seconds, value


def _alignment_rows(one: Result) -> Iterator[tuple[Any, ...]]:
    if one.alignment is not None:
        yield one.hash, "own", "free", one.alignment
        if one.alignment.forced is not None:
            yield one.hash, "own", "forced", one.alignment.forced
        for name, figures in one.alignment.baselines.items():
            yield one.hash, name, "forced", figures


KINDS: Mapping[KindName, Kind] = {
    "trials": Kind("a trial", _TRIALS, lambda one: [one]),
    "metrics": Kind(
        "a metric of a trial",
        _METRICS,
        lambda one: [(one.hash, *pair) for pair in one.metrics.items()],
    ),
    "curves": Kind("a point of a training curve", _CURVES, _curve_rows),
    "lengths": Kind(
        "a range of source lengths",
        _LENGTHS,
        lambda one: [(one.hash, bin) for bin in one.by_length],
    ),
    "alignments": Kind("agreement with gold alignments", _ALIGNMENTS, _alignment_rows),
    "examples": Kind("a test example with its prediction", _EXAMPLES, None),
}


def tabulate(
    kind: KindName, records: Iterable[Result], columns: Sequence[str] | None = None
) -> pd.DataFrame:
    """Return records as a frame of one kind, examples excepted.

    Args:
        columns: those to make, in this order; by default all.
    """
    rows = KINDS[kind].rows
    assert rows is not None, "examples are read from the store"
    return _frame(kind, (row for one in records for row in rows(one)), columns)


def _frame(kind: KindName, rows: Iterable[Any], columns: Sequence[str] | None) -> pd.DataFrame:
    fields = _fields(kind, columns)
    values: dict[str, list[Any]] = {name: [] for name in fields}
    takers = [(values[name].append, field.of) for name, field in fields.items()]
    for row in rows:
        for put, of in takers:
            put(of(row))
    return pd.DataFrame(
        {name: _series(values[name], field.dtype) for name, field in fields.items()}
    )


def _series(values: list[Any], dtype: str) -> pd.Series[Any]:
    if dtype.startswith("datetime"):
        times = pd.to_datetime(pd.Series(values, dtype="str"), format="ISO8601", utc=True)
        return times.dt.as_unit("ms")
    return pd.Series(values, dtype=dtype)


def _fields(kind: KindName, columns: Sequence[str] | None) -> Mapping[str, Field]:
    known = KINDS[kind].fields
    for name in columns or ():
        if name not in known:
            raise unknown_name("column", name, known, where=kind)
    return known if columns is None else {name: known[name] for name in columns}


@dataclass(frozen=True)
class Results:
    """The results of a store (`reports.load.load` makes it). Nothing is read before it is asked
    for, and each frame is made once.

    Attributes:
        store: where they lie.
        study: only those of this study, by its name or the path of its file.
    """

    store: Store
    study: str | None = None

    @cached_property
    def _read(self) -> tuple[tuple[Result, ...], tuple[str, ...]]:
        found, told = read(self.store)
        if not found:
            raise UsageError(
                f"the store holds no results{f' ({told[0]})' if told else ''}",
                where=self.store.address,
                remedy="`attnbench sweep --store` makes some",
            )
        return tuple(found if self.study is None else of_study(found, self.study)), tuple(told)

    @property
    def records(self) -> tuple[Result, ...]:
        """All records, in the order of their hashes. Raises UsageError for a store without any,
        and for a study that none of them is from."""
        return self._read[0]

    @property
    def problems(self) -> tuple[str, ...]:
        """A line for each record that cannot be used."""
        return self._read[1]

    @cached_property
    def trials(self) -> pd.DataFrame:
        """One row a trial: axes, main metric, alignment, cost, provenance."""
        return self.read("trials")

    @cached_property
    def metrics(self) -> pd.DataFrame:
        """One row a metric of a trial."""
        return self.read("metrics")

    @cached_property
    def curves(self) -> pd.DataFrame:
        """One row a point of a training curve."""
        return self.read("curves")

    @cached_property
    def lengths(self) -> pd.DataFrame:
        """One row a range of source lengths of a trial, with the main metric over it."""
        return self.read("lengths")

    @cached_property
    def alignments(self) -> pd.DataFrame:
        """One row for each agreement of weights with gold alignments."""
        return self.read("alignments")

    @cached_property
    def examples(self) -> pd.DataFrame:
        """One row a test example. Of many trials take `read("examples", columns, hashes)`."""
        return self.read("examples")

    def read(
        self,
        kind: KindName,
        columns: Sequence[str] | None = None,
        hashes: Iterable[str] | None = None,
    ) -> pd.DataFrame:
        """Read a frame afresh, or a part of one.

        Args:
            columns: those to make, in this order; by default all.
            hashes: of the trials to take; by default all.

        Kept predictions that cannot be read are a warning and are left out. Raises UsageError for
        a kind or column that does not exist.
        """
        if kind not in KINDS:
            raise unknown_name("kind of frame", kind, KINDS)
        wanted = None if hashes is None else frozenset(hashes)
        records = [one for one in self.records if wanted is None or one.hash in wanted]
        if kind == "examples":
            return _frame(kind, self._example_rows(records), columns)
        return tabulate(kind, records, columns)

    def _example_rows(self, records: Iterable[Result]) -> Iterator[tuple[str, Mapping[str, Any]]]:
        for one in records:
            try:
                rows = self.store.predictions(one.hash)
            except KeyError:  # none are kept
                continue
            except UsageError as error:
                warnings.warn(str(error), stacklevel=2)
                continue
            yield from ((one.hash, row) for row in rows)


def wide(records: Sequence[Result]) -> pd.DataFrame:
    """Return one row a trial with every metric in a column `metric_<name>`, for files."""
    metrics = tabulate("metrics", records)
    columns = metrics.pivot(index="hash", columns="metric", values="value").add_prefix("metric_")
    order = [f"metric_{name}" for name in metrics["metric"].unique()]
    return tabulate("trials", records).join(columns[order], on="hash")


def read(store: Store) -> tuple[list[Result], list[str]]:
    """Read the results of a store; return them with a line for each record that cannot be used or
    has outdated settings (`tasks.plan.current_results`)."""
    problems: list[Problem] = []
    return list(current_results(store, problems)), list(map(str, problems))


def of_study(results: Sequence[Result], study: str) -> list[Result]:
    """Return the results of one study: those run for it, and those of its cells that other studies
    ran.

    Args:
        study: its name, or the path of its file.

    Raises UsageError where there are none.
    """
    name = study_name(study)
    cells = _cells_of(study)
    found = [
        one
        for one in results
        if one.provenance.study == name or without_data(one.cell).hash in cells
    ]
    if not found:
        known = sorted({one.provenance.study for one in results if one.provenance.study})
        remedy = f"studies in this store: {', '.join(known)}" if known else "leave --study out"
        raise UsageError(f"no result of study '{study}'", where="--study", remedy=remedy)
    return found


def _cells_of(study: str) -> frozenset[str]:
    """Return the hashes of a study's cells, since a sweep reuses results under the name of the
    study that ran them. Empty for a study that is not installed here."""
    from ablations.study import load_study, study_files

    if study_name(study) == study and study not in study_files():
        return frozenset()
    from ablations.expansion import expand  # asks the registries, which import torch

    return frozenset(cell.hash for cell in expand(load_study(study)).cells)


def study_name(study: str) -> str:
    """Return the name of a study given by its name or the path of its file."""
    is_path = "/" in study or study.endswith((".yaml", ".yml"))
    return Path(study).stem if is_path else study
