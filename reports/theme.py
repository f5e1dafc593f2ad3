"""Colours: one palette for pages and figures, in a light and a dark form.

Everything drawn names a role ("ink", "series-0", "heat"), never a colour. Pages turn roles into
CSS variables, so that figures inside them follow the reader's light or dark setting; PDF files
take the light form. Series are told apart by colour, dash and marker together, so that no
reading depends on colour alone.
"""

from __future__ import annotations

from dataclasses import dataclass


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

MARKERS = ("circle", "square", "triangle", "diamond", "plus", "cross")
DASHES = ("", "6 3", "2 2", "8 3 2 3", "10 4", "1 3")
SERIES = 6


@dataclass(frozen=True)
class Style:
    """How one series is drawn: colour role, marker and dash pattern."""

    role: str
    marker: str
    dash: str


def style(index: int) -> Style:
    """The style of the index-th series; beyond the sixth, colours pair with other dashes."""
    turn, place = divmod(index, SERIES)
    return Style(
        f"series-{place}", MARKERS[(place + turn) % SERIES], DASHES[(place + turn) % SERIES]
    )


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


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours (WCAG 2.2, section 1.4.3), from 1 to 21."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _declarations(*, dark: bool) -> str:
    colours = "".join(
        f"--{role}:{shade.dark if dark else shade.light};" for role, shade in PALETTE.items()
    )
    # What is drawn in black on nothing, or in grey on white, is turned round on dark ground.
    return f"{colours}--turn:{'invert(1)' if dark else 'none'};"


def _luminance(colour: str) -> float:
    channels = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
