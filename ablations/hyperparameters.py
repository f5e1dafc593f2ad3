"""A search for hyperparameters, so that no mechanism loses by its settings.

For every cell, whatever its seeds, the same number of candidates is trained with a seed that no
cell has, and judged by the loss on validation data after the last step. Test data are not decoded.
The cells then run with the settings of the winner, as explicit options. Candidates are kept in a
store of their own, `STORE/search`, so a search is resumed as a sweep is.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ablations.cluster import Resources
from ablations.progress import Renderer
from ablations.sweep import SweepPlan, SweepSummary, kind, plan_sweep, run_sweep
from ablations.trial_interface import TrialOptions
from bench.errors import UsageError
from bench.store.cell import Cell, Scalar
from bench.store.result import Result
from bench.store.store import Store
from tasks.plan import make_cell, resolve

#: The seed of candidates. Cells of a study may not have it.
TUNING_SEED = 0

#: Learning rates lie within this many doublings of the budget's own, up or down.
_DOUBLINGS = 2.0
_DROPOUTS = (0.0, 0.1, 0.2, 0.3, 0.4)


@dataclass(frozen=True)
class Search:
    """A search over learning rate and dropout.

    Attributes:
        address: of the store that keeps the candidates.
        count: candidates for each cell; the first has the budget's own settings.
        early_stopping: stop those that fall behind (ASHA).
    """

    address: str
    count: int
    early_stopping: bool = False

    @property
    def note(self) -> str:
        """The note in the records of the cells that profit, and thus in reports."""
        stopped = ", those behind stopped early (ASHA)" if self.early_stopping else ""
        return (
            f"learning rate and dropout searched for each mechanism: {self.count} candidates, "
            f"seed {TUNING_SEED}, lowest validation loss{stopped}"
        )

    def plan(self, cells: Sequence[Cell], *, create: bool) -> SweepPlan:
        """The candidates of these cells. Without `create`, no store is made.

        Raises UsageError for cells with the seed of candidates.
        """
        _check_seeds(cells)
        store = self._store(needed=create, create=create)
        groups = {kind(cell): cell for cell in cells}.values()
        wanted = [found for cell in groups for found in candidates(cell, self.count)]
        return plan_sweep(wanted, store)

    def run(
        self, plan: SweepPlan, options: TrialOptions, resources: Resources, renderer: Renderer
    ) -> SweepSummary:
        """Train the candidates that are not done, by `ablations.sweep.run_sweep`."""
        study = f"{options.study}-search"
        options = replace(options, store_address=self.address, study=study, tests=False)
        return run_sweep(plan, options, resources, renderer, early_stopping=self.early_stopping)

    def due(
        self, cells: Sequence[Cell], store: Store | None, limit: int | None
    ) -> tuple[Cell, ...]:
        """The cells to search for and to run: all without a limit, else so many of those that are
        not done yet with the settings of their winners.

        Raises UsageError for cells with the seed of candidates.
        """
        _check_seeds(cells)
        if limit is None:
            return tuple(cells)
        found = self._found(cells, begun=False)
        asked = {one.cell.hash: one.asked for one in found}
        return tuple(asked[cell.hash] for cell in _planned(found, store).to_run[:limit])

    def plan_cells(
        self, cells: Sequence[Cell], due: Iterable[Cell], store: Store | None, *, begun: bool
    ) -> SweepPlan:
        """All cells with their settings, of which those that are due are to be run.

        Args:
            begun: the search has begun, so its store is there; without it there may be none.
        """
        found, wanted = self._found(cells, begun=begun), set(due)
        hashes = {one.cell.hash for one in found if one.asked in wanted}
        plan = _planned(found, store)
        return replace(plan, to_run=tuple(cell for cell in plan.to_run if cell.hash in hashes))

    def with_notes(self, options: TrialOptions, cells: Iterable[Cell]) -> TrialOptions:
        """The options of the cells that follow: their records note what was searched for."""
        own = {
            one.cell.hash: one.notes
            for one in self._found(cells)
            if one.candidates == 1 or not one.has_winner  # its settings were not chosen of several
        }
        return replace(options, notes=(self.note,), own_notes=own)

    def _store(self, *, needed: bool, create: bool = False) -> Store | None:
        """The store of the candidates. None if it cannot be used and is not needed."""
        try:
            return Store.open(self.address, create=create)
        except UsageError:
            if needed:
                raise
            return None

    def _found(self, cells: Iterable[Cell], *, begun: bool = True) -> list[_Found]:
        store = self._store(needed=begun)
        known = {one.hash: one for one in store.results(problems=[])} if store else {}

        @functools.cache
        def found(name: str, cell: Cell) -> _Found:
            wanted = candidates(cell, self.count)
            tried = [known[one.hash] for one in wanted if one.hash in known]
            best = winner(tried)
            settled = cell if best is None else best.cell
            return _Found(cell, settled, len(wanted), len(tried) == len(wanted), best is not None)

        return [found(kind(cell), cell.with_seed(1)).with_seed(cell.seed) for cell in cells]


@dataclass(frozen=True)
class _Found:
    """The finding of a search for a cell.

    Attributes:
        asked: the cell as the study has it.
        cell: the same with the settings of its winner; as it was where there is none.
        candidates: how many there are.
        is_over: whether all of them were tried; some may have failed.
    """

    asked: Cell
    cell: Cell
    candidates: int
    is_over: bool
    has_winner: bool

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes for the record of a cell whose settings were not chosen."""
        if self.candidates == 1:  # the study sets itself what would be searched for
            return ()
        return (
            f"{self.cell.attention}+{self.cell.score}: none of the {self.candidates} candidates "
            "for learning rate and dropout finished; run with the settings it would have without "
            "a search",
        )

    def with_seed(self, seed: int) -> _Found:
        return replace(self, asked=self.asked.with_seed(seed), cell=self.cell.with_seed(seed))


