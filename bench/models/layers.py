"""Layers that several model families share, and heads: from a decoder's features to scores of
tokens, or from a text it reads to classes."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.attention.base import (
    Attention,
    AttentionOutput,
    AttentionState,
    Keys,
    Memory,
    Sampled,
)
from bench.models.base import Decoder
from bench.models.losses import WordLoss, vocabulary_loss


def masked_mean(states: Tensor, mask: Tensor) -> Tensor:
    """Mean B,D of states B,S,D over the real positions of the mask B,S."""
    shares = mask.to(states.dtype) / mask.sum(dim=1, keepdim=True)  # B,S
    return torch.bmm(shares[:, None].to(states.dtype), states).squeeze(1)


def last_of(states: Tensor, mask: Tensor) -> Tensor:
    """States B,D at the last real positions of the mask B,S, of B,S,D."""
    return states[torch.arange(len(mask), device=mask.device), mask.sum(dim=1) - 1]


def token_embedding(vocabulary_size: int, size: int) -> nn.Embedding:
    """Embeddings with token 0 as padding, which stays 0. Their variance 1/E keeps the logits of a
    tied output layer at a sensible size."""
    embedding = nn.Embedding(vocabulary_size, size, padding_idx=0)
    nn.init.normal_(embedding.weight, std=size**-0.5)
    embedding.weight.data[0] = 0.0
    return embedding


def linear(inputs: int, outputs: int, *, bias: bool = True) -> nn.Linear:
    """A linear layer with Xavier's initialisation and biases 0."""
    layer = nn.Linear(inputs, outputs, bias=bias)
    nn.init.xavier_uniform_(layer.weight)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer


def resize(inputs: int, outputs: int) -> nn.Module:
    """A linear layer where sizes differ, nothing where they agree."""
    return nn.Identity() if inputs == outputs else linear(inputs, outputs)


def layer_weights(layers: Mapping[int, AttentionOutput]) -> tuple[Tensor | None, dict[str, Tensor]]:
    """Average the weights over attending layers, and collect every layer's parts.

    A layer with parts of its own (heads) gives "layer i <part>", one without gives "layer i".
    """
    parts: dict[str, Tensor] = {}
    weights: list[Tensor] = []
    for number, attended in layers.items():
        if attended.weights is None:
            continue
        weights.append(attended.weights)
        own = {f"layer {number} {name}": part for name, part in attended.parts.items()}
        parts |= own or {f"layer {number}": attended.weights}
    return (torch.stack(weights).mean(dim=0) if weights else None), parts


def joint_sample(layers: Mapping[int, AttentionOutput]) -> Sampled | None:
    """Log-probabilities and entropies of what all layers drew together, which are sums; None where
    nothing was drawn."""
    drawn = [attended.sampled for attended in layers.values() if attended.sampled is not None]
    if not drawn:
        return None
    return Sampled(
        torch.stack([one.log_prob for one in drawn]).sum(0),
        torch.stack([one.entropy for one in drawn]).sum(0),
    )


def attend_across(
    attention: Attention,
    query: Tensor,
    keys: Keys,
    state: AttentionState,
    *,
    need_weights: bool,
    query_mask: Tensor,
) -> AttentionOutput:
    """Cross-attention with B,T,Q queries. Only mechanisms whose queries see each other have to
    know which of them are padding."""
    further = {"query_mask": query_mask} if attention.needs_future else {}
    attended: AttentionOutput = attention(query, keys, state, need_weights=need_weights, **further)
    return attended


#: Values of the 16 bits that decide whether dropout keeps an element. PyTorch's CPU generator makes
#: one number per element, which for models of our size takes longer than the products around it;
#: here one 64-bit draw decides four elements.
LEVELS = 2**16


def dropout(tensor: Tensor, probability: float, training: bool) -> Tensor:
    """Zero elements with that probability and scale the rest to keep the mean (Srivastava 2014).

    On a CPU the probability is rounded to a multiple of 1/65536. Draws from PyTorch's default
    generator, so a seed fixes the outcome.
    """
    if not training or probability == 0.0:
        return tensor
    if tensor.device.type != "cpu":
        return F.dropout(tensor, probability, training)
    return tensor * dropout_factors(tensor.shape, probability, tensor)


