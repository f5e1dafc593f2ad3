"""The palette: contrast, roles, and series told apart by more than colour."""

from __future__ import annotations

import pytest

from reports.figures.theme import DASHES, MARKERS, PALETTE, SERIES, css_variables, style


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours (WCAG 2.2, section 1.4.3), from 1 to 21."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    channels = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("side", ["light", "dark"])
def test_colours_meet_wcag_aa(side):
    colour = {role: getattr(shade, side) for role, shade in PALETTE.items()}
    for text in ("ink", "muted", "accent", "warning", "good"):
        for ground in ("ground", "surface"):
            assert contrast(colour[text], colour[ground]) >= 4.5, (text, ground)
    for ground in ("cell-low", "cell-high"):
        assert contrast(colour["ink"], colour[ground]) >= 4.5
    for role in ["gold", *(f"series-{n}" for n in range(SERIES))]:
        assert contrast(colour[role], colour["ground"]) >= 3.0, role


def test_contrast_of_black_on_white_is_the_largest():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#777777") == 1


def test_series_differ_in_more_than_colour():
    styles = [style(index) for index in range(3 * SERIES)]
    assert len(set(styles)) == len(styles)
    assert len({one.marker for one in styles[:SERIES]}) == len(MARKERS) == SERIES
    assert len({one.dash for one in styles[:SERIES]}) == len(DASHES)


def test_every_role_is_a_variable_in_every_scheme():
    rules = css_variables()
    for role in PALETTE:
        assert rules.count(f"--{role}:") == 4
