"""The look of pages and figures: one palette in a light and a dark form, and what Vega makes of it.

Whatever is drawn takes its colour from a role ("ink", "series-0", "heat"). Charts carry the light
form, so that they look the same in a notebook, in a file and on paper; pages turn colours back into
CSS variables (`with_variables`), so that figures follow the reader's light or dark setting. Series
are told apart by colour, dash and marker together, so that no reading depends on colour alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Shade:
    """One role's colour on light and on dark ground, as #rrggbb."""

    light: str
    dark: str


PALETTE: dict[str, Shade] = {
    "ground": Shade("#ffffff", "#12161b"),
    "surface": Shade("#f6f7f9", "#1a2027"),
    "rule": Shade("#d9dee4", "#333c47"),
    "ink": Shade("#16191d", "#e8ebef"),
    "muted": Shade("#55606c", "#a9b4c0"),
    "accent": Shade("#0a58a6", "#84bfff"),
    "warning": Shade("#9a3412", "#ffb38a"),
    "good": Shade("#0b6b4b", "#6fd6ae"),
    "grid": Shade("#e4e8ec", "#2b333d"),
    "context": Shade("#c9d0d8", "#46515e"),
    "shade": Shade("#eef1f5", "#1f2730"),
    # Matrix cells carry text, so both ends of their scale keep 4.5:1 against "ink".
    "cell-low": Shade("#ffffff", "#12161b"),
    "cell-high": Shade("#8fc1f0", "#1d4f86"),
    # Attention weights carry none: the whole range from ground to this one is theirs.
    "heat": Shade("#08306b", "#9fd0ff"),
    "gold": Shade("#c2410c", "#ffa05c"),
    # Over photos, which are neither light nor dark: the same on both grounds.
    "gold-line": Shade("#e8590c", "#e8590c"),
    "frame": Shade("#ffffff", "#ffffff"),
    "series-0": Shade("#0067b8", "#5cb3ff"),
    "series-1": Shade("#c0430a", "#ff9563"),
    "series-2": Shade("#00765a", "#45cda8"),
    "series-3": Shade("#9a3c8c", "#e694dc"),
    "series-4": Shade("#7d6200", "#dcbc45"),
    "series-5": Shade("#4a5560", "#c0c9d2"),
}
#: Roles that charts draw with; no two of them have the same light colour.
CHART_ROLES = (
    *("ink", "muted", "grid", "context", "shade", "accent", "gold"),
    *(role for role in PALETTE if role.startswith("series-")),
)

#: Outlines of markers as SVG paths within -1..1, which Vega and the pages' legends both draw.
MARKERS = (
    "M-1,0A1,1,0,1,1,1,0A1,1,0,1,1,-1,0Z",
    "M-0.9,-0.9H0.9V0.9H-0.9Z",
    "M0,-1.2L1.2,1H-1.2Z",
    "M0,-1.3L1.1,0L0,1.3L-1.1,0Z",
    "M-0.4,-1.2H0.4V-0.4H1.2V0.4H0.4V1.2H-0.4V0.4H-1.2V-0.4H-0.4Z",
    "M0,1.2L1.2,-1H-1.2Z",
)
DASHES = ((1, 0), (6, 3), (2, 2), (8, 3, 2, 3), (10, 4), (1, 3))
SERIES = 6
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif"

_CODES = {PALETTE[role].light: role for role in CHART_ROLES}
_CODE = re.compile("|".join(_CODES))


@dataclass(frozen=True)
class Style:
    """How one series is drawn: colour role, marker (an SVG path) and dash pattern."""

    role: str
    marker: str
    dash: tuple[int, ...]

    @property
    def colour(self) -> str:
        """Its light form."""
        return colour(self.role)


def style(index: int) -> Style:
    """The style of the index-th series; beyond the sixth, colours pair with other dashes."""
    turn, place = divmod(index, SERIES)
    other = (place + turn) % SERIES
    return Style(f"series-{place}", MARKERS[other], DASHES[other])


def styles(names: Iterable[str]) -> dict[str, Style]:
    """The style of each of several series by name, in their order."""
    return {name: style(place) for place, name in enumerate(dict.fromkeys(names))}


def colour(role: str) -> str:
    """The light form of a role's colour."""
    return PALETTE[role].light


def with_variables(text: str) -> str:
    """Text (a specification as JSON) with CSS variables in place of the colours of charts."""
    return _CODE.sub(lambda found: f"var(--{_CODES[found[0]]})", text)


def config() -> dict[str, Any]:
    """Vega-Lite's configuration for all charts, in light colours."""
    small = {"fontSize": 10, "fontWeight": "normal"}
    quiet = {"labelColor": colour("muted"), "titleColor": colour("muted")}
    bold = {"fontSize": 12, "color": colour("ink"), "fontWeight": 600, "anchor": "start"}
    return {
        "background": PALETTE["ground"].light,
        "font": FONT,
        "aria": False,  # a figure is described as a whole; its marks are in its table
        "view": {"stroke": None},
        "axis": {
            **quiet,
            "gridColor": colour("grid"),
            "domainColor": colour("context"),
            "ticks": False,
            "labelPadding": 5,
            "labelFontSize": 10,
            "titleFontSize": 10,
            "titleFontWeight": "normal",
            "tickCount": 5,
        },
        "axisX": {"grid": False},
        "axisY": {"domain": False},
        "header": {
            "title": None,
            "labelColor": colour("ink"),
            "labelFontSize": 12,
            "labelFontWeight": 600,
            "labelAnchor": "start",
            "labelPadding": 4,
            "labelLimit": 170,
        },
        "title": {**bold, "offset": 8},
        "legend": {
            **quiet,
            "orient": "top",
            "title": None,
            "labelFontSize": 11,
            "symbolStrokeWidth": 1.8,
            "symbolOpacity": 1,
            "columns": 6,
        },
        "line": {"strokeWidth": 1.8, "strokeJoin": "round"},
        "point": {"size": 22, "strokeWidth": 1.2, "opacity": 1},
        "text": {**small, "color": colour("ink")},
        "style": {
            "context": {"color": colour("context"), "strokeWidth": 1, "opacity": 0.7},
            "shade": {"color": colour("shade"), "opacity": 1},
            "band": {"opacity": 0.16, "strokeWidth": 0},
            "quiet": {"color": colour("muted"), "strokeWidth": 1.2},
            "strong": {"color": colour("ink"), "strokeWidth": 2.4},
            "note": {**small, "color": colour("muted")},
        },
    }


def css_variables() -> str:
    """Rules that set `--role` for every role: light, dark by the reader's system, and both by
    the attribute `data-theme` on the root element."""
    light = _declarations(dark=False)
    dark = _declarations(dark=True)
    return (
        f":root{{color-scheme:light;{light}}}\n"
        "@media (prefers-color-scheme:dark){"
        f":root:not([data-theme=light]){{color-scheme:dark;{dark}}}}}\n"
        f":root[data-theme=dark]{{color-scheme:dark;{dark}}}\n"
        f"@media print{{:root,:root:not([data-theme=light]),:root[data-theme=dark]"
        f"{{color-scheme:light;{light}}}}}"
    )


def _declarations(*, dark: bool) -> str:
    colours = "".join(
        f"--{role}:{shade.dark if dark else shade.light};" for role, shade in PALETTE.items()
    )
    # What is drawn in black on nothing, or in grey on white, is turned round on dark ground.
    return f"{colours}--turn:{'invert(1)' if dark else 'none'};"
