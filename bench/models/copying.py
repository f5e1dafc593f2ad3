"""Copying words of the source: the pointer-generator (See 2017, section 2.2; Gu 2016 before it).

A word is generated from the vocabulary or copied from a source position:

    p(w) = g P_vocab(w) + (1 - g) sum_{s: x_s = w} a_s
    g = sigmoid(w_c . c + w_h . h + w_x . x + b)

with the context c, the decoder's state h and the embedding x of the last word. Words of the source
that the vocabulary lacks get ids from V on, valid for one batch, so that they can be written; read
by the decoder they are the unknown word.

The weights a are those of the last attending layer, means over its heads: what published
Transformers with a pointer do. Weights that are no distribution are made one: their absolute
values, over their sum. Where nothing at all is attended to, nothing is copied (g = 1).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.attention.base import Memory
from bench.models.base import Decoded, Decoder, DecoderState
from bench.models.layers import VocabularyHead, linear
from bench.models.losses import WordLoss

#: Probability that a copy of a word counts as having at least, so that a word which cannot be
#: written at all (unknown, and without weight) costs much, not everything.
LEAST = 1e-12
#: Difference of two log-probabilities that are computed in two ways and count as equal.
TIE = 1e-5


@dataclass(frozen=True)
class Copied:
    """What may be copied at N target positions.

    Attributes:
        words: N,S int64, the word of every source position.
        shares: N,S, the probabilities that each is copied, if a word is copied; rows sum to 1.
        log_generate: N, log g.
        log_copy: N, log(1 - g); -inf where nothing is attended to.
        size: V and the number of the batch's own words.
    """

    words: Tensor
    shares: Tensor
    log_generate: Tensor
    log_copy: Tensor
    size: int


class PointerGenerator(nn.Module):
    """The gate g, and the mixture of generating and copying.

    Args:
        decoder: its sizes are read.
        unknown: id of the unknown word.
    """

    def __init__(self, decoder: Decoder, unknown: int) -> None:
        super().__init__()
        self.size, self.unknown = decoder.embedding.num_embeddings, unknown
        inputs = decoder.context_size + decoder.state_size + decoder.embedding.embedding_dim
        self.gate = linear(inputs, 1)

    def known(self, tokens: Tensor) -> Tensor:
        """Tokens with the unknown word in place of those that the vocabulary lacks."""
        return tokens.masked_fill(tokens >= self.size, self.unknown)

    def copied(
        self,
        decoded: Decoded,
        words: Tensor,
        embedded: Tensor,
        size: int,
        real: Tensor | None = None,
    ) -> Copied:
        """What may be copied at the target positions, or at the real ones.

        Args:
            decoded: with weights, of B,T positions.
            words: B,S, `Memory.words`.
            embedded: B,T,E embeddings of the tokens read.
            size: V and the number of the batch's own words.
            real: B,T bool; None for all B*T.
        """
        weights, contexts, hidden = decoded.last_weights, decoded.contexts, decoded.hidden
        assert weights is not None and contexts is not None and hidden is not None
        if real is None:
            real = torch.ones_like(weights[..., 0], dtype=torch.bool)
        gate = self.gate(torch.cat((contexts, hidden, embedded), dim=-1)[real])[:, 0]  # N
        gate = gate.to(torch.promote_types(gate.dtype, torch.float32))
        shares = weights[real].to(gate.dtype).abs()  # N,S
        total = shares.sum(-1, keepdim=True)  # N,1
        nothing = total[:, 0] == 0
        return Copied(
            words[:, None].expand_as(weights)[real],
            shares / total.masked_fill(nothing[:, None], 1.0),
            F.logsigmoid(gate).masked_fill(nothing, 0.0),
            F.logsigmoid(-gate).masked_fill(nothing, float("-inf")),
            size,
        )

    def log_probs(self, logits: Tensor, copied: Copied) -> Tensor:
        """Log-probabilities of all words, V+X with the batch's own, from N,V logits: N,V+X."""
        logits = logits.to(copied.shares.dtype)
        generated = F.softmax(logits, dim=-1) * copied.log_generate.exp()[:, None]
        every = F.pad(generated, (0, copied.size - self.size))  # N,V+X
        shares = copied.shares * copied.log_copy.exp()[:, None]  # N,S
        return every.scatter_add(1, copied.words, shares).log()

    def loss(
        self,
        head: VocabularyHead,
        features: Tensor,
        copied: Copied,
        labels: Tensor,
        *,
        smoothing: float = 0.0,
    ) -> WordLoss:
        """Mean negative log-likelihood of N labels, of N,F features.

        Label smoothing spreads over the vocabulary's distribution P_vocab alone.
        """
        logits = head(features).to(copied.shares.dtype)  # N,V
        vocabulary = F.log_softmax(logits, dim=-1)
        own = vocabulary.gather(1, labels.clamp(max=self.size - 1)[:, None])[:, 0]  # N
        lacking = labels >= self.size
        generated = (copied.log_generate + own).masked_fill(lacking, float("-inf"))
        # The probability that some position is copied which holds the label.
        found = (copied.shares * (copied.words == labels[:, None])).sum(-1)  # N
        found = found * copied.log_copy.exp()
        least = torch.where(lacking, LEAST, torch.finfo(torch.float32).tiny).to(found)
        log_p = torch.logaddexp(generated, torch.maximum(found, least).log())  # N
        loss = -(1 - smoothing) * log_p.mean()
        if smoothing:
            loss = loss - smoothing * vocabulary.mean()
        with torch.no_grad():
            right = log_p >= self.log_probs(logits, copied).amax(dim=1) - TIE
        return WordLoss(loss, -log_p.detach(), right)


class PointerGeneratorDecoder(Decoder):
    """A decoder and its head for search: features are log-probabilities over the vocabulary and the
    words of one batch, and `unchanged` is their head.

    Args:
        size: V and the number of the batch's own words.
    """

    def __init__(
        self, decoder: Decoder, head: VocabularyHead, pointer: PointerGenerator, size: int
    ) -> None:
        super().__init__()
        self.decoder, self.head, self.pointer = decoder, head, pointer
        self.output_size = size
        self.state_size, self.context_size = decoder.state_size, decoder.context_size
        self.embedding, self.kernel = decoder.embedding, decoder.kernel
        self.asks_before_reading = decoder.asks_before_reading
        self.train(decoder.training)

    def start(self, memory: Memory) -> DecoderState[Any, Any]:
        inner = self.decoder.start(memory)
        return DecoderState((inner.source, memory.words), inner.progress)

    def _read(
        self, tokens: Tensor, state: DecoderState[Any, Any], *, need_weights: bool
    ) -> tuple[Decoded, DecoderState[Any, Any]]:
        source, words = state.source
        known = self.pointer.known(tokens)  # B,T
        inner = DecoderState(source, state.progress)
        decoded, inner = self.decoder._read(known, inner, need_weights=True)
        embedded = self.decoder.embedding(known)  # B,T,E
        copied = self.pointer.copied(decoded, words, embedded, self.output_size)
        logits = self.head(decoded.features).flatten(0, 1)  # B*T,V
        log_probs = self.pointer.log_probs(logits, copied)
        decoded = replace(decoded, features=log_probs.view(*tokens.shape, -1))
        return decoded, DecoderState((inner.source, words), inner.progress)


def unchanged(log_probs: Tensor) -> Tensor:
    """The head of a `PointerGeneratorDecoder`."""
    return log_probs
