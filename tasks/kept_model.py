"""Models that are kept: packed after a trial, loaded to try them on input of a user's own.

model = load_model("runs/overview", "1a2b3c")
output = model.predict(text="a man is sleeping")
output.text, output.trace.weights
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import bench
from bench.errors import UsageError, listed, shortened, unknown_name
from bench.store.cell import Cell
from bench.store.models import Keep, ModelHeader
from bench.store.store import Store
from tasks.base import Plan, TaskData
from tasks.plan import resolve, validated
from tasks.processor import InputKind, ModelOutput, Processor

#: Settings that say how a model decodes.
DECODING = ("beam_size", "length_penalty", "coverage_penalty", "max_length")

# Of the names of tensors in a file.
_MODEL, _PROCESSOR = "model.", "processor."


def packed(
    plan: Plan[Any, Any], module: Any, data: TaskData, keep: Keep, validation_loss: float | None
) -> tuple[ModelHeader, dict[str, Any]]:
    """Header and tensors of a trained module, for `bench.store.models.Models.put`."""
    import torch

    processor: Processor = plan.task.processor().of(plan, data)
    header = ModelHeader(
        cell_json=plan.cell.to_json(),
        settings=plan.stated_settings,
        validation_loss=validation_loss,
        keep=keep,
        processor=processor.state(),
        package_version=bench.__version__,
    )
    tensors = {
        _MODEL + name: value.detach().to("cpu", copy=True).contiguous()
        for name, value in _distinct(module).items()
    }
    for name, array in processor.arrays().items():
        tensors[_PROCESSOR + name] = torch.from_numpy(array.copy())
    return header, tensors


def _distinct(module: Any) -> dict[str, Any]:
    """Parameters and buffers by name, those that are shared once (tied embeddings)."""
    found: dict[str, Any] = {}
    seen: set[tuple[Any, ...]] = set()
    for name, value in sorted(module.state_dict().items()):
        place = (value.data_ptr(), tuple(value.shape), value.stride())
        if value.numel() == 0 or place not in seen:
            seen.add(place)
            found[name] = value
    return found


class KeptModel:
    """A trained model that reads input of a user's own. `load_model` makes one.

    Attributes:
        cell: the cell that it was trained for.
        inputs: the kinds of input that it takes.
    """

    def __init__(self, plan: Plan[Any, Any], module: Any, processor: Processor) -> None:
        self.cell: Cell = plan.cell
        self.inputs: tuple[InputKind, ...] = plan.task.inputs
        self._settings, self._module, self._processor = plan.settings, module, processor

    def predict(
        self,
        *,
        decoding: Mapping[str, Any] | None = None,
        **given: str | os.PathLike[str],
    ) -> ModelOutput:
        """The output for one input, with its attention.

        Args:
            decoding: other values of the settings in `DECODING` than those the model was tested
                with, such as `{"beam_size": 4}`.
            given: the input by its kind: `text`; `text` (the premise) and `hypothesis`; `picture`
                or `sound`, the path of a file.

        Raises UsageError: input of another kind than the model takes, or that cannot be read.
        """
        import torch

        inputs = _checked_inputs(self.cell.task, self.inputs, given)
        self._module.settings = _decoded_with(self._settings, decoding or {})
        with torch.inference_mode():
            return self._processor.answer(self._module, inputs)


def _checked_inputs(
    task: str, inputs: tuple[InputKind, ...], given: Mapping[str, Any]
) -> dict[InputKind, Any]:
    """The input by its kind. Raises UsageError unless it is what a task's models take."""
    options = " and ".join(f"--{kind}" for kind in inputs)
    for kind in given:
        if kind not in inputs:
            raise UsageError(f"a model of {task} takes {options}", where=f"--{kind}")
    missing = [f"--{kind}" for kind in inputs if kind not in given]
    if missing:
        raise UsageError(f"{' and '.join(missing)} missing: a model of {task} takes {options}")
    return {kind: given[kind] for kind in inputs}


