"""The interfaces of attention: mechanisms, their scores, windows and normalisers. Ours and other
people's keep to the same ones.

A mechanism is a module that is given queries and a memory and returns a context per query, with
the weights it used. What it must remember between steps goes in and comes out as an
`AttentionState`; nothing is cached on the module, so one module serves many batches, beams and
threads at once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, ClassVar, Literal, Self, get_args

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from bench.attention import BACKBONES, Backbone
from bench.errors import NotApplicable


@dataclass(frozen=True)
class Memory:
    """The encoded input of a batch: what an encoder hands to a decoder.

    Attributes:
        states: B,S,D the states that are scored (and averaged, unless `values` is given).
        mask: B,S bool, True where a position is real. Every row has at least one.
        summary: B,D the fixed vector, all that the control `none` may see.
        values: B,S,D what is averaged where that differs from what is scored (Gehring 2017).
        segments: B,S int64, number of the segment each position belongs to, counted from 0, in
            any order along S; padding may hold anything. Used by `hierarchical`.
        grid: rows and columns where positions are cells of a picture, in raster order.
        words: B,S int64, the word that would be written if a position were copied; None where
            nothing is copied.
        given: B,T,S weights that queries get in place of their own, counted from the first; rows of
            zeros, and queries beyond the last row, keep their own. None: nothing is given.
    """

    states: Tensor
    mask: Tensor
    summary: Tensor
    values: Tensor | None = None
    segments: Tensor | None = None
    grid: tuple[int, int] | None = None
    words: Tensor | None = None
    given: Tensor | None = None

    def select(self, index: Tensor) -> Memory:
        """Return the rows `index` (int64, any length) of the batch; rows may repeat."""
        tensors = {name: one for name, one in vars(self).items() if isinstance(one, Tensor)}
        rows: dict[str, Any] = {name: tensor[index] for name, tensor in tensors.items()}
        return replace(self, **rows)

    @property
    def lengths(self) -> Tensor:
        """Number of real positions of each row, B int64."""
        return self.mask.sum(dim=1)


def lengths_to_mask(lengths: Tensor, size: int) -> Tensor:
    """Mask B,S with True before each of the B lengths."""
    return torch.arange(size, device=lengths.device)[None, :] < lengths[:, None]


#: Elements of a CPU batch from which checking whether its mask is all True costs less than filling
#: in zeros where there is nothing to fill.
CHECK_MASK_FROM = 2**16


def zero_padding(states: Tensor, mask: Tensor) -> Tensor:
    """Return the states B,S,D with zeros where the mask B,S is False, whatever stood there."""
    if (
        mask.device.type == "cpu"
        and states.numel() >= CHECK_MASK_FROM
        and not torch._C._are_functorch_transforms_active()
        and bool(mask.all())
    ):
        return states
    return states.masked_fill(~mask[:, :, None], 0.0)


# Where a mechanism stands in a recurrent decoder. In the other backbones queries are the states of
# a layer, all of them at once.
#   fixed           no attention; the context is the memory's summary at every step
#   previous-state  the previous state is the query, and the context enters the cell (Bahdanau 2015)
#   current-state   the current state is the query (Luong 2015)
Placement = Literal["fixed", "previous-state", "current-state"]

# Where a mechanism stands in a backbone:
#   cross    from the decoder to the memory
#   encoder  from every source position to all source positions
#   decoder  from every target position to those up to itself
Slot = Literal["cross", "encoder", "decoder"]

# What the weights of a query are:
#   distribution      not negative, their sum is 1
#   sub-distribution  not negative, their sum is at most 1 (monotonic attention may stop nowhere)
#   unnormalised      not negative (sigmoids, Gaussian mixtures)
#   signed            any (differential attention)
WeightsKind = Literal["distribution", "sub-distribution", "unnormalised", "signed"]

# What a score or a window may read of the weights of the steps before, under these names in
# `AttentionState.tensors`:
#   previous  the weights of the step before, B,H,S
#   coverage  the sum of the weights of all steps before, B,H,S
#   kept      what the score makes of them step by step: B,..., the result of `Score.keep`
Remembered = Literal["previous", "coverage", "kept"]


class AttentionOptions(BaseModel):
    """Options of a mechanism: frozen, unknown keys refused. Subclass to add fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    normaliser: str = "softmax"

    @property
    def model_defaults(self) -> Mapping[str, Any]:
        """Settings of the model (fields of `bench.models.base.ModelConfig`) whose default is
        another one under these options, by name."""
        return {}