def dropout_factors(shape: Sequence[int], probability: float, like: Tensor) -> Tensor:
    """Draw the factors by which dropout multiplies a tensor of this shape, in the type of `like`:
    zeros with that probability, elsewhere the number that keeps the mean."""
    if like.device.type != "cpu":
        return F.dropout(like.new_ones(shape), probability)
    dropped = round(probability * LEVELS)
    if dropped == LEVELS:
        return like.new_zeros(shape)
    count = math.prod(shape)
    draws = torch.empty((count + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
    levels = draws.view(torch.int16)[:count].view(shape)  # uniform over LEVELS values
    # In place: a comparison that makes bool is ten times as slow.
    kept = levels.ge_(dropped - LEVELS // 2).to(like.dtype)
    return kept.mul_(LEVELS / (LEVELS - dropped))


class VocabularyHead(nn.Module):
    """The output layer: features ...,F to logits ...,V.

    Tied (Press and Wolf 2017) it shares the target embedding's matrix; the features are then as
    large as the embedding, and start at a scale that suits both uses.
    """

    def __init__(self, size: int, embedding: nn.Embedding, *, tied: bool = True) -> None:
        super().__init__()
        self.projection = nn.Linear(size, embedding.num_embeddings)
        nn.init.zeros_(self.projection.bias)
        if tied:
            assert size == embedding.embedding_dim, (size, embedding.embedding_dim)
            self.projection.weight = embedding.weight

    def forward(self, features: Tensor) -> Tensor:
        return F.linear(features, self.projection.weight, self.projection.bias)

    def loss(self, features: Tensor, labels: Tensor, *, smoothing: float = 0.0) -> WordLoss:
        """Cross-entropy of N,F features with N labels; the logits are not kept."""
        projection = self.projection
        return vocabulary_loss(
            features, projection.weight, projection.bias, labels, smoothing=smoothing
        )


#: The output that stands for "nothing new"; labels count from 1.
BLANK = 0


class CtcHead(nn.Module):
    """A loss that makes every encoder state name the label it belongs to, or none (Graves 2006).

    Beside an attentive decoder it pulls the states of a label to where the label is, so that
    alignments appear early (Kim 2017, joint CTC-attention).

    Args:
        size: D, size of the memory's states.
        labels: number of labels, `BLANK` included.
    """

    def __init__(self, size: int, labels: int) -> None:
        super().__init__()
        self.project = linear(size, labels)

    def forward(self, memory: Memory, labels: Tensor) -> Tensor:
        """Mean loss per label, in nats; examples with more labels than positions count 0.

        Args:
            labels: B,T int64, `BLANK` wherever there is none (only after the last).
        """
        log_probs = self.project(memory.states).float().log_softmax(dim=-1)  # B,S,V
        lengths = (labels != BLANK).sum(dim=1)
        total = F.ctc_loss(
            log_probs.transpose(0, 1),
            labels,
            memory.lengths,
            lengths,
            blank=BLANK,
            reduction="sum",
            zero_infinity=True,
        )
        return total / lengths.sum().clamp(min=1)


@dataclass(frozen=True)
class ComparedWords:
    """Embeddings of the words of two texts, each with its counterpart on the other side.

    Attributes:
        text, source: B,T,E and B,S,E embeddings.
        text_found, source_found: B,T,E and B,S,E, averages of the other side's embeddings.
        text_mask, source_mask: B,T and B,S.
    """

    text: Tensor
    text_found: Tensor
    text_mask: Tensor
    source: Tensor
    source_found: Tensor
    source_mask: Tensor


class ClassHead(nn.Module, ABC):
    """A head for classes: from a text read over a memory to the logits of its classes."""

    @abstractmethod
    def forward(
        self, states: Tensor, contexts: Tensor, mask: Tensor, words: ComparedWords | None = None
    ) -> Tensor:
        """Classify.

        Args:
            states: B,T,H.
            contexts: B,T,C.
            mask: B,T bool, True where a position is real.
            words: embeddings of both texts, for heads that compare them.

        Returns:
            Logits B,K.
        """


class ComparisonHead(ClassHead):
    """A head that compares every state h with its context a: [h; a; |h - a|; h * a], a layer, mean
    and maximum over positions, a layer, classes.

    The comparison is that of Chen 2017 (ESIM, section 3.2) with Mou 2016's absolute difference;
    h and a come from different networks, so both are projected into one space first. Words, where
    they are given, are compared alike and on both sides, as in Parikh 2016 (section 3.2); they
    come from one embedding and share their projection.

    Args:
        state_size, context_size: H and C.
        size: of that space and of the layers.
        classes: K.
        dropout: probability, on what enters each layer.
        word_size: E, or 0 for no words.
    """

    def __init__(
        self,
        state_size: int,
        context_size: int,
        size: int,
        classes: int,
        dropout: float,
        word_size: int = 0,
    ) -> None:
        super().__init__()
        self.dropout = dropout
        self.state, self.context = linear(state_size, size), linear(context_size, size)
        self.compare = linear(4 * size, size)
        self.word = linear(word_size, size) if word_size else None
        self.compare_words = linear(4 * size, size) if word_size else None
        self.join = linear((6 if word_size else 2) * size, size)
        self.classify = linear(size, classes)

    def forward(
        self, states: Tensor, contexts: Tensor, mask: Tensor, words: ComparedWords | None = None
    ) -> Tensor:
        h, a = self.state(self._drop(states)), self.context(self._drop(contexts))  # B,T,K
        pooled = self._pooled(self.compare, h, a, mask)  # B,2K
        if words is not None:
            pooled = torch.cat((pooled, self._words(words)), dim=1)  # B,6K
        joined = torch.tanh(self.join(self._drop(pooled)))  # B,K
        return self.classify(self._drop(joined))

    def _words(self, words: ComparedWords) -> Tensor:
        """Compare the words of both sides: B,4K."""
        assert self.word is not None and self.compare_words is not None
        sides = (
            (words.text, words.text_found, words.text_mask),
            (words.source, words.source_found, words.source_mask),
        )
        found = [
            self._pooled(self.compare_words, self.word(one), self.word(other), mask)
            for one, other, mask in sides
        ]
        return torch.cat(found, dim=1)

    def _pooled(self, layer: nn.Module, one: Tensor, other: Tensor, mask: Tensor) -> Tensor:
        """Compare B,T,K with B,T,K; return mean and maximum over the real positions, B,2K."""
        pairs = torch.cat((one, other, (one - other).abs(), one * other), dim=2)  # B,T,4K
        compared = torch.relu(layer(self._drop(pairs)))  # B,T,K
        largest = compared.masked_fill(~mask[..., None], 0.0).amax(dim=1)  # none is below 0
        return torch.cat((masked_mean(compared, mask), largest), dim=1)  # B,2K

    def _drop(self, tensor: Tensor) -> Tensor:
        return dropout(tensor, self.dropout, self.training)


class LastStateHead(ClassHead):
    """A head of the last state h and its context r: W tanh(W_p r + W_x h), the reader of
    Rocktaschel 2016, sections 2.3 and 2.4.

    Args:
        context_size: 0 leaves the context out: conditional encoding, the paper's section 2.2.
    """

    def __init__(
        self, state_size: int, context_size: int, size: int, classes: int, dropout: float
    ) -> None:
        super().__init__()
        self.dropout = dropout
        self.state = linear(state_size, size)
        self.context = linear(context_size, size, bias=False) if context_size else None
        self.classify = linear(size, classes)

    def forward(
        self, states: Tensor, contexts: Tensor, mask: Tensor, words: ComparedWords | None = None
    ) -> Tensor:
        last = last_of(states, mask)  # B,H
        joined = self.state(dropout(last, self.dropout, self.training))  # B,K
        if self.context is not None:
            last = last_of(contexts, mask)  # B,C
            joined = joined + self.context(dropout(last, self.dropout, self.training))
        return self.classify(torch.tanh(joined))


@dataclass(frozen=True)
class Reading:
    """The result of reading a batch of texts of at most T words over memories of S positions.

    Attributes:
        states: B,T,H after every word.
        contexts: B,T,C what the state after every word attends to.
        mask: B,T bool, True where there is a word; every row has at least one.
        weights: B,T,S or None.
        parts: further B,T,S tensors by name.
        sampled: drawn locations of all T+1 steps, since all of them shape the states.
        steps: B,T+1 bool, True where a step is real.
    """

    states: Tensor
    contexts: Tensor
    mask: Tensor
    steps: Tensor
    weights: Tensor | None = None
    parts: Mapping[str, Tensor] = field(default_factory=dict)
    sampled: Sampled | None = None

    def ends(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return state and context after the last word, and their mask: B,1,H; B,1,C; B,1."""
        state, context = last_of(self.states, self.mask), last_of(self.contexts, self.mask)
        return state[:, None], context[:, None], self.mask[:, :1]


def read(
    decoder: Decoder,
    tokens: Tensor,
    memory: Memory,
    *,
    need_weights: bool = False,
) -> Reading:
    """Read texts with a decoder: its state after every word, and what that state attends to.

    Generation pairs a step's attention with the word the step writes; reading pairs it with the
    word just read. A mechanism that attends with the current state does so in the same step; one
    that attends with the previous state (Bahdanau 2015) only in the next. The end token, read last,
    gives the last word that next step.

    Args:
        tokens: B,T+1 int64: words, the end token, padding (0).
    """
    decoded = decoder(tokens, memory, need_weights=need_weights)
    assert decoded.hidden is not None and decoded.contexts is not None
    # The T steps whose attention belongs to the T words.
    answer = slice(1, None) if decoder.asks_before_reading else slice(None, -1)
    steps = tokens != 0  # B,T+1
    return Reading(
        states=decoded.hidden[:, :-1],
        contexts=decoded.contexts[:, answer],
        mask=steps[:, 1:],
        steps=steps,
        weights=None if decoded.weights is None else decoded.weights[:, answer],
        parts={name: part[:, answer] for name, part in decoded.parts.items()},
        sampled=decoded.sampled,
    )
