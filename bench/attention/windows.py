"""Windows: which positions a query may look at, and how much each counts.

A window works in coordinates: one per position of a sequence (its place among the real ones),
two per cell of a picture (row and column). Around a centre p it lets positions through that are
at most `width` away along every axis; clamping the centre keeps it from being empty.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from bench.attention.base import AttentionState, Keys, Memory, Remembered, Window, WindowMask

#: Length ratios in here count as equal: the window then moves one position a step.
EQUAL_LENGTHS = (0.8, 1.25)


class MedianWindow(Window):
    """A window around the median of the weights of the step before, at test only (Chorowski 2015,
    section 2.3): keeps attention to an input longer than any in training from jumping.

    The window is symmetric, p - width to p + width; the paper's ends at p + width - 1. Positions of
    a picture are taken in raster order.

    Args:
        width: positions on either side of the median.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        assert width >= 1, "a narrower window could not move"
        self.width = width

    @property
    def reads(self) -> frozenset[Remembered]:
        return frozenset() if self.training else frozenset({"previous"})

    def prepare(self, memory: Memory) -> Mapping[str, Tensor]:
        return {"places": memory.mask.cumsum(1) - 1}  # B,S among the real positions

    def forward(
        self, query: Tensor, keys: Keys, state: AttentionState, mask: Tensor | None
    ) -> WindowMask:
        if self.training:
            return WindowMask(mask)
        previous = state.tensors["previous"].mean(1)  # B,S over heads
        reached = previous.cumsum(1) >= previous.sum(1, keepdim=True) / 2
        places = keys.tensors["places"]  # B,S
        median = places.gather(1, reached.long().argmax(1, keepdim=True))  # B,1
        inside = ((places - median).abs() <= self.width)[:, None, None]  # B,1,1,S
        return WindowMask(inside if mask is None else inside & mask)


class SlidingWindow(Window):
    """A window around a query's own position in self-attention (Beltagy 2020, sections 3.1):
    query t sees the positions t - width to t + width, of those that causality leaves.

    Positions with global attention, the first of a sequence, see all and are seen by all; the
    paper projects them by matrices of their own, here they share those of the others. Queries on
    padding count as on the last real position. What lies outside is masked: the window costs as
    much as none.

    Args:
        width: positions on either side (the paper's w is twice that).
        global_positions: how many positions have global attention.
    """

    only_masks = True

    def __init__(self, width: int, global_positions: int = 0) -> None:
        super().__init__()
        assert width >= 1, "a window of the position itself mixes nothing"
        self.width, self.global_positions = width, global_positions

    def prepare(self, memory: Memory) -> Mapping[str, Tensor]:
        return {"last": memory.lengths[:, None] - 1}  # B,1

    def forward(
        self, query: Tensor, keys: Keys, state: AttentionState, mask: Tensor | None
    ) -> WindowMask:
        first, T, S = state.position, query.shape[1], keys.tensors["values"].shape[2]
        asking = torch.arange(first, first + T, device=query.device)[None]  # 1,T
        if "last" in keys.tensors:  # keys that grew step by step are all real
            asking = torch.minimum(asking, keys.tensors["last"])  # B,T
        asked = torch.arange(S, device=query.device)
        inside = (asked - asking[..., None]).abs() <= self.width  # B,T,S
        if self.global_positions:
            everywhere = asking[..., None] < self.global_positions
            inside = inside | everywhere | (asked < self.global_positions)
        inside = inside[:, None]  # B,1,T,S
        return WindowMask(inside if mask is None else inside & mask)


