"""The processor of captioning: from a picture file to pixels or features, and from ids to words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch

from bench.errors import UsageError
from bench.store.result import Trace
from tasks.base import Plan
from tasks.captioning.alignment import Grid, grid_labels, thumbnail
from tasks.captioning.data import CaptionBatch, CaptioningData
from tasks.captioning.encoders import picture_encoders
from tasks.captioning.evaluate import length_limit
from tasks.captioning.features import Projection
from tasks.captioning.pictures import Ranges, picture_shape, read_picture
from tasks.captioning.settings import CaptioningSettings
from tasks.data.tokenizer import Tokenizer
from tasks.data.vocabulary import BOS, EOS
from tasks.evaluation.decode import write
from tasks.processor import OWN, InputKind, ModelOutput, Processor, file_of

if TYPE_CHECKING:
    from tasks.captioning.model import CaptioningModule


@dataclass(frozen=True)
class CaptioningProcessor(Processor):
    """A picture to a sentence.

    Attributes:
        picture_size: pixels along a side of the pictures that a network trained from scratch reads.
        grid: rows and columns of annotation vectors.
        length_ratio: cells over the mean length of a training caption.
        ranges: the grey levels that are black and white in pictures that are not 8-bit.
        seen_by: names the pretrained network that has seen the pictures; empty without.
        projection: the components of its features; None without.
    """

    settings: CaptioningSettings
    tokenizer: Tokenizer
    picture_size: int
    grid: Grid
    length_ratio: float
    ranges: Ranges
    seen_by: str = ""
    projection: Projection | None = None

    @classmethod
    def of(cls, plan: Plan[Any, Any], data: CaptioningData) -> Self:
        return cls(
            plan.settings,
            data.tokenizer,
            data.picture_size,
            data.grid,
            data.length_ratio,
            data.ranges,
            data.seen_by,
            data.projection,
        )

    @classmethod
    def restore(
        cls, plan: Plan[Any, Any], state: Mapping[str, Any], arrays: Mapping[str, np.ndarray]
    ) -> Self:
        rows, columns = state["grid"]
        projection = Projection(arrays["centre"], arrays["components"]) if arrays else None
        return cls(
            plan.settings,
            Tokenizer.from_json(state["tokenizer"]),
            state["picture_size"],
            (rows, columns),
            state["length_ratio"],
            {depth: (low, high) for depth, (low, high) in state["ranges"].items()},
            state["seen_by"],
            projection,
        )

    def state(self) -> dict[str, Any]:
        return {
            "tokenizer": self.tokenizer.to_json(),
            "picture_size": self.picture_size,
            "grid": list(self.grid),
            "length_ratio": self.length_ratio,
            "ranges": {depth: list(bounds) for depth, bounds in self.ranges.items()},
            "seen_by": self.seen_by,
        }

    def arrays(self) -> dict[str, np.ndarray]:
        if self.projection is None:
            return {}
        return {"centre": self.projection.centre, "components": self.projection.components}

    @property
    def channels(self) -> int:
        """Components of each cell where a pretrained network sees; else 0."""
        return 0 if self.projection is None else self.projection.components.shape[1]

    def answer(self, module: CaptioningModule, given: Mapping[InputKind, Any]) -> ModelOutput:
        path = file_of(given, "picture")
        batch = self._batch(self._seen(path))
        [written] = write(module, batch, length_limit(module.settings.max_length))
        trace = None
        if written.weights is not None:
            width, height = picture_shape(path)
            shown = thumbnail(read_picture(path, self.picture_size, self.ranges))
            trace = Trace(
                example=OWN,
                subset=OWN,
                mode="free",
                kind="grid",
                source=grid_labels(self.grid),
                target=self.tokenizer.words(written.tokens)[0],
                weights=written.weights,
                parts=written.parts,
                extra={
                    "grid": list(self.grid),
                    "picture": shown,
                    "aspect": round(width / height, 4),
                    "phrases": [],
                },
            )
        return ModelOutput(
            text=self.tokenizer.decode(written.tokens),
            trace=trace,
            figures={"log_prob": round(written.score, 4)},
        )

    def _seen(self, path: Path) -> np.ndarray:
        """What the model reads of a picture: 1,H,W,3 uint8, or 1,L,K float16 of a pretrained
        network. Raises UsageError where that is not installed, or is another one."""
        if self.projection is None:
            return read_picture(path, self.picture_size, self.ranges)[None].copy()
        settings = self.settings
        encoder = picture_encoders.get(settings.features)
        if encoder.version() not in self.seen_by:
            raise UsageError(
                f"{settings.features} is installed as {encoder.version()}",
                where="--picture",
                remedy=f"the model was trained on {self.seen_by}",
            )
        pixels = read_picture(path, settings.features_size, self.ranges)[None]
        seen = encoder(settings.features_stride)(pixels)  # 1,rows,columns,C
        return self.projection(seen.reshape(1, -1, seen.shape[-1])).astype(np.float16)

    def _batch(self, seen: np.ndarray) -> CaptionBatch:
        """A batch of one picture without a caption."""
        cells = self.grid[0] * self.grid[1]
        return CaptionBatch(
            index=torch.tensor([0]),
            source=torch.from_numpy(seen),
            source_mask=torch.ones(1, cells, dtype=torch.bool),
            inputs=torch.tensor([[BOS]]),
            outputs=torch.tensor([[EOS]]),
            units=1,
            owner=torch.tensor([0]),
        )
