"""Every registered mechanism x valid score x normaliser conforms; broken ones are found out, with
messages that name the fault."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, ClassVar

import pytest
import torch
from attention_pairs import normalisers_of, valid_pairs
from torch import Tensor
from wrong_mechanisms import Detached, Fading, Tidying

from bench.attention.attention import ScoredAttention, build_attention
from bench.attention.base import (
    Attention,
    AttentionOptions,
    AttentionOutput,
    AttentionState,
    Keys,
    Memory,
    Sizes,
    Slot,
)
from bench.attention.conformance import CHECKS, SIZES, Finding, check_mechanism
from bench.attention.positions import KINDS
from bench.attention.registries import NO_SCORE, attentions, scores
from bench.errors import NotApplicable, UsageError

PAIRS = [(attention, score) for attention, score, reason in valid_pairs() if reason is None]

#: Mechanisms, one before and one after the decoder's step, with which every score meets weights
#: that are exactly 0. Otherwise normalisers change nothing that a score sees, and are tried with
#: the score of each mechanism's paper.
WITH_ZEROS = ("soft", "global")

#: Options under which other code runs than under the defaults.
VARIANTS: list[tuple[str, str, dict[str, Any]]] = [
    ("soft", "concat", {"gate": True}),
    ("soft", "concat", {"attention_size": 3}),
    ("soft", "scaled-dot", {"attention_size": 3}),
    ("local-p", "dot", {"attention_size": 3}),
    ("hierarchical", "dot", {"attention_size": 3}),
    ("hierarchical", "concat", {"segment_encoder": True}),
    ("hierarchical", "location-aware", {"segment_encoder": True}),
    ("self", "scaled-dot", {"attention_size": 3}),
    ("soft", "location-aware", {"location_filters": 2, "location_kernel": 3}),
    ("soft", "location-aware", {"location_cumulative": True}),
    ("hierarchical", "location-aware", {"heads": 2, "location_cumulative": True}),
    ("hierarchical", "location-aware-coverage", {"heads": 2, "location_kernel": 3}),
    ("soft", "location-aware-2d", {"heads": 2, "location_steps": 1}),
    ("soft", "location-aware-2d", {"location_steps": 3, "location_kernel": 1}),
    ("hierarchical", "location-aware-2d", {"heads": 2, "segment_encoder": True}),
    ("global", "location-aware-2d", {"heads": 2, "location_heads": "several-widths"}),
    ("soft", "location-aware-recurrent", {"heads": 2, "attention_size": 3}),
    ("hierarchical", "location-aware-recurrent", {"heads": 2, "segment_encoder": True}),
    ("self", "tanh-dot", {"attention_size": 3}),
    ("soft", "tanh-dot", {"heads": 2}),
    ("global", "coverage", {"heads": 2, "coverage_fertility": 2.0}),
    ("hierarchical", "coverage", {"coverage_fertility": 2.0, "segment_encoder": True}),
    ("soft", "dynamic-convolution", {"heads": 2, "location_filters": 2, "prior_length": 1}),
    ("hierarchical", "dynamic-convolution", {"segment_encoder": True}),
    ("soft", "location", {"heads": 2, "source_positions": 7}),
    ("local-p", "location", {"window": 1}),
    ("hard", "concat", {"gate": True, "estimator": "gumbel"}),
    ("local-m", "general", {"window": 1}),
    ("local-m", "concat", {"window": 1}),
    ("local-p", "general", {"window": 1}),
    ("local-p", "concat", {"window": 1}),
    ("local-p", "general", {"renormalise": False, "window": 1}),
    ("local-p", "location-aware", {"window": 2}),
    ("multi-step", "dot", {"scale_context": False}),
    *(("self", "scaled-dot", {"relative_positions": kind}) for kind in KINDS),
    ("self", "general", {"relative_positions": "shaw", "max_distance": 1}),
    ("self", "concat", {"relative_positions": "t5"}),
    ("self", "scaled-dot", {"relative_positions": "rope", "attention_size": 4, "window": 1}),
    ("self", "scaled-dot", {"window": 1, "global_positions": 1}),
    ("linear", "dot", {"attention_size": 4}),
    ("performer", "scaled-dot", {"random_features": 5}),
    ("nystrom", "scaled-dot", {"landmarks": 2, "pinv_iterations": 3}),
    ("nystrom", "scaled-dot", {"landmarks": 2, "value_kernel": 3}),
    ("self", "scaled-dot", {"normaliser": "sparsemax", "relative_positions": "transformer-xl"}),
    ("diagonal", "none", {"window": 1, "gaussian": False}),
    ("synthesizer", "none", {"synthesizer": "random"}),
    ("average", "none", {"average_ffn_dim": 3}),
    *(
        (name, kind.classic_score, {"heads": 2})
        for name, kind in attentions.items()
        if "heads" in kind.Options.model_fields
    ),
    ("soft", "location-aware", {"heads": 2}),
    ("gaussian-mixture", "none", {"components": 1, "version": "v1"}),
    ("gaussian-mixture", "none", {"components": 3, "version": "v2"}),
    ("forward", "concat", {"transition_agent": True}),
    ("forward", "location-aware", {"transition_agent": True, "heads": 2, "reach": 3}),
    ("monotonic", "concat", {"hard_at_test": False}),
    ("monotonic", "concat", {"hard_at_test": False, "heads": 2}),
    ("monotonic", "location-aware", {"hard_at_test": False, "bias": 1.0}),
    ("mocha", "concat", {"hard_at_test": False, "heads": 2}),
    ("mocha", "location-aware", {"hard_at_test": False, "chunk": 9}),
    ("mocha", "concat", {"chunk": 1, "bias": 3.0}),
    ("stepwise-monotonic", "dot", {"hard_at_test": False, "heads": 2}),
    ("stepwise-monotonic", "location-aware", {"hard_at_test": False}),
    ("hierarchical", "location-aware", {"heads": 2, "segment_encoder": True}),
    ("soft", "location-aware", {"heads": 2, "location_heads": "own"}),
    ("soft", "location-aware", {"heads": 2, "location_heads": "several-widths"}),
    ("self", "scaled-dot", {"key_value_heads": 1}),
    ("hierarchical", "concat", {"heads": 2, "key_value_heads": 1, "segment_encoder": True}),
    ("self", "dot", {"query_key_norm": "l2"}),
    ("local-m", "general", {"query_key_norm": "rms", "heads": 2}),
    ("global", "dot", {"query_key_norm": "rms"}),
    ("self", "scaled-dot", {"talking_heads": True}),
    ("soft", "concat", {"talking_heads": True, "heads": 2, "sink": True}),
    ("self", "scaled-dot", {"sink": True, "normaliser": "alpha-entmax"}),
    ("local-p", "general", {"sink": True, "renormalise": False, "window": 1}),
    ("self", "scaled-dot", {"output_gate": "head"}),
    ("hard", "concat", {"output_gate": "element"}),
    ("multi-step", "scaled-dot", {"differential": True}),
    ("local-m", "general", {"differential": True, "output_gate": "head", "sink": True}),
    ("global", "general", {"normaliser": "alpha-entmax", "heads": 2}),
    ("soft", "concat", {"normaliser": "constrained-softmax", "heads": 2, "fertility": 0.6}),
    ("local-m", "general", {"normaliser": "constrained-sparsemax", "fertility": 0.5, "window": 1}),
    ("global", "general", {"normaliser": "top-k", "top_k": 2}),
    ("soft", "location-aware", {"energy_factor": 2.0}),
    ("self", "scaled-dot", {"energy_factor": 2.0}),
    ("self", "scaled-dot", {"energy_factor": 0.5, "relative_positions": "t5"}),
    ("local-p", "general", {"energy_factor": 2.0, "window": 1}),
    ("hierarchical", "concat", {"energy_factor": 2.0}),
    ("mocha", "concat", {"energy_factor": 2.0, "hard_at_test": False}),
    ("nystrom", "scaled-dot", {"energy_factor": 2.0, "landmarks": 2}),
]

#: Mechanisms that decide at test.
DECIDING = ("hard", "monotonic", "mocha", "stepwise-monotonic")


def failures(findings: list[Finding]) -> list[str]:
    return [f"{finding.name}: {finding.message}" for finding in findings if not finding.passed]


CONFORMING = [
    (attention, score, normaliser)
    for attention, score in PAIRS
    for normaliser in normalisers_of(attention)
    if normaliser == "softmax"
    or score == attentions.get(attention).classic_score
    or (normaliser == "sparsemax" and attention in WITH_ZEROS)
]


@pytest.mark.parametrize(("attention", "score", "normaliser"), CONFORMING)
def test_registered_mechanisms_conform(attention: str, score: str, normaliser: str) -> None:
    kind = attentions.get(attention)
    findings = check_mechanism(kind, score, options=kind.Options(normaliser=normaliser))
    assert [finding.name for finding in findings] == list(CHECKS)
    assert not failures(findings)


@pytest.mark.parametrize(("attention", "score", "options"), VARIANTS)
def test_options_keep_mechanisms_conforming(
    attention: str, score: str, options: dict[str, Any]
) -> None:
    kind = attentions.get(attention)
    assert not failures(check_mechanism(kind, score, options=kind.Options(**options)))


@pytest.mark.parametrize("slot", ["encoder", "decoder"])
@pytest.mark.parametrize(
    ("attention", "score", "options"),
    [one for one in VARIANTS if one[0] in ("self", "linear", "performer")],
)
def test_options_of_self_attention_conform_in_its_own_slots(
    attention: str, score: str, options: dict[str, Any], slot: Slot
) -> None:
    kind, sizes = attentions.get(attention), replace(SIZES, slot=slot)
    assert not failures(check_mechanism(kind, score, options=kind.Options(**options), sizes=sizes))


@pytest.mark.parametrize(("attention", "score"), PAIRS)
def test_queries_and_states_of_different_sizes(attention: str, score: str) -> None:
    sizes = Sizes(query=6, memory=8, heads=3)
    kind = attentions.get(attention)
    if not kind.heads_of_backbone and score != NO_SCORE and scores.get(score).refusal(6, 8):
        with pytest.raises(NotApplicable, match="needs equal sizes"):
            check_mechanism(kind, score, sizes=sizes)
    else:
        assert not failures(check_mechanism(kind, score, sizes=sizes))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize(("attention", "score"), PAIRS)
def test_other_precisions(attention: str, score: str, dtype: torch.dtype) -> None:
    """The context is near that of float64, and rows sum to 1 as nearly as the dtype allows."""
    module = build_attention(attention, Sizes(6, 6, heads=2), score).double().eval()
    states = torch.randn(2, 9, 6, dtype=torch.float64)
    mask = torch.arange(9) < torch.tensor([[9], [5]])
    memory = Memory(states, mask, states[:, 0])
    query = torch.randn(2, 3, 6, dtype=torch.float64)
    keys = module.prepare(memory)
    exact = module(query, keys, module.initial_state(keys))
    module = module.to(dtype)
    memory = replace(memory, states=states.to(dtype), summary=memory.summary.to(dtype))
    keys = module.prepare(memory)
    rough = module(query.to(dtype), keys, module.initial_state(keys))
    assert rough.context.dtype == dtype
    loose = 0.1 if dtype == torch.bfloat16 else 1e-5
    if attention not in DECIDING:  # a decision may fall on the other side
        torch.testing.assert_close(rough.context.double(), exact.context, atol=loose, rtol=loose)
    if rough.weights is not None and module.weights_kind == "distribution":
        sums = rough.weights.double().sum(-1)
        if module.weights_kind == "distribution":
            torch.testing.assert_close(sums, torch.ones_like(sums), atol=loose / 5, rtol=0)
        assert (rough.weights.masked_select(~mask[:, None]) == 0).all()


@pytest.mark.parametrize(("attention", "score"), PAIRS)
def test_autocast(attention: str, score: str) -> None:
    module = build_attention(attention, Sizes(6, 6, heads=2), score)
    mask = torch.arange(5) < torch.tensor([[5], [2]])
    states = torch.randn(2, 5, 6, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        keys = module.prepare(Memory(states, mask, states.mean(1)))
        result = module(torch.randn(2, 3, 6), keys, module.initial_state(keys))
    inputs = [states, *module.parameters()]
    gradients = torch.autograd.grad(result.context.float().sum(), inputs, allow_unused=True)
    for tensor in (result.context, *gradients):
        assert tensor is None or torch.isfinite(tensor).all()


class Leaky(ScoredAttention):
    """Forgets the mask of the memory."""

    def forward(
        self, query: Tensor, keys: Keys, state: AttentionState, *, need_weights: bool = True
    ) -> AttentionOutput:
        return self._attend(query, keys, state, None, need_weights)


class Unnormalised(ScoredAttention):
    """Its weights sum to 2."""

    def weigh(self, *args: Any) -> Any:
        weighed = super().weigh(*args)
        return replace(weighed, weights=2 * weighed.weights)


class Negative(ScoredAttention):
    """Its rows sum to 1 with weights below 0."""

    def weigh(self, *args: Any) -> Any:
        weighed = super().weigh(*args)
        shift = torch.zeros_like(weighed.weights)
        shift[..., 0] = -3.0
        return replace(weighed, weights=weighed.weights * 4 + shift)


class Coupled(ScoredAttention):
    """Centres its queries on the mean of the batch."""

    def forward(self, query: Tensor, *args: Any, **kwargs: Any) -> AttentionOutput:
        return super().forward(query - query.mean(0), *args, **kwargs)


class Remembering(ScoredAttention):
    """Adds the context of the call before, kept on the module."""

    def forward(self, *args: Any, **kwargs: Any) -> AttentionOutput:
        result = super().forward(*args, **kwargs)
        before = getattr(self, "before", 0.0)
        self.before = result.context.detach().mean().item()
        return replace(result, context=result.context + before)


class Counting(ScoredAttention):
    """Counts its calls in a list; the result is right."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.calls: list[int] = []

    def forward(self, *args: Any, **kwargs: Any) -> AttentionOutput:
        self.calls.append(1)
        return super().forward(*args, **kwargs)


