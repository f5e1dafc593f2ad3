"""The figures of a report: training curves, the main metric by source length and against cost, and
the critical-difference diagram of mean ranks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from bench.attention.registries import NO_SCORE
from bench.store.result import Result
from reports import formats
from reports.figures import (
    Drawing,
    Marker,
    Path,
    Shape,
    Style,
    Text,
    stacked,
    style,
    text_width,
    tiled,
)
from reports.figures.panels import (
    Axes,
    Series,
    Spot,
    legend,
    legend_width,
    line_panels,
    pareto_front,
    scatter,
)
from reports.load import Contender, Frame, TaskEntry, slug
from reports.statistics import LEADING, Analysis
from reports.statistics.significance import MeanRanks
from reports.tables import mean_known

#: Keys of a training curve that are not figures of their own.
NOT_FIGURES = ("step", "seconds", "epoch", "learning_rate", "units")
_COLUMNS = 4
_LONGEST_UNIT = 24  # characters that fit under a panel

_WIDTH = 340.0  # of the axis of the rank diagram
_TOP, _ROW, _BAR = 40.0, 17.0, 7.0
_SIZE = 11.0

#: At most so many contenders have lines, best first, so that pages stay small.
CONTENDERS = 40

#: A result's lines by name, each from x to y.
Lines = dict[str, dict[float, float]]


@dataclass(frozen=True)
class Figure:
    """A titled set of panels with one legend; as a file it is a single drawing."""

    name: str
    title: str
    caption: str
    panels: tuple[Drawing, ...]
    entries: tuple[tuple[str, Style], ...] = ()
    columns: int = _COLUMNS

    @property
    def legend_entries(self) -> tuple[Drawing, ...]:
        """The legend as one small picture an entry, for pages that wrap them."""
        return tuple(legend([entry], legend_width(entry[0])) for entry in self.entries)

    def drawing(self) -> Drawing:
        """All panels and the legend in one picture."""
        grid = tiled(self.panels, self.columns, title=self.title)
        if not self.entries:
            return grid
        return stacked([legend(self.entries, grid.width), grid], title=self.title)


class Styles:
    """Colour, dash and marker by score, the same in every figure of a frame."""

    def __init__(self, frame: Frame, scores: Sequence[str]) -> None:
        run = [contender.score for contender in frame.contenders]
        names = dict.fromkeys([*scores, *(name for name in run if name != NO_SCORE)])
        self._by_score = {name: style(place) for place, name in enumerate(names)}
        self._by_score[NO_SCORE] = style(len(names))

    def of(self, contender: Contender) -> Style:
        return self._by_score[contender.score]

    def entries(self, contenders: Sequence[Contender]) -> tuple[tuple[str, Style], ...]:
        """Legend of the scores that these contenders use."""
        used = {contender.score for contender in contenders}
        return tuple(
            ("no score function" if name == NO_SCORE else name, styled)
            for name, styled in self._by_score.items()
            if name in used
        )


def training_curves(analysis: Analysis, styles: Styles) -> list[Figure]:
    """Return one figure for each quantity recorded during training (loss, validation, ...)."""
    frame = analysis.frame
    keys = dict.fromkeys(key for result in frame.done for point in result.curve for key in point)
    figures = []
    for key in keys:
        if key in NOT_FIGURES:
            continue
        series = _series(
            _chosen(analysis), styles, partial(curve, key=key, scale=metric_scale(key))
        )
        name = axis_name(key)
        panels = line_panels(series, Axes("step", name))
        if panels:
            figures.append(
                Figure(
                    f"{frame.setting.slug}-curve-{slug(key)}",
                    f"{name[:1].upper()}{name[1:]} while training",
                    _caption(analysis),
                    tuple(panels),
                    styles.entries([one for one in frame.contenders if one.done]),
                )
            )
    return figures


def by_length(analysis: Analysis, styles: Styles, task: TaskEntry) -> Figure | None:
    """Return the main metric by source length, with lengths beyond those of the main test set
    shaded."""
    frame = analysis.frame
    name = axis_name(frame.main_metric)
    bins = [entry for result in frame.done for entry in result.by_length]
    if not bins:
        return None
    first = analysis.main.subset
    longest = max((entry.high for entry in bins if entry.subset == first), default=None)
    beyond = longest is not None and any(entry.high > longest for entry in bins)
    unit = task.length_unit if len(task.length_unit) <= _LONGEST_UNIT else "length"
    axes = Axes(unit, name, longest if beyond else None, from_zero=True)
    lines = partial(lengths, scale=metric_scale(frame.main_metric))
    panels = line_panels(_series(_chosen(analysis), styles, lines), axes)
    shaded = "Shaded: longer than anything in training and in the test set. " if beyond else ""
    names = list(dict.fromkeys(entry.subset for entry in bins))
    if len(names) > 1:
        shaded += f"Each test set ({formats.listed(names)}) has a line of its own. "
    if unit != task.length_unit:
        shaded = f"Length in {task.length_unit}. {shaded}"
    return Figure(
        f"{frame.setting.slug}-by-length",
        f"{name[:1].upper()}{name[1:]} by source length",
        f"{shaded}{_caption(analysis)}",
        tuple(panels),
        styles.entries([one for one in frame.contenders if one.done]),
    )


_COSTS: tuple[tuple[str, str, bool], ...] = (
    ("train_seconds", "training seconds", True),
    ("parameters", "parameters", True),
    ("decode_examples_per_second", "decoded examples per second", False),
    ("peak_memory_bytes", "peak memory (MiB)", True),
)


def quality_against_cost(analysis: Analysis, styles: Styles) -> Figure | None:
    """Return a scatter plot with its Pareto front for each cost that was measured."""
    frame = analysis.frame
    name = axis_name(frame.main_metric)
    panels = []
    for key, label, lower in _COSTS:
        spots = _drawn(_spots(analysis, styles, key), lower, frame.higher_is_better)
        if len(spots) > 1:
            sense = "less is better" if lower else "more is better"
            panels.append(
                scatter(
                    spots,
                    title=f"{name} against {label}",
                    x_label=f"{label}, {sense}",
                    y_label=name,
                    lower_x=lower,
                    higher_y=frame.higher_is_better,
                )
            )
    if not panels:
        return None
    return Figure(
        f"{frame.setting.slug}-cost",
        f"{name[:1].upper()}{name[1:]} against cost",
        "Means over seeds with 95 % intervals. The dashed line joins what nothing else beats in "
        f"one respect without losing in the other (the Pareto front). Of more than {LEADING} "
        "mechanisms the best and those on the front are drawn.",
        tuple(panels),
        styles.entries([one for one in frame.contenders if one.done]),
        columns=2,
    )


def _spots(analysis: Analysis, styles: Styles, key: str) -> list[Spot]:
    spots = []
    y = metric_scale(analysis.frame.main_metric)
    scale = 1 / 2**20 if key.endswith("bytes") else 1.0
    for contender, estimate in zip(analysis.frame.contenders, analysis.main.estimates, strict=True):
        cost, _ = mean_known([getattr(result.cost, key) for result in contender.done])
        if estimate is not None and cost is not None:
            spots.append(
                Spot(
                    contender.name,
                    contender.attention,
                    cost * scale,
                    estimate.value * y,
                    None if estimate.low is None else estimate.low * y,
                    None if estimate.high is None else estimate.high * y,
                    styles.of(contender),
                )
            )
    return spots


def _drawn(spots: Sequence[Spot], lower: bool, higher: bool) -> list[Spot]:
    """Return the spots on the front and the best of the others, so that pages stay small."""
    points = [(spot.x, spot.y) for spot in spots]
    front = pareto_front(points, lower_x=lower, higher_y=higher)
    by_figure = sorted(range(len(spots)), key=lambda at: -spots[at].y if higher else spots[at].y)
    kept = set(front) | set(by_figure[:LEADING])
    return [spot for place, spot in enumerate(spots) if place in kept]


def _chosen(analysis: Analysis) -> list[Contender]:
    """Return the contenders whose lines are drawn: the best ones, in the order of the frame."""
    places = sorted(analysis.order[:CONTENDERS])
    return [one for place in places if (one := analysis.frame.contenders[place]).done]


def _caption(analysis: Analysis) -> str:
    done = sum(1 for one in analysis.frame.contenders if one.done)
    left_out = f" The {CONTENDERS} best of {done} are drawn." if done > CONTENDERS else ""
    return (
        "One panel per attention, lines are means over seeds; all other attentions in grey."
        f"{left_out}"
    )


def _series(
    contenders: Sequence[Contender], styles: Styles, lines: Callable[[Result], Lines]
) -> list[Series]:
    return [
        Series(contender.name, contender.attention, points, styles.of(contender))
        for contender in contenders
        for points in _means([lines(result) for result in contender.done])
        if points
    ]


def _means(per_seed: Sequence[Lines]) -> list[tuple[tuple[float, float], ...]]:
    """Average each line over the seeds that have it, at the x values that all of them share."""
    means = []
    for name in dict.fromkeys(name for lines in per_seed for name in lines):
        held = [lines[name] for lines in per_seed if name in lines]
        shared = [x for x in sorted(held[0]) if all(x in line for line in held)]
        means.append(tuple((x, sum(line[x] for line in held) / len(held)) for x in shared))
    return means


def metric_scale(metric: str) -> float:
    """Return 100 for fractions, which are drawn as percentages, else 1."""
    return 100.0 if formats.is_fraction(metric) else 1.0


def axis_name(metric: str) -> str:
    percent = " (%)" if formats.is_fraction(metric) else ""
    return f"{formats.metric_name(metric)}{percent}"


def curve(result: Result, key: str, scale: float) -> Lines:
    points = [point for point in result.curve if {"step", key} <= {*point}]
    return {key: {point["step"]: point[key] * scale for point in points}}


def lengths(result: Result, scale: float) -> Lines:
    """Return one line per test set: bin center to figure."""
    lines: Lines = {}
    for entry in result.by_length:
        lines.setdefault(entry.subset, {})[(entry.low + entry.high) / 2] = entry.value * scale
    return lines


def rank_figure(ranks: MeanRanks) -> Figure:
    """Return the critical-difference diagram with a caption that explains it."""
    settings = formats.plural(len(ranks.settings), "setting")
    p = formats.probability(ranks.p)
    p = f"p {p if p.startswith('<') else f'= {p}'}".replace(" ", "\N{NO-BREAK SPACE}")
    told = (
        f"Mean rank over {settings} ({ranks.settings[0].budget} budget), 1 is the best. Bars join "
        f"mechanisms that cannot be told apart: their ranks differ by less than "
        f"{ranks.critical:.2f} (Nemenyi's test, 5 %). Friedman's test that all are alike: "
        f"{p}."
    )
    if ranks.left_out:
        told += (
            f" {formats.plural(ranks.left_out, 'mechanism')} that did not finish in every setting "
            f"{'is' if ranks.left_out == 1 else 'are'} left out."
        )
    if len(ranks.settings) < 10:
        told += " So few settings tell little: only large differences can show."
    title = "Mean ranks over tasks"
    return Figure("ranks", title, told, (_diagram(ranks, title),), columns=1)


def _diagram(ranks: MeanRanks, title: str) -> Drawing:
    """Draw names below each other, the best first, under an axis of ranks; bars join what cannot
    be told apart."""
    left = max(text_width(name, _SIZE) for name in ranks.names) + 52
    most = len(ranks.names)
    scale = (_WIDTH - 12) / max(most - 1, 1)
    cliques = ranks.cliques
    shapes: list[Shape] = []

    def x(rank: float) -> float:
        return left + (rank - 1) * scale

    step = 1 if most <= 14 else 2 if most <= 28 else 5
    for tick in range(1, most + 1, step):
        shapes.append(Text(x(tick), 12, str(tick), "muted", "middle", _SIZE - 1))
        bottom = _TOP + len(ranks.names) * _ROW
        shapes.append(Path(((x(tick), 18), (x(tick), bottom)), "grid"))
    end = min(x(1 + ranks.critical), left + _WIDTH - 12)
    shapes.append(Path(((x(1), 26), (end, 26)), "ink", 2.0))
    shapes.append(Text(x(1), 37, "critical difference", "muted", size=_SIZE - 1.5))
    for place, (name, mean) in enumerate(zip(ranks.names, ranks.means, strict=True)):
        y = _TOP + (place + 0.5) * _ROW + 4
        shapes.append(Text(left - 46, y + 3.8, name, anchor="end", size=_SIZE))
        shapes.append(Text(left - 12, y + 3.8, f"{mean:.2f}", "muted", "end", _SIZE - 1))
        told = f"{name}: mean rank {mean:.2f}"
        shapes.append(Marker(x(mean), y, "circle", "series-0", 4.0, told))
    # Bars to the right of the axis, from the first to the last of a group.
    for number, (first, last) in enumerate(cliques):
        at = left + _WIDTH + 4 + number * _BAR
        ends = (_TOP + first * _ROW + 6, _TOP + (last + 1) * _ROW + 2)
        shapes.append(Path(((at, ends[0]), (at, ends[1])), "ink", 2.6))
    groups = "; ".join(
        f"not to be told apart: {', '.join(ranks.names[first : last + 1])}"
        for first, last in cliques
    )
    width = left + _WIDTH + 10 + len(cliques) * _BAR
    height = _TOP + len(ranks.names) * _ROW + 10
    return Drawing(width, height, tuple(shapes), title, groups)
