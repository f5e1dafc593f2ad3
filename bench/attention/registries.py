"""The registries of the attention axes. Importing this imports no mechanism."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.registry import Registry

if TYPE_CHECKING:
    from bench.attention.base import Attention
    from bench.attention.normalisers import Normaliser
    from bench.attention.scores import Score

attentions: Registry[type[Attention]] = Registry(
    "attention",
    package="bench.attention.mechanisms",
    group="attnbench.attentions",
    base="bench.attention.base:Attention",
)
scores: Registry[type[Score]] = Registry(
    "score",
    package="bench.attention.scores",
    group="attnbench.scores",
    mark="@scores.register(",  # how a score is computed lies there as well, some of it for CUDA
    base="bench.attention.scores:Score",
)
normalisers: Registry[Normaliser] = Registry(
    "normaliser",
    package="bench.attention.normalisers",
    group="attnbench.normalisers",
    base="bench.attention.normalisers:Normaliser",
    instances=True,
)
