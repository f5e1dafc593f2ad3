"""Replication: a paper's rows beside ours, and a verdict on the ordering of every two of them.

Sizes, data and training differ from the papers', so figures are not compared, only orderings.
An ordering of two rows holds where ours differ the same way beyond chance (Holm's correction over
the pairs of a column), does not hold where they differ the other way beyond chance, and is left
open otherwise, as it is where there is one seed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import combinations, permutations
from typing import TYPE_CHECKING, Literal

import numpy as np

from bench.errors import UsageError
from bench.store.result import Primary, Result
from reports.catalogue import Catalogue, catalogue_of
from reports.data import without_data
from reports.load import BenchmarkSetting, Contender, Frame, benchmark_settings
from reports.samples import SampleReader, of_likelihoods, reader_of
from reports.statistics import OVER_SEEDS, analyse
from reports.statistics.significance import (
    LEVEL,
    Estimate,
    interval,
    moderated_variance,
    pairwise_differences,
)

if TYPE_CHECKING:
    from ablations.study import Comparison, Paper, Published, Study
    from bench.store.store import Store

OrderingVerdict = Literal[
    "held",
    "not held",
    "cannot be told apart",
    "one seed",
    "equal in the paper",
    "other test examples",
    "not run",
]
Outcome = Literal[
    "held",
    "partly held",
    "not held",
    "cannot be told apart",
    "one seed",
    "equal in the paper",
    "not run",
]
#: Verdicts that say how our results stand to an ordering of the paper.
JUDGED = ("held", "not held", "cannot be told apart")

#: In studies, our main metric; and what figures against gold alignments begin with.
PRIMARY, ALIGNMENT = "primary", "alignment/"
#: A figure whose parts are kept with every example, as those of the main metric are.
PERPLEXITY = "perplexity"


@dataclass(frozen=True)
class OurResults:
    """Our results for the rows of a published column.

    Attributes:
        metric: name of our figure.
        higher_is_better: of our figure.
        estimates: by row, None where nothing was run.
        names: by row, the mechanism that stands for it.
        converged: by row, whether its training had (`Contender.converged`).
        adjusted: p of the difference of two rows, both ways round; absent or NaN where there is
            no telling.
        comparable: pairs of rows that were tested on the same examples, both ways round.
    """

    metric: str
    higher_is_better: bool
    estimates: Mapping[str, Estimate | None]
    names: Mapping[str, str]
    converged: Mapping[str, bool | None]
    adjusted: Mapping[tuple[str, str], float]
    comparable: frozenset[tuple[str, str]]


@dataclass(frozen=True)
class PairVerdict:
    """The verdict on two rows of a paper, the better one first.

    Attributes:
        lead: how far ours is ahead the same way; negative the other way round. None where one
            was not run.
        p: of our difference, after Holm.
    """

    better: str
    worse: str
    verdict: OrderingVerdict
    lead: float | None = None
    p: float | None = None


@dataclass(frozen=True)
class PaperColumn:
    """A column of a published table beside ours.

    Attributes:
        dataset, metric: the paper's.
        setting: ours, for people; "" where nothing was run.
        rows: best first, as the paper has them.
    """

    dataset: str
    metric: str
    higher_is_better: bool
    setting: str
    rows: tuple[Published, ...]
    ours: OurResults | None
    pairs: tuple[PairVerdict, ...]

    @property
    def outcome(self) -> Outcome:
        return outcome([pair.verdict for pair in self.pairs])


@dataclass(frozen=True)
class Replication:
    """A study named after a paper: its columns beside ours."""

    study: str
    title: str
    paper: str
    description: str
    columns: tuple[PaperColumn, ...]

    @property
    def run(self) -> bool:
        """Whether two rows of any column were run."""
        return any(column.outcome != "not run" for column in self.columns)


def paper_studies() -> list[Study]:
    """Load all installed studies that replicate a paper. Unusable files are left out; the
    command that runs them says why."""
    from ablations.study import read_study, study_files

    found = []
    for path in study_files().values():
        with suppress(UsageError):
            found.append(read_study(path))
    return [study for study in found if study.paper is not None]


def replicate(
    studies: Iterable[Study],
    results: Sequence[Result],
    source: Store | SampleReader | None,
    catalogue: Catalogue | None = None,
) -> list[Replication]:
    """Compare every study's columns with our results. A column run in several settings (data
    sets, budgets, other data) appears once for each; one that was not run appears without our
    results.

    Args:
        source: the store that keeps the examples of the results, or what reads them.
        catalogue: says which options choose data; by default that of this installation.
    """
    known = catalogue or catalogue_of(result.cell for result in results)
    settings = benchmark_settings(results, known)
    read = reader_of(source)
    found = []
    for study in studies:
        if study.paper is None:
            continue
        measured = settings_of(study, results, settings)
        columns: list[PaperColumn] = []
        for comparison in study.paper.comparisons:
            own = [
                _column(study.paper, comparison, members, label, read)
                for label, members in measured.items()
            ]
            run = [column for column in own if column.outcome != "not run"]
            columns += run or own[:1] or [_column(study.paper, comparison, (), "", read)]
        head = (study.name, study.title, study.paper.name, study.description)
        found.append(Replication(*head, tuple(columns)))
    return found


def settings_of(
    study: Study, results: Sequence[Result], settings: Mapping[str, BenchmarkSetting]
) -> dict[str, tuple[Result, ...]]:
    """Group the finished results that are cells of a study, whatever their seeds, by data set,
    budget and data; the keys are labels.

    Args:
        settings: of the results, by hash.
    """
    from ablations.expansion import Changes, expand

    by_setting: dict[tuple[str, str, str], list[Result]] = defaultdict(list)
    for result in results:
        if result.status == "done":
            data = settings[result.hash].data_label
            by_setting[result.cell.dataset, result.cell.budget, data].append(result)
    found = {}
    for (dataset, budget, data), members in sorted(by_setting.items()):
        tasks = tuple(sorted({result.cell.task for result in members}))
        changes = Changes(tasks=tasks, datasets=(dataset,), budget=budget, seeds=1)
        try:
            cells = expand(study, changes).cells
        except UsageError:  # the study is not of these tasks, or not for this data set
            continue
        wanted = {cell.kind for cell in cells}
        own = tuple(one for one in members if without_data(one.cell).kind in wanted)
        if own:
            label = BenchmarkSetting("", dataset, budget, data_label=data).label
            found[label] = own
    return found


def _column(
    paper: Paper,
    comparison: Comparison,
    results: Sequence[Result],
    setting: str,
    read: SampleReader,
) -> PaperColumn:
    from ablations.study import published_rows

    figures = published_rows(paper.name, comparison.dataset, comparison.metric)
    rows = [figures[name] for name in comparison.rows]
    higher = rows[0].higher_is_better if rows else True
    rows.sort(key=lambda row: -row.value if higher else row.value)
    ours = _ours(comparison, rows, results, read)
    return PaperColumn(
        comparison.dataset,
        comparison.metric,
        higher,
        setting if ours else "",
        tuple(rows),
        ours,
        verdicts(rows, ours, higher_is_better=higher),
    )


def _ours(
    comparison: Comparison,
    rows: Sequence[Published],
    results: Sequence[Result],
    read: SampleReader,
) -> OurResults | None:
    """Return our results for the rows of a comparison; None where there are none."""
    cells = [result.cell for result in results]
    contenders = {}
    for row in rows:
        wanted = {cell.hash for cell in comparison.cells(row.row, cells)}
        own = tuple(result for result in results if result.cell.hash in wanted)
        if own:
            cell = own[0].cell
            options = tuple(cell.options.items())
            contenders[row.row] = Contender(cell.attention, cell.score, options, own, ())
    if not contenders:
        return None
    if comparison.ours == PRIMARY:
        return _by_examples(contenders, read)
    if comparison.ours == PERPLEXITY:
        shown = {row: _by_perplexity(one) for row, one in contenders.items()}
        found = _by_examples(shown, of_likelihoods(read))
        if all(one.examples for one in found.estimates.values() if one is not None):
            return found
    return _by_seeds(contenders, comparison.ours, rows[0].higher_is_better)


def _by_perplexity(contender: Contender) -> Contender:
    """Return the contender with perplexity as the main metric of its results."""
    results = []
    for result in contender.done:
        if (value := result.metrics.get(PERPLEXITY)) is not None:
            figure = Primary(
                name=PERPLEXITY, value=value, low=value, high=value, higher_is_better=False
            )
            results.append(result.model_copy(update={"primary": figure}))
    return replace(contender, done=tuple(results))


def _by_examples(contenders: dict[str, Contender], read: SampleReader) -> OurResults:
    """Compare rows by their examples, as an analysis does, with Holm's correction over these
    rows alone."""
    rows = list(contenders)
    first = contenders[rows[0]].done[0].cell
    setting = BenchmarkSetting(first.task, first.dataset, first.budget)
    frame = Frame(setting, tuple(contenders.values()))
    scores = analyse(frame, read).main
    p = _by_pair(rows, scores.adjusted)
    return OurResults(
        frame.main_metric,
        frame.higher_is_better,
        dict(zip(rows, scores.estimates, strict=True)),
        {row: one.name for row, one in contenders.items()},
        {row: one.converged for row, one in contenders.items()},
        p,
        frozenset(pair for pair, value in p.items() if not np.isnan(value)),
    )


def _by_seeds(contenders: dict[str, Contender], name: str, higher_is_better: bool) -> OurResults:
    """Compare rows by any other metric. Its variance over examples is unknown, so only seeds
    count, and a single seed decides nothing."""
    values = {row: own for row, one in contenders.items() if (own := _values(one.done, name))}
    spread = moderated_variance(list(values.values()))
    known = ~np.isnan(spread.variance)
    pairs = pairwise_differences(
        np.array([np.mean(own) for own in values.values()]),
        np.where(known[:, None] & known[None, :], 0.0, np.nan),
        spread,
        np.array([len(own) for own in values.values()]),
    )
    estimates: dict[str, Estimate | None] = dict.fromkeys(contenders)
    for (row, own), variance, freedom in zip(
        values.items(), spread.variance.tolist(), spread.freedom.tolist(), strict=True
    ):
        value, n = float(np.mean(own)), len(own)
        estimates[row] = Estimate(value, None, None, n, 0, "none")
        if not np.isnan(variance):
            low, high = interval(
                value, example_variance=0.0, seed_variance=variance, seeds=n, freedom=freedom
            )
            estimates[row] = Estimate(value, low, high, n, 0, "seeds")
    adjusted = _by_pair(list(values), pairs.adjusted)
    return OurResults(
        name.removeprefix(ALIGNMENT),
        higher_is_better,
        estimates,
        {row: one.name for row, one in contenders.items()},
        {row: one.converged for row, one in contenders.items()},
        adjusted,
        frozenset(adjusted),
    )


def _by_pair(rows: Sequence[str], p: np.ndarray) -> dict[tuple[str, str], float]:
    """Return a matrix of the p of pairs of rows by their names, both ways round."""
    return {(rows[i], rows[j]): float(p[i, j]) for i, j in permutations(range(len(rows)), 2)}


def _values(results: Sequence[Result], name: str) -> list[float]:
    """Return the values of a metric, or of a figure against gold alignments, by seed."""
    figure = name.removeprefix(ALIGNMENT)
    found = (
        one.metrics.get(name) if figure == name else getattr(one.alignment, figure, None)
        for one in results
    )
    return [float(value) for value in found if value is not None]


def verdicts(
    rows: Sequence[Published], ours: OurResults | None, *, higher_is_better: bool
) -> tuple[PairVerdict, ...]:
    """Judge every two rows of a column.

    Args:
        higher_is_better: of the paper's figure.
    """
    sign = -1 if higher_is_better else 1
    pairs = combinations(rows, 2)
    return tuple(_verdict(sorted(pair, key=lambda row: sign * row.value), ours) for pair in pairs)


def _verdict(rows: Sequence[Published], ours: OurResults | None) -> PairVerdict:
    better, worse = rows
    pair = better.row, worse.row
    first, second = (ours.estimates.get(row) if ours else None for row in pair)
    if ours is None or first is None or second is None:
        return PairVerdict(*pair, "not run")
    if pair not in ours.comparable:
        return PairVerdict(*pair, "other test examples")
    lead = (first.value - second.value) * (1 if ours.higher_is_better else -1)
    p = ours.adjusted.get(pair, np.nan)
    known = None if np.isnan(p) else p
    if better.value == worse.value:
        return PairVerdict(*pair, "equal in the paper", lead, known)
    if not {first.basis, second.basis} <= {*OVER_SEEDS}:
        return PairVerdict(*pair, "one seed", lead, known)
    if known is None or known >= 1 - LEVEL:
        return PairVerdict(*pair, "cannot be told apart", lead, known)
    return PairVerdict(*pair, "held" if lead > 0 else "not held", lead, known)


def outcome(found: Sequence[OrderingVerdict]) -> Outcome:
    """Summarize the verdicts of a column: one reversal gives "not held"; "held" needs every
    judged pair to hold."""
    judged = [one for one in found if one in JUDGED]
    if not judged:
        left: tuple[Outcome, ...] = ("one seed", "equal in the paper")
        return next((one for one in left if one in found), "not run")
    if "not held" in judged:
        return "not held"
    if all(one == "held" for one in judged):
        return "held"
    return "partly held" if "held" in judged else "cannot be told apart"
