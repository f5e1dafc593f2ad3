"""The W&B run of a whole sweep: its tables, the overview as page and picture, and its store.

The runs of the trials hold their curves; this one holds what only all of them together say. It has
the same group as they (the study) and the job type "sweep". Numbers of tables stay numbers, so that
W&B can sort and plot them; why a figure is missing stands in a column of its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import numpy as np
import wandb

from bench.tracking.wandb import Identity, close_run, fitted, one_line, open_run
from reports import formats
from reports.load import slug
from reports.pages.report import Report
from reports.tables import Column, Entry, Missing, Number, Table
from reports.writers import csv_frame

if TYPE_CHECKING:
    import pandas as pd

    from bench.store.store import Store
    from bench.tracking.wandb import Mode


JOB_TYPE = "sweep"
_ENDINGS = ("json", "predictions.jsonl", "traces.jsonl")
#: Characters of a table's name: its artifact's has those of the run's id before it.
_LONGEST_KEY = 50
#: For uploads: that long, and longer for each of the store's many small files.
_PATIENCE_SECONDS = 60.0
_FILES_PER_SECOND = 20.0


def log_report(report: Report, store: Store, page: Path, mode: Mode) -> str | None:
    """Log a report as one run; return in one line why it is not online or failed, or None.

    Args:
        page: the written overview, shown as it is.
        mode: "online" or "offline", as `bench.tracking.decide` said.

    Nothing that goes wrong here is raised: the report is written, and tracking is a convenience.
    """
    try:
        patience = _PATIENCE_SECONDS + len(_files(report, store)) / _FILES_PER_SECOND
        run, problem = open_run(mode, store.wandb, identity(report), patience)
    except Exception as error:
        return f"not tracked: {type(error).__name__}: {one_line(error)}"
    failed = True
    try:
        run.summary.update(summary(report))
        run.log(_shown(report, page))
        run.log_artifact(_artifact(report, store))
        failed = False
    except Exception as error:
        problem = problem or f"tracking failed: {type(error).__name__}: {one_line(error)}"
    try:
        return close_run(run, int(failed)) or problem
    except Exception as error:
        return problem or f"tracking failed: {type(error).__name__}: {one_line(error)}"


def identity(report: Report) -> Identity:
    """Identify the run by its results: the same results are the same run."""
    results = report.collection.results
    hashes = sorted(f"{result.hash} {result.status}" for result in results)
    studies = _studies(report)
    study = studies[0] if len(studies) == 1 else None
    cells = formats.plural(len(results), "cell")
    return Identity(
        id=hashlib.sha256("\n".join([JOB_TYPE, *studies, *hashes]).encode()).hexdigest(),
        name=f"{study or 'store'}: {cells}",
        group=study,
        job_type=JOB_TYPE,
        tags=[JOB_TYPE, *report.collection.tasks],
        config={
            "store": report.collection.address,
            "studies": studies,
            "settings": [f"{one.setting.task}: {one.setting.label}" for one in report.sections],
            "cells": len(results),
        },
    )


def _studies(report: Report) -> list[str]:
    named = (result.provenance.study for result in report.collection.results)
    return sorted({study for study in named if study})


def summary(report: Report) -> dict[str, Any]:
    """Return the values that runs of sweeps are sorted by: counts, and the best figure of each
    setting."""
    results = report.collection.results
    done = [result for result in results if result.status == "done"]
    found: dict[str, Any] = {
        "cells": len(results),
        "done": len(done),
        "failed": len(results) - len(done),
        "train_seconds": sum(result.cost.train_seconds or 0.0 for result in done),
    }
    for section in report.sections:
        analysis, name = section.analysis, section.setting.slug
        best = analysis.main.estimates[analysis.order[0]] if analysis.order else None
        if best is not None:
            found[f"{name}/{analysis.frame.main_metric}"] = best.value
            found[f"{name}/best"] = analysis.frame.contenders[analysis.order[0]].name
            found[f"{name}/in group 1"] = len(analysis.main.best())
    return found


def _shown(report: Report, page: Path) -> dict[str, Any]:
    """Return tables, page and picture by key; the keys are the same in every sweep of the same
    settings."""
    shown: dict[str, Any] = {}
    frames = {table.name: csv_frame(table) for table in _tables(report)}
    for name, frame in {"results": report.results, **frames}.items():
        columns, rows = columns_and_rows(frame)
        data: list[Iterable[Any]] = list(rows)
        shown[f"tables/{fitted(name, _LONGEST_KEY)}"] = wandb.Table(columns=columns, data=data)
    shown["overview/page"] = wandb.Html(page.read_text("utf-8"), inject=False)
    shown["overview/picture"] = wandb.Image(
        overview_picture(report.overview), caption=report.overview.title
    )
    return shown


def _tables(report: Report) -> list[Table]:
    every: list[Table | None] = [report.overview, report.failures]
    for section in report.sections:
        every += [section.matrix, section.metrics, section.cost, section.alignment]
    return [table for table in every if table is not None]


def columns_and_rows(frame: pd.DataFrame) -> tuple[list[str | int], list[list[Any]]]:
    """Return a frame with numbers as numbers. A column of numbers holds None where one is missing,
    and a column with the reasons follows it where there are any."""
    columns: dict[str, list[Any]] = {}
    frame = frame.astype(dict.fromkeys(frame.select_dtypes("datetimetz"), "str")).astype(object)
    for name, values in frame.where(frame.notna(), None).items():
        numbers = [None if isinstance(value, str) else value for value in values]
        if all(number is None for number in numbers):
            columns[str(name)] = ["" if value is None else value for value in values]
            continue
        columns[str(name)] = numbers
        why = [value if isinstance(value, str) else "" for value in values]
        if any(why):
            columns[f"{name}_missing"] = why
    return list(columns), [list(row) for row in zip(*columns.values(), strict=True)]


def _artifact(report: Report, store: Store) -> wandb.Artifact:
    """Return the artifact of the report's records, predictions and traces; of a remote store
    only its address."""
    name = fitted(slug("-".join(["store", *_studies(report)])))
    artifact = wandb.Artifact(name, type="store", metadata=summary(report))
    if not store.is_local:
        artifact.add_reference(f"{store.address}/trials", name="trials", checksum=False)
        return artifact
    for path in _files(report, store):
        artifact.add_file(str(path), name=f"trials/{path.name}")
    return artifact


def _files(report: Report, store: Store) -> list[Path]:
    """Files of this report's results, if the store is a local folder."""
    if not store.is_local:
        return []
    trials = Path(store.address) / "trials"
    paths = (
        trials / f"{one.hash}.{ending}" for one in report.collection.results for ending in _ENDINGS
    )
    return [path for path in paths if path.exists()]


