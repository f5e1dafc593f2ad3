"""The board's table over all settings of a track.

Figures of different tasks cannot be averaged, scores can: they are all measured in spreads of the
same set of mechanisms. Only who ran every setting has an overall score; a mean over fewer would
be a mean of other, maybe easier, tasks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from reports.frames import slug
from reports.group_notes import seeds_text
from reports.leaderboard.board import NO_REFERENCE, ClassBoard, Entry, Standing
from reports.leaderboard.board_tables import Score, score_entry, score_of
from reports.leaderboard.rules import Track
from reports.significance import detectable_difference, holm_pairs, tie_groups
from reports.tables import Column, Label, Missing, Number, Row, Table, shades


@dataclass(frozen=True)
class _Line:
    """An entry over a track.

    Attributes:
        standings: of the track's settings; None where nobody ran it.
        places: of the entry in each; None where it was not run.
    """

    entry: Entry
    standings: tuple[Standing | None, ...]
    places: tuple[int | None, ...]

    @property
    def done(self) -> int:
        return sum(place is not None for place in self.places)

    @property
    def scores(self) -> list[Score | None]:
        return [
            None
            if standing is None or place is None
            else score_of(standing.analysis.headline.estimates[place], standing.reference)
            for standing, place in zip(self.standings, self.places, strict=True)
        ]

    @property
    def overall(self) -> Score | None:
        """The mean score, if there is one for every setting; settings vary independently."""
        known = [one for one in self.scores if one is not None]
        if len(known) < len(self.places):
            return None
        value = float(np.mean([one.value for one in known]))
        reach = float(np.sqrt(sum((one.high - one.low) ** 2 for one in known))) / (2 * len(known))
        return Score(value, value - reach, value + reach)

    def overall_entry(self, group: int | None, shade: float | None) -> Number | Missing:
        overall = self.overall
        if overall is not None:
            return Number(
                overall.value, overall.low, overall.high, 2, group=group, shade=shade, signed=True
            )
        if self.done < len(self.places):
            return Missing("not run", f"{self.done} of {len(self.places)} settings")
        unscored = [
            standing.reference
            for standing in self.standings
            if standing is not None and isinstance(standing.reference, str)
        ]
        return Missing("not measured", unscored[0] if unscored else NO_REFERENCE)

    def entries(self) -> list[Number | Missing]:
        """A score or the reason for none, by setting."""
        found: list[Number | Missing] = []
        scores = self.scores
        for standing, place, score in zip(self.standings, self.places, scores, strict=True):
            if standing is None or place is None:
                found.append(Missing("not run"))
            else:
                group = standing.analysis.headline.groups[place]
                found.append(score_entry(score, standing.reference, group))
        return found


def track_table(board: ClassBoard, track: Track) -> Table | None:
    """The entries over all settings of a track; None where nobody ran any of them."""
    lines = _lines(board, track)
    if not lines:
        return None
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
            *(Column(f"score_{slug(name)}", name, group="score") for name in track.settings),
        ),
        rows=tuple(
            Row(
                line.entry.name,
                (
                    Label(line.entry.title),
                    line.overall_entry(group, shade),
                    Label(f"{line.done} of {len(track.settings)}"),
                    *line.entries(),
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
    board: ClassBoard, track: Track, overall: Sequence[Score | None]
) -> Iterator[str]:
    """How small a difference of scores can be found, overall and in every setting."""
    found = [("overall", detectable_of(overall))]
    judged = []
    for name in track.settings:
        standing = board.standing(track, name)
        if standing is not None and not isinstance(standing.reference, str):
            judged.append(standing.analysis.headline)
            least = judged[-1].detectable
            found.append((name, None if least is None else least / standing.reference.spread))
    known = [f"{name} {least:.2f}" for name, least in found if least is not None]
    if known:
        yield (
            f"With {seeds_text(*judged)}, true differences of scores of these sizes are found four "
            f"times out of five; smaller ones are easily missed: {', '.join(known)}. Sharing a "
            "group is not being equal."
        )


def _lines(board: ClassBoard, track: Track) -> list[_Line]:
    standings = tuple(board.standing(track, name) for name in track.settings)
    entries = dict.fromkeys(one for each in standings if each is not None for one in each.entries)

    def place(entry: Entry, standing: Standing | None) -> int | None:
        if standing is None or entry not in standing.entries:
            return None
        return standing.entries.index(entry)

    return [
        _Line(entry, standings, tuple(place(entry, one) for one in standings)) for entry in entries
    ]


def _rank(line: _Line) -> tuple[bool, float, int, str]:
    """The best overall score first, then those without one, the most complete first."""
    overall = line.overall
    return overall is None, -overall.value if overall else 0.0, -line.done, line.entry.name


def tie_groups_of(overall: Sequence[Score | None]) -> list[int | None]:
    """Tie groups of overall scores. Their differences count as those of independent figures,
    which is cautious: entries share their test sets."""
    places = [place for place, one in enumerate(overall) if one is not None]
    known = [one for one in overall if one is not None]
    groups: list[int | None] = [None] * len(overall)
    if not known:
        return groups
    values = np.array([one.value for one in known])
    error = _errors(known)
    difference = np.abs(values[:, None] - values[None, :])
    with np.errstate(divide="ignore", invalid="ignore"):
        p = 2 * stats.norm.sf(difference / error)
    p = np.where(error > 0, p, np.where(difference < 1e-12, 1.0, 0.0))
    for place, group in zip(
        places, tie_groups(values, holm_pairs(p), higher_is_better=True), strict=True
    ):
        groups[place] = group
    return groups


def detectable_of(overall: Sequence[Score | None]) -> float | None:
    """The smallest true difference of overall scores that these groups show four times out of five;
    None with fewer than two scores."""
    known = [one for one in overall if one is not None]
    if len(known) < 2:
        return None
    errors = _errors(known)[np.triu_indices(len(known), k=1)]
    return detectable_difference(float(np.median(errors)), np.inf, comparisons=len(errors))


def _errors(known: Sequence[Score]) -> np.ndarray:
    """Standard error of every difference."""
    variances = np.array([one.variance for one in known])
    return np.sqrt(variances[:, None] + variances[None, :])
