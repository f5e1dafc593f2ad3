"""Figures behind the texts of tables, as the script of pages reads them."""

from __future__ import annotations

import json
from html.parser import HTMLParser

import pytest

from reports.load import Contender
from reports.pages import TABLES, asset, template_environment
from reports.pages.report import Report
from reports.tables import Column, Label, Missing, Number, Row, Table


def rendered(*rows: Row, columns: tuple[Column, ...] = (Column("one", "one"),)) -> list[dict]:
    """The attributes of every element of a table, by its tag (`""`)."""
    found: list[dict] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attrs):
            found.append({"": tag, **dict(attrs)})

    macros = template_environment().get_template("macros.html.j2").module
    Reader().feed(macros.table(Table("t", "A table", "name", columns, rows)))
    return found


def data_of(tag: str, elements: list[dict]) -> list[dict]:
    return [
        {name: value for name, value in one.items() if name.startswith("data-")}
        for one in elements
        if one[""] == tag
    ]


def test_a_number_keeps_its_figures_to_seven_digits():
    cell = Number(0.123456789, 0.1, 0.2, form="percent", group=2)
    elements = rendered(Row("one", (cell,)), Row("two", (Number(3.0),)))
    assert data_of("td", elements) == [
        {"data-low": "0.1", "data-high": "0.2", "data-group": "2"},
        {},
    ]
    assert [one["value"] for one in elements if one[""] == "data"] == ["0.1234568", "3"]


def test_whole_numbers_keep_all_digits():
    numbers = (3.0, -12, 123_456_789.0, 5e-12)
    elements = rendered(*(Row("one", (Number(one),)) for one in numbers))
    values = [one["value"] for one in elements if one[""] == "data"]
    assert values == ["3", "-12", "123456789", "5e-12"]


@pytest.mark.parametrize("entry", [Missing("not run"), Label("better")])
def test_what_is_no_number_has_none(entry):
    assert data_of("td", rendered(Row("one", (entry,)))) == [{}]


def test_axes_of_a_row_survive_any_text():
    odd = '"><script>alert(1)</script>'
    contender = Contender("soft", odd, (("gate", True), ("backbone", "lstm")), (), ())
    entries = (Missing("not run"),)
    elements = rendered(Row("one", entries, axes=contender.axes), Row("two", entries))
    *_, first, second = data_of("tr", elements)
    told = json.loads(first["data-axes"])
    assert told == {"attention": "soft", "score": odd, "gate": "true", "backbone": "lstm"}
    assert second == {}
    assert not [one for one in elements if one[""] == "script"]


def test_headings_tell_direction_unit_and_cost():
    columns = (
        Column("accuracy", "accuracy", better="higher"),
        Column("train_seconds", "training", better="lower", is_cost=True),
        Column("verdict", "verdict", text=True),
    )
    row = Row("one", (Number(0.5, form="percent"), Number(3.0, digits=1), Label("so")))
    elements = rendered(row, columns=columns)
    assert data_of("th", elements)[1:4] == [
        {"data-key": "accuracy", "data-better": "higher", "data-percent": ""},
        {"data-key": "train_seconds", "data-cost": "lower", "data-digits": "1"},
        {"data-key": "verdict"},
    ]
    assert data_of("table", elements) == [{"data-name": "t"}]


def test_tables_of_a_report_can_be_judged_and_filtered(report: Report):
    section = report.sections[0]
    costs = [one for one in section.cost.columns if one.is_cost]
    assert {one.key: one.better for one in costs}["train_seconds"] == "lower"
    assert {one.key: one.better for one in costs}["decode_examples_per_second"] == "higher"
    judged = (section.matrix, section.metrics, section.cost, report.overview)
    assert all(any(one.better == "higher" for one in table.columns) for table in judged)
    for table in (section.metrics, section.cost, section.alignment):
        assert table is not None
        mechanisms = [row for row in table.rows if not row.apart]
        assert all({"attention", "score"} <= dict(row.axes).keys() for row in mechanisms)


def test_the_script_is_one_strict_file():
    assert asset(TABLES).startswith('"use strict";')
    assert "innerHTML" not in asset(TABLES) and "eval(" not in asset(TABLES)
