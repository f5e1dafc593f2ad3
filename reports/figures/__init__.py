"""Figures: pure functions from a data frame to the layout of a Vega-Altair chart, one kind a file.

Beside each stands the function that makes the frame from an analysis. A chart is shown in pages
(`reports.pages`), in notebooks, and written as SVG, PDF or PNG (`reports.figures.static`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import altair as alt
import pandas as pd

from reports.figures import chart_parts as parts
from reports.figures.theme import Style


@dataclass(frozen=True)
class Figure:
    """A chart with what stands around it.

    Attributes:
        name: of its files; "" where it has none.
        description: what it shows, in words, for those who cannot see it.
        layout: the chart without its data.
        frame: the data drawn.
        series: the entries of its legend, which hide and show them.
        width: least width of one of its panels on a page, in pixels; 0 for a single chart.
        context: the lines in the background of each panel (`chart_parts.grey_lines`).
    """

    name: str
    title: str
    caption: str
    description: str
    layout: parts.Layout
    frame: pd.DataFrame
    series: Mapping[str, Style] = field(default_factory=dict)
    width: int = 0
    context: pd.DataFrame | None = None

    @property
    def zooms(self) -> bool:
        """Whether its axes can be moved and stretched."""
        return '"bind": "scales"' in json.dumps(self.layout)

    @property
    def chart(self) -> alt.TopLevelMixin:
        """The Vega-Altair chart."""
        made = alt.Chart.from_dict(dict(self.layout))  # takes minutes to look through data
        made.datasets = self.specification["datasets"]
        return made

    @property
    def specification(self) -> dict[str, Any]:
        """The chart in Vega-Lite."""
        found = parts.specification(self.layout, self.frame, self.context)
        return {**found, "description": self.description}
