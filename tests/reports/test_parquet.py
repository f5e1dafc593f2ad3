"""All trials as a Parquet file."""

from __future__ import annotations

import io

import pandas

from reports.writers import parquet_bytes


def test_every_trial_with_its_types(report):
    results = report.collection.results
    table = pandas.read_parquet(io.BytesIO(parquet_bytes(results))).set_index("hash")
    assert len(table) == len(results)
    for result in results:
        row = table.loc[result.hash]
        if result.primary is None:
            assert pandas.isna(row["value"]) and row["failure"].startswith("diverged")
            continue
        assert row["value"] == result.primary.value
        assert row["metric_bleu"] == result.metrics["bleu"]
        assert row["train_seconds"] == result.cost.train_seconds
    assert table["seed"].dtype == "int64"
    assert table["metric_bleu"].dtype == "float64"


def test_the_same_results_give_the_same_bytes(report):
    results = report.collection.results
    assert parquet_bytes(results) == parquet_bytes(results)
