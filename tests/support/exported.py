"""A store whose results differ in all that exports and published reports tell apart: data of the
hub, of a publisher, of this suite, and of nobody known here; sentences that may not leave it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from sample_results import put

from bench.store.cell import Cell
from bench.store.result import Failure, Provenance, Result, SplitIdentity, Trace
from bench.store.store import Store
from tasks.plan import resolve

#: Of every example of a data set, whose name comes before it.
SENTENCE = "zebras graze quietly"
#: One data set of each kind, and whether everybody may pass on its examples.
CELLS = {
    "generated": Cell("entailment", "synthetic", "soft", "concat"),
    "shared": Cell("entailment", "snli", "soft", "concat", data="a" * 64),
    "kept": Cell("entailment", "sick", "soft", "concat", data="b" * 64),
    "hub": Cell(
        "summarization",
        "xsum",
        "soft",
        "concat",
        data="c" * 64,
        options={"beam_size": 4, "input_feeding": True, "max_length": 31},
    ),
    "pinned": Cell("entailment", "multi_nli", "self", "scaled-dot", data="d" * 64, seed=2),
    "unknown": Cell("translation", "nobodys", "soft", "concat", data="e" * 64),
}
HEADLINES = {"summarization": "rouge_l", "translation": "bleu"}
FAILED = Cell("entailment", "sick", "global", "dot", data="b" * 64)


def fill(folder: Path, names: tuple[str, ...] = tuple(CELLS)) -> Store:
    """A store with a finished result of each kind, and a failed one of data that are kept."""
    store = Store.open(folder, create=True)
    for name in names:
        put_example(store, CELLS[name])
    if "kept" in names:
        failure = Failure(kind="unusable input", message=f"line 3: sick {SENTENCE}")
        store.put(
            Result(
                hash=FAILED.hash,
                cell_json=FAILED.to_json(),
                status="failed",
                failure=failure,
                provenance=_provenance(FAILED),
            )
        )
    return store


def put_example(store: Store, cell: Cell) -> Result:
    headline = HEADLINES.get(cell.task, "accuracy")
    result = put(
        store,
        cell,
        np.linspace(0.2, 1.0, 40),
        headline=headline,
        metrics={f"long_{headline}": 0.3, "confusion_neutral_neutral": 4.0},
        provenance=_provenance(cell),
    )
    words = (cell.dataset, *SENTENCE.split())
    settings = {} if cell == CELLS["unknown"] else resolve(cell).stated_settings
    result = result.model_copy(update={"settings": settings})
    trace = Trace(
        example="000",
        subset="test",
        mode="free",
        kind="words",
        source=words,
        target=words,
        weights=np.eye(len(words)),
    )
    rows = [
        {
            "example": f"{place:03d}",
            "subset": "test",
            "source": " ".join(words),
            "references": [" ".join(words)],
            "prediction": " ".join(words),
            "length": 4,
            "score": float(score),
            "statistics": [float(score), 1.0],
            "extra": {},
        }
        for place, score in enumerate(np.linspace(0.2, 1.0, 40))
    ]
    store.put(result, rows, [trace.to_json()])
    return result


def _provenance(cell: Cell) -> Provenance:
    sizes = {"train": 900, "validation": 80, "test": 40, "long": 20}
    return Provenance(
        package_version="0.1.0",
        commit="0123456789abcdef0123456789abcdef01234567",
        libraries={"python": "3.11.9", "torch": "2.11.0"},
        device="Some Processor (1 thread)",
        data_fingerprint=cell.data or "f" * 64,
        splits={
            name: SplitIdentity(examples=size, fingerprint=name * 8, contents="0" * 64)
            for name, size in sizes.items()
        },
        signatures={"rouge": "rouge-score 0.1.2|f1"} if cell.task == "summarization" else {},
        notes=("overlap: 2 of 40 examples of test are also in train (inputs alone: 3)",),
        study="overview",
        started="2025-01-31T12:00:00.000Z",
        finished="2025-01-31T12:04:10.000Z",
    )
