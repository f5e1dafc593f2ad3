"""A search for hyperparameters, so that no mechanism loses by its settings.

For every cell, whatever its seeds, the same number of candidates is trained with a seed that no
cell has. One rule judges them, for the winner, for the searcher and for early stops alike: the loss
on validation data after the last step, which all tasks measure in the same way and which, unlike
an accuracy on few examples, hardly has ties. Test data are not decoded. The cells then run with the
settings of the winner, as explicit options.

Candidates are kept in a store of their own, `STORE/search`, so a search is resumed as a sweep is;
beside them lies a `SearchRecord` for each cell, which says which ones they are.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from ablations.cluster import Resources
from ablations.progress import Renderer
from ablations.search_space import DEFAULT_SPACE, TUNING_SEED, Space, in_words
from ablations.searchers import Candidates, SearcherName, optuna_candidates, random_candidates
from ablations.sweep import SweepPlan, SweepSummary, plan_sweep, run_sweep
from ablations.trial_interface import TrialOptions, was_stopped
from bench.errors import UsageError
from bench.store.cell import Cell, Scalar
from bench.store.result import Result
from bench.store.store import Store
from tasks.plan import current_results


class SearchRecord(BaseModel):
    """What was searched for a cell (`STORE/search/searches/<hash>.json`).

    Attributes:
        cell_json: the cell as the study has it, with seed 0.
        study: that the search was for.
        count: candidates that every cell is given.
        space: searched settings in words, by name.
        candidates: in the order of the search, the budget's own settings first.
        cores, gpus: that each of them held.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    class Tried(BaseModel):
        """A candidate: the hash of its cell, and its values of the searched settings."""

        model_config = ConfigDict(frozen=True, extra="forbid")
        hash: str
        settings: dict[str, Scalar]

    cell_json: dict[str, Any] = Field(validation_alias="cell", serialization_alias="cell")
    study: str | None
    searcher: SearcherName
    early_stopping: bool
    count: int
    space: dict[str, str]
    candidates: tuple[Tried, ...]
    cores: float
    gpus: float

    @field_validator("cell_json")
    @classmethod
    def _readable(cls, value: dict[str, Any]) -> dict[str, Any]:
        try:
            Cell.from_json(value)
        except TypeError as error:
            raise ValueError(f"not a cell: {error}") from error
        return value

    @property
    def cell(self) -> Cell:
        return Cell.from_json(self.cell_json)


def read_searches(store: Store) -> list[SearchRecord]:
    """The searches of a store of candidates; unreadable records are left out."""
    found = []
    for record in store.searches():
        try:
            found.append(SearchRecord.model_validate(record))
        except ValidationError:
            continue
    return found