class Positionless(ScoredAttention):
    """Depends on the step, but does not count steps."""

    def forward(
        self, query: Tensor, keys: Keys, state: AttentionState, **kwargs: Any
    ) -> AttentionOutput:
        steps = torch.arange(query.shape[1])[:, None] + state.position
        return super().forward(query * (1 + steps), keys, AttentionState(), **kwargs)


class Approximate(ScoredAttention):
    """Gives another context where weights are not asked for."""

    def forward(self, *args: Any, need_weights: bool = True) -> AttentionOutput:
        result = super().forward(*args, need_weights=need_weights)
        return result if need_weights else replace(result, context=result.context.half().double())


class Stuck(ScoredAttention):
    """Its keys hold a tensor that is not batch-first."""

    def prepare(self, memory: Memory) -> Keys:
        keys = super().prepare(memory)
        return Keys(memory, {**keys.tensors, "mask": keys.tensors["mask"].transpose(0, -1)})

    def forward(
        self, query: Tensor, keys: Keys, state: AttentionState, *, need_weights: bool = True
    ) -> AttentionOutput:
        mask = keys.tensors["mask"].transpose(0, -1)
        return self._attend(query, keys, state, mask, need_weights)


class Misshapen(ScoredAttention):
    """Announces another size of context than it returns."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.context_size = 99


@pytest.mark.parametrize(
    ("kind", "caught"),
    [
        (Tidying, {"a call leaves its inputs as they were"}),
        (Fading, {"a call leaves its inputs as they were", "stepping equals the parallel pass"}),
        (Leaky, {"padding gets 0", "an example does not depend on its batch"}),
        (Unnormalised, {"weights are what is declared"}),
        (Negative, {"weights are what is declared"}),
        (Coupled, {"an example does not depend on its batch"}),
        (Remembering, {"state is explicit", "a call leaves the module as it was"}),
        (Counting, {"a call leaves the module as it was"}),
        (Detached, {"gradients agree with finite differences"}),
        (Positionless, {"stepping equals the parallel pass"}),
        (Approximate, {"with and without weights the same context"}),
        (Stuck, {"keys and state can be selected"}),
        (Misshapen, {"shapes"}),
    ],
)
def test_broken_mechanisms_are_found_out(kind: type[Attention], caught: set[str]) -> None:
    findings = check_mechanism(kind, "general")
    assert caught <= {finding.name for finding in findings if not finding.passed}
    for finding in findings:
        assert finding.message and "\n" not in finding.message


def test_a_mechanism_that_changes_its_inputs_fails_no_check_that_it_passes() -> None:
    failed = {finding.name for finding in check_mechanism(Tidying, "general") if not finding.passed}
    # Finite differences are taken along its inputs, which it changes.
    assert failed <= {
        "a call leaves its inputs as they were",
        "gradients agree with finite differences",
    }


def test_what_they_are_broken_from_conforms() -> None:
    assert not failures(check_mechanism(ScoredAttention, "general"))


class Unbuildable(ScoredAttention):
    def __init__(self, *args: Any) -> None:
        raise RuntimeError("no such\nluck")


def test_a_constructor_that_fails_is_a_finding() -> None:
    [finding] = check_mechanism(Unbuildable)
    assert (finding.name, finding.passed) == ("can be built", False)
    assert finding.message.startswith("RuntimeError: no such luck (at test_conformance.py:")


def test_scores_that_cannot_be_are_said_to_the_user() -> None:
    with pytest.raises(NotApplicable, match="no previous step"):
        check_mechanism(attentions.get("self"), "location-aware")
    with pytest.raises(UsageError, match="did you mean 'concat'"):
        check_mechanism(attentions.get("soft"), "concta")


def test_the_control_has_no_weights_and_passes() -> None:
    told = {finding.name: finding.message for finding in check_mechanism(attentions.get("none"))}
    assert told["weights are what is declared"] == told["padding gets 0"] == "has no weights"


def test_checking_leaves_the_random_state_alone() -> None:
    before = torch.get_rng_state()
    check_mechanism(attentions.get("soft"))
    assert torch.equal(before, torch.get_rng_state())


class OwnOptions(AttentionOptions):
    strength: float = 0.5


class MeanOfAll(Attention):
    """A third party's mechanism that shares nothing with ours but the interface."""

    Options: ClassVar[type[AttentionOptions]] = OwnOptions

    def prepare(self, memory: Memory) -> Keys:
        return Keys(memory, {"weights": memory.mask / memory.mask.sum(1, keepdim=True)})

    def forward(
        self, query: Tensor, keys: Keys, state: AttentionState, *, need_weights: bool = True
    ) -> AttentionOutput:
        T = query.shape[1]
        states = keys.memory.states.masked_fill(~keys.memory.mask[..., None], 0.0)
        weights = keys.memory.mask.to(states.dtype)
        weights = (weights / weights.sum(1, keepdim=True))[:, None].expand(-1, T, -1)
        shown = weights if need_weights else None
        return AttentionOutput(weights @ states, AttentionState(state.position + T), shown)


