"""Tables as data: every entry is a figure or says why there is none."""

from __future__ import annotations

import re

import pytest
from made_up import MECHANISMS

from reports.statistics.significance import Estimate
from reports.tables import Column, Missing, Number, Row, Table, estimate_entry, mean_known, shades


@pytest.fixture(scope="module")
def section(report):
    (section,) = report.sections
    return section


def row_of(table: Table, label: str) -> Row:
    return next(row for row in table.rows if row.label == label)


def entry_of(table: Table, row: str, column: str):
    keys = [one.key for one in table.columns]
    return row_of(table, row).entries[keys.index(column)]


def test_matrix_has_every_attention_and_every_score(section, catalogue):
    matrix = section.matrix
    assert [row.label for row in matrix.rows] == [entry.name for entry in catalogue.attentions]
    assert [column.key for column in matrix.columns] == [entry.name for entry in catalogue.scores]


def test_matrix_entries_say_what_they_are(section):
    matrix = section.matrix
    found = entry_of(matrix, "soft", "concat")
    assert isinstance(found, Number)
    assert found.group == 1
    assert found.low < found.value < found.high
    assert found.note == "2 seeds, 120 examples"
    assert entry_of(matrix, "soft", "dot") == Missing("not run")
    inapplicable = entry_of(matrix, "self", "location-aware")
    assert inapplicable.kind == "not applicable"
    assert "no previous step" in inapplicable.text
    failed = entry_of(matrix, "global", "location-aware")
    assert failed == Missing("failed", "diverged: the training loss was nan by step 60")


def test_the_control_stands_once_for_all_scores(section):
    row = row_of(section.matrix, "none")
    assert row.entries == ()
    assert isinstance(row.spanning, Number)
    assert row.spanning.shade == 0.0


def test_shades_run_from_the_worst_to_the_best():
    assert shades([1.0, None, 3.0, 2.0], higher_is_better=True) == [0.0, None, 1.0, 0.5]
    assert shades([1.0, None, 3.0, 2.0], higher_is_better=False) == [1.0, None, 0.0, 0.5]
    assert shades([2.0, 2.0], higher_is_better=False) == [1.0, 1.0]
    assert shades([], higher_is_better=True) == []


def test_metrics_are_sorted_by_merit_with_failures_last(section):
    values = [row.entries[0].value for row in section.metrics.rows if row.entries]
    assert values == sorted(values, reverse=True)
    last = section.metrics.rows[-1]
    assert last.label == "global + location-aware"
    assert last.spanning.kind == "failed"


def test_test_sets_show_what_is_lost(section):
    test = entry_of(section.subsets, "none", "test")
    long = entry_of(section.subsets, "none", "long")
    assert entry_of(section.subsets, "none", "long_minus_test").value == pytest.approx(
        long.value - test.value
    )
    assert entry_of(section.subsets, "none", "long_over_test").value == pytest.approx(
        long.value / test.value
    )


def test_alignment_has_baselines_and_leaves_out_who_has_no_weights(section):
    labels = [row.label for row in section.alignment.rows]
    assert "none" not in labels
    assert labels[-2:] == ["baseline: uniform", "baseline: diagonal"]
    uniform = entry_of(section.alignment, "baseline: uniform", "forced_aer")
    soft = entry_of(section.alignment, "soft + concat", "forced_aer")
    assert soft.value < uniform.value
    assert entry_of(section.alignment, "baseline: uniform", "free_aer").kind == "not applicable"


def test_costs_carry_their_units(section):
    row = row_of(section.cost, "soft + concat")
    texts = [entry.text for entry in row.entries[1:]]
    assert texts[0] == "402k"
    assert texts[2].endswith(" s")
    assert texts[3].endswith("/s")
    assert texts[5].endswith(" MiB")


def test_failures_name_kind_and_message(section):
    (row,) = section.failures.rows
    texts = [entry.text for entry in row.entries]
    assert texts[-2:] == ["diverged", "the training loss was nan by step 60"]


def test_a_mean_says_how_many_it_is_of():
    assert mean_known([1.0, None, 3.0]) == (2.0, 2)
    assert mean_known([None]) == (None, 0)


def test_what_was_not_measured_is_not_zero():
    assert estimate_entry(None, "bleu") == Missing("not measured")
    number = estimate_entry(Estimate(41.234, None, None, 1, 0, "none"), "bleu")
    assert number.text == "41.2"
    assert number.interval == ""


def test_fewer_seeds_than_were_tried_are_said(section):
    assert entry_of(section.matrix, "global", "dot").note == "1 seed, 120 examples (of 2 seeds)"


def test_overview_names_the_score_that_did_best_on_validation_data(report):
    own = [one for one in MECHANISMS if one.attention == "global"]
    assert len(own) > 1
    best = min(own, key=lambda one: one.errors).score  # made-up validation losses rise with errors
    entry = row_of(report.overview, "global").entries[0]
    assert entry.note == f"with {best}"
    assert entry.value == entry_of(report.sections[0].matrix, "global", best).value


def test_findings_claim_no_order_within_a_group(report):
    (section,) = report.sections
    first = section.findings[0]
    group = section.analysis.main.best()
    assert len(group) > 1
    assert "Not to be told apart" in first
    ahead = "1[012] of 12 mechanisms are better beyond chance"  # the figures are drawn at random
    assert any(re.match(f"The control none .*{ahead}", one) for one in section.findings)
    assert any("“long”, none loses most" in sentence for sentence in section.findings)


def test_rows_and_columns_must_fit():
    with pytest.raises(AssertionError):
        Table("t", "t", "c", (Column("a", "a"),), (Row("r", ()),))


def test_a_value_far_off_leaves_the_others_their_colours():
    from reports.tables import shades

    found = shades([0.90, 0.92, 0.94, 0.93, 0.91, 1.74], higher_is_better=False)
    assert found == pytest.approx([1.0, 0.5, 0.0, 0.25, 0.75, 0.0])
    assert shades([1.0, 2.0, 9.0], higher_is_better=True) == pytest.approx([0, 0.125, 1])
    assert shades([3.0] * 6 + [4.0], higher_is_better=True)[-1] == 1.0


def test_pages_show_the_first_rows_and_all_baselines():
    from reports.tables import ROWS, Column, Number, Row, Table
    from reports.writers import csv_text

    rows = [Row(str(n), (Number(n),)) for n in range(ROWS + 20)]
    rows += [Row("baseline", (Number(0.5),), apart=True)]
    table = Table("t", "T", "corner", (Column("a", "a"),), tuple(rows))
    assert [row.label for row in table.shown] == [*map(str, range(ROWS)), "baseline"]
    assert csv_text(table).count("\n") == ROWS + 22


def test_small_p_values_are_never_zero():
    from reports.tables import Number

    assert [Number(p, form="p").text for p in (0.0, 0.0004, 0.0005, 0.04)] == [
        "< 0.001",
        "< 0.001",
        "0.001",
        "0.040",
    ]
