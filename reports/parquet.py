"""All trials as one Parquet file, typed: for pandas, DuckDB and the like."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence

from bench.result import Result

_AXES = ("task", "dataset", "attention", "score", "budget")


def parquet_bytes(results: Sequence[Result]) -> bytes:
    """One row a trial: its axes, headline figure, alignment, cost, and every metric in a column
    `metric_<name>`. What is not known is null, never 0 or a text."""
    import pyarrow as pa
    from pyarrow import parquet

    metrics = list(dict.fromkeys(name for result in results for name in result.metrics))
    rows = [_row(result, metrics) for result in results]
    schema = pa.schema(
        [
            *((name, pa.string()) for name in ("hash", *_AXES)),
            ("seed", pa.int64()),
            *((name, pa.string()) for name in ("options", "status", "failure", "headline")),
            *((name, pa.float64()) for name in ("value", "low", "high")),
            ("higher_is_better", pa.bool_()),
            *((name, pa.float64()) for name in _ALIGNMENT),
            *((name, pa.float64()) for name in _costs()),
            *((f"metric_{name}", pa.float64()) for name in metrics),
        ]
    )
    file = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(rows, schema=schema), file, compression="zstd")
    return file.getvalue()


_ALIGNMENT = ("aer", "mass_on_gold", "pointing", "covered")


def _costs() -> list[str]:
    from bench.result import Cost

    return list(Cost.model_fields)


def _row(result: Result, metrics: Sequence[str]) -> dict[str, object]:
    cell, primary, alignment = result.key, result.primary, result.alignment
    failure = f"{result.failure.kind}: {result.failure.message}" if result.failure else None
    return {
        "hash": result.hash,
        **{name: getattr(cell, name) for name in _AXES},
        "seed": cell.seed,
        "options": json.dumps(dict(cell.options), sort_keys=True),
        "status": result.status,
        "failure": failure,
        "headline": primary.name if primary else None,
        "value": primary.value if primary else None,
        "low": primary.low if primary else None,
        "high": primary.high if primary else None,
        "higher_is_better": primary.higher_is_better if primary else None,
        **{name: getattr(alignment, name, None) for name in _ALIGNMENT},
        **{name: getattr(result.cost, name) for name in _costs()},
        **{f"metric_{name}": result.metrics.get(name) for name in metrics},
    }
