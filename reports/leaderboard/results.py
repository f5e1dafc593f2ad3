"""docs/results.md and README's first table: what the entries of this installation show.

Everything is made of the records and the statistics of examples that verified bundles hold, by the
same analysis as a report. The study `real` says what belongs into the tables and what is still
open; studies named after papers add their verdicts. What was learnt is written by hand
(`results_notes.md`) and taken over as it stands.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from ablations.expansion import Changes, expand
from ablations.study import Study, load_study
from bench.errors import UsageError
from bench.store.cell import Cell
from bench.store.files import read_regular
from bench.store.result import Result
from reports import formats
from reports.catalogue import Catalogue
from reports.data import without_data
from reports.figures import Figure
from reports.figures.static import converted
from reports.leaderboard.board import Board, build_board, entry_files
from reports.leaderboard.bundle import BundleReader
from reports.leaderboard.curves import SHOWN, curves_figure
from reports.leaderboard.rules import Rules, load_reference
from reports.load import Contender, Frame, collect, slug
from reports.pages.replication import sentence
from reports.replication import PaperColumn, Replication, paper_studies, replicate
from reports.statistics import Analysis, analyse
from reports.statistics.baselines import baselines, best_baseline
from reports.tables import (
    Column,
    Entry,
    Label,
    Missing,
    Number,
    Row,
    Table,
    estimate_entry,
    mean_known,
    measured,
    metric_number,
)
from reports.tables.scores import detectable_note, group_notes, overlap_notes, seeds_text
from reports.writers import escape_markdown, markdown_text

#: The study whose cells stand in the tables.
STUDY = "real"
TITLE = "Results on real data"
#: Mechanisms that README's table names, besides the best one.
FAMILIAR = ("none", "soft + concat", "global + general", "self + scaled-dot")
#: What stands in README around the table that is written here.
BEGIN, END = "<!-- results -->", "<!-- end of results -->"
#: The page, what is written by hand for it, and the folder of its pictures.
PAGE, NOTES, PICTURES = "results.md", "results_notes.md", "images"
#: What marks a published figure that nobody has read in the paper itself.
UNREAD = "\N{DOUBLE DAGGER}"


@dataclass(frozen=True)
class Results:
    """What the entries show.

    Attributes:
        board: of the entries they come from.
        results: of all cells, each once, under hashes that `read` knows.
        analyses: of the study's cells, a data set each.
        open: cells of the study without a result.
    """

    board: Board
    study: Study
    cells: tuple[Cell, ...]
    results: tuple[Result, ...]
    catalogue: Catalogue
    read: BundleReader

    @cached_property
    def analyses(self) -> tuple[Analysis, ...]:
        wanted = {cell.hash for cell in self.cells}
        own = [one for one in self.results if without_data(one.cell).hash in wanted]
        frames = collect("", own, self.catalogue).frames
        largest: dict[tuple[str, str], Frame] = {}
        for frame in frames:  # of several data one counts: those with most results
            key = frame.setting.task, frame.setting.dataset
            if key not in largest or len(frame.done) > len(largest[key].done):
                largest[key] = frame
        return tuple(analyse(frame, self.read) for frame in largest.values())

    @cached_property
    def open(self) -> tuple[Cell, ...]:
        done = {without_data(one.cell).hash for one in self.results}
        return tuple(cell for cell in self.cells if cell.hash not in done)

    @cached_property
    def replications(self) -> list[Replication]:
        """The paper studies of which two rows were run on the same examples."""
        found = replicate(paper_studies(), self.results, self.read, self.catalogue)
        return [one for one in found if one.run]

    @property
    def core_hours(self) -> float:
        """Those of the models whose processor time was measured."""
        return sum(one.cost.core_seconds or 0.0 for one in self.results) / 3600


def gather(rules: Rules, study: Study, files: Sequence[Path] | None = None) -> Results:
    """Gather what the entries show of a study, those of this installation by default. Raises
    UsageError where there are none."""
    board = build_board(entry_files() if files is None else files, rules, load_reference(), None)
    results: dict[str, Result] = {}
    for verdict in board.verdicts:
        for hash, one in verdict.counted(rules).items():
            results.setdefault(hash, one)
    return Results(
        board,
        study,
        expand(study, Changes(seeds=len(rules.seeds))).cells,
        tuple(results.values()),
        rules.catalogue(one.cell for one in results.values()),
        BundleReader({one.bundle.id: one.bundle for one in board.verdicts}),
    )


def results_table(analysis: Analysis) -> Table:
    """Build the table of one data set: every mechanism, the best first, then the baselines."""
    frame, metric = analysis.frame, analysis.frame.main_metric
    columns = [
        *(
            Column(f"{metric}_{one.subset}", f"{formats.metric_name(metric)}, {one.subset}")
            for one in analysis.subsets
        ),
        Column("group", "group"),
        Column("minutes", "core-minutes"),
        Column("parameters", "parameters"),
        Column("converged", "converged"),
        Column("seeds", "seeds"),
    ]
    rows = [
        Row(
            frame.contenders[place].name,
            tuple(_entries(analysis, place)),
            converged=frame.contenders[place].converged,
        )
        for place in analysis.order
        if frame.contenders[place].done
    ]
    for one in baselines(analysis):
        if one.main_figure(analysis) is None:
            continue
        subsets = ["", *(subset.subset for subset in analysis.subsets[1:])]
        figures = [one.entry(metric, subset) for subset in subsets]
        rows.append(Row(f"baseline: {one.name}", (*figures, *[Label("")] * 5), apart=True))
    return Table(
        name=frame.setting.slug,
        title=f"{frame.setting.task.capitalize()}: {frame.setting.dataset}",
        corner="mechanism",
        columns=tuple(columns),
        rows=tuple(rows),
        notes=tuple(_notes(analysis)),
    )


def _entries(analysis: Analysis, place: int) -> Iterator[Entry]:
    contender, metric = analysis.frame.contenders[place], analysis.frame.main_metric
    for one in analysis.subsets:
        yield estimate_entry(one.estimates[place], metric, group=one.groups[place])
    group = analysis.main.groups[place]
    yield Label("" if group is None else str(group))
    seconds, _ = mean_known([result.cost.core_seconds for result in contender.done])
    yield measured(None if seconds is None else seconds / 60, digits=1)
    yield measured(contender.done[0].cost.parameters, form="count")
    yield Label(_converged(contender))
    yield Label(str(len(contender.done)))


def _converged(contender: Contender) -> str:
    known = [result.converged for result in contender.done]
    if None in known:
        return "unknown"
    return "yes" if all(known) else f"{sum(map(bool, known))} of {len(known)}"


def _notes(analysis: Analysis) -> Iterator[str]:
    first = "highest" if analysis.frame.higher_is_better else "lowest"
    text = f"{formats.metric_name(analysis.frame.main_metric)}, {first} mean first"
    least = min(len(one.done) for one in analysis.frame.contenders if one.done)
    if least < 2:
        yield (
            f"{text}. {seeds_text(analysis.main).capitalize()}: with one seed an interval covers "
            "other test examples alone, and the table describes; it claims no order."
        )
    else:
        yield f"{text}. Intervals (95 %) cover other seeds and other test examples."
    yield "Bold is group 1: the one with the best mean, and what cannot be told apart from it."
    yield from analysis.notes
    names = [one.name for one in analysis.frame.contenders]
    if least < 2:
        yield from detectable_note(analysis.main, analysis.frame.main_metric)
    else:
        yield from group_notes(analysis, names)
    yield from overlap_notes(analysis.frame.done)


def summary_table(results: Results) -> Table:
    """Build README's table: a column for each data set, a row for the best mechanism, for familiar
    ones, and for the best baseline."""
    columns = []
    for analysis in results.analyses:
        setting, metric = analysis.frame.setting, analysis.frame.main_metric
        order = "" if analysis.frame.higher_is_better else ", the lower the fewer errors"
        columns.append(
            Column(
                setting.slug,
                f"{setting.task}, {setting.dataset}: {formats.metric_name(metric)}{order}",
            )
        )
    rows = [
        Row(
            "largest mean" if _several_seeds(results) else "largest figure",
            tuple(map(_best, results.analyses)),
        )
    ]
    rows += [
        Row(name, tuple(_figure(analysis, name) for analysis in results.analyses))
        for name in FAMILIAR
    ]
    rows.append(Row("best simple baseline", tuple(map(_baseline, results.analyses)), apart=True))
    seeds = {len(one.done) for each in results.analyses for one in each.frame.contenders}
    counted = formats.plural(max(seeds, default=0), "seed")
    notes = [
        f"Up to {counted} a mechanism; 95 % intervals; bold: the largest figure and what cannot be "
        "told apart from it. docs/results.md has all mechanisms, what they cost, and what is open."
    ]
    if not _several_seeds(results):
        notes.append("With one seed a table describes; it does not say which is ahead.")
    return Table("results", "Results", "mechanism", tuple(columns), tuple(rows), tuple(notes))


def _several_seeds(results: Results) -> bool:
    done = [len(one.done) for each in results.analyses for one in each.frame.contenders if one.done]
    return min(done, default=0) > 1


def _best(analysis: Analysis) -> Entry:
    best = analysis.frame.contenders[analysis.order[0]]
    entry = _figure(analysis, best.name)
    mark = " \N{DAGGER}" if best.converged is False else ""
    if isinstance(entry, Number):
        return Label(f"{best.name}{mark}: {entry.text} {entry.interval}".strip())
    return entry


def _figure(analysis: Analysis, name: str) -> Entry:
    for place, contender in enumerate(analysis.frame.contenders):
        if contender.name == name and contender.done:
            entry = estimate_entry(
                analysis.main.estimates[place],
                analysis.frame.main_metric,
                group=analysis.main.groups[place],
            )
            if isinstance(entry, Number):
                return replace(entry, converged=contender.converged)
    return Missing("not run")


def _baseline(analysis: Analysis) -> Entry:
    one = best_baseline(analysis)
    if one is None:
        return Missing("not measured")
    value = one.main_figure(analysis)
    assert value is not None
    return Label(f"{one.name}: {metric_number(value, analysis.frame.main_metric).text}")


def paper_table(replication: Replication, column: PaperColumn) -> Table:
    """Build the table of a paper's rows, best first, beside ours with their intervals; rows that
    nobody has read in the paper are marked."""
    ours = column.ours
    assert ours is not None, "only columns that were run are shown"
    rows = []
    for row in column.rows:
        mark = "" if row.certainty == "seen" else f" {UNREAD}"
        entry = estimate_entry(ours.estimates.get(row.row), ours.metric)
        name = ours.names.get(row.row, "")
        rows.append(
            Row(
                row.row,
                (Label(f"{row.value:g}{mark}"), entry, Label(name)),
                converged=ours.converged.get(row.row),
            )
        )
    notes = [sentence(column)]
    if any(row.certainty != "seen" for row in column.rows):
        notes.append(f"{UNREAD} Taken from elsewhere or from memory; nobody could check it.")
    return Table(
        f"{replication.study}-{column.dataset}",
        f"{replication.paper}: {column.dataset}, {column.metric}",
        "row of the paper",
        (
            Column("published", f"{column.metric} in the paper"),
            Column("ours", f"our {formats.metric_name(ours.metric)}"),
            Column("mechanism", "our mechanism", text=True),
        ),
        tuple(rows),
        tuple(notes),
    )


def open_lines(results: Results) -> Iterator[str]:
    """A line for each data set on the cells of the study that nobody has run yet."""
    every = Counter((cell.task, cell.dataset) for cell in results.cells)
    seeds = Counter((cell.task, cell.dataset, cell.seed) for cell in results.open)
    for (task, dataset), count in every.items():
        lacking = [cell for cell in results.open if (cell.task, cell.dataset) == (task, dataset)]
        if not lacking:
            yield f"{task}, {dataset}: all {count} cells are done."
            continue
        of_seeds = ", ".join(
            f"{seeds[task, dataset, seed]} of seed {seed}"
            for seed in results.board.rules.seeds
            if seeds[task, dataset, seed]
        )
        yield f"{task}, {dataset}: {len(lacking)} of {count} cells are open ({of_seeds})."


def page_text(results: Results, notes: str, pictures: Sequence[str]) -> str:
    """Format docs/results.md.

    Args:
        notes: what was learnt, written by hand; may be empty.
        pictures: of the training curves, by data set as in `results.analyses`.
    """
    failed = sum(one.converged is False for one in results.results)
    done = len(results.cells) - len(results.open)
    seeds = len(results.board.rules.seeds)
    measured_models = sum(one.cost.core_seconds is not None for one in results.results)
    of = f" for {measured_models} of them" if measured_models < len(results.results) else ""
    blocks = [
        f"# {TITLE if results.study.name == STUDY else results.study.title}",
        "<!-- Written by `make results` from reports/leaderboard/entries; change results_notes.md "
        "or the entries, not this page. -->",
        f"{formats.plural(done, 'cell')} of {len(results.cells)} of the study "
        f"`{results.study.name}` (data sets x mechanisms x "
        f"{formats.plural(seeds, 'seed')}), and what studies named after papers add: "
        f"{len(results.results)} trained models, {results.core_hours:.1f} "
        f"core-hours{of}. {failed} had not converged and are marked \N{DAGGER} "
        "([statistics](statistics.md#converged-or-not)). Every figure is worked out again from the "
        "bundles in `reports/leaderboard/entries`.",
        f"```\nattnbench sweep {results.study.name} --data-root DIR --seeds {seeds}\n"
        "attnbench leaderboard rank      # the same entries as a board\n```",
    ]
    if notes.strip():
        blocks += ["## What was learnt", notes.strip()]
    for analysis, picture in zip(results.analyses, pictures, strict=True):
        table = results_table(analysis)
        blocks += [f"## {table.title}", markdown_text(table).strip()]
        alt = f"Validation loss while training on {analysis.frame.setting.dataset}"
        blocks.append(f"![{alt}]({PICTURES}/{picture})")
    blocks.append("## Did the papers' orderings hold?")
    if not results.replications:
        blocks.append("No study named after a paper is among the entries yet.")
    else:
        blocks.append(
            "Only orderings are compared: sizes, data and training differ from the papers'. “Held” "
            "and “not held” are differences beyond chance, after Holm's correction over the pairs "
            "of a column; everything else is open."
        )
    for one in results.replications:
        for column in one.columns:
            if column.outcome == "not run":
                continue
            paper = paper_table(one, column)
            undecided = column.outcome in ("cannot be told apart", "one seed")
            verdict = "open" if undecided else column.outcome
            blocks += [
                f"### {escape_markdown(paper.title)}: {verdict}",
                f"Study `{one.study}` on {column.setting}.",
                markdown_text(paper).strip(),
            ]
    blocks.append("## What is open")
    blocks.append("\n".join(f"- {line}" for line in open_lines(results)))
    blocks.append(
        "A claim takes two seeds and cells that had converged; until then tables describe."
    )
    return "\n\n".join(blocks) + "\n"


def readme_text(text: str, results: Results, where: str) -> str:
    """README with its marked section written anew. Raises UsageError where there is none."""
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(END) < text.index(BEGIN):
        raise UsageError(
            "has no section for results",
            where=where,
            remedy=f"put the lines {BEGIN} and {END} where the table belongs",
        )
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    return f"{before}{BEGIN}\n{markdown_text(summary_table(results))}{END}{after}"


@dataclass(frozen=True)
class Written:
    """What was written: the page and its pictures, and what they show."""

    page: Path
    pictures: tuple[Path, ...]
    results: Results


def write_results(
    docs: Path,
    readme: Path | None,
    rules: Rules,
    study: str = STUDY,
    files: Sequence[Path] | None = None,
) -> Written:
    """Write the page and its pictures, and the section of README. Raises UsageError where there
    are no entries, and where a file cannot be read or written."""
    results = gather(rules, load_study(study), files)
    figures = [_curves(analysis) for analysis in results.analyses]
    pictures = []
    try:
        (docs / PICTURES).mkdir(parents=True, exist_ok=True)
        for name, content in converted(figures, ("svg",)):
            picture = docs / PICTURES / name
            picture.write_text(str(content), encoding="utf-8")
            pictures.append(picture)
        by_hand = docs / NOTES
        notes = read_regular(by_hand).decode() if by_hand.is_file() else ""
        page = docs / PAGE
        page.write_text(page_text(results, notes, [one.name for one in pictures]), encoding="utf-8")
        if readme is not None:
            text = readme_text(read_regular(readme).decode(), results, str(readme))
            readme.write_text(text, encoding="utf-8")
    except OSError as error:
        what = (error.strerror or str(error)).lower()
        raise UsageError(what, where=str(error.filename or docs)) from None
    except UnicodeDecodeError:
        raise UsageError("a page that is not UTF-8 text", where=f"{docs}, {readme}") from None
    return Written(page, tuple(pictures), results)


def _curves(analysis: Analysis) -> Figure:
    frame = analysis.frame
    best = [frame.contenders[place] for place in analysis.leading][:SHOWN]
    name = f"{frame.setting.task}, {frame.setting.dataset}"
    return curves_figure(f"results-{slug(name)}", f"{name}: the first {len(best)}", best)