@dataclass(frozen=True)
class Sizes:
    """The sizes that a mechanism is built for.

    Attributes:
        query: Q, size of a query.
        memory: D, size of a memory state.
        length_ratio: mean source length over mean target length of the training data; `local-*`
            needs it to walk along a source much longer than the target.
        heads: H, heads of the backbone's self-attention and of `self`; other mechanisms have an
            option.
        axes: 1 for sequences, 2 for pictures (a memory with a grid); `local-p` predicts a point
            of so many coordinates.
        slot: where the mechanism stands. In the slots "encoder" and "decoder" queries and memory
            are the same positions, and queries are counted from `AttentionState.position`.
    """

    query: int
    memory: int
    length_ratio: float = 1.0
    heads: int = 1
    axes: int = 1
    slot: Slot = "cross"

    @property
    def causal(self) -> bool:
        """Whether query t (counted from `AttentionState.position`) sees positions up to t only."""
        return self.slot == "decoder"


@dataclass(frozen=True)
class Keys:
    """A memory prepared once per batch: everything that does not change from step to step.

    `tensors` holds what the mechanism projected (batch first), under names of its own.
    """

    memory: Memory
    tensors: Mapping[str, Tensor] = field(default_factory=dict)

    def select(self, index: Tensor) -> Keys:
        """Return the rows `index` of the batch; used by beams and to drop finished sentences."""
        return Keys(
            self.memory.select(index),
            {name: tensor[index] for name, tensor in self.tensors.items()},
        )


@dataclass(frozen=True)
class AttentionState:
    """The memory of a mechanism between steps.

    Attributes:
        position: number of target steps already made.
        tensors: batch-first tensors by name (those of `Remembered`, "energies", ...).
    """

    position: int = 0
    tensors: Mapping[str, Tensor] = field(default_factory=dict)

    def select(self, index: Tensor) -> AttentionState:
        return AttentionState(
            self.position, {name: tensor[index] for name, tensor in self.tensors.items()}
        )


@dataclass(frozen=True)
class Sampled:
    """Log-probabilities and entropies (both B,T) of sampled locations, for REINFORCE."""

    log_prob: Tensor
    entropy: Tensor


@dataclass(frozen=True)
class AttentionOutput:
    """The result of attending with T queries.

    Attributes:
        context: B,T,C, with C the mechanism's `context_size`.
        state: the state for the next query.
        weights: B,T,S, of the mechanism's `weights_kind` and 0 on padding; None where they were not
            asked for or do not exist (`none`). Means over heads where there are several.
        parts: further B,T,S tensors by name ("head 1", "segments", ...) for traces.
        sampled: set by `hard` while it samples.
    """

    context: Tensor
    state: AttentionState
    weights: Tensor | None = None
    parts: Mapping[str, Tensor] = field(default_factory=dict)
    sampled: Sampled | None = None