def test_a_mechanism_from_elsewhere_conforms() -> None:
    assert not failures(check_mechanism(MeanOfAll))


def message(kind: type[Attention], check: str) -> str:
    told = {finding.name: finding.message for finding in check_mechanism(kind, "general")}
    return told[check]


def test_what_was_changed_is_named() -> None:
    check = "a call leaves its inputs as they were"
    assert message(Tidying, check) == "prepare changes the memory's states in place"
    assert message(Fading, check) == "forward changes keys.tensors['values'] in place"


def test_a_wrong_gradient_is_told_without_its_tables_of_numbers() -> None:
    said = message(Detached, "gradients agree with finite differences")
    assert re.fullmatch(r"that of the queries is off by up to [0-9.e+-]+", said)


class Tuple(ScoredAttention):
    def forward(self, *args: Any, **kwargs: Any) -> Any:
        result = super().forward(*args, **kwargs)
        return result.context, result.weights


class Unprepared(ScoredAttention):
    def prepare(self, memory: Memory) -> Any:
        return memory.states


class Bare(ScoredAttention):
    def weigh(self, energies: Tensor, *more: Any) -> Any:
        return energies.softmax(-1)


def test_what_a_method_must_return_is_said() -> None:
    assert message(Tuple, "shapes") == "forward returns tuple; it must return AttentionOutput"
    assert message(Unprepared, "shapes") == "prepare returns Tensor; it must return Keys"


