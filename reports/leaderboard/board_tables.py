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
from reports.load import all_converged, slug
from reports.output_folder import write_files
from reports.pages import STYLE, TABLES, asset, style_sheet, template_environment
from reports.statistics.significance import (
    Estimate,
    SeedVariance,
    detectable_difference,
    holm_pairs,
    interval_variance,
    pairwise_p,
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

#: Reasons against a bundle, and entries that lack a seed, that the page shows.
REASONS, OPEN = 20, 500


@dataclass(frozen=True)
class BoardScore:
    """A score with its interval; higher is better."""

    value: float
    low: float
    high: float

    @property
    def variance(self) -> float:
        return interval_variance(self.low, self.high)


def score_of(estimate: Estimate | None, reference: ReferenceSetting | str) -> BoardScore | None:
    """Convert an estimate and its interval to a score; None without a reference."""
    if estimate is None or isinstance(reference, str):
        return None
    ends = [reference.score(end) for end in (estimate.low, estimate.high) if end is not None]
    value = reference.score(estimate.value)
    return BoardScore(value, min(ends, default=value), max(ends, default=value))


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
        rows.append(Row(entry.name, entries, converged=contender.converged))
    return Table(
        name=slug(f"{kind} {standing.setting.slug}"),
        title=f"{standing.setting.task.capitalize()}: {standing.setting.label}",
        corner="mechanism",
        columns=tuple(columns),
        rows=tuple(rows),
        notes=tuple(_setting_notes(standing)),
    )


def score_entry(
    score: BoardScore | None,
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
    notes += group_notes(standing.analysis, [entry.name for entry in standing.entries])
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
    """One entry over all settings of a track; `standings` has None where it was not run."""

    entry: BoardEntry
    standings: tuple[SettingBoard | None, ...]

    @property
    def done(self) -> int:
        return sum(one is not None for one in self.standings)

    @cached_property
    def overall(self) -> BoardScore | None:
        """The mean score where every setting has one, else None; settings vary independently."""
        scores = [self._score(one) for one in self.standings if one is not None]
        known = [one for one in scores if one is not None]
        if len(known) < len(self.standings):
            return None
        value = float(np.mean([one.value for one in known]))
        reach = float(np.sqrt(sum((one.high - one.low) ** 2 for one in known))) / (2 * len(known))
        return BoardScore(value, value - reach, value + reach)

    def run(self, seeds: Collection[int]) -> str:
        """How many settings were run, and how many seeds are open in them."""
        have = [
            set(one.analysis.frame.contenders[one.entries.index(self.entry)].seeds)
            for one in self.standings
            if one is not None
        ]
        lacking = sum(len(set(seeds) - one) for one in have)
        text = f"{self.done} of {len(self.standings)}"
        return f"{text}, {lacking} of {len(seeds) * len(have)} seeds open" if lacking else text

    def overall_entry(self, group: int | None, shade: float | None) -> Number | Missing:
        if self.overall is not None:
            converged = all_converged(self._converged(one) for one in self.standings if one)
            return score_entry(self.overall, "", group, shade, converged)
        if self.done < len(self.standings):
            return Missing("not run", f"{self.done} of {len(self.standings)} settings")
        reasons = (one.reference for one in self.standings if one is not None)
        unscored = (reason for reason in reasons if isinstance(reason, str))
        return Missing("not measured", next(unscored, NO_REFERENCE))

    def score_entry(self, standing: SettingBoard | None) -> Number | Missing:
        """Return the score in one setting, or the reason why there is none."""
        if standing is None:
            return Missing("not run")
        group = standing.analysis.main.groups[standing.entries.index(self.entry)]
        return score_entry(
            self._score(standing),
            standing.reference,
            group,
            converged=self._converged(standing),
        )

    def _converged(self, standing: SettingBoard) -> bool | None:
        place = standing.entries.index(self.entry)
        return standing.analysis.frame.contenders[place].converged

    def _score(self, standing: SettingBoard) -> BoardScore | None:
        place = standing.entries.index(self.entry)
        return score_of(standing.analysis.main.estimates[place], standing.reference)


def track_table(board: ClassBoard, track: Track, seeds: Collection[int]) -> Table | None:
    """Build the table of all entries over a track; None where nobody ran any of its settings.

    Args:
        seeds: that every entry has in the end.
    """
    standings = [board.standing(track, one) for one in track.settings]
    entries = dict.fromkeys(entry for one in standings if one is not None for entry in one.entries)
    if not entries:
        return None
    lines = [
        _TrackEntry(
            entry, tuple(one if one and entry in one.entries else None for one in standings)
        )
        for entry in entries
    ]
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
                line.entry.name,
                (
                    Label(line.entry.title),
                    line.overall_entry(group, shade),
                    Label(line.run(seeds)),
                    *map(line.score_entry, line.standings),
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
    board: ClassBoard, track: Track, overall: Sequence[BoardScore | None]
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
    return overall is None, -overall.value if overall else 0.0, -line.done, line.entry.name


def tie_groups_of(overall: Sequence[BoardScore | None]) -> list[int | None]:
    """Return tie groups of overall scores. Entries share their test sets, yet their scores are
    treated as independent, which is conservative."""
    known = [one for one in overall if one is not None]
    if not known:
        return [None] * len(overall)
    values, nothing = np.array([one.value for one in known]), np.full(len(known), np.nan)
    seeds = SeedVariance(nothing, np.zeros(len(known)), 0.0)  # part of the intervals already
    p = pairwise_p(values, _errors(known) ** 2, seeds, np.ones(len(known)))
    ties = iter(tie_groups(values, holm_pairs(p), higher_is_better=True))
    return [None if one is None else next(ties) for one in overall]


def detectable_of(overall: Sequence[BoardScore | None]) -> float | None:
    """Return the smallest true difference of overall scores found with 80 % power; None with
    fewer than two scores."""
    known = [one for one in overall if one is not None]
    if len(known) < 2:
        return None
    errors = _errors(known)[np.triu_indices(len(known), k=1)]
    return detectable_difference(float(np.median(errors)), np.inf, comparisons=len(errors))


def _errors(known: Sequence[BoardScore]) -> np.ndarray:
    """Return the standard error of every pairwise difference, V,V."""
    variances = np.array([one.variance for one in known])
    return np.sqrt(variances[:, None] + variances[None, :])


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
