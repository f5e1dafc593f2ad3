"""Figures behind the texts of tables, as the script of pages reads them."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from reports.load import Contender
from reports.pages import TABLES, asset
from reports.pages.report import Report
from reports.pages.table_data import cell_data, column_data, figure, row_data, table_data
from reports.tables import Column, Label, Missing, Number, Row, Table


def attributes(text: str) -> dict[str, str | None]:
    found: dict[str, str | None] = {}

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attrs):
            found.update(attrs)

    Reader().feed(f"<td{text}>")
    return found


def test_a_number_keeps_its_figures_to_seven_digits():
    cell = Number(0.123456789, 0.1, 0.2, form="percent", group=2)
    told = {"data-low": "0.1", "data-high": "0.2", "data-group": "2"}
    assert attributes(cell_data(cell)) == told
    assert figure(cell.value) == "0.1234568"
    assert cell_data(Number(3.0)) == ""


def test_whole_numbers_keep_all_digits():
    assert [figure(one) for one in (3.0, -12, 123_456_789.0, 5e-12)] == [
        *("3", "-12", "123456789", "5e-12"),
    ]


@pytest.mark.parametrize("entry", [Missing("not run"), Label("better")])
def test_what_is_no_number_has_none(entry):
    assert cell_data(entry) == ""


def test_axes_of_a_row_survive_any_text():
    odd = '"><script>alert(1)</script>'
    contender = Contender("soft", odd, (("gate", True), ("backbone", "lstm")), (), ())
    told = attributes(row_data(Row("one", (), axes=contender.axes)))["data-axes"]
    assert told is not None and '"gate": "true"' in told and '"backbone": "lstm"' in told
    assert "<script>" not in row_data(Row("one", (), axes=contender.axes))
    assert row_data(Row("one", ())) == ""


def test_headings_tell_direction_unit_and_cost():
    columns = (
        Column("accuracy", "accuracy", better="higher"),
        Column("train_seconds", "training", better="lower", is_cost=True),
        Column("verdict", "verdict", text=True),
    )
    row = Row("one", (Number(0.5, form="percent"), Number(3.0, digits=1), Label("so")))
    table = Table("t", "A table", "name", columns, (row,))
    assert attributes(column_data(table, 0)) == {
        "data-key": "accuracy",
        "data-better": "higher",
        "data-percent": "",
    }
    assert attributes(column_data(table, 1)) == {
        "data-key": "train_seconds",
        "data-cost": "lower",
        "data-digits": "1",
    }
    assert attributes(column_data(table, 2)) == {"data-key": "verdict"}
    assert attributes(table_data(table)) == {"data-name": "t"}


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
