"""Attention maps: a drawing of a trace that suits its source (words, sound, or a photo)."""

from __future__ import annotations

from bench.store.result import Trace
from reports.attention_maps.audio import sound_map
from reports.attention_maps.image import photo_map
from reports.attention_maps.text import heat_map
from reports.figures import Drawing


def attention_map(trace: Trace, title: str) -> Drawing:
    """Draw a trace: photos veiled word by word, rows of weights under a spectrogram, or a matrix of
    words.

    A trace without what its picture needs (a photo, times) is drawn as a matrix of its units.
    """
    drawn = None
    if trace.kind == "grid":
        drawn = photo_map(trace, title)
    elif trace.kind == "frames":
        drawn = sound_map(trace, title)
    return drawn or heat_map(trace, title)
