"""Attention = score x window x normaliser x aggregation, and the mechanisms made of them."""

from typing import Literal, get_args

#: Families of models. Attention and backbone are two axes: a mechanism names that of its paper.
Backbone = Literal["recurrent", "convolutional", "transformer"]
BACKBONES: tuple[Backbone, ...] = get_args(Backbone)
