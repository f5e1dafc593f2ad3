"""The results of a store that stand for the rows of a paper, and their figures."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from bench.errors import UsageError
from bench.store.result import Primary, Result
from reports.load import BenchmarkSetting, Contender, Frame, read_likelihoods, read_samples
from reports.replication import OurResults, PaperColumn, PaperRow, Replication, verdicts
from reports.statistics import SampleReader, analyse
from reports.statistics.significance import (
    Basis,
    Estimate,
    holm_pairs,
    interval,
    moderated_variance,
    pairwise_p,
)

if TYPE_CHECKING:
    from ablations.study import Comparison, Published, Study
    from bench.store.cell import Cell
    from bench.store.store import Store

#: In studies, our main metric; and what figures against gold alignments begin with.
PRIMARY, ALIGNMENT = "primary", "alignment/"
#: A figure whose parts are kept with every example, as those of the main metric are.
PERPLEXITY = "perplexity"


@dataclass(frozen=True)
class StudyResults:
    """A study's finished results in one setting."""

    dataset: str
    budget: str
    results: tuple[Result, ...]

    @property
    def label(self) -> str:
        return f"{self.dataset}, {self.budget} budget"


def paper_studies() -> list[Study]:
    """Load all installed studies that replicate a paper. Unusable files are left out; the
    command that runs them says why."""
    from ablations.study import load_study, study_files

    found = []
    for name in study_files():
        try:
            study = load_study(name)
        except UsageError:
            continue
        if study.paper is not None:
            found.append(study)
    return found


def replicate(
    studies: Iterable[Study], results: Sequence[Result], store: Store
) -> list[Replication]:
    """Compare every study's columns with our results. A column run in several settings (data
    sets, budgets) appears once for each; one that was not run appears without our results."""
    return [_replication(study, results, store) for study in studies if study.paper is not None]


def settings_of(study: Study, results: Sequence[Result]) -> list[StudyResults]:
    """Group the finished results that are cells of a study, whatever their seeds, by data set
    and budget."""
    from ablations.expansion import Changes, expand

    done = [(result, result.cell) for result in results if result.status == "done"]
    by_setting: dict[tuple[str, str], list[tuple[Result, Cell]]] = defaultdict(list)
    for result, cell in done:
        by_setting[cell.dataset, cell.budget].append((result, cell))
    found = []
    for (dataset, budget), members in sorted(by_setting.items()):
        tasks = tuple(sorted({cell.task for _, cell in members}))
        changes = Changes(tasks=tasks, datasets=(dataset,), budget=budget, seeds=1)
        try:
            cells = expand(study, changes).cells
        except UsageError:  # the study is not of these tasks, or not for this data set
            continue
        wanted = {cell.with_seed(0).hash for cell in cells}
        own = tuple(result for result, cell in members if cell.with_seed(0).hash in wanted)
        if own:
            found.append(StudyResults(dataset, budget, own))
    return found


def _replication(study: Study, results: Sequence[Result], store: Store) -> Replication:
    assert study.paper is not None
    measured = settings_of(study, results)
    columns: list[PaperColumn] = []
    for comparison in study.paper.comparisons:
        own = [_column(study, comparison, one, store) for one in measured]
        run = [column for column in own if column.outcome != "not run"]
        columns += run or own[:1] or [_column(study, comparison, None, store)]
    return Replication(study.name, study.title, study.paper.name, study.description, tuple(columns))


def _column(
    study: Study, comparison: Comparison, measured: StudyResults | None, store: Store
) -> PaperColumn:
    from ablations.study import published_rows

    assert study.paper is not None
    figures = published_rows(study.paper.name, comparison.dataset, comparison.metric)
    chosen = [figures[name] for name in comparison.rows]
    higher = chosen[0].higher_is_better if chosen else True
    chosen.sort(key=lambda figure: -figure.value if higher else figure.value)
    rows = tuple(PaperRow(figure.row, figure.value, figure.certainty) for figure in chosen)
    ours = _ours(comparison, chosen, measured, store) if measured else None
    return PaperColumn(
        comparison.dataset,
        comparison.metric,
        higher,
        measured.label if measured and ours else "",
        rows,
        ours,
        verdicts(rows, ours, higher_is_better=higher),
    )


