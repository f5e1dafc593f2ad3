"""Attention put together from its parts: score x window x normaliser x aggregation."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field, field_validator
from torch import Tensor, nn

from bench.attention import Backbone
from bench.attention.aggregation import Aggregation, Expectation, Selection
from bench.attention.base import (
    Attention,
    AttentionOptions,
    AttentionOutput,
    AttentionState,
    Everywhere,
    Keys,
    Memory,
    Remembered,
    Score,
    Sizes,
    StepwiseNormaliser,
    WeightsKind,
    Window,
    join_steps,
    zero_padding,
)
from bench.attention.heads import (
    HeadNorm,
    HeadOptions,
    HeadOutput,
    count_groups,
    make_normaliser,
    mean_over_heads,
    merge_heads,
    per_head,
    refusal_of_heads,
    score_heads,
    share_groups,
    split_heads,
    weights_kind,
)
from bench.attention.positions import RelativePositions, Span
from bench.attention.registries import attentions, normalisers, score_of, scores
from bench.attention.windows import MedianWindow
from bench.errors import NotApplicable, UsageError


class ScoreOptions(HeadOptions):
    """Options that scores and normalisers read, each what concerns it, those of heads, and what
    every mechanism with energies has."""

    energy_factor: float = Field(
        1.0,
        gt=0,
        description="energies are multiplied by it before they are normalised: above 1 weights are "
        "sharper, below 1 flatter (2 in ESPnet's recurrent attentions)",
    )
    guided_loss: float = Field(
        0.0,
        ge=0,
        description="weight of Tachibana 2018's loss for weights off the diagonal (1 in the "
        "paper), a mean over target units and source positions",
    )
    guided_width: float = Field(
        0.2,
        gt=0,
        description="width g of the diagonal of the guided attention loss, in lengths of the text",
    )
    attention_size: int | None = Field(
        None,
        ge=1,
        description="size of the additive score's hidden layer, that of a key if unset; dot scores "
        "project query and key to it, or take them as they are if unset",
    )
    location_filters: int = Field(10, ge=1, description="convolutions over the previous weights")
    location_kernel: int = Field(15, ge=1, description="their width in positions; odd")
    location_heads: Literal["shared", "own", "several-widths"] = Field(
        "shared",
        description="whether all heads share these convolutions, each has its own, or its own of "
        "another width: head h of H h/H of it (ESPnet's AttMultiHeadLoc, AttMultiHeadMultiResLoc)",
    )
    top_k: int = Field(8, ge=1, description="k of the normaliser top-k")
    fertility: float = Field(
        2.0, gt=0, description="most weight of a position, all steps together, in constrained-*"
    )
    location_steps: int = Field(
        5,
        ge=1,
        description="`location-aware-2d` convolves the weights of so many steps before",
    )
    location_cumulative: bool = Field(
        False,
        description="Shen 2018: `location-aware` convolves the sum of all earlier weights as well",
    )
    prior_length: int = Field(
        11,
        ge=1,
        description="positions that the prior of `dynamic-convolution` reaches: so many less 1, "
        "forwards only",
    )
    coverage_fertility: float = Field(
        0.0,
        ge=0,
        description="Tu 2016: `coverage` is divided by what a position is expected to get, at most "
        "so much (2 in the paper); 0 for the plain sum",
    )
    source_positions: int = Field(
        1024, ge=1, description="longest source that `location` has energies for"
    )

    @field_validator("location_kernel")
    @classmethod
    def _odd(cls, value: int) -> int:
        if value % 2 == 0:
            raise ValueError("a convolution centred on a position has an odd width")
        return value


class ScoredOptions(ScoreOptions):
    """Options of every mechanism that scores."""

    heads: int = Field(
        1,
        ge=1,
        description="with several, queries, keys and values are projected to the size of a query "
        "and cut into so many parts that attend on their own (Vaswani 2017, section 3.2.2)",
    )
    coverage_loss: float = Field(
        0.0,
        ge=0,
        description="recurrent decoders: weight of See 2017's loss for attending again to what was "
        "attended to before (1 in the paper)",
    )
    coverage_start: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="share of the training steps before the coverage loss counts; See 2017 adds it "
        "for a short last phase (0.75: the last quarter), since it hinders learning to attend",
    )


class WindowedOptions(ScoredOptions):
    """Options of the mechanisms that have no window of their own in training."""

    test_window: int = Field(
        0,
        ge=0,
        description="Chorowski 2015: at test only so many positions on either side of the median "
        "of the previous weights; 0 for all",
    )

    def window(self) -> Window:
        """Build the window that these options ask for."""
        return MedianWindow(self.test_window) if self.test_window else Everywhere()


@dataclass(frozen=True)
class AttentionWeights:
    """The weights that a mechanism makes of energies.

    Attributes:
        weights: B,H,T,S.
        tensors: tensors for the next state.
        parts: further B,T,S tensors for traces.
        context: B,T,C where it is no aggregate of the values under the weights; else None.
    """

    weights: Tensor
    tensors: Mapping[str, Tensor] = field(default_factory=dict)
    parts: Mapping[str, Tensor] = field(default_factory=dict)
    context: Tensor | None = None


class ScoredAttention(Attention):
    """A mechanism composed of parts. Ours differ in the parts they put in, and in little else.

    Args:
        score: name of the score.
        window: default is no window.
        aggregation: default is the expectation.
        gate: whether sigmoid(w . h + b) scales the context (Xu 2015, section 4.2.1).

    Raises:
        UsageError: an unknown score or normaliser.
        NotApplicable: a score that does not suit the sizes.
    """

    Options: ClassVar[type[AttentionOptions]] = ScoredOptions
    #: True if it calls its normaliser more than once, or not with all heads: the normaliser then
    #: must make distributions, and nothing may stand around it.
    normalises_apart: ClassVar[bool] = False

    def __init__(
        self,
        sizes: Sizes,
        score: str,
        options: AttentionOptions,
        *,
        window: Window | None = None,
        aggregation: Aggregation | None = None,
        gate: bool = False,
    ) -> None:
        super().__init__(sizes, score, options)
        self.options = options
        #: What energies are multiplied by before they are normalised.
        self.energy_factor: float = getattr(options, "energy_factor", 1.0)
        self.heads = self.count_heads(sizes, options)
        #: Heads that are scored, and heads of keys and values.
        self.score_heads = score_heads(self.heads, options)
        self.groups = count_groups(self.heads, options)
        projects = self.heads_of_backbone or self.score_heads > 1
        if sizes.query % self.score_heads:
            raise UsageError(
                f"size {sizes.query} does not split into {self.score_heads} heads",
                where="num_heads" if self.heads_of_backbone else "heads",
                remedy="make the hidden size a multiple of the heads",
            )
        #: K, size of what is scored: that of a memory state unless keys are projected.
        self.key_size = sizes.query if projects else sizes.memory
        self.score = self._make_score(score, sizes)
        self.window = window or Everywhere()
        self.normaliser = make_normaliser(self.heads, sizes.query, options)
        self.weights_kind = self.normaliser.weights_kind
        self.aggregation = aggregation or Expectation()
        self.gate = nn.Linear(sizes.query, 1) if gate else None
        self.query_projection = self.key_projection = None
        self.value_projection = self.output_projection = None
        if projects:
            self.context_size = sizes.query
            self.query_projection = _projection(sizes.query, sizes.query)
            shared = sizes.query // self.heads * self.groups
            self.key_projection = _projection(sizes.memory, shared)
            self.value_projection = _projection(sizes.memory, shared)
            self.output_projection = _projection(sizes.query, sizes.query)
        #: Relative positions, which only self-attention can have.
        self.positions: RelativePositions | None = None
        self.query_norm = self.key_norm = None
        self.head_output: HeadOutput | None = None
        if isinstance(options, HeadOptions):
            if options.query_key_norm != "none":
                norm = functools.partial(HeadNorm, options.query_key_norm, heads=self.score_heads)
                self.query_norm = norm(size=sizes.query, of_query=True)
                self.key_norm = norm(size=self.key_size, of_query=False)
            if options.differential or options.output_gate != "none":
                self.head_output = HeadOutput(sizes.query, self.context_size, self.heads, options)
        # The mean of values under normalised energies, and no more than that.
        simple = type(self).weigh is ScoredAttention.weigh and isinstance(
            self.aggregation, Expectation
        )
        #: Whether torch's scaled_dot_product_attention may compute the context, with a dot score.
        self.supports_sdpa = simple and self.window.only_masks and self.normaliser.supports_sdpa
        simple = simple and isinstance(self.window, Everywhere)
        self.keys_shared_across_beams = (
            simple and not self.goes_step_by_step and type(self).forward is ScoredAttention.forward
        )

    @classmethod
    def refusal(cls, score: str, backbone: Backbone) -> str | None:
        kind = scores.get(score)
        if backbone != "recurrent" and kind.reads:
            return f"{score} reads the weights of the step before, which takes a recurrent decoder"
        if kind.positional and cls.slots != {"cross"}:
            return f"{score} goes by places in the source, and self-attention looks at no source"
        return super().refusal(score, backbone)

    @classmethod
    def refusal_of_options(
        cls, options: AttentionOptions, score: str, backbone: Backbone
    ) -> str | None:
        normaliser = normalisers.get(options.normaliser, where="normaliser")
        name = options.normaliser
        if isinstance(normaliser, StepwiseNormaliser):
            if backbone != "recurrent":
                return f"{name} remembers past weights, which takes a recurrent decoder"
            if cls.slots != {"cross"}:
                return f"{name} remembers past weights; not all slots go step by step"
            if cls.normalises_apart:
                return f"{name} remembers past weights; this normalises several times a step"
        kind = weights_kind(options)
        if kind != "distribution" and (cls.normalises_apart or cls.samples):
            return f"it needs weights that are a distribution; with these options they are {kind}"
        if getattr(options, "coverage_start", 0) and not getattr(options, "coverage_loss", 0):
            return "coverage_start says when coverage_loss begins, which is 0"
        if isinstance(options, ScoreOptions):
            if options.energy_factor != 1 and not cls.normalises:
                return "energy_factor multiplies energies before a normaliser, and it has none"
            reason = cls._refusal_of_guidance(options, kind)
            if reason:
                return reason
        if isinstance(options, HeadOptions):
            return refusal_of_heads(options, score)
        return None

    @classmethod
    def _refusal_of_guidance(cls, options: ScoreOptions, kind: WeightsKind) -> str | None:
        """Why the guided attention loss of these options cannot train weights of this kind, or
        None."""
        if not options.guided_loss:
            if options.guided_width == ScoreOptions.model_fields["guided_width"].default:
                return None
            return "guided_width is the width of the diagonal of guided_loss, which is 0"
        if "cross" not in cls.slots:
            return "guided_loss trains attention to the source, and this is attention to oneself"
        if cls.samples:
            return "guided_loss trains weights, and no gradient passes those of drawn positions"
        if kind == "signed":
            return "guided_loss would reward negative weights, which these options allow"
        return None

    @classmethod
    def takes_given_weights(cls) -> bool:
        ours = (ScoredAttention.forward, ScoredAttention._attend, ScoredAttention.weigh)
        return (cls.forward, cls._attend, cls.weigh) == ours

    @classmethod
    def count_heads(cls, sizes: Sizes, options: AttentionOptions) -> int:
        """Number of heads of a mechanism with these sizes and options."""
        heads: int = sizes.heads if cls.heads_of_backbone else getattr(options, "heads", 1)
        return heads

    def _make_score(self, name: str, sizes: Sizes) -> Score:
        kind = scores.get(name, where="score")
        return kind.build(sizes.query, self.key_size, self.score_heads, self.options)

    def start_equal(self) -> None:
        """Let queries and keys start with one orthogonal projection, where they are of one size.

        The energy of a query and a key is then their similarity: equal vectors find each other from
        the first step, which a model otherwise learns from many examples (Trockman 2023, section 4:
        the product of both matrices of a trained layer is near the identity).
        """
        query, key = self.query_projection, self.key_projection
        if query is None or key is None or query.weight.shape != key.weight.shape:
            return
        nn.init.orthogonal_(query.weight)
        with torch.no_grad():
            key.weight.copy_(query.weight)

    def project_query(self, query: Tensor) -> Tensor:
        """What is compared with keys: the query, projected where there are several heads."""
        if self.query_projection is not None:
            query = self.query_projection(query)
        return query if self.query_norm is None else self.query_norm(query)

    def project_key(self, states: Tensor) -> Tensor:
        """What queries are compared with: the states ...,D, projected where there are several
        heads."""
        if self.key_projection is not None:
            projected = self.key_projection(states)
            states = share_groups(projected, self.groups, self.heads)
        return states if self.key_norm is None else self.key_norm(states)

    def project_value(self, values: Tensor) -> Tensor:
        """What is averaged: the values ...,D, projected where there are several heads."""
        if self.value_projection is None:
            return values
        return share_groups(self.value_projection(values), self.groups, self.heads)

    @property
    def reads(self) -> frozenset[Remembered]:
        """What a step reads of the weights of the steps before; may differ between training and
        evaluation."""
        return self.score.reads | self.window.reads

    @property
    def goes_step_by_step(self) -> bool:
        """Whether a query needs what the one before it left."""
        return bool(self.stepwise or self.reads) or isinstance(self.normaliser, StepwiseNormaliser)

    def prepare(self, memory: Memory) -> Keys:
        # Padding is zeroed once, so that nothing it holds (NaN included) reaches a product.
        states = zero_padding(memory.states, memory.mask)
        values = states if memory.values is None else zero_padding(memory.values, memory.mask)
        tensors = {**self._project(states, values), "mask": memory.mask[:, None, None]}  # B,1,1,S
        return Keys(memory, {**tensors, **self.window.prepare(memory)})

    def extend(self, keys: Keys | None, states: Tensor) -> Keys:
        first = 0 if keys is None else keys.tensors["keys"].shape[2]
        new = self._project(states, states, first)
        if keys is None:
            mask = torch.ones(states.shape[:2], dtype=torch.bool, device=states.device)
            return Keys(Memory(states, mask, states[:, 0]), new)
        old = keys.tensors
        tensors = {name: torch.cat([old[name], new[name]], 2) for name in new}  # B,H,S+N,K
        if "mask" in old:
            real = old["mask"].new_ones(len(states), 1, 1, states.shape[1])
            tensors["mask"] = torch.cat([old["mask"], real], -1)
        return Keys(keys.memory, tensors)

    def _project(self, states: Tensor, values: Tensor, first: int = 0) -> dict[str, Tensor]:
        """Keys and values of states B,N,D, the first of which stands at position `first`."""
        keys = self.score.project_keys(self.project_key(states))
        return {
            "keys": keys if self.positions is None else self.positions.keys(keys, first),  # B,H,S,K
            "values": split_heads(self.project_value(values), self.heads),  # B,H,S,V
        }

    def initial_state(self, keys: Keys) -> AttentionState:
        tensors = dict(self.aggregation.initial_tensors(keys))
        dtype = keys.tensors["values"].dtype
        mask = keys.memory.mask
        tensors |= nothing_attended(self.score, self.reads, mask, self.heads, dtype)
        if isinstance(self.normaliser, StepwiseNormaliser):
            tensors |= self.normaliser.initial_tensors(keys.memory.mask, self.heads)
        return AttentionState(0, tensors)

    def forward(
        self, query: Tensor, keys: Keys, state: AttentionState, *, need_weights: bool = True
    ) -> AttentionOutput:
        mask = keys.tensors.get("mask")
        if self.causal:
            seen = causal_mask(query, keys.tensors["keys"].shape[2], state.position)
            mask = seen if mask is None else mask & seen
        if len(query) == len(keys.memory.mask):
            given = given_weights(keys.memory, state.position, query.shape[1])
            return self._attend(query, keys, state, mask, need_weights, given)
        assert self.keys_shared_across_beams and query.shape[1] == 1, (
            "each query has keys of its own"
        )
        # The A beams of each of N sentences attend as A positions of one target would.
        folded = query.reshape(len(keys.memory.mask), -1, query.shape[2])  # N,A,Q
        given = given_weights(keys.memory, state.position, 1)  # N,1,S
        found = self._attend(folded, keys, state, mask, need_weights, given)
        return AttentionOutput(
            found.context.flatten(0, 1)[:, None],
            AttentionState(state.position + 1, state.tensors),
            None if found.weights is None else found.weights.flatten(0, 1)[:, None],
            {name: part.flatten(0, 1)[:, None] for name, part in found.parts.items()},
        )

    def _attend(
        self,
        query: Tensor,
        keys: Keys,
        state: AttentionState,
        mask: Tensor | None,
        need_weights: bool,
        given: Tensor | None = None,
    ) -> AttentionOutput:
        """`forward` with the caller's mask (broadcastable to B,1,T,S) and given weights
        (broadcastable to B,T,S)."""
        steps = query.shape[1]
        if steps > 1 and self.goes_step_by_step:
            return self._step_by_step(query, keys, state, need_weights)
        # Where nothing stands between a product and its softmax, torch's kernel does it all.
        asked = self.project_query(query)  # B,T,Q
        if not need_weights and self.supports_sdpa and given is None:
            dot = self.score.as_dot(asked)  # B,H,T,K and a factor
            if dot is not None:
                vectors, factor = dot
                factor *= self.energy_factor
                mask = self.window(query, keys, state, mask).mask
                if self.positions is not None:
                    vectors, mask = self.positions.for_kernel(
                        vectors, factor, keys.tensors["keys"], mask, state.position
                    )
                context = sdpa_context(vectors, factor, keys, mask)  # B,T,C
                after = AttentionState(state.position + steps, state.tensors)
                return AttentionOutput(self.finish(context, query, keys), after)
        # Score: how well each query fits each key.
        if self.positions is None:
            energies = self.score(asked, keys.tensors["keys"], state.tensors)  # B,H,T,S
        else:
            energies = self.positions.energies(
                self.score, asked, keys.tensors["keys"], state.position
            )  # B,H,T,S
        energies = self.scaled(energies)
        # Window and normaliser.
        weighed = self.weigh(energies, query, keys, state, mask)  # B,H,T,S
        if given is not None:
            weighed = replace(weighed, weights=with_given(weighed.weights, given))
        # Aggregation: the context, and the weights that made it.
        if weighed.context is None:
            selected = self.aggregation(weighed.weights, keys.tensors["values"], state.tensors)
        else:
            selected = Selection(weighed.context, weighed.weights)
        context = selected.context  # B,T,C
        if self.positions is not None:
            span = Span(state.position, steps, selected.weights.shape[3])
            context = self.positions.add_context(context, selected.weights, span)
        # What the next step has to know.
        tensors = {**state.tensors, **weighed.tensors}
        if self.reads:
            last, real = selected.weights[:, :, -1], keys.memory.mask  # B,H,S and B,S
            tensors |= remember(self.score, self.reads, state.tensors, last, real)
        return AttentionOutput(
            self.finish(context, query, keys),
            AttentionState(state.position + steps, tensors),
            mean_over_heads(selected.weights) if need_weights else None,  # B,T,S
            {**weighed.parts, **per_head(selected.weights)} if need_weights else {},
            selected.sampled,
        )

    def scaled(self, energies: Tensor) -> Tensor:
        """The energies of a score, multiplied by the option `energy_factor`."""
        return energies if self.energy_factor == 1 else energies * self.energy_factor

    def weigh(
        self,
        energies: Tensor,
        query: Tensor,
        keys: Keys,
        state: AttentionState,
        mask: Tensor | None,
    ) -> AttentionWeights:
        """Turn energies B,H,T,S into weights: window, normaliser, gain."""
        window = self.window(query, keys, state, mask)
        if isinstance(self.normaliser, StepwiseNormaliser):
            weights, carried = self.normaliser.step(energies, window.mask, state.tensors)
            return AttentionWeights(window.apply_gain(weights), carried)
        return AttentionWeights(window.apply_gain(self.normaliser(energies, window.mask)))

    def finish(self, context: Tensor, query: Tensor, keys: Keys) -> Tensor:
        """Apply what comes after aggregation to the context B,T,C: what heads do with it, the
        projection of several heads and the gate, if any."""
        if self.head_output is not None:
            context = self.head_output(context, query)
        if self.output_projection is not None:
            context = self.output_projection(context)
        return context if self.gate is None else context * torch.sigmoid(self.gate(query))

    def _step_by_step(
        self, query: Tensor, keys: Keys, state: AttentionState, need_weights: bool
    ) -> AttentionOutput:
        """Attend query by query, where each needs the weights or other state of the one before.
        This is the only loop over queries."""
        outputs = []
        for step in query.split(1, dim=1):
            outputs.append(self.forward(step, keys, state, need_weights=need_weights))
            state = outputs[-1].state
        return join_steps(outputs)


def _projection(inputs: int, outputs: int) -> nn.Linear:
    layer = nn.Linear(inputs, outputs)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def given_weights(memory: Memory, position: int, count: int) -> Tensor | None:
    """The weights B,T,S given to `count` queries from number `position` on; rows of zeros after the
    last. None if the memory has none."""
    if memory.given is None:
        return None
    rows = memory.given[:, position : position + count]
    return F.pad(rows, (0, 0, 0, count - rows.shape[1]))


def with_given(weights: Tensor, given: Tensor) -> Tensor:
    """The weights B,H,T,S, with given ones B,T,S in their place wherever these are not all 0."""
    given = given[:, None].to(weights.dtype)  # B,1,T,S
    return torch.where((given != 0).any(-1, keepdim=True), given, weights)


def causal_mask(query: Tensor, size: int, position: int) -> Tensor:
    """Causal mask T,S: query t sees position s where s <= position + t."""
    steps = torch.arange(position, position + query.shape[1], device=query.device)
    return torch.arange(size, device=query.device) <= steps[:, None]


def sdpa_context(queries: Tensor, factor: float, keys: Keys, mask: Tensor | None) -> Tensor:
    """Context B,T,C by torch's kernel, which never forms the weights."""
    context = F.scaled_dot_product_attention(
        queries, keys.tensors["keys"], keys.tensors["values"], attn_mask=mask, scale=factor
    )
    return merge_heads(context)


