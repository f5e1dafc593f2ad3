"""The papers' own figures, to be put beside ours (`studies/published_figures.csv`)."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ablations.study import Paper
from bench.errors import unknown_name

_FILE = Path(__file__).parent / "studies" / "published_figures.csv"


@dataclass(frozen=True)
class Published:
    """A figure of a paper.

    Attributes:
        paper, task, dataset, metric, row: where it stands.
        higher_is_better: of the metric.
        attention, score: in our names; empty where we have none for it.
        certainty: "seen" for figures read in the paper itself, "secondary" for others.
    """

    paper: str
    task: str
    dataset: str
    metric: str
    higher_is_better: bool
    row: str
    attention: str
    score: str
    value: float
    certainty: str


@cache
def published() -> tuple[Published, ...]:
    """All of them, in the order of the file."""
    with _FILE.open(encoding="utf-8", newline="") as file:
        return tuple(
            Published(
                paper=row["paper"],
                task=row["task"],
                dataset=row["dataset"],
                metric=row["metric"],
                higher_is_better=row["better"] == "higher",
                row=row["row"],
                attention=row["attention"],
                score=row["score"],
                value=float(row["value"]),
                certainty=row["certainty"],
            )
            for row in csv.DictReader(file)
        )


def published_rows(paper: str, dataset: str, metric: str) -> dict[str, Published]:
    """The figures of one column of a paper, by row."""
    return {
        figure.row: figure
        for figure in published()
        if (figure.paper, figure.dataset, figure.metric) == (paper, dataset, metric)
    }


def check_rows(paper: Paper, *, where: str) -> None:
    """Raises UsageError for a paper, column or row that published_figures.csv does not have."""
    figures = [figure for figure in published() if figure.paper == paper.name]
    if not figures:
        raise unknown_name(
            "paper", paper.name, {figure.paper for figure in published()}, where=where
        )
    for comparison in paper.comparisons:
        columns = {figure.dataset for figure in figures}
        if comparison.dataset not in columns:
            raise unknown_name("published data set", comparison.dataset, columns, where=where)
        rows = published_rows(paper.name, comparison.dataset, comparison.metric)
        if not rows:
            metrics = {f.metric for f in figures if f.dataset == comparison.dataset}
            raise unknown_name("published metric", comparison.metric, metrics, where=where)
        for row in comparison.rows:
            if row not in rows:
                raise unknown_name("published row", row, rows, where=where)