def _decoded_with(settings: Any, changes: Mapping[str, Any]) -> Any:
    """Settings with other values of decoding. Raises UsageError: names of others, bad values."""
    for name in changes:
        if name not in DECODING:
            raise unknown_name("option of decoding", name, DECODING, where="--set")
    return validated(type(settings), {**settings.model_dump(), **changes})


def load_model(store: Store | str | os.PathLike[str], cell: Cell | str) -> KeptModel:
    """A kept model of a store, on the CPU.

    Args:
        cell: the cell, or the beginning of its hash.

    Raises UsageError: no such cell, its model was not kept or cannot be used.
    """
    import torch

    if not isinstance(store, Store):
        store = Store.open(store)
    hash = cell.hash if isinstance(cell, Cell) else find_model(store, cell)
    try:
        header, tensors = store.models.load(hash)
    except KeyError:
        raise _not_kept(store, hash) from None
    plan = resolve(header.cell)
    plan = replace(plan, settings=validated(type(plan.settings), header.settings))
    if plan.settings.gold_attention == "given":
        raise UsageError(
            "its attention is the gold alignment, which input of your own has not",
            where=header.cell.label,
            remedy="try a model with another attention",
        )
    own: dict[str, dict[str, Any]] = {_MODEL: {}, _PROCESSOR: {}}
    for name, tensor in tensors.items():
        kind = _MODEL if name.startswith(_MODEL) else _PROCESSOR
        own[kind][name.removeprefix(kind)] = tensor
    arrays = {name: tensor.numpy() for name, tensor in own[_PROCESSOR].items()}
    processor = plan.task.processor().restore(plan, header.processor, arrays)
    with torch.random.fork_rng(devices=[]):  # parameters are drawn before they are replaced
        module = plan.task.module(plan, processor)
    wanted = {name: value.shape for name, value in _distinct(module).items()}
    if wanted != {name: value.shape for name, value in own[_MODEL].items()}:
        raise UsageError(
            f"this version builds another model of {header.cell.label}",
            where=f"{store.address}/models",
            remedy=f"it was kept by version {header.package_version}; run its cell again",
        )
    module.load_state_dict(own[_MODEL], strict=False)
    return KeptModel(plan, module.eval(), processor)


def find_model(store: Store, prefix: str) -> str:
    """The hash of the kept model whose cell's hash begins like this. Raises UsageError: none,
    several, or a cell whose model was not kept."""
    if not prefix:
        raise UsageError("is empty", where="CELL", remedy="name a cell by its hash")
    prefix = prefix.lower()
    found = [hash for hash in store.models.names() if hash.startswith(prefix)]
    if len(found) == 1:
        return found[0]
    if found:
        several = listed(hash[: len(prefix) + 4] for hash in sorted(found))
        raise UsageError(f"several kept models begin with '{prefix}'", remedy=several)
    cells = [hash for hash in store.hashes() if hash.startswith(prefix)]
    if len(cells) == 1:
        raise _not_kept(store, cells[0])
    kept = listed(hash[:12] for hash in sorted(store.models.names()))
    raise UsageError(
        f"no kept model begins with '{shortened(prefix, 64)}'",
        where=store.address,
        remedy=f"kept: {kept}",
    )


def _not_kept(store: Store, hash: str) -> UsageError:
    """The error for a cell whose model is not in the store."""
    try:
        cell = store.get(hash).cell
    except KeyError:
        return UsageError(f"no cell {hash[:12]}", where=store.address)
    remedy = "run it again: `run --force --keep-model`, or `sweep --again --keep-model all`"
    if siblings := store.models.of_setting(cell):
        best = siblings[0].cell
        remedy = f"kept of its setting is seed {best.seed}, {best.hash[:12]}; else {remedy}"
    return UsageError(f"the model of {cell.label} was not kept", where=hash[:12], remedy=remedy)
