"""Greedy and beam search, batched over sentences and beams.

Both decode with `decoder.step`, let sentences leave the batch as they finish, and return the same
`Hypotheses`. Run them on a model in evaluation mode.
"""

from bench.models.search.beam import beam_search
from bench.models.search.greedy import greedy_search
from bench.models.search.hypotheses import Head, Hypotheses

__all__ = ["Head", "Hypotheses", "beam_search", "greedy_search"]
