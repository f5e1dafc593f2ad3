"""The critical-difference diagram: mean ranks over tasks, and what cannot be told apart.

Demšar 2006, with the names below each other and the bars to the right of the axis.
"""

from __future__ import annotations

import altair as alt
import pandas as pd

from reports import formats
from reports.figures import Figure
from reports.figures import chart_parts as parts
from reports.figures.theme import colour, config
from reports.statistics.ranks import MeanRanks

#: Columns of the frame: one row for each mechanism, the best first.
COLUMNS = ("mechanism", "rank")
_WIDTH, _ROW = 360, 18


@parts.layout
def layout(
    names: tuple[str, ...], cliques: tuple[tuple[int, int], ...], critical: float
) -> alt.TopLevelLayerSpec:
    """The layout of a frame with the columns `COLUMNS`.

    Args:
        names: of the mechanisms, best first.
        cliques: first and last place of those that a bar joins.
        critical: ranks that differ by less cannot be told apart.
    """
    most = len(names)
    gap = max(most - 1, 1) / 40  # between bars, in ranks
    end = most + gap * (len(cliques) + 1)
    y = alt.Y(
        "mechanism:N",
        title=None,
        scale=alt.Scale(domain=list(names)),
        axis=alt.Axis(labelColor=colour("ink"), labelFontSize=11, labelLimit=260, domain=False),
    )
    step = 1 if most <= 14 else 2 if most <= 28 else 5
    x = alt.X(
        "rank:Q",
        title="mean rank, 1 is the best",
        scale=alt.Scale(domain=[1, end], nice=False, padding=parts.EDGE),
        axis=alt.Axis(values=list(range(1, most + 1, step)), format="d", grid=True),
    )
    bars = pd.DataFrame(
        [
            (most + gap * (number + 1), names[first], names[last])
            for number, (first, last) in enumerate(cliques)
        ],
        columns=["rank", "mechanism", "last"],
    )
    difference = pd.DataFrame(
        [(1.0, min(1 + critical, most), f"critical difference {critical:.2f}")],
        columns=["rank", "to", "label"],
    )
    return alt.TopLevelLayerSpec(
        data=parts.named(),
        layer=[
            parts.layer(
                alt.MarkDef(type="rule", style="strong", strokeWidth=2),
                {
                    "x": x,
                    "x2": alt.X2("to"),
                    "y": alt.YValue(-4),
                    "tooltip": alt.Tooltip("label:N"),
                },
                data=parts.inline(difference),
            ),
            parts.layer(
                alt.MarkDef(type="text", style="note", align="left", baseline="bottom", dy=-1),
                {"x": x, "y": alt.YValue(-6), "text": alt.Text("label:N")},
                data=parts.inline(difference),
            ),
            parts.layer(
                alt.MarkDef(type="rule", style="strong"),
                {"x": x, "y": y, "y2": alt.Y2("last")},
                data=parts.inline(bars),
            ),
            parts.layer(
                alt.MarkDef(type="point", filled=True, size=60, color=colour("series-0")),
                {
                    "x": x,
                    "y": y,
                    "tooltip": [
                        alt.Tooltip("mechanism:N"),
                        alt.Tooltip("rank:Q", title="mean rank", format=".2f"),
                    ],
                },
            ),
            parts.layer(
                alt.MarkDef(type="text", style="note", align="left", dx=8),
                {"x": x, "y": y, "text": alt.Text("rank:Q", format=".2f")},
            ),
        ],
        width=_WIDTH,
        height=_ROW * most,
        config=config(),
    )


def ranks_frame(found: MeanRanks) -> pd.DataFrame:
    """The mean rank of each mechanism."""
    return pd.DataFrame({"mechanism": found.names, "rank": found.means}, columns=list(COLUMNS))


def rank_figure(found: MeanRanks) -> Figure:
    """The diagram with a caption that explains it."""
    settings = formats.plural(len(found.settings), "setting")
    p = formats.probability(found.p)
    p = f"p {p if p.startswith('<') else f'= {p}'}".replace(" ", "\N{NO-BREAK SPACE}")
    told = (
        f"Mean rank over {settings} ({found.settings[0].budget} budget), 1 is the best. Bars join "
        f"mechanisms that cannot be told apart: their ranks differ by less than "
        f"{found.critical:.2f} (Nemenyi's test, 5 %). Friedman's test that all are alike: "
        f"{p}."
    )
    if found.left_out:
        told += (
            f" {formats.plural(found.left_out, 'mechanism')} that did not finish in every setting "
            f"{'is' if found.left_out == 1 else 'are'} left out."
        )
    if len(found.settings) < 10:
        told += " So few settings tell little: only large differences can show."
    frame = ranks_frame(found)
    order = ", ".join(f"{name} {rank:.2f}" for name, rank in frame.itertuples(index=False))
    groups = "; ".join(
        f"not to be told apart: {', '.join(found.names[first : last + 1])}"
        for first, last in found.cliques
    )
    return Figure(
        "ranks",
        "Mean ranks over tasks",
        told,
        f"Mean ranks: {order}. {groups}",
        layout(found.names, tuple(found.cliques), found.critical),
        frame,
    )
