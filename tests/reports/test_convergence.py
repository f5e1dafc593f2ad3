"""What had not converged is marked wherever it stands, and never called better."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest
from sample_results import put

from bench.store.cell import Cell
from bench.store.store import Store
from reports.catalogue import catalogue_of
from reports.cli.compare import text
from reports.latex import latex_text
from reports.load import all_converged
from reports.pages.comparison import write_comparisons
from reports.pages.report import Report, Section, build_report
from reports.pages.site import write_report
from reports.statistics.comparison import compare
from reports.tables import LEGEND, UNCONVERGED, Table
from reports.tables.comparison import comparison_tables
from reports.writers import csv_text, markdown_text

HEADLINES = {
    "translation": "bleu",
    "captioning": "cider",
    "entailment": "accuracy",
    "speech": "per",
    "summarization": "rouge_l",
}
TASKS = tuple(HEADLINES)
#: Attention and score, how good it is, and whether each seed had converged.
OPEN, ENDED, CONTROL = "soft + concat", "global + dot", "none"
RUN = {
    ("soft", "concat"): (0.9, (True, False, True)),
    ("global", "dot"): (0.7, (True, True, True)),
    ("none", "none"): (0.2, (True, True, True)),
}
SEEDS = (1, 2, 3)


def fill(folder: Path, *, control: bool = True, better: float = 0.0) -> Store:
    store = Store.open(folder, create=True)
    hard = np.random.default_rng(1).random(80)
    for task, headline in HEADLINES.items():
        for (attention, score), (rate, converged) in RUN.items():
            for seed, own in zip(SEEDS, converged, strict=True):
                luck = 0.01 * seed
                right = (hard < rate + luck + better).astype(float)
                put(
                    store,
                    Cell(task, "synthetic", attention, score, seed=seed),
                    1 - right if headline == "per" else right,
                    headline=headline,
                    higher=headline != "per",
                    metrics={"baseline_majority": 0.5},
                    converged=control if attention == "none" else own,
                )
    return store


@dataclass
class Made:
    store: Store
    report: Report
    out: Path

    def of(self, task: str) -> Section:
        (section,) = self.report.of_task(task)
        return section


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("convergence")
    store = fill(folder / "store")
    catalogue = catalogue_of(result.cell for result in store.results([]))
    report = build_report(store, catalogue=catalogue)
    write_report(report, folder / "out")
    return Made(store, report, folder / "out")


def lines_of(table: Table) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(csv_text(table))))


@pytest.mark.parametrize("task", TASKS)
def test_every_table_that_shows_the_cell_marks_it(made: Made, task: str) -> None:
    section = made.of(task)
    assert len(section.tables) >= 3
    for table in section.tables:
        in_rows = [row.converged for row in table.rows if row.label == OPEN]
        in_cells = [getattr(one, "converged", None) for row in table.rows for one in row.entries]
        assert [*in_rows, *in_cells].count(False) == 1, table.name
        assert table.all_notes[-1] == LEGEND
        markdown, latex = markdown_text(table), latex_text(table)
        assert markdown.count(UNCONVERGED) == 2, "the mark and its legend"
        # The legend and the mark; a wide table is split, and each part repeats the names of rows.
        most = 1 + (latex.count(r"\begin{tabular}") if False in in_rows else 1)
        assert latex.count(r"\dag{}") == most and UNCONVERGED not in latex
        (line,) = [line for line in markdown.splitlines() if f" {UNCONVERGED}" in line[3:]]
        assert line.startswith("| soft")
        line, *_ = [line for line in latex.splitlines() if r"\textsuperscript{\dag{}}" in line]
        assert line.startswith("soft")


@pytest.mark.parametrize("task", TASKS)
def test_csv_has_a_column(made: Made, task: str) -> None:
    section = made.of(task)
    told = {line[section.metrics.corner]: line["converged"] for line in lines_of(section.metrics)}
    assert {name: told[name] for name in (OPEN, ENDED, CONTROL)} == {
        OPEN: "no",
        ENDED: "yes",
        CONTROL: "yes",
    }
    grid = {line["attention"]: line for line in lines_of(section.matrix)}
    assert grid["soft"]["concat_converged"] == "no"
    assert grid["global"]["dot_converged"] == "yes"
    overview = {line["attention"]: line for line in lines_of(made.report.overview)}
    assert overview["soft"][f"{section.setting.slug}_converged"] == "no"
    assert overview["none"][f"{section.setting.slug}_converged"] == "yes"


def test_all_trials_say_it(made: Made) -> None:
    for line in lines_of(made.report.results):
        seed_two_of_soft = line["attention"] == "soft" and line["seed"] == "2"
        assert line["converged"] == str(not seed_two_of_soft)
    parquet = pyarrow.parquet.read_table(made.out / "tables" / "results.parquet").to_pylist()
    assert [row["converged"] for row in parquet].count(False) == len(TASKS)


@pytest.mark.parametrize("task", TASKS)
def test_pages_mark_it_with_a_legend_in_words(made: Made, task: str) -> None:
    for name in (f"{task}.html", "index.html"):
        page = (made.out / name).read_text("utf-8")
        assert 'aria-label="not converged"' in page and LEGEND in page
    section = made.of(task)
    (cell,) = [one for one in section.cells if one.name == OPEN]
    page = (made.out / cell.href).read_text("utf-8")
    assert "1 of 3 seeds not converged" in page
    told = [line["converged"] for line in lines_of(cell.seeds)]
    assert told == ["yes", "no", "yes"]
    assert UNCONVERGED in (made.out / "report.md").read_text("utf-8")


CLAIMS = re.compile(r"better|ahead of everything else beyond chance\.")


@pytest.mark.parametrize("task", TASKS)
def test_findings_say_what_was_seen_and_claim_nothing(made: Made, task: str) -> None:
    found = made.of(task).findings
    best, control = found[0], next(one for one in found if one.startswith("The control"))
    ended = "when training ended (not all had converged)"
    assert best.startswith(("Highest", "Lowest")) and OPEN in best
    assert f"It was ahead of everything else beyond chance {ended}." in best
    assert "1 of 2 mechanisms are better beyond chance;" in control, "the other had converged"
    assert f"1 were ahead beyond chance {ended}" in control
    assert found[-1].startswith(f"Not converged: 1 of 3 ({OPEN}).")


@pytest.mark.parametrize("task", TASKS)
def test_nothing_is_better_than_a_control_that_had_not_converged(tmp_path: Path, task: str) -> None:
    store = fill(tmp_path, control=False)
    report = build_report(store, catalogue=catalogue_of(r.cell for r in store.results([])))
    (section,) = report.of_task(task)
    for sentence in section.findings[:-1]:
        assert not CLAIMS.search(sentence), sentence
    assert section.findings[-1].endswith("and no ranking.")
    control = next(one for one in section.findings if one.startswith("The control"))
    assert "2 were ahead beyond chance when training ended" in control


def test_what_is_better_than_a_baseline_is_so_only_so_far(made: Made) -> None:
    told = {
        line[made.of("entailment").metrics.corner]: line["against_best_baseline"]
        for line in lines_of(made.of("entailment").metrics)
    }
    assert told[OPEN] == "better so far" and told[ENDED] == "better"


def test_a_comparison_shows_it(made: Made, tmp_path: Path) -> None:
    other = fill(tmp_path / "other", better=-0.3)
    comparison = compare(made.store, other)
    for one in comparison.differences:
        assert one.converged is (one.contender != OPEN)
        judged = one.verdict != "not comparable"  # made-up examples give no BLEU
        open_end = judged and one.contender == OPEN
        assert one.told == ("worse so far" if open_end else "worse" if judged else one.verdict)
    assert re.match(r"(\d+) worse, \d+ worse so far", comparison.counts)
    lines = text(comparison).splitlines()
    assert {line.split("  ")[0] for line in lines if f" {UNCONVERGED} " in line} == {
        f"{OPEN} {UNCONVERGED}"
    }
    for table in comparison_tables(comparison, 1):
        assert [row.label for row in table.rows if row.converged is False] == [OPEN]
        assert {line["converged"] for line in lines_of(table)} == {"yes", "no"}
    write_comparisons([comparison], tmp_path / "out")
    assert LEGEND in (tmp_path / "out" / "index.html").read_text("utf-8")


def test_where_nothing_is_known_nothing_is_marked(tmp_path: Path) -> None:
    store = Store.open(tmp_path, create=True)
    put(store, Cell("speech", "synthetic", "soft", "concat"), [0.1, 0.2], headline="per")
    report = build_report(store, catalogue=catalogue_of(r.cell for r in store.results([])))
    for table in (*report.sections[0].tables, report.overview):
        assert UNCONVERGED not in markdown_text(table)
        assert "converged" not in csv_text(table).splitlines()[0]
    assert "onverged" not in " ".join(report.sections[0].findings)
    assert report.results["converged"].isna().all()


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ((), None),
        ((True, True), True),
        ((True, None), None),
        ((True, None, False), False),
    ],
)
def test_all_have_converged_only_if_it_is_known_of_all(
    known: tuple[bool | None, ...], expected: bool | None
) -> None:
    assert all_converged(known) is expected