def test_an_error_is_told_with_the_line_that_it_came_through() -> None:
    said = message(Bare, "shapes")
    assert said.startswith(
        "AttributeError: 'Tensor' object has no attribute 'context' (at attention.py"
    )
    assert "weighed.context" in said


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"placement": "middle"}, "'middle', none of fixed, previous-state, current-state"),
        ({"Options": dict}, "must be a subclass of bench.attention.base.AttentionOptions"),
    ],
)
def test_class_attributes_that_cannot_be_are_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(TypeError, match=said):
        type("Wrong", (ScoredAttention,), wrong)


class Distances(ScoredAttention):
    """Self-attention in which a position counts the less the farther away it is (Press 2022)."""

    backbone = "transformer"
    slots = frozenset({"encoder", "decoder"})
    classic_score = "scaled-dot"

    def weigh(
        self, energies: Tensor, query: Tensor, keys: Keys, state: AttentionState, mask: Any
    ) -> Any:
        asking = torch.arange(energies.shape[2]) + self.first(state)
        distance = (asking[:, None] - torch.arange(energies.shape[3])).abs()
        return super().weigh(energies - distance, query, keys, state, mask)

    def first(self, state: AttentionState) -> int:
        return state.position


class Lost(Distances):
    """Counts every query from 0, so that it decodes otherwise than it was trained."""

    def first(self, state: AttentionState) -> int:
        return 0


def test_a_self_attention_of_ones_own_knows_its_position_in_a_real_decoder() -> None:
    assert not failures(check_mechanism(Distances))
    (found,) = (
        line for line in failures(check_mechanism(Lost)) if line.startswith("decoders of all")
    )
    assert "in a transformer decoder, at step 1, token by token, the features" in found


def test_what_cannot_stand_in_the_decoders_own_slot_is_found() -> None:
    class Plain(MeanOfAll):
        backbone = "transformer"
        slots = frozenset({"decoder"})

    assert [line for line in failures(check_mechanism(Plain)) if line.startswith("decoders of all")]
