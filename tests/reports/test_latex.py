"""LaTeX tables that fit a page: by estimate, and by pdflatex where there is one."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace

import pytest

from reports.latex import (
    TEXT_WIDTH,
    fitting,
    heading_lines,
    label_width,
    latex_text,
    table_width,
    text_width,
)
from reports.pages.report import Report
from reports.tables import Column, Label, Missing, Number, Row, Table


def wide(columns: int = 5, rows: int = 4) -> Table:
    """As wide as an overview of five tasks: figures with intervals and notes."""
    heads = tuple(
        Column(f"c{n}", f"speech: PER {n}, lower is better", group=f"synthetic, budget {n}")
        for n in range(columns)
    )
    entry = Number(41.23, 40.1, 42.3, digits=2, note="with location-aware", group=1)
    body = tuple(Row(f"hierarchical {n}", (entry,) * columns) for n in range(rows))
    spanning = Row("none", (), spanning=Missing("failed", "diverged"))
    return Table("t", "A wide table", "attention", heads, (*body, spanning), shows_notes=True)


def test_a_wide_table_is_split_into_parts_that_fit():
    table = wide()
    assert table_width(table) > TEXT_WIDTH + 300
    parts = fitting(table)
    assert len(parts) > 1
    assert all(table_width(part) <= TEXT_WIDTH for part in parts)
    assert tuple(column for part in parts for column in part.columns) == table.columns
    for row, whole in enumerate(table.rows):
        assert tuple(one for part in parts for one in part.rows[row].entries) == whole.entries


def test_a_narrow_table_stays_whole():
    table = wide(1)
    assert fitting(table) == [table]
    assert latex_text(table).count(r"\begin{table}") == 1


def test_one_column_is_never_split():
    long = Table("t", "T", "x", (Column("a", "a", text=True),), (Row("b", (Label("word " * 80),)),))
    assert fitting(long) == [long]
    assert table_width(long) <= TEXT_WIDTH
    assert "p{130pt}" in latex_text(long)


def test_parts_are_numbered_and_notes_stand_once():
    table = replace(wide(), notes=("A note.",))
    text = latex_text(table, "All with hidden=64.")
    count = len(fitting(table))
    assert text.count("% \\usepackage{booktabs}") == 1
    assert text.count(r"\begin{table}") == text.count(r"\end{table}") == count
    assert f"A wide table (1 of {count}). All with hidden=64." in text
    assert text.count("A note.") == 1
    assert r"\label{tab:t}" in text and r"\label{tab:t-2}" in text


def test_headings_break_at_blanks_and_lose_nothing():
    lines = heading_lines("speech: PER, lower is better", 40)
    assert " ".join(lines) == "speech: PER, lower is better"
    assert len(lines) > 1
    assert heading_lines("", 40) == []
    assert text_width("MM") > text_width("ii")


def test_tables_of_a_report_fit(report: Report):
    for table in (report.overview, *report.sections[0].tables):
        for part in fitting(table):
            assert table_width(part) <= TEXT_WIDTH or len(part.columns) == 1, table.name
            assert label_width(part) < TEXT_WIDTH / 2


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_pages_hold_them(report: Report, tmp_path):
    tables = "\n".join(map(latex_text, (wide(), report.overview, *report.sections[0].tables)))
    head = "\\documentclass{article}\\usepackage{booktabs}\\begin{document}"
    text = f"{head}{tables}\\end{{document}}"
    (tmp_path / "all.tex").write_text(text, "utf-8")
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "all.tex"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:]
    assert r"Overfull \hbox" not in done.stdout