class PointWindow(Window):
    """A window around a point.

    Args:
        width: D, positions on either side of the centre, at least 1.
        gaussian: whether weights fall off as exp(-|s - p|^2 / (2 sigma^2)), sigma = D/2
            (Luong 2015, equation 10).
        renormalise: whether weights under the Gaussian sum to 1 again. Equation 10 does not; its
            weights then sum to less than 1, and its context shrinks where p lies off position.
    """

    def __init__(self, width: int, *, gaussian: bool = False, renormalise: bool = True) -> None:
        super().__init__()
        assert width >= 1, "a narrower window could be empty"
        self.width, self.gaussian, self.renormalise = width, gaussian, renormalise

    def prepare(self, memory: Memory) -> Mapping[str, Tensor]:
        # Half precision cannot count past 256 (bfloat16) or 2048 positions.
        dtype = torch.promote_types(memory.states.dtype, torch.float32)
        if memory.grid is not None:
            B, S = memory.mask.shape
            rows, columns = memory.grid
            assert rows * columns == S, f"{S} positions are no {rows} x {columns}"
            cell = torch.arange(S, device=memory.mask.device)
            points = torch.stack([cell // columns, cell % columns], -1).to(dtype)  # S,2
            extent = torch.tensor([rows, columns], device=memory.mask.device, dtype=dtype)
            return {"coordinates": points.expand(B, -1, -1), "extent": extent.expand(B, -1)}
        return {
            "coordinates": (memory.mask.cumsum(1) - 1)[..., None].to(dtype),  # B,S,1
            "extent": memory.lengths[:, None].to(dtype),  # B,1
            # Real positions first, in their order; so that a place leads to a position.
            "order": memory.mask.long().argsort(stable=True, dim=1, descending=True),  # B,S
        }

    @abstractmethod
    def centre(self, query: Tensor, keys: Keys, position: int) -> Tensor:
        """Return the points p, B,T,A coordinates along A axes, in float32 or wider."""

    def forward(
        self, query: Tensor, keys: Keys, state: AttentionState, mask: Tensor | None
    ) -> WindowMask:
        centre = self.centre(query, keys, state.position)
        offset = keys.tensors["coordinates"][:, None] - centre[:, :, None]  # B,T,S,A
        inside = (offset.abs() <= self.width).all(-1)[:, None]  # B,1,T,S
        gain = self.gain(offset)[:, None] if self.gaussian else None
        return WindowMask(inside if mask is None else inside & mask, gain, self.renormalise)

    def nearby(self, query: Tensor, keys: Keys, position: int) -> tuple[Tensor, WindowMask]:
        """The window of a sequence as W = 2D+1 positions per query, instead of a mask over all.

        Returns:
            B,T,W int64 positions, repeated where fewer lie inside; and the window mask over them
            (mask and gain B,1,T,W), False on the repeated ones.
        """
        centre = self.centre(query, keys, position)  # B,T,1
        start = torch.ceil(centre - self.width)
        place = start + torch.arange(2 * self.width + 1, device=centre.device)  # B,T,W
        last = keys.tensors["extent"][:, None] - 1  # B,1,1
        offset = place - centre
        inside = (offset <= self.width) & (place >= 0) & (place <= last)
        gain = self.gain(offset[..., None])[:, None] if self.gaussian else None
        # The NaN of a diverged model is no position; it stays in the gain.
        place = torch.minimum(place.clamp_min(0), last).nan_to_num(nan=0.0).long()
        index = keys.tensors["order"].gather(1, place.flatten(1)).view_as(place)
        return index, WindowMask(inside[:, None], gain, self.renormalise)

    def gain(self, offset: Tensor) -> Tensor:
        """Return the Gaussian ... of offsets ...,A from the centre."""
        sigma = self.width / 2
        return torch.exp(offset.square().sum(-1) / (-2 * sigma * sigma))


class MonotonicWindow(PointWindow):
    """`local-m`: p_t = t (Luong 2015, section 3.2), at most the last real position.

    Where source and target differ much in length, p_t = t x length ratio. Over a picture p_t walks
    along the raster, row by row.
    """

    def __init__(self, width: int, length_ratio: float, *, gaussian: bool = False) -> None:
        super().__init__(width, gaussian=gaussian)
        low, high = EQUAL_LENGTHS
        self.ratio = 1.0 if low <= length_ratio <= high else length_ratio

    def centre(self, query: Tensor, keys: Keys, position: int) -> Tensor:
        extent = keys.tensors["extent"]  # B,A
        steps = torch.arange(position, position + query.shape[1], device=extent.device)
        walked = (steps * self.ratio).to(extent.dtype)[None]  # 1,T
        place = torch.minimum(walked, extent.prod(1, keepdim=True) - 1)  # B,T
        if extent.shape[1] == 1:
            return place[..., None]
        columns = extent[:, 1:]
        place = place.round()
        row = torch.floor(place / columns)
        return torch.stack([row, place - row * columns], -1)


class PredictiveWindow(PointWindow):
    """`local-p`: p_t = S sigmoid(v . tanh(W h_t)) (Luong 2015, equation 9), with a Gaussian.

    Over a picture v is a pair of vectors and p_t a point: rows x sigmoid, columns x sigmoid.
    """

    def __init__(
        self, query_size: int, width: int, *, axes: int = 1, renormalise: bool = True
    ) -> None:
        super().__init__(width, gaussian=True, renormalise=renormalise)
        self.hidden = nn.Linear(query_size, query_size, bias=False)
        self.point = nn.Linear(query_size, axes, bias=False)

    def centre(self, query: Tensor, keys: Keys, position: int) -> Tensor:
        extent = keys.tensors["extent"]  # B,A
        axes = self.point.out_features
        assert extent.shape[1] == axes, f"Sizes.axes is {axes}, the memory has {extent.shape[1]}"
        raw = self.point(torch.tanh(self.hidden(query)))  # B,T,A
        return extent[:, None] * torch.sigmoid(raw.to(extent.dtype))


# Gathering the rows inside a window, at no cost that grows with the memory.
#
# Autograd's gradient of a row gathered from a table is as large as the table. In a loop over target
# steps that is a table of zeros written and added at every step, for the few rows that a window
# shows. Here all steps add their rows to one table, which becomes the gradient after the last.


class Pool:
    """Accumulator of a table's gradient while the gradients of its rows come in.

    A pool is empty between backward passes and belongs to the keys of one batch.

    Attributes:
        opened: a number that the rows depend on and that depends on the table, so that the
            backward pass reaches the table after all rows.
    """

    def __init__(self, table: Tensor) -> None:
        self._total: Tensor | None = None
        opened: Tensor = _Open.apply(table, self)
        self.opened = opened

    def add(self, table: Tensor, rows: Tensor, gradient: Tensor) -> None:
        if self._total is None:
            self._total = torch.zeros_like(table)
        self._total.index_add_(0, rows, gradient)

    def empty(self) -> Tensor | None:
        """Return the sum of what was added, or None, and empty the pool."""
        total, self._total = self._total, None
        return total


@dataclass(frozen=True)
class PooledKeys(Keys):
    """Keys with pools for the gradients of some of their tensors, by name. A selection of rows of
    the batch makes other tensors and has no pools."""

    pools: Mapping[str, Pool] = field(default_factory=dict)


def pooled(keys: Keys, *names: str) -> Keys:
    """Return the keys with a pool for each of these B,1,S,K tensors that needs a gradient."""
    if not torch.is_grad_enabled() or torch._C._are_functorch_transforms_active():
        return keys
    tables = {name: keys.tensors[name] for name in names if keys.tensors[name].requires_grad}
    pools = {name: Pool(table.flatten(0, 2)) for name, table in tables.items()}
    return PooledKeys(keys.memory, keys.tensors, pools)


def take_rows(keys: Keys, name: str, index: Tensor) -> Tensor:
    """Gather rows of the B,1,S,K tensor `name` at the positions B,T,W: B*T,1,W,K.

    Rows gathered with a pool cannot be differentiated twice.
    """
    table = keys.tensors[name]
    B, _, S, K = table.shape
    rows = (index + torch.arange(0, B * S, S, device=index.device)[:, None, None]).flatten()
    flat = table.reshape(B * S, K)
    if isinstance(keys, PooledKeys) and name in keys.pools:
        pool = keys.pools[name]
        taken: Tensor = _Take.apply(pool.opened, flat.detach(), rows, pool)
    else:
        taken = flat.index_select(0, rows)
    return taken.view(-1, 1, index.shape[2], K)


class _Open(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, table: Tensor, pool: Pool) -> Tensor:
        ctx.pool = pool
        return table.new_zeros(())

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, None]:
        return ctx.pool.empty(), None


class _Take(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, opened: Tensor, table: Tensor, rows: Tensor, pool: Pool) -> Tensor:
        ctx.save_for_backward(table, rows)
        ctx.pool = pool
        return table.index_select(0, rows)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        table, rows = ctx.saved_tensors
        ctx.pool.add(table, rows, gradient)
        return gradient.new_zeros(()), None, None, None
