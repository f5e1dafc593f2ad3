"""Kept models: parameters, and what a model needs besides to read input of a user's own.

    STORE/models/<kind>-<hash>.safetensors

Each is one file, so that it is written, replaced and removed whole. The tensors of the model and of
its task's processor lie in it under their names, and its header, which is plain text, says what
they are. `kind` is the beginning of the hash that cells share if they differ in nothing but their
seed (`Cell.kind`). Nothing in a file is code, and nothing is pickled.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from bench.errors import UsageError, reason_of
from bench.store.cell import Cell, Scalar
from bench.store.files import Files
from bench.store.result import Record, fault_of_age

if TYPE_CHECKING:
    from torch import Tensor

#: Which models are kept: of each setting the one with the lowest validation loss, or all.
Keep = Literal["best", "all"]

_NAME = re.compile(r"([0-9a-f]{16})-([0-9a-f]{64})\.safetensors")
#: Bytes that the length of a safetensors header takes, and the longest header there is.
_LENGTH, _LONGEST = 8, 100_000_000


class ModelHeader(Record):
    """Description of a kept model.

    Attributes:
        cell_json: the cell, as in its result.
        settings: all settings that it was trained with.
        validation_loss: of the parameters that are kept; None where there was no validation.
        keep: what was asked for when the model was kept.
        processor: state of the task's processor (vocabularies, sizes), JSON data.
        package_version: version of this package.
    """

    cell_json: dict[str, Any] = Field(validation_alias="cell", serialization_alias="cell")
    settings: dict[str, Scalar]
    validation_loss: float | None = None
    keep: Keep
    processor: dict[str, Any]
    package_version: str

    @property
    def cell(self) -> Cell:
        return Cell.from_json(self.cell_json)

    @property
    def rank(self) -> tuple[float, int, str]:
        """Smaller is better: the validation loss, then the seed."""
        loss = math.inf if self.validation_loss is None else self.validation_loss
        return loss, self.cell.seed, self.cell.hash


class Models:
    """The models of a store."""

    def __init__(self, files: Files) -> None:
        self._files = files

    def names(self) -> dict[str, str]:
        """The file of every kept model by the hash of its cell, by one listing."""
        found = map(_NAME.fullmatch, self._files.names("models"))
        return {match[2]: match[0] for match in found if match}

    def has(self, cell: Cell) -> bool:
        """Whether the model of this cell is kept."""
        return self._files.exists(_path(cell))

    def of_setting(self, cell: Cell) -> list[ModelHeader]:
        """The models kept of cells that differ from this one in nothing but their seed, the best
        first."""
        return sorted(self._headers(cell), key=lambda header: header.rank)

    def put(self, header: ModelHeader, tensors: Mapping[str, Tensor]) -> bool:
        """Keep a model, in place of an earlier one of its cell.

        Where the best are asked for, it is kept only if it is the best of its setting, and others
        of the setting that were kept as the best go. Several processes may do so at once: each
        writes before it looks for what is to go, so the best one stays.

        Returns:
            Whether it is kept.

        Raises OSError where the store cannot be written.
        """
        cell = header.cell
        others = [one for one in self._headers(cell) if one.cell.hash != cell.hash]
        if header.keep == "best" and any(one.rank < header.rank for one in others):
            self.drop(cell)
            return False
        self._files.write(_path(cell), [_packed(header, tensors)])
        best, *rest = self.of_setting(cell) or [header]
        for one in rest:
            if one.keep == "best":
                self.drop(one.cell)
        return header.keep == "all" or best.rank >= header.rank

    def drop(self, cell: Cell) -> None:
        """Remove the model of a cell, if it is kept."""
        self._files.remove(_path(cell))

    def load(self, hash: str) -> tuple[ModelHeader, dict[str, Tensor]]:
        """The model of a cell.

        Raises KeyError where it is not kept, UsageError naming the file where it cannot be used.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load

        name = self.names()[hash]
        where = f"{self._files.address}/models/{name}"
        try:
            content = self._files.read(f"models/{name}")
            header = _header(content)
            tensors = load(content)
        except OSError as error:
            raise UsageError(f"cannot be read ({reason_of(error)})", where=where) from None
        except (ValueError, TypeError, KeyError, SafetensorError) as error:
            what = f"not a kept model ({reason_of(error)})"
            raise UsageError(what, where=where, remedy="run its cell again") from None
        if age := fault_of_age({"cell": header.cell_json}):
            raise UsageError(f"was kept of {age}", where=where, remedy="run its cell again")
        if header.cell.hash != hash:
            raise UsageError(f"holds the model of {header.cell.hash[:12]}", where=where)
        return header, tensors

    def _headers(self, cell: Cell) -> Iterator[ModelHeader]:
        """Headers of the models of a setting; those that cannot be read are passed over."""
        for name in self.names().values():
            if name.startswith(cell.kind[:16]):
                path = f"models/{name}"
                with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
                    size = int.from_bytes(self._files.read_start(path, _LENGTH), "little")
                    yield _header(self._files.read_start(path, _LENGTH + min(size, _LONGEST)))


def _path(cell: Cell) -> str:
    return f"models/{cell.kind[:16]}-{cell.hash}.safetensors"


def _packed(header: ModelHeader, tensors: Mapping[str, Tensor]) -> bytes:
    from safetensors.torch import save

    told = json.dumps(header.model_dump(mode="json", by_alias=True), ensure_ascii=False)
    return save(dict(tensors), {"attention-bench": told})


def _header(content: bytes) -> ModelHeader:
    """The header of a file, of which its beginning is enough. Raises ValueError, KeyError or
    TypeError where there is none."""
    size = int.from_bytes(content[:_LENGTH], "little")
    described = json.loads(content[_LENGTH : _LENGTH + size])["__metadata__"]["attention-bench"]
    return ModelHeader.model_validate(json.loads(described))
