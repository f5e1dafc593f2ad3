"""What loading very many results as DataFrames costs. Prints figures, asserts no times."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest
from many_results import fill_records

from bench.store.store import Store
from reports.load import load

pytestmark = pytest.mark.performance

RESULTS = 10_000


@pytest.mark.timeout(600)
def test_loading_ten_thousand_results(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "store", create=True)
    fill_records(tmp_path / "store", RESULTS, np.random.default_rng(0))
    results, figures = load(store), {}
    for name in ("records", "trials", "metrics", "curves", "lengths"):
        began = time.process_time()
        rows = len(getattr(results, name))
        figures[name] = {"rows": rows, "CPU seconds": round(time.process_time() - began, 2)}
    began = time.process_time()
    results.read("trials", ["hash", "value"])
    figures["two columns of trials"] = {"CPU seconds": round(time.process_time() - began, 2)}
    print(json.dumps(figures, indent=1))
    assert len(results.trials) == RESULTS
