"""The critical-difference diagram: mean ranks on an axis, bars over what cannot be told apart."""

from __future__ import annotations

from reports import formats
from reports.figures.charts import Figure
from reports.figures.drawing import Drawing, Marker, Path, Shape, Text, text_width
from reports.statistics.ranks import Ranks

_WIDTH = 340.0
_TOP, _ROW, _BAR = 40.0, 17.0, 7.0
_SIZE = 11.0


def rank_figure(ranks: Ranks) -> Figure:
    """The diagram with what it means in words."""
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


def _diagram(ranks: Ranks, title: str) -> Drawing:
    """Names below each other, the best first; the axis above them counts ranks."""
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
