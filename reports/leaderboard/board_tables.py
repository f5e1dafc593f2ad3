"""The board as tables, page, Markdown and CSV: one table a setting, one over each track.

Figures of different tasks cannot be averaged, scores can: all are measured in spreads of the same
set of mechanisms. Only who ran every setting of a track has an overall score; a mean over fewer
would be a mean of other, maybe easier, tasks.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from reports.formats import metric_name
from reports.leaderboard.board import NO_REFERENCE, Board, BoardEntry, ClassBoard, SettingBoard
from reports.leaderboard.rules import ReferenceSetting, Track
from reports.load import Contender, all_converged, slug
from reports.output_folder import write_files
from reports.pages import STYLE, TABLES, asset, style_sheet, template_environment
from reports.statistics.significance import (
    Estimate,
    PairwiseDifferences,
    interval_variance,
    tie_groups,
)
from reports.tables import (
    Column,
    Entry,
    Label,
    Missing,
    Number,
    Row,
    Table,
    estimate_entry,
    measured,
    shades,
)
from reports.tables.scores import group_notes, overlap_notes, seeds_text
from reports.writers import csv_text, escape_markdown, markdown_text
from tasks.evaluation.bootstrap import Interval

#: Reasons against a bundle, and entries that lack a seed, that the page shows.
REASONS, OPEN = 20, 500


def score_of(estimate: Estimate | None, reference: ReferenceSetting | str) -> Interval | None:
    """Convert an estimate and its interval to a score, of which higher is better; None without a
    reference."""
    if estimate is None or isinstance(reference, str):
        return None
    ends = [reference.score(end) for end in (estimate.low, estimate.high) if end is not None]
    value = reference.score(estimate.value)
    return Interval(value, min(ends, default=value), max(ends, default=value))


def setting_table(standing: SettingBoard, kind: str) -> Table:
    """Build the table of one setting's entries, the best first."""
    analysis, frame = standing.analysis, standing.analysis.frame
    subsets = analysis.subsets
    metric = frame.main_metric
    columns = [
        Column("entry", "entry", "what its bundle is called", text=True),
        *(
            Column(f"{metric}_{one.subset}", one.subset, group=metric_name(metric))
            for one in subsets
        ),
        Column("score", "score", "how far above the suite's own mechanisms, in their spreads"),
        Column("parameters", "parameters"),
    ]
    rows = []
    for place in analysis.order:
        entry, contender = standing.entries[place], frame.contenders[place]
        score = score_of(analysis.main.estimates[place], standing.reference)
        size = contender.done[0].cost.parameters if contender.done else None
        entries: tuple[Entry, ...] = (
            Label(entry.title),
            *(
                estimate_entry(one.estimates[place], metric, group=one.groups[place])
                for one in subsets
            ),
            score_entry(score, standing.reference),
            measured(size, form="count", note=f"{size or 0:,}"),
        )
        rows.append(Row(entry.contender.name, entries, converged=contender.converged))
    return Table(
        name=slug(f"{kind} {standing.setting.slug}"),
        title=f"{standing.setting.task.capitalize()}: {standing.setting.label}",
        corner="mechanism",
        columns=tuple(columns),
        rows=tuple(rows),
        notes=tuple(_setting_notes(standing)),
    )


def score_entry(
    score: Interval | None,
    reference: ReferenceSetting | str,
    group: int | None = None,
    shade: float | None = None,
    converged: bool | None = None,
) -> Number | Missing:
    """Return a table entry with the score, or with the reason why there is none."""
    if score is None:
        return Missing("not measured", reference if isinstance(reference, str) else "")
    return Number(
        score.value,
        score.low,
        score.high,
        digits=2,
        group=group,
        shade=shade,
        signed=True,
        converged=converged,
    )


def _setting_notes(standing: SettingBoard) -> list[str]:
    reference = standing.reference
    notes = list(standing.analysis.notes)
    notes += group_notes(standing.analysis, [entry.contender.name for entry in standing.entries])
    notes += overlap_notes(standing.analysis.frame.done)
    if isinstance(reference, str):
        notes.append(f"Scores: {reference}.")
    else:
        notes.append(
            f"A score of 0 is {metric_name(reference.metric)} {reference.mean:.4g}, the mean of "
            f"{reference.mechanisms} of the suite's own mechanisms; 1 is their spread, "
            f"{reference.spread:.4g}, better."
        )
    return notes