class Attention(nn.Module, ABC):
    """Base class of all mechanisms.

    A subclass sets the class attributes, may declare its options, and is built as
    `Mechanism(sizes, score, options)`. It is registered with `@attentions.register(name)` or by
    an entry point of the group `attnbench.attentions`.
    """

    #: One line: what it is.
    summary: ClassVar[str] = ""
    #: The paper, e.g. "Bahdanau 2015".
    citation: ClassVar[str] = ""
    #: The backbone of its paper, used where none is named.
    backbone: ClassVar[Backbone] = "recurrent"
    #: Its place in a recurrent decoder.
    placement: ClassVar[Placement] = "current-state"
    #: The slots of a backbone that it fills; the others have plain multi-head attention.
    slots: ClassVar[frozenset[Slot]] = frozenset({"cross"})
    #: True if it has as many heads as the backbone's self-attention (`Sizes.heads`), with the
    #: projections of queries, keys and values that go with them, even where that is one head.
    heads_of_backbone: ClassVar[bool] = False
    #: Score of its paper, used where none is named; "none" if it makes its weights without any.
    classic_score: ClassVar[str] = "dot"
    #: False if it makes no use of a normaliser, whatever its options name.
    normalises: ClassVar[bool] = True
    #: True if it attends to positions drawn from its weights, which must be a distribution; no
    #: gradient passes them.
    samples: ClassVar[bool] = False
    #: True if a step needs what the step before produced, even in training.
    stepwise: ClassVar[bool] = False
    Options: ClassVar[type[AttentionOptions]] = AttentionOptions

    #: C, size of the context; set by the constructor.
    context_size: int
    #: What its weights are.
    weights_kind: WeightsKind = "distribution"
    #: True if all beams of a sentence can attend to one row of keys: `forward` then takes several
    #: rows of queries per row of keys, those of a sentence one behind the other. Possible where a
    #: context depends on its query and the keys alone, and not on the step.
    keys_shared_across_beams: bool = False
    #: True if the result of a query depends on queries after it. `forward` then takes a
    #: `query_mask` B,T as well, True where a query is real; and no text can be written with it.
    needs_future: bool = False

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        for name, known in (("placement", get_args(Placement)), ("backbone", BACKBONES)):
            value = getattr(cls, name)
            if value not in known:
                raise TypeError(
                    f"{name} of {cls.__qualname__} is {value!r}, none of {', '.join(known)}"
                )
        strangers = set(cls.slots) - set(get_args(Slot))
        if strangers or not cls.slots:
            raise TypeError(
                f"slots of {cls.__qualname__} are {sorted(cls.slots)}; there are "
                f"{', '.join(get_args(Slot))}"
            )
        if not (isinstance(cls.Options, type) and issubclass(cls.Options, AttentionOptions)):
            raise TypeError(
                f"Options of {cls.__qualname__} must be a subclass of "
                f"{AttentionOptions.__module__}.{AttentionOptions.__qualname__}"
            )

    def __init__(self, sizes: Sizes, score: str, options: AttentionOptions) -> None:
        super().__init__()
        self.context_size = sizes.memory
        self.slot, self.causal = sizes.slot, sizes.causal

    @classmethod
    def refusal(cls, score: str, backbone: Backbone) -> str | None:
        """Return why this mechanism cannot be used with that score in that backbone, or None if it
        can."""
        if cls.stepwise and backbone != "recurrent":
            return "it remembers something from step to step, which takes a recurrent decoder"
        return None

    @classmethod
    def refusal_of_options(
        cls, options: AttentionOptions, score: str, backbone: Backbone
    ) -> str | None:
        """Return why these options mean nothing together, with that score or in that backbone, or
        None if they do. Whatever depends on sizes is the constructor's to refuse."""
        return None

    @classmethod
    def takes_given_weights(cls) -> bool:
        """Whether weights that come with the memory (`Memory.given`) take the place of its own."""
        return False

    def start_equal(self) -> None:
        """Let queries and keys start with one projection; nothing where they have none."""

    @abstractmethod
    def prepare(self, memory: Memory) -> Keys:
        """Project the memory, once per batch."""

    def initial_state(self, keys: Keys) -> AttentionState:
        """Return the state before the first step."""
        return AttentionState()

    def extend(self, keys: Keys | None, states: Tensor) -> Keys:
        """Append positions to the keys of the slot "decoder", for decoding step by step.

        Args:
            keys: those so far; None begins them. All positions are real.
            states: B,N,D, usually with N = 1.

        Returns:
            Keys for old and new positions. Their `memory` may stay that of the beginning.
        """
        raise NotImplementedError(f"{type(self).__name__} cannot stand in a decoder's own slot")

    @abstractmethod
    def forward(
        self, query: Tensor, keys: Keys, state: AttentionState, *, need_weights: bool = True
    ) -> AttentionOutput:
        """Attend with all queries at once.

        Args:
            query: B,T,Q. T is 1 in stepwise decoding; with larger T the result equals that of T
                calls with one query each, the state handed on. The first of them is query number
                `state.position`; in the slot "decoder" query t sees the positions up to t only.
            keys: the result of `prepare`.
            state: the state after the queries before.
            need_weights: False allows a fused kernel that never forms the weights; the context
                is the same to float tolerance.
        """


