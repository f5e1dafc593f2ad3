"""Search for the output of a decoder: what a search returns, how hypotheses are scored, and greedy
search. Beam search is in `bench.models.search.beam`.

Both searches are batched over sentences, decode with `decoder.step`, let sentences leave the batch
as they finish, and return the same `Hypotheses`. Run them on a model in evaluation mode.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeGuard

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.attention.base import Memory, lengths_to_mask
from bench.errors import UsageError
from bench.models.base import Decoder, select_rows
from bench.models.layers import VocabularyHead
from bench.models.losses import ALIGNMENT, LN_2, LOG2_E

#: Features B,T,F to logits B,T,V.
Head = Callable[[Tensor], Tensor]

PADDING = 0
#: Coverage of a source position counts as no less than this, so that one which was never
#: attended to (`hard`, sparse normalisers) costs much, not everything.
LEAST_COVERAGE = 1e-3


@dataclass(frozen=True)
class Hypotheses:
    """The result of a search: one output per sentence.

    Attributes:
        tokens: B,T int64, without the begin token, with the end token where it was reached,
            then 0.
        lengths: B int64, tokens of each row, the end token counted.
        log_probs: B, sums of log-probabilities of these tokens.
        scores: B, `log_probs` after length normalisation and coverage penalty, by which hypotheses
            are ranked.
        weights: B,T,S if asked for and the model attends; 0 after the end.
        parts: further B,T,S tensors by name, if asked for; 0 after the end.
    """

    tokens: Tensor
    lengths: Tensor
    log_probs: Tensor
    scores: Tensor
    weights: Tensor | None = None
    parts: Mapping[str, Tensor] = field(default_factory=dict)


def length_norm(length: Tensor, exponent: float) -> Tensor:
    """Divisor ((5 + |Y|) / 6) ** exponent of a log-probability (Wu 2016, equation 14)."""
    return ((5.0 + length) / 6.0) ** exponent


def coverage_term(coverage: Tensor, mask: Tensor, weight: float) -> Tensor:
    """Coverage penalty: weight x sum over source positions of log(min(coverage, 1)) (Wu 2016,
    equation 14).

    Args:
        coverage: ...,S summed attention weights of a hypothesis.
        mask: bool, broadcastable, True where a position is real.
    """
    logs = coverage.clamp(LEAST_COVERAGE, 1.0).log()
    return weight * torch.where(mask, logs, 0.0).sum(dim=-1)


def limits_of(max_length: int | Tensor, memory: Memory) -> Tensor:
    """Maximal length of each sentence, B int64, the end token counted.

    Raises:
        UsageError: a limit below 1.
    """
    rows, device = memory.mask.shape[0], memory.mask.device
    limits = torch.as_tensor(max_length, device=device, dtype=torch.int64).expand(rows)
    if int(limits.min()) < 1:
        raise UsageError(f"an output has at least one token, not {int(limits.min())}")
    return limits


def with_weights(
    found: Hypotheses, decoder: Decoder, memory: Memory, bos: int, *, parts: bool
) -> Hypotheses:
    """Add weights, and parts if wanted, to the hypotheses by one pass over all positions, which
    gives the same as the steps at a fraction of their cost."""
    tokens = found.tokens
    inputs = torch.cat((torch.full_like(tokens[:, :1], bos), tokens[:, :-1]), dim=1)
    decoded = decoder(inputs, memory, need_weights=True)
    if decoded.weights is None:
        return found
    after = ~lengths_to_mask(found.lengths, tokens.shape[1])[:, :, None]  # B,T,1
    wanted = decoded.parts if parts else {}
    return replace(
        found,
        weights=decoded.weights.masked_fill(after, 0.0),
        parts={name: part.masked_fill(after, 0.0) for name, part in wanted.items()},
    )


# Scores of the next token, at every step of a search.

#: Number of tokens in a column (about), of which only the best is looked at first.
COLUMN = 32
#: Rows of logits processed at once, so that they stay in a CPU's cache.
ROWS = 32
NEVER = float("-inf")


@dataclass(frozen=True)
class NextScores:
    """Log-probabilities of the next token of N hypotheses: `unit` x values - norms, in nats.

    Attributes:
        values: N,C*W, in C columns of the vocabulary (token t lies in column t mod W); -inf for
            forbidden tokens, and where there is no token.
        norms: N float64.
        unit: nats in one unit of the values.
        width: W.
        size: V, tokens; those from V on do not exist.
    """

    values: Tensor
    norms: Tensor
    unit: float
    width: int
    size: int

    def best(self) -> tuple[Tensor, Tensor]:
        """Return the N likeliest tokens with their log-probabilities in float64, these first."""
        values, tokens = self.values.max(dim=1)
        return values.double() * self.unit - self.norms, tokens


def columns(size: int) -> tuple[int, int]:
    """Return the tokens in a column and the number W of columns, for V tokens. Stretches of W
    tokens begin at aligned addresses, so that maxima of all columns are taken at the speed of
    memory."""
    width = ALIGNMENT * max(1, round(size / (COLUMN * ALIGNMENT)))
    return -(-size // width), width


class NextToken:
    """The head in one search, with buffers for all its steps, whose rows never become more.

    Raises:
        UsageError: the end token is forbidden.
    """

    def __init__(self, head: Head, forbidden: Sequence[int], eos: int) -> None:
        if eos in forbidden:
            raise UsageError("the end token cannot be forbidden")
        self._head = head
        self._forbidden = sorted(set(forbidden))
        self._never: Tensor | None = None
        self._product: _Product | None = None

    def __call__(self, features: Tensor) -> NextScores:
        """Return the scores after N,1,F features, valid until the next call.

        Without the forbidden tokens they are not normalised again: scores stay those of the model.
        """
        if self._never is None:
            self._never = torch.tensor(self._forbidden, dtype=torch.int64, device=features.device)
        if _is_plain_product(self._head, features):
            if self._product is None:
                self._product = _Product(self._head, len(features))
            found = self._product(features[:, 0])
        else:
            found = scores_of(self._head(features)[:, 0])
        found.values.index_fill_(-1, self._never, NEVER)
        return found


def scores_of(logits: Tensor) -> NextScores:
    """Scores from N,V logits of any head on any device."""
    if logits.dtype in (torch.bfloat16, torch.float16):
        logits = logits.float()
    height, width = columns(logits.shape[1])
    log_probs = torch.log_softmax(logits, dim=-1)
    padded = F.pad(log_probs, (0, height * width - logits.shape[1]), value=NEVER)
    norms = padded.new_zeros(len(padded), dtype=torch.float64)
    return NextScores(padded, norms, 1.0, width, logits.shape[1])


class _Product:
    """A head that is a matrix product, with a buffer for `rows` rows of logits. Logits are over
    ln 2: CPUs take powers of 2 in half the time of powers of e."""

    def __init__(self, head: VocabularyHead, rows: int) -> None:
        self._weight = head.projection.weight.t()  # F,V
        self._size = head.projection.out_features
        height, self._width = columns(self._size)
        bias = head.projection.bias * LOG2_E
        self._bias = F.pad(bias, (0, height * self._width - self._size), value=NEVER)
        self._logits = self._bias.new_zeros(rows, len(self._bias))
        self._powers = self._bias.new_empty(ROWS, len(self._bias))

    def __call__(self, features: Tensor) -> NextScores:
        rows = len(features)
        if rows > len(self._logits):
            self._logits = self._bias.new_zeros(rows, len(self._bias))
        logits = self._logits[:rows]
        product = logits[:, : self._size]
        torch.addmm(product, features, self._weight, beta=0, alpha=LOG2_E, out=product)
        norms = torch.cat([self._add_bias(part) for part in logits.split(ROWS)])
        return NextScores(logits, norms.double() * LN_2, LN_2, self._width, self._size)

    def _add_bias(self, logits: Tensor) -> Tensor:
        """Add the bias to rows of logits in place; return log2 of the sums of their powers of 2.
        Padding is included, since one stretch of memory is faster than rows."""
        highest = logits.add_(self._bias).amax(dim=1, keepdim=True)
        powers = torch.sub(logits, highest, out=self._powers[: len(logits)]).exp2_()
        return powers.sum(dim=1).log2() + highest[:, 0]


def _is_plain_product(head: Head, features: Tensor) -> TypeGuard[VocabularyHead]:
    """Whether the head is a matrix product in float32 on the CPU without gradients."""
    return (
        isinstance(head, VocabularyHead)
        and features.device.type == "cpu"
        and features.dtype == head.projection.weight.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
        and not torch.is_grad_enabled()
    )


#: Finished rows leave the batch once they are this share of it: copying the rest costs about as
#: much as a step.
WORTH_DROPPING = 0.25


@torch.no_grad()
def greedy_search(
    decoder: Decoder,
    head: Head,
    memory: Memory,
    *,
    bos: int,
    eos: int,
    max_length: int | Tensor,
    length_penalty: float = 1.0,
    forbidden: Sequence[int] = (),
    need_weights: bool = False,
    need_parts: bool = False,
) -> Hypotheses:
    """Decode B sentences, taking the likeliest token at every step.

    Args:
        decoder: in evaluation mode.
        head: features to logits over V tokens.
        memory: of B sentences.
        bos, eos: begin and end token.
        max_length: most tokens of an output, the end token counted; an int or B of them. An
            output that reaches it stays without its end.
        length_penalty: exponent of the normalisation in `scores`; changes no output.
        forbidden: tokens never produced (padding, unknown, begin).
        need_weights, need_parts: whether weights and parts are returned; parts come only with
            weights.

    Raises:
        UsageError: a limit below 1, or the end token forbidden.
    """
    assert not decoder.training, "search wants a model in evaluation mode"
    limits = limits_of(max_length, memory)
    following = NextToken(head, forbidden, eos)
    outputs = torch.full((len(limits), int(limits.max())), PADDING, device=limits.device)
    totals = torch.zeros(len(limits), device=limits.device, dtype=torch.float64)
    lengths = torch.zeros_like(limits)

    state = decoder.start(memory)
    rows = torch.arange(len(limits), device=limits.device)  # N, the sentence of every live row
    current = torch.full_like(rows, bos)
    done = torch.zeros_like(rows, dtype=torch.bool)
    for step in range(outputs.shape[1]):
        # The likeliest next token of every live row.
        decoded, state = decoder.step(current, state, need_weights=False)
        best, current = following(decoded.features).best()  # N
        outputs[rows, step] = torch.where(done, PADDING, current)
        totals[rows] += torch.where(done, 0.0, best)
        lengths[rows] += ~done
        done = done | (current == eos) | (limits[rows] <= step + 1)
        # Finished rows leave the batch, a few at a time.
        finished = int(done.sum())
        if finished == len(rows):
            break
        if finished >= WORTH_DROPPING * len(rows):
            keep = (~done).nonzero()[:, 0]
            rows, current, done = rows[keep], current[keep], done[keep]
            state = select_rows(state, keep)

    tokens = outputs[:, : step + 1]
    scores = totals / length_norm(lengths, length_penalty)
    found = Hypotheses(tokens, lengths, totals, scores)
    return with_weights(found, decoder, memory, bos, parts=need_parts) if need_weights else found
