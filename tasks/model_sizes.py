"""From a trial's settings to the sizes its model is built with."""

from __future__ import annotations

from dataclasses import fields

from bench.models.base import ModelSizes
from tasks.settings import Settings


def model_sizes(settings: Settings) -> ModelSizes:
    """The settings that `ModelSizes` has a field for; its defaults elsewhere."""
    names = {field.name for field in fields(ModelSizes)} & set(type(settings).model_fields)
    sizes = {name: getattr(settings, name) for name in names}
    return ModelSizes(**{**sizes, "attention_layers": _layers(settings)})


def _layers(settings: Settings) -> tuple[int, ...] | None:
    """`attention_layers` as `ModelSizes` has it."""
    match settings.attention_layers:
        case "all":
            return None
        case "last":
            return (settings.decoder_layers,)
        case text:
            return tuple(int(number) for number in text.split(","))
