"""Stores with thousands of results, made of a few: their rows are dealt anew to every cell, and the
headline figure is that of the rows it got."""

from __future__ import annotations

import json
from itertools import count, islice, product
from pathlib import Path
from typing import Any, cast

import numpy as np
from made_up import TARGET, sentences

from bench.store.cell import Cell
from bench.store.result import Mode, Trace
from tasks.translation.metrics import bleu, bleu_statistics

#: Settings that results are spread over; contenders have so many seeds.
SETTINGS, SEEDS = 5, 10
#: How often a word is wrong, from the best rows that are dealt to the worst.
ERRORS = (0.05, 0.09, 0.13, 0.18, 0.24, 0.3)
EXAMPLES = {"test": (120, (4, 12)), "long": (60, (14, 24))}
_ATTENTIONS = ("none", "soft", "hard", "global", "local-m", "local-p", "self", "over")
_SCORES = ("dot", "general", "concat")


def fill(folder: Path, results: int, rng: np.random.Generator) -> None:
    """Write so many finished results into a store."""
    dealt = [_rows(errors, rng) for errors in ERRORS]
    statistics = np.array([[row["statistics"] for row in rows] for rows in dealt])  # E,N,10
    lines = [[json.dumps(row) for row in rows] for rows in dealt]
    first = np.array([row["subset"] == "test" for row in dealt[0]])
    trials = folder / "trials"
    for number, cell in enumerate(islice(_cells(), results)):
        level = (number // SEEDS) % len(ERRORS)
        places = np.clip(level + rng.integers(-1, 2, first.size), 0, len(ERRORS) - 1)
        counts = statistics[places, np.arange(first.size)]
        figures = [float(bleu(counts[chosen].sum(axis=0))) for chosen in (first, ~first)]
        record = json.dumps(_record(cell, *figures))
        (trials / f"{cell.hash}.json").write_text(record)
        rows = "\n".join(lines[place][row] for row, place in enumerate(places))
        (trials / f"{cell.hash}.predictions.jsonl").write_text(rows + "\n")
        if cell.seed == 1 and cell.attention != "none":
            (trials / f"{cell.hash}.traces.jsonl").write_text(_traces(rng))


def fill_records(folder: Path, results: int, rng: np.random.Generator) -> None:
    """Write so many finished results without predictions into a store."""
    for cell in islice(_cells(), results):
        record = json.dumps(_record(cell, *(30 + 4 * rng.standard_normal(2)).tolist()))
        (folder / "trials" / f"{cell.hash}.json").write_text(record)


def _traces(rng: np.random.Generator) -> str:
    """Two examples of each test set, writing freely and reading the reference."""
    rows = []
    for subset, (number, lengths) in EXAMPLES.items():
        for pair in sentences(subset, number, lengths)[:2]:
            weights = rng.random((len(pair.target), len(pair.source))) ** 4
            for t, s in pair.links:
                weights[t, s] += 1
            weights /= weights.sum(axis=1, keepdims=True)
            for mode in ("free", "forced"):
                trace = Trace(
                    example=pair.name,
                    subset=subset,
                    mode=cast(Mode, mode),
                    kind="words",
                    source=pair.source,
                    target=pair.target,
                    weights=weights,
                    gold=pair.links,
                )
                rows.append(json.dumps(trace.to_json()))
    return "\n".join(rows) + "\n"


def _cells() -> Any:
    for width in count(64):
        for setting, attention, score in product(range(SETTINGS), _ATTENTIONS, _SCORES):
            if attention == "none" and score != _SCORES[0]:
                continue
            pair = attention, "none" if attention == "none" else score
            for seed in range(1, SEEDS + 1):
                options = {} if width == 64 else {"hidden_dim": width}
                yield Cell("translation", f"data-{setting}", *pair, seed=seed, options=options)


def _rows(errors: float, rng: np.random.Generator) -> list[dict[str, Any]]:
    rows = []
    for subset, (number, lengths) in EXAMPLES.items():
        for pair in sentences(subset, number, lengths):
            wrong = rng.random(len(pair.target)) < errors
            other = rng.integers(0, len(TARGET), len(pair.target))
            words = [TARGET[other[t]] if wrong[t] else word for t, word in enumerate(pair.target)]
            text, reference = " ".join(words), " ".join(pair.target)
            rows.append(
                {
                    "example": pair.name,
                    "subset": subset,
                    "source": " ".join(pair.source),
                    "references": [reference],
                    "prediction": text,
                    "length": len(pair.source),
                    "score": float(1 - wrong.mean()),
                    "statistics": bleu_statistics([text], [reference])[0].tolist(),
                    "extra": {},
                }
            )
    return rows


def _record(cell: Cell, value: float, longer: float) -> dict[str, Any]:
    curve = [
        {"step": step, "seconds": step / 30, "loss": 4 / step, "validation_loss": 5 / step}
        for step in range(60, 361, 60)
    ]
    return {
        "schema": 1,
        "hash": cell.hash,
        "cell": cell.to_json(),
        "status": "done",
        "metrics": {"bleu": value, "long_bleu": longer},
        "primary": {
            "name": "bleu",
            "value": value,
            "low": value - 1,
            "high": value + 1,
            "higher_is_better": True,
        },
        "cost": {"parameters": 400_000, "train_seconds": 14.0, "decode_examples_per_second": 60.0},
        "curve": curve,
        "by_length": [
            {"subset": subset, "low": low, "high": high, "examples": 30, "value": figure}
            for subset, low, high, figure in (
                ("test", 4, 7, value + 2),
                ("test", 8, 12, value - 2),
                ("long", 14, 19, longer + 2),
                ("long", 20, 24, longer - 2),
            )
        ],
        "provenance": {
            "package_version": "0.1.0",
            "study": "many",
            "started": "2025-01-31T12:00:00.000Z",
            "finished": "2025-01-31T12:04:10.000Z",
        },
    }
