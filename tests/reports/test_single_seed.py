"""With one seed a report describes: none of its texts calls a mechanism better or ahead."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from sample_results import put

from bench.store.cell import Cell
from bench.store.store import Store
from reports.catalogue import catalogue_of
from reports.pages.report import Report, build_report
from reports.pages.site import pages, report_text

HEADLINES = {"translation": "bleu", "entailment": "accuracy", "speech": "per"}
RATES = {("soft", "concat"): 0.9, ("global", "dot"): 0.6, ("none", "none"): 0.2}
CLAIMS = re.compile(r"\b(better|worse|ahead|beyond chance|pass(es)?|lead(s)?)\b", re.IGNORECASE)
#: What says in which direction a metric counts, and that nothing is called better.
DIRECTION = re.compile(
    r"(higher|lower|less|more) is better|where less is better|calls no mechanism better"
)


def made(folder: Path, seeds: int) -> Report:
    """A report of three mechanisms that differ by far more than their examples explain."""
    store = Store.open(folder, create=True)
    hard = np.random.default_rng(1).random(120)
    for task, headline in HEADLINES.items():
        for (attention, score), rate in RATES.items():
            for seed in range(1, seeds + 1):
                right = (hard < rate + 0.01 * seed).astype(float)
                put(
                    store,
                    Cell(task, "synthetic", attention, score, seed=seed),
                    1 - right if headline == "per" else right,
                    headline=headline,
                    higher=headline != "per",
                    metrics={"baseline_majority": 0.5},
                )
    return build_report(store, catalogue=catalogue_of(one.cell for one in store.results([])))


def texts(report: Report) -> list[str]:
    """What stands in report.md and on all pages, without marks and scripts, a line each."""
    found = report_text(report).splitlines()
    for page in pages(report).values():
        plain = re.sub(r"<(script|style).*?</\1>", "", page, flags=re.DOTALL)
        read = plain.split("How to read this")[0]
        found += re.sub(r"<[^>]+>", "\n", read).splitlines()
    return [DIRECTION.sub("", line) for line in found if "held" not in line]


@pytest.mark.parametrize(("seeds", "claims"), [(1, False), (3, True)])
def test_only_several_seeds_are_claimed_from(tmp_path: Path, seeds: int, claims: bool) -> None:
    found = [line for line in texts(made(tmp_path, seeds)) if CLAIMS.search(line)]
    assert bool(found) is claims, found[:5]


def test_what_one_seed_leaves_open_is_said_in_every_setting(tmp_path: Path) -> None:
    report = made(tmp_path, 1)
    for section in report.sections:
        assert "another seed, has not been measured" in section.findings[-1]
        assert any("another seed, has not been measured" in one for one in section.matrix.notes)
    assert any("another seed, has not been measured" in one for one in report.overview.notes)