def join_steps(steps: Sequence[AttentionOutput]) -> AttentionOutput:
    """Join the results of calls with T = 1, made in this order, to the result of one call."""
    weights = [step.weights for step in steps if step.weights is not None]
    drawn = [(one.log_prob, one.entropy) for one in (step.sampled for step in steps) if one]
    return AttentionOutput(
        torch.cat([step.context for step in steps], 1),
        steps[-1].state,
        torch.cat(weights, 1) if weights else None,
        {name: torch.cat([step.parts[name] for step in steps], 1) for name in steps[0].parts},
        Sampled(*(torch.cat(column, 1) for column in zip(*drawn, strict=True))) if drawn else None,
    )


#: No tensors: what a score that reads nothing is given.
NOTHING: Mapping[str, Tensor] = MappingProxyType({})


class Score(nn.Module, ABC):
    """Base class of all scores; `@scores.register(name)` files one.

    A score is built for query size Q, key size D and H heads, and acts on slices of Q/H and D/H
    where H is above 1. The keys are projected once per batch, the queries at every call.
    """

    #: One line: what it is.
    summary: ClassVar[str] = ""
    #: The formula as in the papers: h is the query, s the key.
    formula: ClassVar[str] = ""
    #: The paper, e.g. "Luong 2015".
    citation: ClassVar[str] = ""
    #: What it reads of the weights of the steps before; an option may add to it.
    reads: frozenset[Remembered] = frozenset()
    #: True if energies depend on where a key stands in the source: all keys are projected at once,
    #: from the first on.
    positional: ClassVar[bool] = False
    #: True if energies are products that grow with the vectors.
    products: ClassVar[bool] = False
    #: Options of the mechanism that its constructor takes as well, under these names.
    option_names: ClassVar[tuple[str, ...]] = ()

    def __init__(self, query_size: int, key_size: int, heads: int = 1) -> None:
        super().__init__()
        self.heads = heads

    @classmethod
    def refusal(cls, query_size: int, key_size: int) -> str | None:
        """Return why this score cannot compare vectors of these sizes, or None if it can."""
        return None

    @classmethod
    def build(
        cls, query_size: int, key_size: int, heads: int = 1, options: AttentionOptions | None = None
    ) -> Self:
        """Build the score for these sizes, with what options it has among the mechanism's.

        Raises:
            NotApplicable: the sizes do not suit this score; the reason is given.
        """
        reason = cls.refusal(query_size, key_size)
        if reason:
            raise NotApplicable(reason, remedy="use 'general' or 'concat'")
        own = {name: getattr(options, name) for name in cls.option_names if hasattr(options, name)}
        return cls(query_size, key_size, heads, **own)

    @abstractmethod
    def project_keys(self, keys: Tensor) -> Tensor:
        """Project keys B,S,D to B,H,S,K, once per batch.

        Must be affine in the keys, unless `positional`: `hierarchical` mixes projected keys where
        the formula projects mixtures, which is the same since the mixing weights sum to 1.
        """

    @abstractmethod
    def forward(
        self, query: Tensor, projected: Tensor, remembered: Mapping[str, Tensor] = NOTHING
    ) -> Tensor:
        """Compute energies B,H,T,S, not masked.

        Args:
            query: B,T,Q; T is 1 for a score that `reads` anything.
            projected: B,H,S,K, the result of `project_keys`.
            remembered: what the score `reads`, by name; perhaps more.
        """

    def keep(self, before: Tensor | None, weights: Tensor, mask: Tensor) -> Tensor:
        """Return what a score that reads "kept" keeps after a step: B,..., batch first.

        Args:
            before: what it kept after the step before; None at the beginning, before the first
                step.
            weights: B,H,S, the weights of the step; at the beginning those that count as the
                previous weights of the first step.
            mask: B,S, True where a position is real.
        """
        raise NotImplementedError(f"{type(self).__name__} keeps nothing")

    def as_dot(self, query: Tensor) -> tuple[Tensor, float] | None:
        """Return queries B,H,T,K and a factor if the energies are factor x query . projected key,
        so that a fused kernel may compute them; else None.
        """
        return None


