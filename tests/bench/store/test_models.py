"""Kept models in a store: one file each, whole or not there, and of the best the best."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from fake_trials import fake_cell

from bench.store.cell import Cell
from bench.store.models import Keep, ModelHeader
from bench.store.store import Store

TENSORS = {"model.weight": torch.arange(6.0).reshape(2, 3), "model.steps": torch.tensor(3)}


@pytest.fixture(params=["folder", "remote"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    remote = f"memory://{uuid.uuid4().hex}"
    yield Store.open(tmp_path if request.param == "folder" else remote, create=True)


def header(cell: Cell, loss: float | None = 1.0, keep: Keep = "best") -> ModelHeader:
    state = {"symbols": ["é", "b"]}
    return ModelHeader(
        cell_json=cell.to_json(),
        settings={"max_steps": 7},
        validation_loss=loss,
        keep=keep,
        processor=state,
        package_version="1",
    )


def test_what_is_kept_is_loaded(store: Store) -> None:
    cell = fake_cell(1, max_steps=7)
    assert not store.models.has(cell)
    assert store.models.put(header(cell, keep="all"), TENSORS)
    assert store.models.has(cell)
    found, tensors = store.models.load(cell.hash)
    assert found == header(cell, keep="all")
    assert found.cell == cell
    assert tensors.keys() == TENSORS.keys()
    assert all(torch.equal(tensors[name], TENSORS[name]) for name in TENSORS)
    store.models.put(header(cell, 2.0, keep="all"), {"model.other": torch.zeros(1)})
    found, tensors = store.models.load(cell.hash)
    assert (found.validation_loss, list(tensors)) == (2.0, ["model.other"])
    store.models.drop(cell)
    store.models.drop(cell)
    assert not store.models.names()
    with pytest.raises(KeyError):
        store.models.load(cell.hash)


@pytest.mark.parametrize("order", itertools.permutations([1, 2, 3]))
def test_the_best_of_a_setting_stays_in_whatever_order(
    order: tuple[int, ...], tmp_path: Path
) -> None:
    store = Store.open(tmp_path, create=True)
    losses = {1: 2.0, 2: 1.0, 3: 1.0}  # of equals the lower seed
    other = fake_cell(1, max_steps=7)
    store.models.put(header(other, 9.0), TENSORS)
    for seed in order:
        is_kept = store.models.put(header(fake_cell(seed), losses[seed]), TENSORS)
        assert is_kept == store.models.has(fake_cell(seed))
    assert set(store.models.names()) == {fake_cell(2).hash, other.hash}
    assert [one.cell.seed for one in store.models.of_setting(fake_cell(5))] == [2]


def test_two_that_write_at_once_leave_the_best(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = type(store.models._files).write
    first, second = (header(fake_cell(seed), float(seed)) for seed in (1, 2))

    def meanwhile(files: object, name: str, chunks: list[bytes]) -> None:
        monkeypatch.setattr(type(store.models._files), "write", write)
        store.models.put(first, TENSORS)
        write(files, name, chunks)  # type: ignore[arg-type]

    monkeypatch.setattr(type(store.models._files), "write", meanwhile)
    assert not store.models.put(second, TENSORS)
    assert set(store.models.names()) == {fake_cell(1).hash}


def test_models_kept_by_all_stay(store: Store) -> None:
    store.models.put(header(fake_cell(1), 2.0, "all"), TENSORS)
    store.models.put(header(fake_cell(2), 1.0, "best"), TENSORS)
    assert len(store.models.names()) == 2
    assert not store.models.put(header(fake_cell(3), 1.5, "best"), TENSORS)
    assert store.models.put(header(fake_cell(4), None, "all"), TENSORS)
    assert len(store.models.names()) == 3


def test_a_run_that_is_no_longer_the_best_takes_its_model_along(store: Store) -> None:
    store.models.put(header(fake_cell(1), 1.0), TENSORS)
    store.models.put(header(fake_cell(2), 1.5, "all"), TENSORS)
    assert not store.models.put(header(fake_cell(1), 2.0), TENSORS)
    assert set(store.models.names()) == {fake_cell(2).hash}


def test_other_files_are_no_models(tmp_path: Path) -> None:
    store = Store.open(tmp_path, create=True)
    store.models.put(header(fake_cell(2), 2.0), TENSORS)
    (tmp_path / "models" / "notes.txt").write_text("mine")
    name = next(iter(store.models.names().values()))
    broken = name.replace(fake_cell(2).hash, fake_cell(3).hash)
    (tmp_path / "models" / broken).write_bytes(b"\x00" * 20)
    assert store.models.put(header(fake_cell(1), 1.0), TENSORS)
    assert set(store.models.names()) == {fake_cell(1).hash, fake_cell(3).hash}
    assert (tmp_path / "models" / "notes.txt").exists()
