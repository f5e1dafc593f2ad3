"""Models that are kept after one step of training, for tests that try them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import one_step
import soundfile
from PIL import Image

from bench.store.cell import Cell
from bench.store.models import Keep
from bench.store.store import Store
from tasks.base import Paths, Plan, TaskData
from tasks.kept_model import packed
from tasks.plan import make_cell, resolve

#: A small cell of each task, with what is special in its model or its input.
CELLS: dict[str, dict[str, Any]] = {
    "translation": {"attention": "soft"},
    "summarization": {"attention": "hierarchical", "options": {"copying": "pointer-generator"}},
    "entailment": {"attention": "global", "options": {"word_vectors": "fixed"}},
    "captioning": {"attention": "soft"},
    "speech": {"attention": "soft", "score": "location-aware", "options": {"deltas": 1}},
}

#: What the model of a task has beside encoder, decoder and head.
_PARTS = {"captioning": ("front", "decoder", "head")}


def small_cell(task: str, **changes: Any) -> Cell:
    return make_cell(task, **{"budget": "smoke", **CELLS[task], **changes})


def kept(
    store: Store, cell: Cell, cache: Path, keep: Keep = "all", loss: float = 1.0
) -> tuple[Plan, Any, TaskData]:
    """Keep the model of a cell; what it was made of."""
    plan = resolve(cell)
    data = plan.task.prepare(plan, Paths(None, cache))
    parts = _PARTS.get(cell.task, ("encoder", "decoder", "head"))
    module = one_step.trained(plan.task, plan, data, parts)
    store.models.put(*packed(plan, module, data, keep, loss))
    return plan, module, data


def own_input(data: Any, task: str, place: int, folder: Path) -> dict[str, Any]:
    """A test example as a user would give it."""
    example = data.corpus.tests["test"][place]
    match task:
        case "translation" | "summarization":
            return {"text": example.source_text}
        case "entailment":
            return {"text": example.premise_text, "hypothesis": example.hypothesis_text}
        case "captioning":
            path = folder / f"{place}.png"
            [pixels] = type(example.image).draw([example.image], data.corpus.size)
            Image.fromarray(pixels).save(path)
            return {"picture": path}
        case "speech":
            path = folder / f"{place}.wav"
            [sound] = data.corpus.reader.read([example])
            soundfile.write(path, sound, data.corpus.rate, "FLOAT")
            return {"sound": path}
    raise AssertionError(task)
