"""What a report of very many results costs. Prints figures, asserts no times."""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from many_results import SETTINGS, fill

from bench.store.store import Store
from reports.catalogue import Catalogue
from reports.pages.report import build_report
from reports.pages.site import write_report

pytestmark = pytest.mark.performance

RESULTS = 10_000


@pytest.mark.timeout(1800)
def test_a_report_of_ten_thousand_results(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "store", create=True)
    fill(tmp_path / "store", RESULTS, np.random.default_rng(0))
    began, cpu = time.perf_counter(), time.process_time()
    report = build_report(store, catalogue=Catalogue(), studies=())
    built = time.process_time() - cpu
    write_report(report, tmp_path / "report")
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    pages = sorted((tmp_path / "report").glob("*.html"), key=lambda page: page.stat().st_size)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (
        1 if sys.platform == "darwin" else 1024
    )
    figures = {
        "results": len(report.collection.results),
        "settings": SETTINGS,
        "seconds": round(seconds, 1),
        "CPU seconds": round(cpu, 1),
        "of which building": round(built, 1),
        "peak memory (MB)": round(peak / 1e6),
        "pages": len(pages),
        "largest page (MB)": round(pages[-1].stat().st_size / 1e6, 2),
    }
    print(json.dumps(figures, indent=1))
    assert figures["results"] == RESULTS
