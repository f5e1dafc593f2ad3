"""Baselines: their names, who passes them, and where they stand in tables."""

from __future__ import annotations

import pytest
from sample_results import put_entailment, put_traced_tasks

from bench.store.cell import Cell
from bench.store.store import Store
from reports import load as frames
from reports.catalogue import Catalogue
from reports.latex import latex_text
from reports.pages.findings import findings
from reports.results import read
from reports.statistics import analyse
from reports.statistics.baselines import (
    against_baseline,
    against_best_baseline,
    baselines,
    best_baseline,
    parse_metric_names,
)
from reports.statistics.significance import Estimate
from reports.tables import Label, Missing, Number
from reports.tables.classes import confusion_table, mcnemar_table
from reports.tables.metrics import metrics_table
from reports.tables.overview import overview_table
from reports.writers import csv_text, markdown_text

CATALOGUE = Catalogue(controls=frozenset({"none"}))


def analysed(store: Store) -> dict[str, object]:
    results, _ = read(store)
    collection = frames.collect(store.address, results, CATALOGUE)
    return {frame.setting.task: analyse(frame, store) for frame in collection.frames}


@pytest.fixture(scope="module")
def analyses(tmp_path_factory):
    store = Store.open(tmp_path_factory.mktemp("tasks"), create=True)
    put_entailment(store)
    put_traced_tasks(store)
    return analysed(store)


KEYS = (
    "accuracy",
    "accuracy_low",
    "rouge_l",
    "rouge_1",
    "long_rouge_l",
    "baseline_majority",
    "baseline_lead_of_right_length_rouge_l",
    "long_baseline_lead_rouge_1",
    "confusion_neutral_neutral",
    "copy_rate",
    "reference_copy_rate",
    "centre_ms",
    "uniform_centre_ms",
    "long_baseline_majority",
)


@pytest.mark.parametrize(
    ("key", "subset", "kind", "figure", "baseline"),
    [
        ("accuracy", "", "figure", "accuracy", ""),
        ("accuracy_low", "", "bound", "accuracy_low", ""),
        ("long_rouge_l", "long", "figure", "rouge_l", ""),
        ("baseline_majority", "", "baseline", "accuracy", "majority"),
        ("long_baseline_majority", "long", "baseline", "accuracy", "majority"),
        (
            "baseline_lead_of_right_length_rouge_l",
            "",
            "baseline",
            "rouge_l",
            "lead of right length",
        ),
        ("long_baseline_lead_rouge_1", "long", "baseline", "rouge_1", "lead"),
        ("confusion_neutral_neutral", "", "confusion", "confusion_neutral_neutral", ""),
        ("reference_copy_rate", "", "baseline", "copy_rate", "references"),
        ("uniform_centre_ms", "", "baseline", "centre_ms", "uniform weights"),
    ],
)
def test_names_are_taken_apart(key, subset, kind, figure, baseline):
    found = {one.key: one for one in parse_metric_names(KEYS, ["long"], "accuracy")}
    one = found[key]
    assert (one.subset, one.kind, one.figure, one.baseline) == (subset, kind, figure, baseline)


@pytest.mark.parametrize(
    ("low", "high", "higher", "expected"),
    [
        (0.6, 0.7, True, "better"),
        (0.4, 0.6, True, "not told apart"),
        (0.3, 0.4, True, "worse"),
        (0.6, 0.7, False, "worse"),
        (0.3, 0.4, False, "better"),
        (None, None, True, "not told apart"),
    ],
)
def test_only_a_whole_interval_passes_a_baseline(low, high, higher, expected):
    estimate = Estimate(0.5, low, high, 1, 10, "examples")
    assert against_baseline(estimate, 0.5, higher_is_better=higher) == expected


def test_the_best_baseline_is_no_ceiling(analyses):
    assert best_baseline(analyses["captioning"]).name == "constant"
    assert [one.name for one in baselines(analyses["captioning"])] == ["constant", "human"]
    assert best_baseline(analyses["entailment"]).name == "overlap"
    assert best_baseline(analyses["summarization"]).name == "lead"
    assert best_baseline(analyses["speech"]) is None  # it only has baselines of weights


def test_good_mechanisms_pass_and_the_fixed_vector_does_not(analyses):
    analysis = analyses["entailment"]
    names = [one.attention for one in analysis.frame.contenders]
    found = dict(zip(names, against_best_baseline(analysis), strict=True))
    assert found == {"none": "worse", "soft": "better", "global": "better"}