_CELL = (1.75, 0.42)  # inches of an entry, wide and high
_MARGIN = (1.4, 1.0)
_MISSING = "0.55"


def overview_picture(table: Table) -> np.ndarray:
    """Draw a table as RGB pixels H,W,3 (uint8): each figure with its tie group, the darker the
    better within its column; missing figures as their kind."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows, columns = len(table.rows), len(table.columns)
    size = (_MARGIN[0] + _CELL[0] * columns, _MARGIN[1] + _CELL[1] * rows)
    figure = Figure(figsize=size, dpi=100, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    entries = [row.entries for row in table.rows]
    # Entries without a shade give None, which is NaN as a float.
    shades = np.array([[getattr(one, "shade", None) for one in row] for row in entries], float)
    axes.imshow(
        np.ma.masked_invalid(shades.reshape(rows, columns)),
        cmap="Blues",
        vmin=0,
        vmax=1.8,  # the darkest stays light enough for black figures
        aspect="auto",
    )
    for place, row in enumerate(entries):
        for column, entry in enumerate(row):
            colour = "black" if isinstance(entry, Number) else _MISSING
            axes.text(
                column, place, _told(entry), ha="center", va="center", fontsize=9, color=colour
            )
    axes.set_yticks(range(rows), [row.label for row in table.rows], fontsize=9)
    axes.set_xticks(range(columns), [_heading(one) for one in table.columns], fontsize=9)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _heading(column: Column) -> str:
    """Break a column heading into lines: `synthetic, laptop budget`, `speech`, `PER, lower is
    better`."""
    lines = [column.group, *column.label.split(": ", 1)]
    return "\n".join("\n".join(wrap(line, 22)) for line in lines if line)


def _told(entry: Entry) -> str:
    if isinstance(entry, Number):
        return f"{entry.text}  ({entry.group})" if entry.group is not None else entry.text
    return entry.kind if isinstance(entry, Missing) else entry.text