def _planned(found: Sequence[_Found], store: Store | None) -> SweepPlan:
    """Results of cells whose search is not over do not count: other settings may be found yet."""
    open_ones = {one.cell.hash for one in found if not one.is_over}
    return plan_sweep([one.cell for one in found], store, again=open_ones)


def _check_seeds(cells: Iterable[Cell]) -> None:
    if any(cell.seed == TUNING_SEED for cell in cells):
        raise UsageError(
            f"seed {TUNING_SEED} is that of the candidates",
            where="--tune",
            remedy="give the study other seeds",
        )


def candidates(cell: Cell, count: int) -> list[Cell]:
    """At most `count` cells that differ from this one in settings and seed; duplicates are dropped.

    Every mechanism gets the same: learning rates relative to its budget's own, and dropouts. What
    a cell has as an explicit option is left as it is.
    """
    base = resolve(cell).settings.learning_rate
    settings: list[dict[str, Scalar]] = [{}]
    rng = np.random.default_rng(TUNING_SEED)
    for _ in range(count - 1):
        rate = base * float(2.0 ** rng.uniform(-_DOUBLINGS, _DOUBLINGS))
        dropout = float(rng.choice(_DROPOUTS))
        settings.append({"learning_rate": float(f"{rate:.2g}"), "dropout": dropout})
    made = (
        make_cell(
            cell.task,
            cell.attention,
            cell.score,
            backbone=cell.backbone or None,
            dataset=cell.dataset,
            budget=cell.budget,
            seed=TUNING_SEED,
            options={**one, **cell.options},
        )
        for one in settings
    )
    found = [replace(one, data=cell.data) for one in made]
    return list({other.hash: other for other in found}.values())


def winner(results: Iterable[Result]) -> Result | None:
    """The candidate with the lowest validation loss of those that were trained longest (all that
    ASHA did not stop); None if none is done."""
    return min(
        (result for result in results if result.status == "done"),
        key=lambda one: (-one.metrics["steps"], one.metrics["validation_loss"], one.hash),
        default=None,
    )
