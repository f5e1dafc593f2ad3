"""Pictures for docs/results.md: what validation said while mechanisms trained on one data set."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import pandas as pd
import vl_convert

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


def curves_chart(frame: pd.DataFrame, order: Sequence[str], title: str) -> alt.Chart:
    """The chart of a `curves_frame`: a line for each mechanism, in this order in the legend."""
    return (
        alt.Chart(frame, title=title, width=WIDTH, height=HEIGHT)
        .mark_line(point=True)
        .encode(
            x=alt.X("step:Q", title="training step"),
            y=alt.Y("loss:Q", title="validation loss", scale=alt.Scale(zero=False)),
            color=alt.Color("mechanism:N", sort=list(order), title=None),
            shape=alt.Shape("mechanism:N", sort=list(order), legend=None),
        )
    )


def svg(chart: alt.Chart) -> str:
    """A chart as a static picture that needs no script."""
    return vl_convert.vegalite_to_svg(chart.to_json())
