"""The figures of a search: the losses of all candidates, and the expected best of n of them."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd

from reports import formats
from reports.figures import Figure
from reports.figures import chart_parts as parts
from reports.figures.panels import lines_figure
from reports.figures.theme import DASHES, MARKERS, Style, colour, config, styles

#: Columns of the frame of candidates: one row for each that has a loss.
CANDIDATES = ("mechanism", "number", "loss", "outcome", "best")
#: Columns of the frame of curves: one row for each n of each mechanism.
CURVES = ("panel", "series", "mechanism", "part", "n", "value", "low", "high")

#: Losses of more than so many times the worst winner's are not drawn: they would hide the others.
_LARGEST = 2.0
#: At most so many mechanisms are drawn, best first.
MECHANISMS = 40

_WIDTH, _ROW = 380, 17
_LOSS = "validation loss"
#: What a candidate is, and how it is drawn.
KINDS = {
    "winner": Style("accent", MARKERS[0], DASHES[0]),
    "budget's own settings": Style("gold", MARKERS[3], DASHES[0]),
    "candidate": Style("series-5", MARKERS[0], DASHES[0]),
    "stopped early": Style("series-5", MARKERS[4], DASHES[0]),
}


def candidates_layout(frame: pd.DataFrame) -> parts.Layout:
    """The layout of a frame with the columns `CANDIDATES` and `kind` (one of `KINDS`): one row of
    marks for each mechanism, the best first."""
    best = frame.groupby("mechanism")["loss"].min().sort_values()
    return _candidates(tuple(map(str, best.index)))


@parts.layout
def _candidates(mechanisms: tuple[str, ...]) -> alt.TopLevelUnitSpec:
    y = alt.Y(
        "mechanism:N",
        title=None,
        scale=alt.Scale(domain=list(mechanisms)),
        axis=alt.Axis(labelColor=colour("ink"), labelFontSize=11, labelLimit=220),
    )
    x = alt.X(
        "loss:Q",
        title=f"{_LOSS}, less is better",
        scale=alt.Scale(zero=False, nice=False, padding=parts.EDGE),
        axis=alt.Axis(grid=True),
    )
    told = [
        alt.Tooltip("mechanism:N"),
        alt.Tooltip("number:N", title="candidate"),
        alt.Tooltip("loss:Q", title=_LOSS, format=".4~g"),
        alt.Tooltip("kind:N", title="is"),
    ]
    channels = {**parts.marker("kind", tuple(KINDS.items())), "fillOpacity": alt.Undefined}
    return alt.TopLevelUnitSpec(
        mark=alt.MarkDef(type="point", filled=False),
        encoding=alt.FacetedEncoding(
            **channels,
            x=x,
            y=y,
            size=alt.SizeValue(22, condition={"test": "datum.best", "value": 56}),
            tooltip=told,
        ),
        data=parts.named(),
        transform=[parts.shown("kind")],
        params=[parts.hidden(), parts.zoom("zoom", "x")],
        width=_WIDTH,
        height=_ROW * len(mechanisms),
        config=config(),
    )


def candidates_figure(frame: pd.DataFrame, name: str) -> Figure | None:
    """The candidates of a setting; None where none has a loss.

    Args:
        frame: has the columns `CANDIDATES`.
    """
    shown, left_out = _chosen(frame, "loss")
    if shown.empty:
        return None
    best = shown.groupby("mechanism")["loss"].min().sort_values()
    limit = _LARGEST * float(best.max())
    beyond = int((shown["loss"] > limit).sum())
    shown = shown[shown["loss"] <= limit].copy()
    shown["kind"] = [_kind(row) for row in shown.itertuples()]
    shown = shown.sort_values("best", kind="stable")  # winners lie above the others
    lowest = "; ".join(f"{one} {value:.4g}" for one, value in best.items())
    more = f" {formats.plural(beyond, 'candidate')} beyond the right end." if beyond else ""
    caption = (
        "A mark is a candidate; the large one is the winner, the diamond has the budget's own "
        f"settings, a cross was stopped early. A wide row is sensitive to its settings.{more}"
        f"{left_out}"
    )
    return Figure(
        name,
        "Losses of the candidates",
        caption,
        f"Lowest: {lowest}.",
        candidates_layout(shown),
        shown,
        {kind: one for kind, one in KINDS.items() if kind in set(shown["kind"])},
    )


def _kind(row: Any) -> str:
    if row.best:
        return "winner"
    if row.outcome == "stopped":
        return "stopped early"
    return "budget's own settings" if row.number == 1 else "candidate"


def best_of_n_figure(frame: pd.DataFrame, name: str, *, learns: bool) -> Figure | None:
    """The curves of a setting; None where no mechanism has two candidates.

    Args:
        frame: has the columns `CURVES`.
        learns: the searcher learnt from its candidates, so that lines are of the best so far.
    """
    shown, left_out = _chosen(frame, "value")
    if shown.empty or int(shown["n"].max()) < 2:
        return None
    limit = _LARGEST * float(shown.groupby("mechanism")["value"].min().max())
    shown = shown[shown["value"] <= limit]
    what = (
        "The lowest loss among the first n candidates: this searcher learns from them, so their "
        "order counts. "
        if learns
        else "The lowest loss that is expected of n random candidates of those seen (Dodge 2019, "
        "without replacement), with a bootstrap band (95 %). "
    )
    return lines_figure(
        name,
        "Best of n candidates",
        f"{what}One panel per attention, all others in grey.{left_out}",
        shown,
        ("candidates", _LOSS),
        styles(shown["series"]),
        banded=True,
    )


def _chosen(frame: pd.DataFrame, loss: str) -> tuple[pd.DataFrame, str]:
    """The rows of the mechanisms that are drawn, and a sentence on those that are not."""
    best = frame.groupby("mechanism")[loss].min().sort_values()
    if len(best) <= MECHANISMS:
        return frame, ""
    chosen = frame[frame["mechanism"].isin(best.index[:MECHANISMS])]
    return chosen, f" The {MECHANISMS} best of {len(best)} are drawn."
