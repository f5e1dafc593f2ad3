"""Every kind of chart on a small made-up frame: valid Vega-Lite, the frame's data and names, hollow
where training had not converged, and files of it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import altair as alt
import pandas as pd
import pytest
from defusedxml import ElementTree

from reports.figures import Figure, cost, panels, ranks, seeds, tuning
from reports.figures import chart_parts as parts
from reports.figures.static import bundle, converted
from reports.figures.theme import CHART_ROLES, PALETTE, config, styles, with_variables

MARKUP = "<script>alert(1)</script>"
SERIES = styles(["dot", "concat", "no score function"])
MECHANISMS = (
    ("soft", "dot", True),
    ("soft", "concat", False),
    ("global", "dot", None),
    (MARKUP, "no score function", True),
)


def lines(x: str) -> pd.DataFrame:
    rows = [
        (attention, score, f"{attention} + {score}", part, seed, converged, 1.0 + at + seed, at)
        for attention, score, converged in MECHANISMS
        for part in ("test", "long")
        for seed in (1, 2)
        for at in (10.0, 20.0, 30.0)
    ]
    return pd.DataFrame(rows, columns=[*panels.COLUMNS, x])


def costs() -> pd.DataFrame:
    rows = [
        (
            title,
            f"{a} + {s}",
            a,
            s,
            converged,
            2,
            10.0 ** (place + 1),
            50.0 + place,
            49.0,
            55.0,
            *on,
        )
        for title in ("training seconds", "parameters")
        for place, ((a, s, converged), on) in enumerate(
            zip(MECHANISMS, [(0, "soft"), (1, "soft †"), (None, ""), (None, MARKUP)], strict=True)
        )
    ]
    return pd.DataFrame(rows, columns=list(cost.COLUMNS))


def seed_rows() -> pd.DataFrame:
    rows = [
        (quantity, axis, "", str(seed), seed > 1, float(x), x / seed)
        for quantity, axis in (("loss", "step"), ("it's", 'odd "axis"'))
        for seed in (1, 2)
        for x in (1, 2, 3)
    ]
    return pd.DataFrame(rows, columns=list(seeds.COLUMNS))


def tried() -> pd.DataFrame:
    kinds = list(tuning.KINDS)
    rows = [
        (name, number, 1.0 + number, "done", number == 1, kinds[number - 1])
        for name in ("soft", MARKUP)
        for number in (1, 2, 3, 4)
    ]
    return pd.DataFrame(rows, columns=[*tuning.CANDIDATES, "kind"])


def best() -> pd.DataFrame:
    rows = [
        (panel, mechanism, mechanism, "", n, 2.0 / n, 1.8 / n, 2.2 / n if n < 3 else None)
        for panel, mechanism in (("soft", "dot"), ("global", "concat"))
        for n in (1, 2, 3)
    ]
    return pd.DataFrame(rows, columns=list(tuning.CURVES))


RANKS = pd.DataFrame([("a", 1.0), (MARKUP, 2.2), ("c", 2.8)], columns=list(ranks.COLUMNS))


def line_layout(frame: pd.DataFrame, x: str, **told: Any) -> parts.Layout:
    names = tuple(frame["panel"].unique())
    return panels.line_panels(names, x, (x, "loss"), tuple(SERIES.items()), **told)


def figure_of(name: str, frame: pd.DataFrame) -> Figure:
    layout, context = CASES[name][1](frame)
    return Figure(name, "", "", "what it shows", layout, frame, context=context)


def draw(name: str, frame: pd.DataFrame) -> alt.TopLevelMixin:
    return figure_of(name, frame).chart


Layout = tuple[parts.Layout, pd.DataFrame | None]
CASES: dict[str, tuple[pd.DataFrame, Callable[[pd.DataFrame], Layout]]] = {
    "curves": (
        lines("step"),
        lambda frame: (
            line_layout(frame, "step"),
            panels.context(frame, "step"),
        ),
    ),
    "lengths": (
        lines("length"),
        lambda frame: (
            line_layout(frame, "length", shaded=(20.0, 25.0), from_zero=True),
            panels.context(frame, "length"),
        ),
    ),
    "cost": (costs(), lambda frame: (cost.layout(frame, "accuracy", SERIES), None)),
    "seeds": (seed_rows(), lambda frame: (seeds.layout(frame, styles(["1", "2"])), None)),
    "ranks": (
        RANKS,
        lambda frame: (
            ranks.layout(tuple(frame["mechanism"]), ((0, 1), (1, 2)), 1.3),
            None,
        ),
    ),
    "candidates": (tried(), lambda frame: (tuning.candidates_layout(frame), None)),
    "best_of_n": (
        best(),
        lambda frame: (
            line_layout(frame, "n", banded=True),
            panels.context(frame, "n"),
        ),
    ),
}


@pytest.fixture(params=CASES, scope="module")
def case(request) -> tuple[str, pd.DataFrame, alt.TopLevelMixin]:
    frame, _ = CASES[request.param]
    return request.param, frame, draw(request.param, frame)


def test_charts_are_valid_and_have_the_data_of_their_frame(case):
    _, frame, chart = case
    specification = chart.to_dict()  # validates against the schema of Vega-Lite
    told = pd.DataFrame(specification["datasets"][parts.ROWS])
    assert list(told.columns) == list(frame.columns)
    pd.testing.assert_frame_equal(told, frame, check_dtype=False, rtol=1e-5)


def test_fields_that_are_drawn_are_columns(case):
    _, frame, chart = case
    specification = chart.to_dict()
    made = {"mean", "low", "high", "from", "to", "last", "label", "x", "y", "place", "rank"}
    used = set(re.findall(r'"field": "([^"]+)"', json.dumps(specification)))
    assert used <= {*frame.columns, *made}
    assert len(used & {*frame.columns}) >= 2


def test_svg_and_pdf_are_made_without_a_browser(case):
    name, frame, _ = case
    files = dict(converted([figure_of(name, frame)], ("svg", "pdf", "json")))
    assert set(files) == {f"{name}.svg", f"{name}.pdf", f"{name}.json"}
    root = ElementTree.fromstring(files[f"{name}.svg"])
    text = " ".join(node.text or "" for node in root.iter())
    if MARKUP in frame.to_numpy().ravel().tolist():
        assert MARKUP[:8] in text
    assert not [node for node in root.iter() if node.tag.endswith("script")]
    assert files[f"{name}.pdf"].startswith(b"%PDF-")
    assert json.loads(files[f"{name}.json"])["description"] == "what it shows"


def test_a_layout_serves_all_frames_of_its_form():
    first, second = lines("step"), lines("step").assign(value=7.0)
    assert line_layout(first, "step") is line_layout(second, "step")
    one, other = (draw("curves", frame) for frame in (first, second))
    assert {row["value"] for row in other.to_dict()["datasets"][parts.ROWS]} == {7.0}
    assert {row["value"] for row in one.to_dict()["datasets"][parts.ROWS]} != {7.0}


def test_what_had_not_converged_is_hollow():
    for name, frame in (("curves", lines("step")), ("cost", costs())):
        text = json.dumps(draw(name, frame).to_dict())
        assert '"test": "datum.converged === false", "value": 0' in text
    assert {row["converged"] for row in parts._records(costs())} == {True, False, None}


def test_series_have_the_same_look_wherever_they_are_drawn():
    found = draw("curves", lines("step")).to_dict()
    domains = re.findall(r'"domain": (\[[^]]*\])', json.dumps(found["spec"]))
    assert {tuple(json.loads(one)) for one in domains} == {tuple(SERIES)}
    assert '"range": ["#0067b8", "#c0430a", "#00765a"]' in json.dumps(found["spec"])


def test_hidden_series_are_filtered_out_by_the_parameter_that_pages_set():
    for name in ("curves", "lengths", "cost", "seeds", "candidates", "best_of_n"):
        text = json.dumps(draw(name, CASES[name][0]).to_dict())
        assert '"params": [{"name": "hidden", "value": []}' in text
        assert "indexof(hidden, datum[" in text


def test_grey_lines_are_means_that_break_between_lines():
    frame = pd.DataFrame(
        [("a", 1, 2.0), ("a", 1, 4.0), ("a", 2, 5.0), ("b", 1, 9.0)], columns=["name", "n", "v"]
    )
    found = parts.grey_lines(frame, ["name"], "n", "v")
    assert found["y"].astype(object).where(found["y"].notna(), None).tolist() == [
        *(3.0, 5.0, None),
        *(9.0, None),
    ]
    assert found["place"].tolist() == [0, 1, 2, 3, 4]


def test_means_are_of_the_same_seeds_all_along_a_line():
    frame = lines("step")
    gap = frame.drop(frame.index[(frame["seed"] == 2) & (frame["step"] == 30)])
    kept = panels.shared_points(gap, "step")
    assert set(kept["step"]) == {10.0, 20.0}
    assert len(kept) == len(frame) * 2 // 3


def test_pages_get_columns_with_each_text_once():
    packed = parts.columns(lines("step"))
    assert packed["panel"]["labels"] == ["soft", "global", MARKUP]
    again = [packed["panel"]["labels"][code] for code in packed["panel"]["codes"]]
    assert again == lines("step")["panel"].tolist()
    assert packed["step"][:3] == [10.0, 20.0, 30.0]
    assert parts.columns(pd.DataFrame({"v": [1 / 3, float("nan")]}))["v"] == [0.333333, None]


def test_the_front_is_joined_and_named_first():
    layers = draw("cost", costs()).to_dict()["concat"][0]["layer"]
    (front,) = [one for one in layers if one["mark"].get("interpolate") == "step-after"]
    assert front["transform"] == [{"filter": "isValid(datum.front)"}]
    assert front["encoding"]["order"] == {"field": "front", "type": "quantitative"}


def test_pages_draw_in_the_palette_that_follows_the_reader():
    codes = [PALETTE[role].light for role in CHART_ROLES]
    assert len(set(codes)) == len(codes), "each colour can be turned back into its role"
    text = with_variables(json.dumps([config(), draw("cost", costs()).to_dict()]))
    assert set(re.findall(r"#[0-9a-f]{6}", text)) == {"#ffffff"}  # the ground, which pages have


def test_the_bundle_is_kept_and_needs_no_network(tmp_path, monkeypatch):
    import vl_convert

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    made: list[str] = []

    def javascript_bundle(snippet: str) -> str:
        made.append(snippet)
        return f"/* libraries */ {snippet}"

    monkeypatch.setattr(vl_convert, "javascript_bundle", javascript_bundle)
    assert bundle() == bundle() == "/* libraries */ window.vegaEmbed = vegaEmbed;"
    assert len(made) == 1
