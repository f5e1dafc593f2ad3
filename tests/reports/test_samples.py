"""Kept predictions as arrays: what is unusable is told, whatever a file holds."""

from __future__ import annotations

import pytest

from bench.store.store import Store
from reports.samples import read_samples


@pytest.mark.parametrize("change", [{"length": 2**70}, {"score": 10**400}, {"score": "high"}])
def test_predictions_that_are_no_numbers_are_unusable(made, tmp_path, change):
    store = Store.open(tmp_path, create=True)
    result = next(one for one in made.store.results() if one.status == "done")
    first, *others = made.store.predictions(result.hash)
    store.put(result, [{**first, **change}, *others])
    samples, problem = read_samples(store, result.hash)
    assert samples == {}
    assert problem.startswith(f"predictions of {result.hash[:12]} are unusable (")