@dataclass(frozen=True)
class Search:
    """A search for the settings of each cell.

    Attributes:
        address: of the store that keeps the candidates.
        count: candidates for each cell; the first has the budget's own settings.
        early_stopping: stop those that fall behind (ASHA).
        spaces: what is varied, as `Expansion.spaces`; by default learning rate and dropout.
    """

    address: str
    count: int
    early_stopping: bool = False
    searcher: SearcherName = "random"
    spaces: Mapping[str, Space] = field(default_factory=dict)

    def note_of(self, cell: Cell) -> str:
        """The note in the records of a cell that profits, and thus in reports."""
        stopped = ", those behind stopped early (ASHA)" if self.early_stopping else ""
        return (
            f"{_listed(self.space_of(cell))} searched for each mechanism: {self.count} "
            f"candidates, seed {TUNING_SEED}, {self.searcher} search, "
            f"lowest validation loss{stopped}"
        )

    def space_of(self, cell: Cell) -> Space:
        """What is varied for a cell."""
        return self.spaces.get(replace(cell, data="").kind, DEFAULT_SPACE)

    def rounds(self, cells: Sequence[Cell]) -> Iterator[SweepPlan]:
        """Plans of the search, each to be run (`run`) before the next is asked for: one, or with
        Optuna as many as it takes until all candidates are known.

        Raises UsageError for cells with the seed of candidates.
        """
        tried: set[str] = set()
        while True:
            plan = self.plan(cells, create=True)
            if tried and tried.issuperset(cell.hash for cell in plan.to_run):
                return  # what failed is not tried again at once
            yield plan
            tried |= {cell.hash for cell in plan.to_run}
            if not plan.to_run:
                return

    def plan(self, cells: Sequence[Cell], *, create: bool) -> SweepPlan:
        """The candidates of these cells that are known by now. Without `create`, no store is made.

        Raises UsageError for cells with the seed of candidates.
        """
        _check_seeds(cells)
        store = self._store(needed=create, create=create)
        found = list(self._candidates(cells, _results(store)).values())
        plan = plan_sweep([cell for one in found for cell in one.cells], store)
        settled = {cell.hash for one in found for cell in one.cells[: one.settled]}
        left = tuple(cell for cell in plan.to_run if cell.hash not in settled)
        return replace(plan, to_run=left)

    def run(
        self,
        cells: Sequence[Cell],
        plan: SweepPlan,
        options: TrialOptions,
        resources: Resources,
        renderer: Renderer,
    ) -> SweepSummary:
        """Train the candidates of these cells that are not done, by `ablations.sweep.run_sweep`."""
        store = self._store(needed=True)
        assert store is not None
        found = self._candidates(cells, _results(store))
        for cell, candidates in found.items():
            if candidates.space:
                record = self._record(cell, candidates, options.study, resources)
                store.put_search(cell.hash, record.model_dump(mode="json", by_alias=True))
        groups = {one.hash: cell.hash for cell, several in found.items() for one in several.cells}
        study = f"{options.study}-search"
        options = replace(options, store_address=self.address, study=study, tests=False)
        halving = groups if self.early_stopping else None
        return run_sweep(plan, options, resources, renderer, early_stopping=halving)

    def _record(
        self, cell: Cell, found: Candidates, study: str | None, resources: Resources
    ) -> SearchRecord:
        tried = [
            SearchRecord.Tried(hash=one.cell.hash, settings=dict(one.values)) for one in found.known
        ]
        return SearchRecord(
            cell_json=cell.to_json(),
            study=study,
            searcher=self.searcher,
            early_stopping=self.early_stopping,
            count=self.count,
            space={name: in_words(values) for name, values in found.space.items()},
            candidates=tuple(tried),
            cores=resources.cpus_per_trial * resources.ranks,
            gpus=resources.gpus_per_trial,
        )

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
        notes = {one.cell.hash: self._notes(one) for one in self._found(cells)}
        shared = max(notes.values(), key=list(notes.values()).count, default=())
        own = {hash: several for hash, several in notes.items() if several != shared}
        return replace(options, notes=shared, own_notes=own)

    def _notes(self, found: _Found) -> tuple[str, ...]:
        if found.candidates == 1:  # the study sets itself what would be searched for
            return ()
        if found.has_winner:
            return (self.note_of(found.asked),)
        cell = found.cell
        return (
            f"{cell.attention}+{cell.score}: none of the {found.candidates} candidates for "
            f"{_listed(self.space_of(cell))} finished; run with the settings it would have "
            "without a search",
        )

    def _store(self, *, needed: bool, create: bool = False) -> Store | None:
        """The store of the candidates. None if it cannot be used and is not needed."""
        try:
            return Store.open(self.address, create=create)
        except UsageError:
            if needed:
                raise
            return None

    def _candidates(
        self, cells: Iterable[Cell], known: Mapping[str, Result]
    ) -> dict[Cell, Candidates]:
        """The candidates of each of these cells, whatever their seeds."""
        asked = {cell.kind: cell for cell in cells}.values()
        return {cell.with_seed(TUNING_SEED): self._candidates_of(cell, known) for cell in asked}

    def _candidates_of(self, cell: Cell, known: Mapping[str, Result]) -> Candidates:
        space = self.space_of(cell)
        if self.searcher == "optuna":
            return optuna_candidates(cell, space, self.count, known)
        return random_candidates(cell, space, self.count)

    def _found(self, cells: Iterable[Cell], *, begun: bool = True) -> list[_Found]:
        known = _results(self._store(needed=begun))

        @functools.cache
        def found(name: str, cell: Cell) -> _Found:
            wanted = self._candidates_of(cell, known)
            tried = [known[one.hash] for one in wanted.cells if one.hash in known]
            best = winner(tried)
            settled = cell if best is None else best.cell
            is_over = wanted.complete and len(tried) == len(wanted.known)
            return _Found(cell, settled, len(wanted.known), is_over, best is not None)

        return [found(cell.kind, cell.with_seed(1)).with_seed(cell.seed) for cell in cells]


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

    def with_seed(self, seed: int) -> _Found:
        return replace(self, asked=self.asked.with_seed(seed), cell=self.cell.with_seed(seed))


def _results(store: Store | None) -> dict[str, Result]:
    return {one.hash: one for one in current_results(store, [])} if store else {}


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


def _listed(space: Space) -> str:
    """Settings in words: `learning rate, weight decay and dropout`."""
    *others, last = (name.replace("_", " ") for name in space or ("nothing",))
    return f"{', '.join(others)} and {last}" if others else last


def winner(results: Iterable[Result]) -> Result | None:
    """The candidate with the lowest validation loss of those that were not stopped early; where all
    were, of those that were trained longest. None if none is done."""
    return min(
        (result for result in results if result.status == "done"),
        key=lambda one: (
            (stopped := was_stopped(one)),
            -one.metrics["steps"] if stopped else 0.0,
            one.metrics["validation_loss"],
            one.hash,
        ),
        default=None,
    )
