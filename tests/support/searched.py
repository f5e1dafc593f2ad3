"""A search as `attnbench sweep --tune` would leave it beside a store, made up: losses follow from
the settings, and nothing is trained."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ablations.hyperparameters import SearchRecord
from ablations.search_space import DEFAULT_SPACE, Space, in_words
from ablations.searchers import SearcherName, random_candidates
from ablations.trial_interface import (
    TrialOptions,
    failed_result,
    stopped_result,
    validation_figures,
)
from bench.store.cell import Cell
from bench.store.result import Cost, Result, provenance, utc_now
from bench.store.store import Store

#: Loss at the best rate, and how much it grows with the distance of the rate from it.
MECHANISMS = {
    ("none", "none"): (2.1, 0.03),
    ("soft", "concat"): (1.0, 0.05),
    ("global", "general"): (1.05, 0.6),
    ("global", "dot"): (1.2, 1.2),
    ("local-p", "general"): (1.1, 0.3),
    ("hard", "concat"): (1.4, 0.9),
}


def put_search(
    store: Store,
    cells: Sequence[Cell],
    *,
    count: int = 8,
    space: Space = DEFAULT_SPACE,
    searcher: SearcherName = "random",
    early_stopping: bool = False,
) -> Store:
    """Candidates of these cells in the store of the search; with early stops those with the highest
    learning rates are stopped. Of `hard` the last one fails."""
    found = Store.open(f"{store.address}/search", create=True)
    for cell in cells:
        candidates = random_candidates(cell, space, count)
        record = SearchRecord(
            cell_json=cell.with_seed(0).to_json(),
            study="overview",
            searcher=searcher,
            early_stopping=early_stopping,
            count=count,
            space={name: in_words(values) for name, values in candidates.space.items()},
            candidates=tuple(
                SearchRecord.Tried(hash=one.cell.hash, settings=dict(one.values))
                for one in candidates.known
            ),
            cores=2,
            gpus=0,
        )
        found.put_search(cell.with_seed(0).hash, record.model_dump(mode="json", by_alias=True))
        best, slope = MECHANISMS[cell.attention, cell.score]
        rates = sorted(one.values["learning_rate"] for one in candidates.known)
        for place, one in enumerate(candidates.known):
            rate, dropout = one.values["learning_rate"], one.values["dropout"]
            loss = best + slope * math.log(rate / 6e-3) ** 2 + 0.3 * abs(dropout - 0.2)
            if cell.attention == "hard" and place == count - 1:
                found.put(failed_result(one.cell, "diverged", "nan", started=utc_now()))
            elif early_stopping and rate in rates[-2:]:
                figures = {"step": 60.0, "validation_loss": loss + 1}
                found.put(
                    stopped_result(
                        one.cell, TrialOptions(None, None, ""), figures, started=utc_now()
                    )
                )
            else:
                found.put(_result(one.cell, loss))
    return found


def _result(cell: Cell, loss: float) -> Result:
    return Result(
        hash=cell.hash,
        cell_json=cell.to_json(),
        status="done",
        **validation_figures(loss, 450.0),
        cost=Cost(total_seconds=18.0),
        provenance=provenance(started=utc_now(), study="overview-search"),
    )
