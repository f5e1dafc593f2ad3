"""The additive score that also sees where attention lay in all steps before."""

from __future__ import annotations

from bench.attention.base import Remembered
from bench.attention.registries import scores
from bench.attention.scores.location_aware import LocationAware


@scores.register("location-aware-coverage")
class LocationAwareCoverage(LocationAware):
    """e = v . tanh(W_q h + W_k s + U f + b), f = F * c, c = the sum of all weights before.

    The location features of Chorowski 2015 made of See 2017's coverage in place of the previous
    weights (AttCovLoc of ESPnet); Shen 2018 names it so, while its reimplementations convolve both,
    as `location-aware` does with `location_cumulative`.
    """

    summary = "additive, with the convolved sum of all weights so far"
    formula = "v . tanh(W [h ; s] + U (F * c))"
    citation = "Watanabe 2018"
    reads: frozenset[Remembered] = frozenset({"coverage"})
    option_names = ("attention_size", "location_filters", "location_kernel", "location_heads")
