"""An example's attention as compact data: one script file that the explorer loads on demand.

A page that was opened from the file system may not fetch data, but it may load a script; so each
file assigns its JSON to an entry of `attentionData`. The weights of all maps are numbers of 8 bits
in one block, which is compressed (zlib) and written in base64; each map says where it begins. What
all mechanisms share (units, photo, sound) is there once.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from bench.store.result import Trace
from reports.attention_maps.sources import (
    aspect_of,
    boxes_of,
    gold_of,
    grid_of,
    photo,
    segments_of,
    sound_of,
    spans_of,
    spectrogram,
    times_of,
)

#: Largest codes of weights that are never negative (0 to 255), and of signed ones (-127 to 127).
UNSIGNED, SIGNED = 255, 127


def quantised(weights: np.ndarray) -> tuple[np.ndarray, float]:
    """Weights as codes of 8 bits and their step: `weight = code * step`, so that 0 stays 0 and the
    error is at most half of the step. What is no number counts as 0.

    Returns:
        Codes, uint8, or int8 where there are negative weights; and the step.
    """
    weights = np.nan_to_num(np.asarray(weights, dtype=np.float64), posinf=0.0, neginf=0.0)
    signed = bool((weights < 0).any())
    most = SIGNED if signed else UNSIGNED
    # Rounded up, so that no code is larger than the largest one.
    step = float(f"{np.abs(weights).max(initial=0.0) / most * (1 + 1e-6):.6g}")
    codes = np.rint(weights / step if step > 0 else weights)
    return codes.astype(np.int8 if signed else np.uint8), step


class _Block:
    """Bytes of an example one after another."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def add(self, array: np.ndarray) -> int:
        """Append an array of bytes; return where it begins."""
        place = len(self._bytes)
        self._bytes += array.tobytes()
        return place

    def weights(self, weights: np.ndarray) -> dict[str, Any]:
        """Append a map T,S, row by row; return where it begins, its step, and whether a byte from
        128 is its value less 256."""
        codes, step = quantised(weights)
        found = {"at": self.add(codes), "step": step}
        return {**found, "signed": True} if codes.dtype == np.int8 else found

    def text(self) -> str:
        return base64.b64encode(zlib.compress(bytes(self._bytes), 9)).decode("ascii")


def example_data(
    traces: Iterable[tuple[str, Trace]], facts: Mapping[str, Any] = {}
) -> dict[str, Any]:
    """All traces of one example as JSON data.

    Args:
        traces: by mechanism.
        facts: further data of the example, such as its texts.

    Returns:
        `block`, the bytes that the rest points into; `sources`, what positions may be (mechanisms
        may see a photo on different grids); `outputs`, what was written (when the reference is
        read it is the same for all): target units and, only where they are known, gold links and
        boxes by target unit; `picture`, `spectrogram`, `spans` and `sound` where they are known;
        and `maps`, each with its mechanism, mode, source, output, weights (mean over heads and
        layers), and single heads and layers by name (`parts`).
    """
    block = _Block()
    sources: list[dict[str, Any]] = []
    outputs: list[dict[str, Any]] = []
    shared: dict[str, Any] = {}
    maps = []
    for mechanism, trace in traces:
        source, output = _source(trace), _output(trace)
        for one, known in ((source, sources), (output, outputs)):
            if one not in known:
                known.append(one)
        for name, found in _shared(trace).items():
            shared.setdefault(name, found)
        maps.append(
            {
                "mechanism": mechanism,
                "mode": trace.mode,
                "source": sources.index(source),
                "output": outputs.index(output),
                "weights": block.weights(trace.weights),
                "parts": {name: block.weights(part) for name, part in trace.parts.items()},
            }
        )
    if (levels := shared.get("spectrogram")) is not None:
        shape = dict(zip(("bands", "columns"), levels.shape, strict=True))
        shared["spectrogram"] = {**shape, "at": block.add(levels)}
    return {
        **facts,
        **shared,
        "sources": sources,
        "outputs": outputs,
        "maps": maps,
        "block": block.text(),
    }


def _source(trace: Trace) -> dict[str, Any]:
    """What the source positions are: their units, and how they lie in a photo, a sound or a text.
    The kind is "words" where a photo or a sound lacks what its picture needs."""
    found: dict[str, Any] = {"kind": "words", "units": list(map(str, trace.source))}
    if segments := segments_of(trace):
        found["segments"] = segments
    if trace.kind == "grid" and (grid := grid_of(trace)) and photo(trace) is not None:
        found |= {"kind": "grid", "grid": list(grid), "aspect": aspect_of(trace)}
    if trace.kind == "frames" and (times := times_of(trace)):
        found |= {"kind": "frames", **vars(times)}
    return found


def _output(trace: Trace) -> dict[str, Any]:
    """What was written, and what is known of where it should have looked."""
    known = {"gold": gold_of(trace), "boxes": boxes_of(trace)}
    found = {name: one for name, one in known.items() if one is not None}
    return {"target": list(map(str, trace.target)), **found}


def _shared(trace: Trace) -> dict[str, Any]:
    """What does not depend on the mechanism; only what is known."""
    found: dict[str, Any] = {}
    if trace.kind == "grid" and (picture := photo(trace)) is not None:
        kind = "png" if picture.startswith(b"\x89PNG") else "jpeg"
        found["picture"] = f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"
    if trace.kind == "frames":
        if (levels := spectrogram(trace)) is not None:
            found["spectrogram"] = levels
        if spans := spans_of(trace):
            found["spans"] = spans
        if (sound := sound_of(trace)) is not None:
            found["sound"] = dict(zip(("rate", "samples"), sound, strict=True))
    return found


def script(name: str, data: Mapping[str, Any]) -> str:
    """The script file of an example: it makes the data known under the example's name."""
    return f"attentionData[{json.dumps(name)}]={json.dumps(data, separators=(',', ':'))};\n"
