"""The interfaces of encoders and decoders.

An encoder turns features B,S,E into a `Memory`; a decoder reads target tokens and a memory and
returns features for a head (vocabulary or classes). Both come in three families, the backbones:
recurrent, Transformer, convolutional.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, Generic, TypeVar

from torch import Tensor, nn

from bench.attention.base import Attention, Memory, Sampled, WeightsKind


@dataclass(frozen=True)
class ModelConfig:
    """Sizes and choices of an encoder-decoder.

    Attributes:
        embedding_dim: E, size of token embeddings (and of the features under a tied output layer).
        hidden_dim: size of encoder states D and of decoder states.
        encoder_layers, decoder_layers: numbers of layers.
        rnn_type: "gru" or "lstm".
        bidirectional: whether the recurrent encoder reads both ways (D is then 2 x hidden/2).
        encoder_self_attention: layers of self-attention over the states of a recurrent or
            convolutional encoder.
        num_heads, ffn_dim: of the Transformer, and of those layers.
        kernel_size: width of the convolutions.
        dropout: probability, between layers and on embeddings.
        input_feeding: Luong 2015, section 3.3: the attentional hidden state enters the next step.
        residual: recurrent models only: the features and embeddings a layer reads are added to the
            states it makes, so that what is attended with and to holds the word itself (the other
            families always do so).
        carry: recurrent decoders that attend with their previous state: whether that state goes
            into the next step's cells as well. Without it a step knows the last token, what was
            attended to and, by the score, where, but cannot count steps.
        readout: recurrent decoders that attend with their previous state, and the control without
            attention: "tanh" of the new state, context and last word, or "maxout" over the
            previous state and the same (Bahdanau 2015, appendix A.2.2).
        attention_layers: decoder layers that attend, counted from 1, in the convolutional
            decoder (the ablation of Gehring 2017, section 5.5); None for all.
        positional_encoding: of the Transformer: "sinusoids", "learned" (Vaswani 2017, table 3 E),
            or "none", where self-attention knows relative positions or order is left to causality.
        projection_init: how the query and key projections of the Transformer start: "xavier", each
            at random, or "equal", both the same in the cross-attention.
        max_positions: longest sequence with a learned position.
    """

    embedding_dim: int = 128
    hidden_dim: int = 128
    encoder_layers: int = 1
    decoder_layers: int = 1
    rnn_type: str = "gru"
    bidirectional: bool = True
    encoder_self_attention: int = 0
    num_heads: int = 4
    ffn_dim: int = 256
    kernel_size: int = 3
    dropout: float = 0.1
    input_feeding: bool = False
    residual: bool = False
    carry: bool = True
    readout: str = "tanh"
    attention_layers: tuple[int, ...] | None = None
    positional_encoding: str = "sinusoids"
    projection_init: str = "xavier"
    max_positions: int = 1024


@dataclass(frozen=True)
class Decoded:
    """The output of a decoder for B sentences and T target positions (T is 1 for a step).

    Attributes:
        features: B,T,F for the head.
        weights: B,T,S or None (not asked for, or no attention).
        parts: B,T,S tensors by name ("layer 1 head 2", ...).
        last_weights: B,T,S those of the last attending layer, means over its heads; None where
            `weights` are.
        sampled: log-probabilities and entropies of sampled locations, B,T each (`hard`).
        contexts: B,T,C contexts at each position, for heads that compare.
        hidden: B,T,H the decoder's own state at each position.
    """

    features: Tensor
    weights: Tensor | None = None
    parts: Mapping[str, Tensor] = field(default_factory=dict)
    sampled: Sampled | None = None
    contexts: Tensor | None = None
    hidden: Tensor | None = None
    last_weights: Tensor | None = None


Source = TypeVar("Source")
Progress = TypeVar("Progress")


@dataclass(frozen=True)
class DecoderState(Generic[Source, Progress]):
    """The state of a decoder between tokens, batch-first throughout.

    Attributes:
        source: everything that depends on the sentence alone (projected keys, the summary).
            Reordering the beams of a sentence leaves it where it is.
        progress: everything that depends on the tokens read so far.
    """

    source: Source
    progress: Progress


State = TypeVar("State")


def select_rows(state: State, index: Tensor) -> State:
    """Select the rows `index` of every batch-first tensor in nested dataclasses, tuples and dicts.

    Everything else stays as it is. A tensor that stands in several places (the
    memory, in the keys of every layer) is selected from once.
    """
    return _map_tensors(state, lambda tensor: tensor.index_select(0, index), {})


def _map_tensors(value: Any, change: Callable[[Tensor], Tensor], done: dict[int, Tensor]) -> Any:
    if isinstance(value, Tensor):
        if id(value) not in done:
            done[id(value)] = change(value)
        return done[id(value)]
    if is_dataclass(value) and not isinstance(value, type):
        changed = {
            f.name: _map_tensors(getattr(value, f.name), change, done) for f in fields(value)
        }
        return replace(value, **changed)
    if isinstance(value, tuple):
        return tuple(_map_tensors(item, change, done) for item in value)
    if isinstance(value, Mapping):
        return {key: _map_tensors(item, change, done) for key, item in value.items()}
    return value


class Encoder(nn.Module, ABC):
    """An encoder of features into a memory."""

    #: D, size of the memory's states.
    output_size: int

    @abstractmethod
    def forward(self, features: Tensor, mask: Tensor, segments: Tensor | None = None) -> Memory:
        """Encode features; dropout on them is applied by their maker.

        Args:
            features: B,S,E (embedded tokens, frames, annotation vectors).
            mask: B,S bool, True where real, False at the end. Padding changes nothing.
            segments: B,S int64 or None, passed on into the memory.
        """


class Decoder(nn.Module, ABC):
    """A decoder of target tokens and a memory into features.

    `forward` reads all targets at once; `step` reads one token a sentence with the state that
    `start` or the step before returned. Both give the same features.
    """

    #: F, size of the features; that of the embeddings, so that the output layer can be tied.
    output_size: int
    #: H and C, sizes of `Decoded.hidden` and `Decoded.contexts`.
    state_size: int
    context_size: int
    #: Target embeddings V,E; token 0 is padding.
    embedding: nn.Embedding
    #: Whether a step attends before it reads its token, with the state of the step before.
    asks_before_reading: bool = False
    #: Positions that a convolution reads at once; 1 where there are none.
    kernel: int = 1

    @property
    def weights_kind(self) -> WeightsKind:
        """What `Decoded.weights` are; a distribution where nothing attends."""
        for part in self.modules():
            if isinstance(part, Attention) and part.slot == "cross":
                return part.weights_kind
        return "distribution"

    @property
    def source_shared_across_beams(self) -> bool:
        """Whether all beams of a sentence can share one row of the state's `source`: `step` then
        reads several tokens per row of it, those of a sentence one behind the other."""
        return False

    @abstractmethod
    def start(self, memory: Memory) -> DecoderState[Any, Any]:
        """Return the state before the first token."""

    @abstractmethod
    def _read(
        self, tokens: Tensor, state: Any, *, need_weights: bool
    ) -> tuple[Decoded, DecoderState[Any, Any]]:
        """Read B,T tokens on from `state`: all of a target from the start, or the next one."""

    def forward(self, tokens: Tensor, memory: Memory, *, need_weights: bool = False) -> Decoded:
        """Read B,T int64 tokens (the first is the begin token)."""
        return self._read(tokens, self.start(memory), need_weights=need_weights)[0]

    def step(
        self, tokens: Tensor, state: DecoderState[Any, Any], *, need_weights: bool = True
    ) -> tuple[Decoded, DecoderState[Any, Any]]:
        """Read B int64 tokens, one each; returns features B,1,F and the next state."""
        return self._read(tokens[:, None], state, need_weights=need_weights)
