"""From a trial's settings to the sizes its model is built with."""

from __future__ import annotations

from dataclasses import fields

from bench.models.base import ModelSizes
from tasks.settings import Settings


def model_sizes(settings: Settings) -> ModelSizes:
    """The settings that `ModelSizes` has a field for; its defaults elsewhere."""
    names = {field.name for field in fields(ModelSizes)} & set(type(settings).model_fields)
    return ModelSizes(**{name: getattr(settings, name) for name in names})