@dataclass(frozen=True)
class _TrackEntry:
    """One entry over all settings of a track, with its place in each; None where it was not run."""

    entry: BoardEntry
    places: tuple[tuple[SettingBoard, int] | None, ...]

    @cached_property
    def done(self) -> list[tuple[SettingBoard, int]]:
        return [one for one in self.places if one is not None]

    @cached_property
    def contenders(self) -> list[Contender]:
        return [board.analysis.frame.contenders[place] for board, place in self.done]

    @cached_property
    def overall(self) -> Interval | None:
        """The mean score where every setting has one, else None; settings vary independently."""
        scores = [
            score_of(board.analysis.main.estimates[place], board.reference)
            for board, place in self.done
        ]
        known = [one for one in scores if one is not None]
        if len(known) < len(self.places):
            return None
        value = float(np.mean([one.value for one in known]))
        reach = float(np.sqrt(sum((one.high - one.low) ** 2 for one in known))) / (2 * len(known))
        return Interval(value, value - reach, value + reach)

    def run(self, seeds: Collection[int]) -> str:
        """How many settings were run, and how many seeds are open in them."""
        lacking = sum(len(set(seeds).difference(one.seeds)) for one in self.contenders)
        text = f"{len(self.done)} of {len(self.places)}"
        every = len(seeds) * len(self.done)
        return f"{text}, {lacking} of {every} seeds open" if lacking else text

    def overall_entry(self, group: int | None, shade: float | None) -> Number | Missing:
        if self.overall is not None:
            converged = all_converged(one.converged for one in self.contenders)
            return score_entry(self.overall, "", group, shade, converged)
        if len(self.done) < len(self.places):
            return Missing("not run", f"{len(self.done)} of {len(self.places)} settings")
        reasons = (board.reference for board, _ in self.done)
        unscored = (reason for reason in reasons if isinstance(reason, str))
        return Missing("not measured", next(unscored, NO_REFERENCE))


def _track_score(found: tuple[SettingBoard, int] | None) -> Number | Missing:
    """Return the score of a place in one setting, or the reason why there is none."""
    if found is None:
        return Missing("not run")
    board, place = found
    return score_entry(
        score_of(board.analysis.main.estimates[place], board.reference),
        board.reference,
        board.analysis.main.groups[place],
        converged=board.analysis.frame.contenders[place].converged,
    )


def track_table(board: ClassBoard, track: Track, seeds: Collection[int]) -> Table | None:
    """Build the table of all entries over a track; None where nobody ran any of its settings.

    Args:
        seeds: that every entry has in the end.
    """
    standings = [board.standing(track, one) for one in track.settings]
    entries = dict.fromkeys(entry for one in standings if one is not None for entry in one.entries)
    if not entries:
        return None
    places = [
        {entry: (one, place) for place, entry in enumerate(one.entries)} if one else {}
        for one in standings
    ]
    lines = [_TrackEntry(entry, tuple(own.get(entry) for own in places)) for entry in entries]
    lines.sort(key=_rank)
    overall = [one.overall for one in lines]
    groups = tie_groups_of(overall)
    heat = shades([None if one is None else one.value for one in overall], higher_is_better=True)
    return Table(
        name=slug(f"{board.kind} {track.name}"),
        title=f"{board.title}: {track.name}",
        corner="mechanism",
        columns=(
            Column("entry", "entry", "what its bundle is called", text=True),
            Column("overall", "overall", "mean of the scores, for who ran every setting"),
            Column("run", "run", "how many settings of the track were run", text=True),
            *(
                Column(f"score_{slug(one.label)}", one.label, group="score")
                for one in track.settings
            ),
        ),
        rows=tuple(
            Row(
                line.entry.contender.name,
                (
                    Label(line.entry.title),
                    line.overall_entry(group, shade),
                    Label(line.run(seeds)),
                    *map(_track_score, line.places),
                ),
            )
            for line, group, shade in zip(lines, groups, heat, strict=True)
        ),
        notes=(
            "Scores are frozen: entries that come later move nobody's score. Groups say who cannot "
            "be told apart on this board, by Holm's correction over all its pairs.",
            *_detectable_notes(board, track, overall),
        ),
    )


def _detectable_notes(
    board: ClassBoard, track: Track, overall: Sequence[Interval | None]
) -> Iterator[str]:
    """Note the smallest detectable difference of scores, overall and in every setting."""
    found = [("overall", detectable_of(overall))]
    judged = []
    for one in track.settings:
        standing = board.standing(track, one)
        if standing is not None and not isinstance(standing.reference, str):
            judged.append(standing.analysis.main)
            least = judged[-1].detectable
            found.append((one.label, None if least is None else least / standing.reference.spread))
    known = [f"{name} {least:.2f}" for name, least in found if least is not None]
    if known:
        yield (
            f"With {seeds_text(*judged)}, true differences of scores of these sizes are found four "
            f"times out of five; smaller ones are easily missed: {', '.join(known)}. Sharing a "
            "group is not being equal."
        )


