"""Pictures for docs/results.md: what validation said while mechanisms trained on one data set."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import pandas as pd

from reports.figures import Figure
from reports.figures import chart_parts as parts
from reports.figures.theme import config, styles
from reports.load import Contender
from tasks.training.convergence import WATCHED

#: Mechanisms that a picture shows, the best first.
SHOWN = 8
WIDTH, HEIGHT = 520, 260


def curves_frame(contenders: Sequence[Contender]) -> pd.DataFrame:
    """The validation loss of mechanisms while they trained: `mechanism`, `step`, `loss` (the mean
    over the seeds that were validated at that step)."""
    points = [
        (one.name, int(point["step"]), float(point[WATCHED]))
        for one in contenders
        for result in one.done
        for point in result.curve
        if WATCHED in point
    ]
    frame = pd.DataFrame(points, columns=["mechanism", "step", "loss"])
    return frame.groupby(["mechanism", "step"], as_index=False, sort=False).mean()


def curves_figure(name: str, title: str, contenders: Sequence[Contender]) -> Figure:
    """The picture of a `curves_frame`: a line for each mechanism, in this order in the legend."""
    series = styles(one.name for one in contenders)
    layout = _layout(title, tuple(series.items()))
    return Figure(name, title, "", "", layout, curves_frame(contenders), series)


@parts.layout
def _layout(title: str, series: parts.Series) -> alt.TopLevelLayerSpec:
    xy = {
        "x": alt.X("step:Q", title="training step"),
        "y": alt.Y("loss:Q", title="validation loss", scale=alt.Scale(zero=False)),
    }
    lines = {
        "color": parts.colour("mechanism", series),
        "strokeDash": parts.dash("mechanism", series),
    }
    return alt.TopLevelLayerSpec(
        data=parts.named(),
        layer=[
            parts.layer(alt.MarkDef(type="line"), {**xy, **lines}),
            parts.layer(
                alt.MarkDef(type="point", filled=False), {**xy, **parts.marker("mechanism", series)}
            ),
        ],
        title=title,
        width=WIDTH,
        height=HEIGHT,
        config=config(),
    )