class DotScore(Score):
    """A score that is an inner product of a transformed query and a projected key."""

    products = True

    @abstractmethod
    def as_dot(self, query: Tensor) -> tuple[Tensor, float]: ...

    def forward(
        self, query: Tensor, projected: Tensor, remembered: Mapping[str, Tensor] = NOTHING
    ) -> Tensor:
        vectors, factor = self.as_dot(query)
        if factor != 1.0:
            vectors = vectors * factor  # before the product: there are fewer queries than pairs
        return vectors @ projected.transpose(-1, -2)  # B,H,T,S


class Normaliser(ABC):
    """A map from energies to weights.

    An instance without parameters is filed with `normalisers.register(name)(Kind())`. One that has
    parameters is an `nn.Module` as well; `for_heads` then makes the one that a mechanism trains.
    Heads are dimension 1 of the scores of such a mechanism.
    """

    #: One line: what it is.
    summary: ClassVar[str] = ""
    citation: ClassVar[str] = ""
    #: What its weights are.
    weights_kind: WeightsKind = "distribution"
    #: True if torch's scaled_dot_product_attention computes the same.
    supports_sdpa: ClassVar[bool] = False

    def for_heads(self, heads: int, options: AttentionOptions | None = None) -> Normaliser:
        """Return the normaliser for a mechanism of so many heads: itself, or a new one with
        parameters of its own, or with what the mechanism's options say."""
        return self

    @abstractmethod
    def __call__(self, scores: Tensor, mask: Tensor | None) -> Tensor:
        """Weights along the last dimension, in the dtype of the scores (or wider).

        Args:
            scores: ...,S of any size; what lies under the mask may be anything, NaN included.
            mask: bool, broadcastable to the scores, True where real; None if all are. Every row
                has at least one real position.

        Returns:
            ...,S; exactly 0 where masked.
        """


class StepwiseNormaliser(Normaliser):
    """A normaliser that remembers something from step to step; called without a state, it computes
    the first step."""

    @abstractmethod
    def initial_tensors(self, mask: Tensor, heads: int) -> Mapping[str, Tensor]:
        """Return batch-first tensors for the first state, given the memory's mask B,S."""

    @abstractmethod
    def step(
        self, scores: Tensor, mask: Tensor | None, tensors: Mapping[str, Tensor]
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Return the weights B,H,1,S of one step, and its tensors for the next state."""


def masked(scores: Tensor, mask: Tensor | None) -> Tensor:
    """Return the scores in float32 or wider, -inf where masked."""
    scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
    return scores if mask is None else torch.where(mask, scores, float("-inf"))


@dataclass(frozen=True)
class WindowMask:
    """The positions that a window lets through, and how much each counts.

    Attributes:
        mask: bool, broadcastable to B,H,T,S, True where a query may look; None for everywhere.
        gain: B,1,T,S factors for the normalised weights, or None for 1.
        renormalise: whether the weights sum to 1 again after the gain.
    """

    mask: Tensor | None
    gain: Tensor | None = None
    renormalise: bool = True

    def apply_gain(self, weights: Tensor) -> Tensor:
        """Return the weights B,H,T,S with the gain applied."""
        if self.gain is None:
            return weights
        weights = weights * self.gain.to(weights.dtype)
        return weights / weights.sum(-1, keepdim=True) if self.renormalise else weights


class Window(nn.Module, ABC):
    """Base class of windows. A window remembers nothing: the state comes in with each call."""

    #: True if a mask is all it gives, no gain, so that a fused kernel may compute the context.
    only_masks: ClassVar[bool] = False

    @property
    def reads(self) -> frozenset[Remembered]:
        """What the window reads of the weights of the steps before."""
        return frozenset()

    def prepare(self, memory: Memory) -> Mapping[str, Tensor]:
        """Return batch-first tensors to put into the keys."""
        return {}

    @abstractmethod
    def forward(
        self, query: Tensor, keys: Keys, state: AttentionState, mask: Tensor | None
    ) -> WindowMask:
        """Return the window mask of queries B,T,Q (T is 1 where it `reads` anything).

        Args:
            state: the state before the first of these queries.
            mask: the mask of the memory (and of causality), broadcastable to B,1,T,S.
        """


class Everywhere(Window):
    """No window: every real position is seen."""

    only_masks = True

    def forward(
        self, query: Tensor, keys: Keys, state: AttentionState, mask: Tensor | None
    ) -> WindowMask:
        return WindowMask(mask)
