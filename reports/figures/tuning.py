"""The figures of a search: the losses of all candidates, and the expected best of n of them.

Both are functions of a data frame alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

from reports import formats
from reports.figures import (
    Box,
    Drawing,
    Marker,
    Path,
    Shape,
    Style,
    Text,
    shortened,
    style,
    text_width,
)
from reports.figures.charts import Figure
from reports.figures.panels import PANEL, Scale, padded_scale, ticks

#: Columns of the frame of candidates: one row for each that has a loss.
CANDIDATES = ("mechanism", "number", "loss", "outcome", "best")
#: Columns of the frame of curves: one row for each n of each mechanism.
CURVES = ("panel", "mechanism", "n", "loss", "low", "high")

#: Losses of more than so many times the worst winner's are not drawn: they would hide the others.
_LARGEST = 2.0
#: At most so many mechanisms are drawn, best first.
MECHANISMS = 40

_WIDTH, _ROW, _TOP, _BOTTOM = 380.0, 17.0, 22.0, 32.0
_LABEL = 28  # characters
_SIZE = 11.0
_LEFT, _RIGHT = 34.0, 8.0
_LOSS = "validation loss"


def candidates_figure(frame: pd.DataFrame, name: str) -> Figure | None:
    """One row of marks for each mechanism, the best first: a candidate stands at its loss.

    Args:
        frame: has the columns `CANDIDATES`.
    """
    shown, left_out = _chosen(frame)
    if shown.empty:
        return None
    best = shown.groupby("mechanism")["loss"].min().sort_values()
    limit = _LARGEST * float(best.max())
    beyond = int((shown["loss"] > limit).sum())
    labels = {str(one): shortened(str(one), _LABEL) for one in best.index}
    left = max(text_width(label, _SIZE) for label in labels.values()) + 8
    x = padded_scale(shown["loss"][shown["loss"] <= limit].tolist(), left, _WIDTH - 8, pad=0.04)
    bottom = _TOP + len(best) * _ROW
    shapes: list[Shape] = [Text(4, 14, f"{_LOSS}, less is better", bold=True, size=12)]
    for value in ticks(x, 5):
        shapes.append(Path(((x(value), _TOP), (x(value), bottom)), "grid"))
        tick = Text(x(value), bottom + 13, formats.short(value), "muted", "middle", _SIZE - 1)
        shapes.append(tick)
    for place, mechanism in enumerate(labels):
        y = _TOP + (place + 0.5) * _ROW
        shapes.append(Text(left - 6, y + 3.8, labels[mechanism], anchor="end", size=_SIZE))
        own = shown[(shown["mechanism"] == mechanism) & (shown["loss"] <= limit)]
        for row in _rows(own.sort_values("best")):
            told = f"{mechanism}, candidate {row.number}: {_LOSS} {row.loss:.4g}"
            stopped = row.outcome == "stopped"
            role = "accent" if row.best else "gold" if row.number == 1 else "muted"
            shape = "cross" if stopped else "diamond" if row.number == 1 else "circle"
            size = 4.4 if row.best else 3.0
            shapes.append(Marker(x(row.loss), y, shape, role, size, told))
    lowest = "; ".join(f"{one} {value:.4g}" for one, value in best.items())
    title = "Losses of the candidates"
    drawing = Drawing(_WIDTH, bottom + 18, tuple(shapes), title, f"Lowest: {lowest}.")
    more = f" {formats.plural(beyond, 'candidate')} beyond the right end." if beyond else ""
    caption = (
        "A mark is a candidate; the large one is the winner, the diamond has the budget's own "
        f"settings, a cross was stopped early. A wide row is sensitive to its settings.{more}"
        f"{left_out}"
    )
    return Figure(name, title, caption, (drawing,), columns=1)


def best_of_n_figure(frame: pd.DataFrame, name: str, *, learns: bool) -> Figure | None:
    """A panel for each attention: the lowest loss that n candidates give, with its band.

    Args:
        frame: has the columns `CURVES`.
        learns: the searcher learnt from its candidates, so that lines are of the best so far.
    """
    shown, left_out = _chosen(frame)
    most = int(shown["n"].max()) if len(shown) else 0
    if most < 2:
        return None
    limit = _LARGEST * float(shown.groupby("mechanism")["loss"].min().max())
    shown = shown[shown["loss"] <= limit]
    x = Scale(1, most, _LEFT + 4, PANEL[0] - _RIGHT - 4)
    ends = [value for column in ("loss", "low") for value in shown[column].dropna()]
    y = padded_scale(ends, PANEL[1] - 30, 24, pad=0.06)
    mechanisms = dict.fromkeys(shown["mechanism"])
    styles = {str(one): style(place) for place, one in enumerate(mechanisms)}
    panels = [_panel(str(panel), shown, styles, x, y) for panel in dict.fromkeys(shown["panel"])]
    what = (
        "The lowest loss among the first n candidates: this searcher learns from them, so their "
        "order counts. "
        if learns
        else "The lowest loss that is expected of n random candidates of those seen (Dodge 2019, "
        "without replacement), with a bootstrap band (95 %). "
    )
    told = f"{what}One panel per attention, all others in grey.{left_out}"
    title = "Best of n candidates"
    return Figure(name, title, told, tuple(panels), tuple(styles.items()))


def _chosen(frame: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """The rows of the mechanisms that are drawn, and a sentence on those that are not."""
    best = frame.groupby("mechanism")["loss"].min().sort_values()
    if len(best) <= MECHANISMS:
        return frame, ""
    chosen = frame[frame["mechanism"].isin(best.index[:MECHANISMS])]
    return chosen, f" The {MECHANISMS} best of {len(best)} are drawn."


def _panel(name: str, frame: pd.DataFrame, styles: dict[str, Style], x: Scale, y: Scale) -> Drawing:
    shapes: list[Shape] = []
    for value in ticks(y, 4):
        shapes.append(Path(((x.start - 4, y(value)), (x.end + 4, y(value))), "grid"))
        text = formats.short(value)
        shapes.append(Text(_LEFT - 5, y(value) + 3.5, text, "muted", "end", _SIZE - 1))
    step = max(1, round((x.high - 1) / 4))
    shapes += [
        Text(x(n), y.start + 13, str(n), "muted", "middle", _SIZE - 1)
        for n in range(1, int(x.high) + 1, step)
    ]
    middle = (x.start + x.end) / 2
    shapes.append(Text(middle, y.start + 26, "candidates", "muted", "middle", _SIZE - 1))
    described = []
    # Those of other panels first, so that they lie behind.
    groups = [(str(mechanism), rows) for mechanism, rows in frame.groupby("mechanism")]
    for mechanism, rows in sorted(groups, key=lambda one: _own(one[1], name)):
        points = tuple((x(row.n), y(row.loss)) for row in _rows(rows))
        if not _own(rows, name):
            shapes.append(Path(points, "context", 1.0, opacity=0.7))
            continue
        drawn = styles[mechanism]
        half = (x(2) - x(1)) / 2
        for row in _rows(rows):
            if pd.notna(row.low):
                top = y(min(row.high, y.high))
                left, right = max(x(row.n) - half, x.start), min(x(row.n) + half, x.end)
                height = y(row.low) - top
                shapes.append(Box(left, top, right - left, height, drawn.role, opacity=0.16))
        shapes.append(Path(points, drawn.role, 1.8, drawn.dash))
        for row in _rows(rows):
            told = f"{mechanism}: {_LOSS} {row.loss:.4g} with {formats.plural(row.n, 'candidate')}"
            shapes.append(Marker(x(row.n), y(row.loss), drawn.marker, drawn.role, 2.2, told))
        last = rows.iloc[-1]
        described.append(f"{mechanism} {last['loss']:.4g} with {last['n']}")
    shapes.append(Text(_LEFT, 14, shortened(name, 26), bold=True, size=12))
    title = f"Lowest {_LOSS} by number of candidates: {name}"
    return Drawing(*PANEL, tuple(shapes), title, f"{title}: {'; '.join(described)}.")


def _rows(frame: pd.DataFrame) -> Iterable[Any]:
    """The rows, whose values pandas types as anything."""
    return frame.itertuples()


def _own(rows: pd.DataFrame, panel: str) -> bool:
    return bool(rows["panel"].iloc[0] == panel)
