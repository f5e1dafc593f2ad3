"""The additive score."""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Callable, Mapping
from typing import ClassVar, TypeAlias

import torch
from torch import Tensor, nn

from bench.attention.base import NOTHING, Score
from bench.attention.chunking import in_chunks
from bench.attention.heads import HeadLinear
from bench.attention.kernels import additive_in_tiles
from bench.attention.registries import scores

Additive: TypeAlias = Callable[[Tensor, Tensor, Tensor], Tensor]


@scores.register("concat")
class Concat(Score):
    """e = v . tanh(W [h ; s] + b) (Bahdanau 2015, appendix A.1.2; Luong 2015, equation 8).

    W is kept as two maps, W_q h + W_k s, so that keys are projected once. The attention size is
    that of a key unless `attention_size` says otherwise; per head where there are heads.
    """

    summary = "additive: a hidden layer over query and key"
    formula = "v . tanh(W [h ; s])"
    citation = "Bahdanau 2015"
    option_names: ClassVar[tuple[str, ...]] = ("attention_size",)

    #: How many times larger the first weights are than those of other projections.
    gain: ClassVar[float] = 6.0
    #: Mean size of the first offsets.
    offset: ClassVar[float] = 2.0

    def __init__(
        self, query_size: int, key_size: int, heads: int = 1, attention_size: int | None = None
    ) -> None:
        super().__init__(query_size, key_size, heads)
        size = attention_size or key_size // heads
        bound = 1 / math.sqrt(size)
        self.query = HeadLinear(query_size, size, heads, bias=False)
        self.key = HeadLinear(key_size, size, heads)
        self.vector = nn.Parameter(torch.empty(heads, size).uniform_(-bound, bound))
        self._start()

    def _start(self) -> None:
        """Initialise as a similarity.

        With small first weights tanh is nearly linear, the score is a sum of one term for the query
        and one for the key, and the softmax over keys cancels the first: attention starts out blind
        to the query. With W_q = -W_k, offsets of both signs and v of the same signs, the score
        starts as a bump, highest where query and key agree, as products do. Sizes that differ
        leave nothing to agree: their weights are only larger.
        """
        with torch.no_grad():
            for projection in (self.query, self.key):
                projection.weight.mul_(self.gain)
            if self.query.weight.shape != self.key.weight.shape:
                return
            self.query.weight.copy_(-self.key.weight)
            offsets = self.key.bias
            assert offsets is not None
            signs = torch.ones_like(offsets)  # H,A
            signs[:, 1::2] = -1.0
            offsets.copy_(signs * self.offset * (0.5 + torch.rand_like(offsets)))
            self.vector.copy_(signs * self.vector.abs())

    def project_keys(self, keys: Tensor) -> Tensor:
        projected: Tensor = self.key(keys)
        return projected  # B,H,S,A

    def forward(
        self, query: Tensor, projected: Tensor, remembered: Mapping[str, Tensor] = NOTHING
    ) -> Tensor:
        return additive(self.query(query), projected, self.vector)


#: Numbers of the hidden layer, B x H x T x S x A, from which tiles are faster than the written-out
#: formula, as measured on a CPU with the way back, for several queries.
TILES_FROM = 2**19
#: The same for a single query, whose tiles are no faster: from so many on, its hidden layer is not
#: kept for the way back but formed again. On a GPU the kernels serve from there.
STEP_FROM = 2**21
#: Where a GPU's kernels begin to serve several queries: below, the formula waits no longer for its
#: launches and needs little memory (an H100, there and back: 0.5 against 0.9 ms for 2**19 numbers,
#: equal at 2**23, 10 against 1.5 ms at 2**29).
KERNEL_FROM = 2**23


def additive(queries: Tensor, keys: Tensor, vector: Tensor) -> Tensor:
    """v . tanh(query + key) for all pairs: B,H,T,A and B,H,S,A and H,A to B,H,T,S.

    The hidden layer of all pairs, B,H,T,S,A, is formed where it is small. Otherwise a CPU forms it
    in tiles and a CUDA device in a kernel, both without keeping it; where neither can, pieces of it
    are formed again on the way back. The results agree to float tolerance.
    """
    if len(queries) != len(keys):  # one of them serves the whole batch
        batch = max(len(queries), len(keys))
        queries, keys = (one.expand(batch, -1, -1, -1) for one in (queries, keys))
    compute = _fastest(queries, keys, vector) or additive_written_out
    return compute(queries, keys, vector)


def additive_written_out(queries: Tensor, keys: Tensor, vector: Tensor) -> Tensor:
    """Same result as `additive`, from the formula in torch's operations."""

    def energies(rows: Tensor) -> Tensor:
        hidden = (rows.unsqueeze(-2) + keys.unsqueeze(-3)).tanh_()  # B,H,T,S,A
        if len(vector) == 1:
            return hidden @ vector[0]
        return torch.einsum("bhtsa,ha->bhts", hidden, vector)

    return in_chunks(energies, queries, dim=2, row_size=keys.numel())


def _fastest(queries: Tensor, keys: Tensor, vector: Tensor) -> Additive | None:
    """Choose an implementation that is faster than the formula written out or keeps less memory;
    None if the formula is best."""
    T, device = queries.shape[2], keys.device
    hidden = T * keys.numel()
    if torch._C._are_functorch_transforms_active():
        return None  # torch.func cannot differentiate a custom autograd function
    if device.type == "cuda" and hidden >= (STEP_FROM if T == 1 else KERNEL_FROM):
        return additive_kernel(device)
    if device.type == "cpu" and hidden >= (STEP_FROM if T == 1 else TILES_FROM):
        return additive_in_tiles
    return None


@functools.cache
def additive_kernel(device: torch.device) -> Additive | None:
    """Return the CUDA kernel, or None where Triton is missing or cannot compile it."""
    try:  # importing it takes most of a second, which only CUDA devices are worth
        from bench.attention.kernels.additive_triton import additive_by_kernel
    except ImportError:
        return None
    try:
        tried = [torch.ones(size, device=device) for size in ((1, 1, 1, 1), (1, 1, 1, 1), (1, 1))]
        additive_by_kernel(*tried)
    except Exception as error:  # no compiler, too old a device, ...
        warnings.warn(f"the additive score goes without its kernel: {error}", stacklevel=2)
        return None
    return additive_by_kernel
