"""A report as data: the analysis, tables, figures and examples of every frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from reports.candidates import searched_mechanisms
from reports.catalogue import Catalogue, catalogue_of
from reports.figures import Figure
from reports.figures.cost import quality_against_cost
from reports.figures.curves import training_curves
from reports.figures.lengths import by_length
from reports.figures.ranks import rank_figure
from reports.figures.series import Styles
from reports.load import BenchmarkSetting, Collection, Frame, collect, load
from reports.pages.cell import CellPage, cell_pages
from reports.pages.comparisons import Comparisons, comparisons
from reports.pages.explorer import Explorer, explorer
from reports.pages.findings import answer, findings, headlines
from reports.pages.sharing import EVERYTHING, PublishedStore, Sharing, publishable, sharing_of
from reports.pages.tuning import TuningSection, tuning_sections
from reports.replication import Replication, paper_studies, replicate
from reports.results import study_name, wide
from reports.statistics import Analysis, analyse
from reports.statistics.ranks import mean_ranks
from reports.tables import Table
from reports.tables.alignment import alignment_table
from reports.tables.classes import confusion_table, mcnemar_table
from reports.tables.cost import cost_table
from reports.tables.facts import Fact, signatures
from reports.tables.metrics import metrics_table
from reports.tables.overview import overview_table
from reports.tables.scores import failures_table, run_notes, score_matrix
from reports.tables.test_sets import length_table, subsets_table

if TYPE_CHECKING:
    import pandas as pd

    from ablations.study import Study
    from bench.store.store import Store


@dataclass(frozen=True)
class Section:
    """Everything shown of one frame; None where there is nothing to show."""

    setting: BenchmarkSetting
    analysis: Analysis
    headlines: tuple[str, ...]
    findings: tuple[str, ...]
    matrix: Table
    metrics: Table
    confusion: Table | None
    mcnemar: Table | None
    subsets: Table | None
    lengths: Table | None
    alignment: Table | None
    cost: Table
    failures: Table | None
    curves: tuple[Figure, ...]
    by_length: Figure | None
    against_cost: Figure | None
    explorer: Explorer
    signatures: tuple[Fact, ...]
    notes: tuple[str, ...]
    sharing: Sharing = EVERYTHING
    cells: tuple[CellPage, ...] = ()

    @property
    def tables(self) -> tuple[Table, ...]:
        """All tables, in the order of the page."""
        every = (
            *(self.matrix, self.metrics, self.confusion, self.mcnemar, self.subsets),
            *(self.lengths, self.cost, self.alignment, self.failures),
        )
        return tuple(table for table in every if table is not None)

    @property
    def figures(self) -> tuple[Figure, ...]:
        """All figures, in the order of the page."""
        every = (*self.curves, self.by_length, self.against_cost)
        return tuple(figure for figure in every if figure is not None)


@dataclass(frozen=True)
class Report:
    """All that a report shows of a store, as data."""

    collection: Collection
    catalogue: Catalogue
    sections: tuple[Section, ...]
    replications: tuple[Replication, ...] = ()
    tuning: tuple[TuningSection, ...] = ()

    @cached_property
    def answer(self) -> str:
        """All settings in one sentence."""
        return answer([section.analysis for section in self.sections], self.catalogue)

    @cached_property
    def overview(self) -> Table:
        return overview_table([section.analysis for section in self.sections], self.catalogue)

    @cached_property
    def comparisons(self) -> Comparisons | None:
        """Axes, scores over tasks and all pairs; None where nothing can be compared."""
        return comparisons([section.analysis for section in self.sections])

    @cached_property
    def ranks(self) -> Figure | None:
        """Mean ranks over tasks; None where too little was run."""
        found = mean_ranks({one.setting: one.analysis.losses for one in self.sections})
        return rank_figure(found) if found else None

    @cached_property
    def failures(self) -> Table | None:
        every = [one for frame in self.collection.frames for one in frame.contenders]
        return failures_table(every, "failures")

    @cached_property
    def results(self) -> pd.DataFrame:
        """One row a trial, with every metric in a column."""
        return wide(self.collection.results)

    def of_task(self, task: str) -> tuple[Section, ...]:
        return tuple(section for section in self.sections if section.setting.task == task)


def build_report(
    store: Store,
    *,
    study: str | None = None,
    catalogue: Catalogue | None = None,
    studies: Sequence[Study] | None = None,
    publish: bool = False,
) -> Report:
    """Analyze everything that a store holds.

    Args:
        study: only the results of this study.
        catalogue: what is registered; by default that of this installation.
        studies: those to be put beside their papers; by default, and without a catalogue of
            one's own, all that are installed.
        publish: leave out what only the user may see: examples of data sets whose licence keeps
            them (`reports.pages.sharing`), and where the store lies.

    Raises UsageError for a store without results, and for a study that none of them is from.
    """
    shown = PublishedStore(store) if publish else store
    loaded = load(shown, study=study)
    results = tuple(map(publishable, loaded.records)) if publish else loaded.records
    known = catalogue or catalogue_of(result.cell for result in results)
    collection = collect(shown.address, results, known, loaded.problems)
    sections = tuple(_section(frame, shown, known, publish) for frame in collection.frames)
    if studies is None:
        studies = paper_studies() if catalogue is None else ()
    if study is not None:
        studies = [one for one in studies if one.name == study_name(study)]
    searched = searched_mechanisms(store, known, None if study is None else study_name(study))
    return Report(
        collection,
        known,
        sections,
        tuple(replicate(studies, results, shown, known)),
        tuning_sections(searched),
    )


def _section(frame: Frame, store: Store, catalogue: Catalogue, publish: bool) -> Section:
    analysis = analyse(frame, store)
    setting = frame.setting
    sharing = sharing_of(setting.task, setting.dataset) if publish else EVERYTHING
    styles = Styles(frame, [entry.name for entry in catalogue.scores])
    task = catalogue.task(frame.setting.task)
    examples = PublishedStore(store, sharing) if publish else store
    looked, outputs = explorer(analysis, examples)
    return Section(
        setting=frame.setting,
        analysis=analysis,
        headlines=headlines(analysis, catalogue),
        findings=findings(analysis, catalogue),
        matrix=score_matrix(analysis, catalogue),
        metrics=metrics_table(analysis),
        confusion=confusion_table(analysis),
        mcnemar=mcnemar_table(analysis),
        subsets=subsets_table(analysis) if len(analysis.subsets) > 1 else None,
        lengths=length_table(analysis, task.length_unit),
        alignment=alignment_table(analysis),
        cost=cost_table(analysis, task.train_unit),
        failures=failures_table(frame.contenders, f"{frame.setting.slug}-failures"),
        curves=tuple(training_curves(analysis, styles)),
        by_length=by_length(analysis, styles, task),
        against_cost=quality_against_cost(analysis, styles),
        explorer=looked,
        signatures=signatures(frame.done),
        notes=(*sharing.notes, *analysis.notes, *looked.notes, *run_notes(frame.done)),
        sharing=sharing,
        cells=tuple(cell_pages(analysis, task, looked, outputs)),
    )