def test_baselines_stand_below_the_mechanisms_in_every_form(analyses):
    table = metrics_table(analyses["entailment"])
    apart = [row.label for row in table.rows if row.apart]
    assert apart == ["baseline: overlap", "baseline: hypothesis only", "baseline: majority"]
    assert [row.apart for row in table.rows] == [False] * 3 + [True] * 3
    keys = [column.key for column in table.columns]
    assert keys[:2] == ["accuracy", "against_best_baseline"]
    assert not [key for key in keys if "confusion" in key or key.endswith(("_low", "_high"))]
    overlap = table.rows[3]
    assert overlap.entries[0] == Number(0.6, form="percent")
    assert isinstance(overlap.entries[keys.index("macro_f1")], Missing)
    assert overlap.entries[1] == Missing("not applicable"), "nothing is blank"
    for text in (csv_text(table), latex_text(table), markdown_text(table)):
        assert text.index("soft + concat") < text.index("baseline: overlap")
    assert "against “overlap” (60.0 %)" in markdown_text(table)
    assert table.rows[0].entries[1] == Label("above"), "with one seed"


def test_fractions_are_percentages_on_pages_and_fractions_in_files(analyses):
    table = metrics_table(analyses["entailment"])
    (entry,) = [row.entries[0] for row in table.rows if row.label == "soft + concat"]
    assert entry.text == f"{100 * entry.value:.1f}\N{NO-BREAK SPACE}%"
    assert entry.interval == f"[{100 * entry.low:.1f}, {100 * entry.high:.1f}]"
    assert repr(entry.value) in csv_text(table)
    cider = metrics_table(analyses["captioning"]).rows[0].entries[0]
    assert "%" not in cider.text


def test_findings_name_who_passes(analyses):
    told = " ".join(findings(analyses["entailment"], CATALOGUE))
    assert "“overlap”, reaches 60.0\N{NO-BREAK SPACE}%; with one seed, the intervals over" in told
    assert "test examples of 2 of 3 mechanisms lie above it (global + dot and soft" in told


def test_the_overview_has_the_best_baseline_of_each_task(analyses):
    chosen = [analyses["entailment"], analyses["speech"]]
    table = overview_table(chosen, CATALOGUE)
    row = table.rows[-1]
    assert row.apart
    assert (row.entries[0].value, row.entries[0].note) == (0.6, "overlap")
    assert isinstance(row.entries[1], Missing)
    assert table.columns[1].label == "speech: PER, lower is better"


def test_lower_error_rates_are_shaded_as_better(analyses):
    table = overview_table([analyses["speech"]], CATALOGUE)
    shade = {row.label: row.entries[0].shade for row in table.rows if not row.apart}
    assert (shade["soft"], shade["none"]) == (1.0, 0.0)


def test_confusions_are_shares_of_each_true_class(analyses):
    analysis = analyses["entailment"]
    table = confusion_table(analysis)
    assert [name for name, _ in table.groups] == [
        "true entailment",
        "true neutral",
        "true contradiction",
    ]
    for row in table.rows:
        shares = [entry.value for entry in row.entries]
        assert [sum(shares[at : at + 3]) for at in (0, 3, 6)] == pytest.approx([1, 1, 1])
    best = analysis.frame.contenders[0].done[0].metrics
    first = next(r for r in table.rows if r.label == analysis.frame.contenders[0].name)
    assert first.entries[1].value == pytest.approx(best["confusion_entailment_neutral"] / 60)
    assert confusion_table(analyses["speech"]) is None


def test_mcnemar_is_against_the_best_and_the_control(analyses):
    table = mcnemar_table(analyses["entailment"])
    assert [name for name, _ in table.groups] == [
        f"against {table.rows[0].label}",
        "against none",
    ]
    assert isinstance(table.rows[0].entries[0], Missing)
    only, other, p = table.rows[0].entries[3:]
    assert only.value > other.value and p.value < 0.001
    assert mcnemar_table(analyses["captioning"]) is None


def test_cells_without_baselines_have_no_rows_of_them(tmp_path, made, catalogue):
    results = [one for one in made.store.results() if one.status == "done"]
    frame = frames.collect("x", results, catalogue).frames[0]
    analysis = analyse(frame, made.store)
    table = metrics_table(analysis)
    assert not [row for row in table.rows if row.apart]
    assert "against_best_baseline" not in [column.key for column in table.columns]
    assert Cell("t", "d", "a", "s").seed == 1