def _rank(line: _TrackEntry) -> tuple[bool, float, int, str]:
    """Sort key: the best overall score first, then entries without one, the most complete first."""
    overall = line.overall
    return (
        overall is None,
        -overall.value if overall else 0.0,
        -len(line.done),
        line.entry.contender.name,
    )


def tie_groups_of(overall: Sequence[Interval | None]) -> list[int | None]:
    """Return tie groups of overall scores. Entries share their test sets, yet their scores are
    treated as independent, which is conservative."""
    differences = _differences(overall)
    ties = iter(tie_groups(differences.values, differences.adjusted, higher_is_better=True))
    return [None if one is None else next(ties) for one in overall]


def detectable_of(overall: Sequence[Interval | None]) -> float | None:
    """Return the smallest true difference of overall scores found with 80 % power; None with
    fewer than two scores."""
    return _differences(overall).detectable


def _differences(overall: Sequence[Interval | None]) -> PairwiseDifferences:
    """The differences of those that have a score, whose intervals cover seeds, too."""
    known = [one for one in overall if one is not None]
    values = np.array([one.value for one in known])
    variances = np.array([interval_variance(one.low, one.high) for one in known])
    both = variances[:, None] + variances[None, :]
    return PairwiseDifferences(values, both, np.full(both.shape, 1e9), np.zeros(both.shape))


@dataclass(frozen=True)
class ClassTables:
    """The tables of one class: over its tracks, then of its settings."""

    title: str
    kind: str
    tables: tuple[Table, ...]


def class_tables(board: Board) -> list[ClassTables]:
    """Build the tables of every class."""
    found = []
    for one in board.classes:
        tracks = (track_table(one, track, board.rules.seeds) for track in board.rules.tracks)
        settings = (setting_table(standing, one.kind) for standing in one.standings)
        found.append(ClassTables(one.title, one.kind, (*filter(None, tracks), *settings)))
    return found


def bundles_table(board: Board) -> Table:
    """Build the table of verified bundles."""
    columns = (
        Column("id", "id", "SHA-256 of its manifest", text=True),
        Column("class", "class", text=True),
        Column("trials", "trials", text=True),
        Column("stated", "taken as stated", text=True),
    )
    rows = []
    for one in board.verdicts:
        bundle = one.bundle
        texts = bundle.id[:12], bundle.manifest.kind, str(len(one.results)), ", ".join(one.stated)
        rows.append(
            Row(bundle.manifest.name, tuple(map(Label, texts)), detail="; ".join(one.notes))
        )
    return Table("bundles", "Verified bundles", "bundle", columns, tuple(rows))


def write_board(board: Board, out: Path) -> list[Path]:
    """Write the board as a page, Markdown and CSV; return the files. Raises UsageError where the
    folder cannot be written."""
    found, bundles = class_tables(board), bundles_table(board)
    page = template_environment().get_template("board.html.j2")
    files: dict[str, str | bytes] = {
        "index.html": page.render(
            board=board, parts=found, bundles=bundles, reasons=REASONS, most=OPEN
        ),
        "board.md": board_text(board, found, bundles),
    }
    for table in (*(table for part in found for table in part.tables), bundles):
        files[f"tables/{table.name}.csv"] = csv_text(table)
    files |= {STYLE: style_sheet(), TABLES: asset(TABLES)}
    return write_files(out, files.items(), "board")


def board_text(board: Board, found: list[ClassTables], bundles: Table) -> str:
    """Format the board as Markdown."""
    blocks = [
        "# Leaderboard\n",
        escape_markdown(f"Rules {board.rules.version}: {board.rules.description}") + "\n",
        f"Reference: {escape_markdown(reference_text(board))}\n",
    ]
    for part in found:
        blocks.append(f"## {escape_markdown(part.title)}\n")
        blocks += [
            f"### {escape_markdown(one.title)}\n\n{markdown_text(one)}" for one in part.tables
        ]
    blocks.append(f"## {escape_markdown(bundles.title)}\n\n{markdown_text(bundles)}")
    if board.open:
        blocks.append("## Open\n")
        blocks += [f"- {escape_markdown(str(one))}" for one in board.open[:OPEN]]
        if len(board.open) > OPEN:
            blocks.append(f"- and {len(board.open) - OPEN} more")
    if board.refused:
        blocks.append("## Not on the board\n")
        blocks += [
            f"- {escape_markdown(one.name)}: {escape_markdown(text)}"
            for one in board.refused
            for text in one.reasons[:REASONS]
        ]
    return "\n".join(blocks) + "\n"


def reference_text(board: Board) -> str:
    """Describe the reference that scores are measured by."""
    if board.reference is None:
        return "none yet, so there are figures and groups, and no scores"
    return f"version {board.reference.version}, made with {board.reference.made_with}"