def first_position(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """The "previous weights" of the first step, B,1,S: all on the first real position, as in the
    code of Chorowski 2015. (The paper does not say; others begin with uniform weights.)"""
    first = mask & (mask.cumsum(1) == 1)
    return first[:, None].to(dtype)


def nothing_attended(
    score: Score, reads: frozenset[Remembered], mask: Tensor, heads: int, dtype: torch.dtype
) -> dict[str, Tensor]:
    """What is read before the first step: previous weights B,H,S as `first_position` says, no
    coverage, and what the score keeps. The mask B,S says which positions are real."""
    tensors: dict[str, Tensor] = {}
    if "previous" in reads:
        tensors["previous"] = first_position(mask, dtype).expand(-1, heads, -1)
    if "coverage" in reads:
        tensors["coverage"] = torch.zeros_like(mask, dtype=dtype)[:, None].expand(-1, heads, -1)
    if "kept" in reads:
        tensors["kept"] = score.keep(None, first_position(mask, dtype).expand(-1, heads, -1), mask)
    return tensors


def remember(
    score: Score,
    reads: frozenset[Remembered],
    before: Mapping[str, Tensor],
    weights: Tensor,
    mask: Tensor,
) -> dict[str, Tensor]:
    """What is read after a step with the weights B,H,S over positions of which the mask B,S says
    which are real, given what was read at that step."""
    tensors: dict[str, Tensor] = {}
    if "previous" in reads:
        tensors["previous"] = weights
    if "coverage" in reads:
        tensors["coverage"] = before["coverage"] + weights
    if "kept" in reads:
        tensors["kept"] = score.keep(before["kept"], weights, mask)
    return tensors


def build_attention(
    attention: str | type[Attention],
    sizes: Sizes,
    score: str | None = None,
    options: AttentionOptions | None = None,
    backbone: Backbone | None = None,
) -> Attention:
    """Build the mechanism of that name or class.

    Args:
        score: name of the score; None for the mechanism's classic one. A mechanism without a score
            takes any name and ignores it.
        options: an instance of the mechanism's `Options`; None for their defaults.
        backbone: the family of models it stands in; None for that of its paper.

    Raises:
        UsageError: unknown names.
        NotApplicable: a score that the mechanism or the sizes refuse.
    """
    kind = attentions.get(attention) if isinstance(attention, str) else attention
    score = score_of(kind, score)
    options = kind.Options() if options is None else options
    family = backbone or kind.backbone
    reason = kind.refusal(score, family) or kind.refusal_of_options(options, score, family)
    if reason:
        raise NotApplicable(reason, where=f"{attention} with {score}")
    return kind(sizes, score, options)
