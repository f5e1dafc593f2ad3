"""Conformance: the properties that every mechanism must have, ours and other people's.

`check_mechanism` builds a mechanism for small sizes and tries it on a small random batch. The
same checks run in `attnbench check package.module:Class` and in our tests.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.autograd import gradcheck
from torch.autograd.gradcheck import GradcheckError

from bench.attention import BACKBONES, Backbone
from bench.attention.attention import build_attention
from bench.attention.base import (
    Attention,
    AttentionOptions,
    AttentionOutput,
    AttentionState,
    Keys,
    Memory,
    Sizes,
    lengths_to_mask,
)
from bench.attention.registries import score_of
from bench.errors import UsageError

#: Real positions of each example: the whole width, less, and one only.
LENGTHS = (7, 4, 1)
STEPS = 4
#: Vocabulary of the decoders that a mechanism is tried in; 0 is padding.
TOKENS = 9


@dataclass(frozen=True)
class Batch:
    """A small random batch: queries B,T,Q and the memory they attend to, all in float64."""

    query: Tensor
    memory: Memory


def random_batch(sizes: Sizes) -> Batch:
    """Draw examples of different lengths, with segments, from torch's default generator."""
    B, S = len(LENGTHS), max(LENGTHS)
    mask = lengths_to_mask(torch.tensor(LENGTHS), S)
    memory = Memory(
        states=torch.randn(B, S, sizes.memory, dtype=torch.float64),
        mask=mask,
        summary=torch.randn(B, sizes.memory, dtype=torch.float64),
        segments=(torch.arange(S) // 3).expand(B, S),
    )
    return Batch(torch.randn(B, STEPS, sizes.query, dtype=torch.float64), memory)


def with_padding(memory: Memory, content: float, segment: int) -> Memory:
    """Replace states and segments under the memory's padding."""
    padding = ~memory.mask
    segments = memory.segments
    return replace(
        memory,
        states=memory.states.masked_fill(padding[..., None], content),
        segments=None if segments is None else segments.masked_fill(padding, segment),
    )


def alone(batch: Batch, example: int) -> Batch:
    """Take one example out of the batch, without its padding."""
    one = batch.memory.select(torch.tensor([example]))
    length = int(one.lengths[0])
    memory = replace(
        one,
        states=one.states[:, :length],
        mask=one.mask[:, :length],
        segments=None if one.segments is None else one.segments[:, :length],
    )
    return Batch(batch.query[example : example + 1], memory)


# The checks. Each returns a line on what it saw, or raises AssertionError saying what is wrong.

TOLERANCE = 1e-9  # in float64
NO_WEIGHTS = "has no weights"

T = TypeVar("T")


@dataclass(frozen=True)
class Bench:
    """A mechanism in float64 and evaluation mode, with the batch it is checked on and what it was
    built from."""

    module: Attention
    batch: Batch
    sizes: Sizes
    score: str
    options: AttentionOptions

    @property
    def weighs(self) -> bool:
        return self.module.placement != "fixed"

    def attend(self, batch: Batch, *, need_weights: bool = True) -> AttentionOutput:
        """Attend with all queries at once."""
        keys = prepare(self.module, batch.memory)
        return attend(self.module, batch.query, keys, need_weights=need_weights)


def prepare(module: Attention, memory: Memory) -> Keys:
    return _of_kind(Keys, module.prepare(memory), "prepare")


def attend(
    module: Attention,
    query: Tensor,
    keys: Keys,
    state: AttentionState | None = None,
    *,
    need_weights: bool = True,
) -> AttentionOutput:
    if state is None:
        state = _of_kind(AttentionState, module.initial_state(keys), "initial_state")
    result = module(query, keys, state, need_weights=need_weights)
    return _of_kind(AttentionOutput, result, "forward")


def _of_kind(kind: type[T], thing: Any, method: str) -> T:
    found = type(thing).__name__
    assert isinstance(thing, kind), f"{method} returns {found}; it must return {kind.__name__}"
    return thing


def _weights(bench: Bench) -> Tensor:
    weights = bench.attend(bench.batch).weights
    assert weights is not None, "weights were asked for and are None"
    return weights


def check_shapes(bench: Bench) -> str:
    B, T, _ = bench.batch.query.shape
    S = bench.batch.memory.mask.shape[1]
    result = bench.attend(bench.batch)
    expected = (B, T, bench.module.context_size)
    shape = tuple(result.context.shape)
    assert shape == expected, f"the context is {shape}, B,T,context_size is {expected}"
    assert result.state.position == T, f"after {T} steps position is {result.state.position}"
    matrices = {**result.parts}
    if bench.weighs:
        assert result.weights is not None, "weights were asked for and are None"
        matrices["weights"] = result.weights
    for name, matrix in matrices.items():
        shape = tuple(matrix.shape)
        assert shape == (B, T, S), f"{name} is {shape}, B,T,S is {(B, T, S)}"
    return f"context {expected}"


def check_weights_kind(bench: Bench) -> str:
    if not bench.weighs:
        return NO_WEIGHTS
    kind, weights = bench.module.weights_kind, _weights(bench)
    assert bool(weights.isfinite().all()), "weights are not finite"
    low, sums = weights.min().item(), weights.sum(-1)
    assert kind == "signed" or low >= 0, f"the smallest weight of a {kind} is {low:.3g}"
    if kind == "distribution":
        off = (sums - 1).abs().max().item()
        assert off < TOLERANCE, f"rows of a distribution are off 1 by up to {off:.3g}"
    if kind == "sub-distribution":
        most = sums.max().item()
        assert most < 1 + TOLERANCE, f"a row of a sub-distribution sums to {most:.6g}"
    return f"{kind}: rows sum to {sums.min().item():.4g} to {sums.max().item():.4g}"


def check_padding_is_zero(bench: Bench) -> str:
    if not bench.weighs:
        return NO_WEIGHTS
    padding = ~bench.batch.memory.mask[:, None].expand_as(_weights(bench))
    most = _weights(bench)[padding].abs().max().item()
    assert most == 0, f"padding gets a weight of {most:.3g}"
    return "exactly 0"


def check_padding_changes_nothing(bench: Bench) -> str:
    plain = bench.attend(bench.batch)
    for content, segment in ((1e6, 99), (-1e6, -3)):
        memory = with_padding(bench.batch.memory, content, segment)
        other = bench.attend(replace(bench.batch, memory=memory))
        _same(plain.context, other.context, f"with {content:g} as padding the context")
        if plain.weights is not None and other.weights is not None:
            _same(plain.weights, other.weights, f"with {content:g} as padding the weights")
    return "padding of 1e6 and -1e6"


def check_batch_independence(bench: Bench) -> str:
    together = bench.attend(bench.batch)
    for example, length in enumerate(bench.batch.memory.lengths.tolist()):
        single = bench.attend(alone(bench.batch, example))
        label = f"example {example}, alone and without padding: the"
        _same(together.context[example], single.context[0], f"{label} context")
        if together.weights is not None and single.weights is not None:
            real = together.weights[example, :, :length]
            _same(real, single.weights[0], f"{label} weights")
    return f"lengths {bench.batch.memory.lengths.tolist()}"


def check_stepping(bench: Bench) -> str:
    keys = prepare(bench.module, bench.batch.memory)
    whole = attend(bench.module, bench.batch.query, keys)
    state = bench.module.initial_state(keys)
    for t, query in enumerate(bench.batch.query.split(1, dim=1)):
        step = attend(bench.module, query, keys, state)
        state = step.state
        _same(whole.context[:, t], step.context[:, 0], f"at step {t} the context")
        if whole.weights is not None and step.weights is not None:
            _same(whole.weights[:, t], step.weights[:, 0], f"at step {t} the weights")
    return f"{bench.batch.query.shape[1]} steps"


def check_two_parts(bench: Bench) -> str:
    keys = prepare(bench.module, bench.batch.memory)
    whole = attend(bench.module, bench.batch.query, keys)
    head = attend(bench.module, bench.batch.query[:, :2], keys)
    tail = attend(bench.module, bench.batch.query[:, 2:], keys, head.state)
    joined = torch.cat([head.context, tail.context], 1)
    _same(whole.context, joined, "in two parts the context")
    return "2 steps, then the rest"


def check_without_weights(bench: Bench) -> str:
    plain = bench.attend(bench.batch)
    fast = bench.attend(bench.batch, need_weights=False)
    _same(plain.context, fast.context, "without weights the context")
    assert fast.weights is None, "weights were not asked for and are given"
    return "same context"


def check_explicit_state(bench: Bench) -> str:
    order = torch.arange(len(bench.batch.query)).flip(0)
    first = bench.batch
    second = Batch(bench.batch.query.flip(1)[order], bench.batch.memory.select(order))
    apart = [bench.attend(one).context for one in (first, second)]
    keys = [prepare(bench.module, one.memory) for one in (first, second)]
    states = [bench.module.initial_state(one) for one in keys]
    for t in range(first.query.shape[1]):
        for which, one in enumerate((first, second)):
            step = attend(bench.module, one.query[:, t : t + 1], keys[which], states[which])
            states[which] = step.state
            label = f"interleaved with another batch, at step {t}, the context"
            _same(apart[which][:, t], step.context[:, 0], label)
    return "two batches interleaved"


def check_select(bench: Bench) -> str:
    index = torch.tensor([2, 0, 0, 1])
    keys = prepare(bench.module, bench.batch.memory)
    begun = attend(bench.module, bench.batch.query[:, :2], keys)
    rest = bench.batch.query[:, 2:]
    whole = attend(bench.module, rest, keys, begun.state)
    chosen = attend(bench.module, rest[index], keys.select(index), begun.state.select(index))
    _same(whole.context[index], chosen.context, "after select the context")
    return f"rows {index.tolist()}"


def check_no_side_effects(bench: Bench) -> str:
    before = _snapshot(bench.module)
    bench.attend(bench.batch)
    bench.attend(bench.batch, need_weights=False)
    after = _snapshot(bench.module)
    changed = sorted(name for name in before | after if before.get(name) != after.get(name))
    assert not changed, f"a call changes {', '.join(changed)}"
    return f"{len(before)} attributes"


def check_inputs_stay(bench: Bench) -> str:
    query, memory = bench.batch.query, bench.batch.memory
    held = {f"the memory's {name}": one for name, one in vars(memory).items()}
    held = {name: one for name, one in held.items() if isinstance(one, Tensor)}
    held["the queries"] = query
    before = {name: tensor.clone() for name, tensor in held.items()}
    keys = prepare(bench.module, memory)
    _unchanged(before, held, "prepare")
    state = bench.module.initial_state(keys)
    for kind, tensors in (("keys", keys.tensors), ("state", state.tensors)):
        held |= {f"{kind}.tensors['{name}']": tensor for name, tensor in tensors.items()}
    before = {name: tensor.clone() for name, tensor in held.items()}
    for need_weights in (True, False):
        attend(bench.module, query, keys, state, need_weights=need_weights)
        _unchanged(before, held, "forward")
    return f"{len(held)} tensors"


def _unchanged(before: Mapping[str, Tensor], now: Mapping[str, Tensor], call: str) -> None:
    changed = [name for name, tensor in before.items() if not torch.equal(tensor, now[name])]
    assert not changed, f"{call} changes {', '.join(changed)} in place"


def check_gradients(bench: Bench) -> str:
    memory = bench.batch.memory
    whole = _Whole(bench.module, memory)
    parameters = dict(whole.named_parameters())
    inputs = (bench.batch.query, memory.states, memory.summary, *parameters.values())

    def context(query: Tensor, states: Tensor, summary: Tensor, *values: Tensor) -> Tensor:
        given = dict(zip(parameters, values, strict=True))
        result: Tensor = torch.func.functional_call(whole, given, (query, states, summary))
        return result

    leaves = tuple(value.detach().clone().requires_grad_() for value in inputs)
    names = ("the queries", "the memory's states", "its summary", *parameters)
    try:
        gradcheck(context, leaves, fast_mode=True)
    except GradcheckError as error:
        raise AssertionError(_of_gradients(str(error), names)) from error
    return f"queries, memory and {len(parameters)} parameters"


def _of_gradients(said: str, names: Sequence[str]) -> str:
    """Summarise the message of `gradcheck`, without its tables of numbers."""
    place = re.search(r"with respect to input (\d+)", said)
    if place is None:
        return said.split("\n")[0]
    off = re.search(r"max per-element difference \(slow mode\) is: ([0-9.e+-]+[0-9])", said)
    by = f" by up to {float(off[1]):.3g}" if off else ""
    return f"that of {names[int(place[1])].removeprefix('module.')} is off{by}"


def check_divergence(bench: Bench) -> str:
    """A model that diverges must end with a loss that is NaN. An exception would hide why, and an
    index made of NaN breaks the process on a GPU."""
    query, memory = torch.full_like(bench.batch.query, torch.nan), bench.batch.memory
    states, summary = (torch.full_like(one, torch.nan) for one in (memory.states, memory.summary))
    everything = replace(memory, states=states, summary=summary)
    for training in (True, False):
        bench.module.train(training)
        for need_weights in (True, False):
            bench.attend(Batch(query, memory), need_weights=need_weights)
            context = bench.attend(Batch(query, everything), need_weights=need_weights).context
            assert context.isnan().all(), "of NaN states and queries the context is not NaN"
    return "NaN stays NaN"


def check_backbones(bench: Bench) -> str:
    """Inside the decoder of every backbone that takes the mechanism, reading a target at once and
    token by token must give the same: a mechanism that counts on positions or on its slot shows
    there whether it knows them."""
    seen = []
    for backbone in BACKBONES:
        if type(bench.module).refusal(bench.score, backbone):
            continue
        _check_in(backbone, bench)
        seen.append(backbone)
    assert seen, "no backbone takes it"
    return ", ".join(seen)


def _check_in(backbone: Backbone, bench: Bench) -> None:
    from bench.models import AttentionChoice, build_decoder, build_encoder
    from bench.models.base import ModelConfig

    sizes = bench.sizes
    config = ModelConfig(
        embedding_dim=sizes.query,
        hidden_dim=sizes.query,
        encoder_layers=2,
        decoder_layers=2,
        num_heads=sizes.heads,
        ffn_dim=sizes.query,
    )
    choice = AttentionChoice(type(bench.module), bench.score, bench.options, backbone)
    encoder = build_encoder(choice, sizes.memory, config).double().eval()
    decoder = build_decoder(choice, encoder.output_size, TOKENS, config).double().eval()
    memory = bench.batch.memory
    memory = encoder(memory.states, memory.mask, memory.segments)
    tokens = torch.randint(1, TOKENS, (len(LENGTHS), STEPS))
    whole = decoder(tokens, memory, need_weights=True)
    if bench.module.needs_future:
        return  # reads whole texts only
    state = decoder.start(memory)
    for t, token in enumerate(tokens.unbind(1)):
        step, state = decoder.step(token, state)
        place = f"in a {backbone} decoder, at step {t}, token by token,"
        _same(whole.features[:, t], step.features[:, 0], f"{place} the features")
        if whole.weights is not None and step.weights is not None:
            _same(whole.weights[:, t], step.weights[:, 0], f"{place} the weights")


class _Whole(nn.Module):
    """Preparation and attention as one function of queries, states, summary and parameters."""

    def __init__(self, module: Attention, memory: Memory) -> None:
        super().__init__()
        self.module = module
        self.memory = memory

    def forward(self, query: Tensor, states: Tensor, summary: Tensor) -> Tensor:
        keys = prepare(self.module, replace(self.memory, states=states, summary=summary))
        return attend(self.module, query, keys).context


def _same(expected: Tensor, found: Tensor, what: str) -> None:
    assert expected.shape == found.shape, f"{what} is {tuple(found.shape)}"
    assert bool(torch.isfinite(found).all()), f"{what} is not finite"
    off = (expected - found).abs().max().item()
    assert off < TOLERANCE, f"{what} differs by {off:.3g}"


def _snapshot(module: nn.Module) -> dict[str, Any]:
    """Capture everything a module holds, in a form that can be compared later."""
    return {
        f"{path}.{name}".lstrip("."): _print_of(value)
        for path, part in module.named_modules()
        for name, value in vars(part).items()
        if name != "_modules"  # visited by name
    }


def _print_of(value: Any) -> Any:
    if isinstance(value, Tensor):
        return ("tensor", id(value), value._version, tuple(value.flatten().tolist()))
    if isinstance(value, Mapping):
        return {key: _print_of(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [_print_of(item) for item in value]
    return repr(value) if isinstance(value, int | float | str | bool) else id(value)


CHECKS: dict[str, Callable[[Bench], str]] = {
    "shapes": check_shapes,
    "weights are what is declared": check_weights_kind,
    "padding gets 0": check_padding_is_zero,
    "padding changes nothing": check_padding_changes_nothing,
    "an example does not depend on its batch": check_batch_independence,
    "stepping equals the parallel pass": check_stepping,
    "the parallel pass can be cut in two": check_two_parts,
    "with and without weights the same context": check_without_weights,
    "state is explicit": check_explicit_state,
    "keys and state can be selected": check_select,
    "a call leaves the module as it was": check_no_side_effects,
    "a call leaves its inputs as they were": check_inputs_stay,
    "gradients agree with finite differences": check_gradients,
    "divergence stays visible": check_divergence,
    "decoders of all backbones step as they read": check_backbones,
}


#: Small, and equal, so that every score can be tried; two heads for those that have any.
SIZES = Sizes(query=6, memory=6, heads=2)


@dataclass(frozen=True)
class Finding:
    """Outcome of one check: its name, whether it passed, and a line on what was seen."""

    name: str
    passed: bool
    message: str


def check_mechanism(
    kind: type[Attention],
    score: str | None = None,
    *,
    options: AttentionOptions | None = None,
    sizes: Sizes = SIZES,
    seed: int = 0,
) -> list[Finding]:
    """Run every check on a mechanism.

    It is built in float64 and tried in evaluation mode, where nothing is random. Torch's random
    state is left as it was.

    Args:
        score: name of the score; None for the mechanism's classic one.
        options: an instance of its `Options`; None for their defaults.

    Raises:
        UsageError: a score that is unknown.
        NotApplicable: a score that the mechanism refuses.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            module = build_attention(kind, sizes, score, options).double().eval()
        except UsageError:
            raise
        except Exception as error:
            return [Finding("can be built", False, _message(error))]
        score = score_of(kind, score)
        options = kind.Options() if options is None else options
        bench = Bench(module, random_batch(sizes), sizes, score, options)
        # A mechanism that changes what it is given must not change what other checks see.
        return [_finding(name, check, deepcopy(bench)) for name, check in CHECKS.items()]


def _finding(name: str, check: Callable[[Bench], str], bench: Bench) -> Finding:
    # A mechanism under test may fail in any way; each failure is a finding, not our crash.
    try:
        return Finding(name, True, check(bench))
    except Exception as error:
        return Finding(name, False, _message(error))


def _message(error: Exception) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, AssertionError) and text:
        return text
    return f"{type(error).__name__}: {text}{_place(error)}"


def _place(error: Exception) -> str:
    """Return file, line and text of the innermost line of Python outside torch in its traceback."""
    torchs = str(Path(torch.__file__).parent)
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if not frame.filename.startswith(torchs) and frame.line:
            return f" (at {Path(frame.filename).name}:{frame.lineno}, `{frame.line}`)"
    return ""
