"""States cut into what is compared and what is read."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from bench.attention.attention import ScoredAttention, ScoreOptions
from bench.attention.base import Keys, Memory, Sizes
from bench.attention.registries import attentions
from bench.errors import UsageError


@attentions.register("key-value")
class KeyValueAttention(ScoredAttention):
    """Every state is a key and a value, one half each (Daniluk 2017, equations 7 to 9):
    a = softmax(score(k_t, k_s)), c = sum_s a_s v_s.

    The query is the first half of the decoder's state. In the paper a language model attends to
    its own states, and a third part of them predicts the next word (section 2.2, "key-value-
    predict"). Here nobody attends to the decoder's states, so that their second half has nothing to
    do but predict; the readout belongs to the decoder and takes the whole state.

    Several heads project keys and values apart in any case, so there is no such option here.

    Raises:
        UsageError: a query or a state of an odd size.
    """

    summary = "one half of every state is compared, the other is read"
    citation = "Daniluk 2017"
    placement = "current-state"
    classic_score = "concat"
    Options = ScoreOptions

    def __init__(self, sizes: Sizes, score: str, options: ScoreOptions) -> None:
        for size in (sizes.query, sizes.memory):
            if size % 2:
                raise UsageError(
                    f"states of size {size} have no halves",
                    where="hidden_dim",
                    remedy="make the hidden size even",
                )
        halves = replace(sizes, query=sizes.query // 2, memory=sizes.memory // 2)
        super().__init__(halves, score, options)
        #: The Q/2 numbers of a query that are compared.
        self.query_half = halves.query

    def prepare(self, memory: Memory) -> Keys:
        half = memory.states.shape[2] // 2
        whole = memory.states if memory.values is None else memory.values
        keys, values = memory.states[..., :half], whole[..., half:]  # B,S,D/2 each
        return super().prepare(replace(memory, states=keys, values=values))

    def project_query(self, query: Tensor) -> Tensor:
        return super().project_query(query[..., : self.query_half])  # B,T,Q/2