def _ours(
    comparison: Comparison, figures: Sequence[Published], measured: StudyResults, store: Store
) -> OurResults | None:
    """Return our results for the rows of a comparison; None where there are none."""
    contenders = {}
    for figure in figures:
        own = _results_of(comparison, figure.row, measured.results)
        if own:
            contenders[figure.row] = _contender(own)
    if not contenders:
        return None
    if comparison.ours == PRIMARY:
        return _by_examples(contenders, store)
    if comparison.ours == PERPLEXITY:
        shown = {row: _by_perplexity(one) for row, one in contenders.items()}
        found = _by_examples(shown, store, read_likelihoods)
        if all(one.examples for one in found.estimates.values() if one is not None):
            return found
    return _other(contenders, comparison.ours, figures[0].higher_is_better)


def _results_of(comparison: Comparison, row: str, results: Sequence[Result]) -> list[Result]:
    cells = {result.hash: result.cell for result in results}
    wanted = {cell.hash for cell in comparison.cells(row, list(cells.values()))}
    return [result for result in results if result.hash in wanted]


def _contender(results: Sequence[Result]) -> Contender:
    cell = results[0].cell
    options = tuple(cell.options.items())
    return Contender(cell.attention, cell.score, options, tuple(results), ())


def _by_perplexity(contender: Contender) -> Contender:
    """Return the contender with perplexity as the main metric of its results."""
    results = []
    for result in contender.done:
        value = result.metrics.get(PERPLEXITY)
        if value is None:
            continue
        primary = Primary(
            name=PERPLEXITY, value=value, low=value, high=value, higher_is_better=False
        )
        results.append(result.model_copy(update={"primary": primary}))
    return replace(contender, done=tuple(results))


def _by_examples(
    contenders: dict[str, Contender], store: Store, read: SampleReader = read_samples
) -> OurResults:
    """Compare rows by their examples, as an analysis does, with Holm's correction over these
    rows alone."""
    rows = list(contenders)
    first = contenders[rows[0]].done[0].cell
    frame = Frame(
        BenchmarkSetting(first.task, first.dataset, first.budget), tuple(contenders.values())
    )
    scores = analyse(frame, store, read=read).main
    pairs = [(i, j) for i in range(len(rows)) for j in range(len(rows)) if i != j]
    p = {(rows[i], rows[j]): float(scores.adjusted[i, j]) for i, j in pairs}
    return OurResults(
        frame.main_metric,
        frame.higher_is_better,
        dict(zip(rows, scores.estimates, strict=True)),
        {row: one.name for row, one in contenders.items()},
        p,
        frozenset(pair for pair, value in p.items() if not np.isnan(value)),
    )


def _other(contenders: dict[str, Contender], name: str, higher_is_better: bool) -> OurResults:
    """Compare rows by any other metric. Its variance over examples is unknown, so only seeds
    count, and a single seed decides nothing."""
    values = {row: _values(one.done, name) for row, one in contenders.items()}
    rows = [row for row, own in values.items() if own]
    spread = moderated_variance([values[row] for row in rows])
    means = np.array([np.mean(values[row]) for row in rows])
    seeds = np.array([len(values[row]) for row in rows])
    p = np.full((len(rows), len(rows)), np.nan)
    if rows:
        p = pairwise_p(means, np.zeros_like(p), spread, seeds)
        unknown = np.isnan(spread.variance)
        p[unknown, :] = p[:, unknown] = np.nan
        np.fill_diagonal(p, np.nan)
    adjusted = holm_pairs(p)
    pairs = [(i, j) for i in range(len(rows)) for j in range(len(rows)) if i != j]
    estimates: dict[str, Estimate | None] = dict.fromkeys(contenders)
    for place, row in enumerate(rows):
        value, variance = float(means[place]), float(spread.variance[place])
        low, high = None, None
        if not np.isnan(variance):
            low, high = interval(
                value,
                example_variance=0.0,
                seed_variance=variance,
                seeds=int(seeds[place]),
                freedom=float(spread.freedom[place]),
            )
        basis: Basis = "none" if low is None else "seeds"
        estimates[row] = Estimate(value, low, high, int(seeds[place]), 0, basis)
    return OurResults(
        name.removeprefix(ALIGNMENT),
        higher_is_better,
        estimates,
        {row: one.name for row, one in contenders.items()},
        {(rows[i], rows[j]): float(adjusted[i, j]) for i, j in pairs},
        frozenset((rows[i], rows[j]) for i, j in pairs),
    )


def _values(results: Sequence[Result], name: str) -> list[float]:
    found = []
    for result in results:
        if name.startswith(ALIGNMENT):
            value = getattr(result.alignment, name.removeprefix(ALIGNMENT), None)
        else:
            value = result.metrics.get(name)
        if value is not None:
            found.append(float(value))
    return found
