"""Tables as CSV, Markdown and LaTeX; all trials as CSV and Parquet files."""

from __future__ import annotations

import csv
import io
import re

import pandas
import pytest

from reports.latex import latex_text
from reports.tables import Column, Label, Missing, Number, Row, Table
from reports.writers import csv_text, escape_markdown, markdown_text

TABLE = Table(
    "scores",
    "BLEU by attention & score",
    "attention",
    (Column("dot", "dot"), Column("con_cat", "con_cat")),
    (
        Row("none", (), spanning=Number(-1.5, digits=1)),
        Row("soft|x", (Number(41.234, 40.1, 42.3, 1, group=1), Missing("not run"))),
        Row("self", (Number(0.5, digits=1, group=2), Missing("not applicable", "no step_1"))),
    ),
    ("Notes are 100 % text.",),
    spanning_key="no score",
)


def test_csv_keeps_figures_whole_and_says_what_is_missing():
    rows = list(csv.reader(io.StringIO(csv_text(TABLE))))
    assert rows[0] == [
        "attention",
        "no score",
        "dot",
        "dot_low",
        "dot_high",
        "dot_group",
        "con_cat",
    ]
    assert rows[1][:3] == ["none", "-1.5", "not applicable: none has no score function"]
    assert rows[2][2:] == ["41.234", "40.1", "42.3", "1", "not run"]
    assert rows[3][-1] == "not applicable: no step_1"
    assert all(len(row) == len(rows[0]) for row in rows)


@pytest.mark.parametrize("text", ["=1+1", "+cmd", "-2", "@x", "\tx"])
def test_csv_texts_are_never_formulas(text):
    table = Table("t", "t", "c", (Column("a", "a"),), (Row(text, (Label(text),)),))
    rows = list(csv.reader(io.StringIO(csv_text(table))))
    assert rows[1] == [f"'{text}", f"'{text}"]


def test_markdown_is_one_table_with_numbered_reasons():
    lines = markdown_text(TABLE).splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert len(table) == 5
    pipes = [line.replace("\\|", "").count("|") for line in table]
    assert set(pipes) == {5}
    assert "**41.2** [40.1, 42.3]" in table[3]
    assert table[4] == "| self | n/a (2) | 0.5 | n/a (3) |"
    assert "- (3) not applicable: no step\\_1" in lines


def test_markdown_text_is_never_markup():
    assert escape_markdown("<b>*x*</b> a|b\n[c](d) `e` &") == (
        "&lt;b&gt;\\*x\\*&lt;/b&gt; a\\|b \\[c\\](d) \\`e\\` &amp;"
    )


def test_latex_is_booktabs_with_as_many_cells_as_columns():
    text = latex_text(TABLE)
    body = text.split("\\midrule\n")[1].split("\\bottomrule")[0]
    rows = body.strip().splitlines()
    assert rows[0] == r"none & \multicolumn{2}{c}{$-$1.5} \\"
    assert rows[1] == (
        r"soft\textbar{}x & \textbf{41.2} {\scriptsize [40.1, 42.3]} & \textit{not run} \\"
    )
    assert r"\toprule" in text
    assert r"BLEU by attention \& score" in text
    assert r"con\_cat" in text
    assert r"100 \% text." in text
    assert text.count("{") == text.count("}")


def test_latex_groups_headings(report):
    text = latex_text(report.sections[0].alignment)
    assert r"\multicolumn{4}{c}{decoding freely}" in text
    assert r"\multicolumn{4}{c}{reading the reference}" in text, "together in the second part"
    assert text.count(r"\cmidrule(lr){2-5}") == 2


def test_what_a_number_tells_goes_with_it_in_every_form(report):
    assert re.search(r"\| global \| .* \(with [a-z-]+\) \|", markdown_text(report.overview))
    assert re.search(r"global & .*\] with [a-z-]+} ", latex_text(report.overview))
    rows = list(csv.DictReader(io.StringIO(csv_text(report.overview))))
    told = {row["attention"]: row["translation-synthetic-laptop_note"] for row in rows}
    assert told["soft"] == "with concat"


def test_every_trial_with_its_types(report, site):
    results = report.collection.results
    table = pandas.read_parquet(site / "tables" / "results.parquet").set_index("hash")
    told = pandas.read_csv(site / "tables" / "results.csv", keep_default_na=False).set_index("hash")
    assert len(table) == len(told) == len(results)
    for result in results:
        row = table.loc[result.hash]
        if result.primary is None:
            assert pandas.isna(row["value"]) and row["failure"].startswith("diverged")
            assert told.loc[result.hash, "value"] == ""
            continue
        assert row["value"] == float(told.loc[result.hash, "value"]) == result.primary.value
        assert row["metric_bleu"] == result.metrics["bleu"]
        assert row["train_seconds"] == result.cost.train_seconds
    assert table["seed"].dtype == "int64"
    assert table["metric_bleu"].dtype == "float64"
    assert table["converged"].dtype == "boolean"


def test_headings_with_equal_names_stay_apart():
    columns = (Column("a", "loss", group="one"), Column("b", "loss", group="two"), Column("c", "x"))
    table = Table("t", "t", "c", columns, (Row("r", (Number(1.0), Number(2.0), Label("y"))),))
    text = latex_text(table)
    assert r"c & loss & loss & x \\" in text
    assert r"\cmidrule(lr){2-2}\cmidrule(lr){3-3}" in text
    assert r"r & 1.000 & 2.000 & y \\" in text


def test_a_table_without_rows_is_a_table():
    table = Table("t", "nothing", "c", (Column("a", "a"),), ())
    assert csv_text(table) == "c,a\n"
    assert r"c & a \\" in latex_text(table)
    assert "| c | a |" in markdown_text(table)
