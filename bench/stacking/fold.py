"""How the batches of several models lie in one batch, and how single ones are told apart there.

Every batch-first tensor has the rows of model 0 first, then those of model 1, and so on, as many
of each: fewer are padded. So are lengths. Most of a network need not know: an example's result does
not depend on its batch, and padding changes nothing. What must know (layers that run model by
model, draws that have to be those of a model on its own) asks the fold that is in force.

Rows and lengths are told apart by their padded size, so all padded sizes of a fold differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

_in_force: ContextVar[Fold | None] = ContextVar("fold", default=None)


@dataclass(frozen=True)
class RandomState:
    """The states of the generators that a training on a device draws from: the device's own, and
    the CPU's, from which come draws that the device need not be waited for."""

    cpu: Tensor
    cuda: Tensor | None = None


def random_state(device: torch.device) -> RandomState:
    """The states of the default generators."""
    cuda = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
    return RandomState(torch.get_rng_state(), cuda)


def set_random_state(device: torch.device, state: RandomState) -> None:
    """The opposite of `random_state`."""
    torch.set_rng_state(state.cpu)
    if state.cuda is not None:
        torch.cuda.set_rng_state(state.cuda, device)


class Draws:
    """The random states of several models: each draws as if it were alone.

    Args:
        device: that they are trained on.
        states: where each model goes on from.
    """

    def __init__(self, device: torch.device, states: Sequence[RandomState]) -> None:
        self._device, self.states = device, list(states)

    @contextmanager
    def of(self, model: int) -> Iterator[None]:
        """Draw from the stream of one model."""
        set_random_state(self._device, self.states[model])
        yield
        self.states[model] = random_state(self._device)


@dataclass(frozen=True)
class Fold:
    """Where K batches lie in one.

    Attributes:
        count: K.
        rows: padded numbers of rows of one model to the K own ones.
        sizes: padded lengths of sequences to the K own ones.
        steps: the K own numbers of target steps.
        draws: the models' random states.
    """

    count: int
    rows: Mapping[int, tuple[int, ...]]
    sizes: Mapping[int, tuple[int, ...]]
    steps: tuple[int, ...]
    draws: Draws = field(compare=False)

    @contextmanager
    def in_force(self) -> Iterator[None]:
        """What is called inside sees this fold."""
        token = _in_force.set(self)
        try:
            yield
        finally:
            _in_force.reset(token)

    def shapes(self, shape: Sequence[int]) -> list[tuple[int, ...]]:
        """The shapes that K models on their own have in place of a padded one, batch first and
        positions, if it has any, second."""
        rows = self.rows[shape[0] // self.count]
        if len(shape) < 3:
            return [(own, *shape[1:]) for own in rows]
        sizes = self.sizes.get(shape[1], (shape[1],) * self.count)
        return [(own, size, *shape[2:]) for own, size in zip(rows, sizes, strict=True)]

    def parts(self, tensor: Tensor, positions: int = 1) -> list[Tensor]:
        """The models' own tensors in a padded one, as views.

        Args:
            positions: how many dimensions after the first count positions of a sequence.
        """
        padded = tensor.unflatten(0, (self.count, -1)).unbind()  # whose gradient is one piece
        found = []
        for model, mine in enumerate(padded):
            sizes = [
                self.sizes[size][model] if size in self.sizes else size
                for size in mine.shape[1 : 1 + positions]
            ]
            rows = self.rows[len(mine)][model]
            found.append(mine[tuple(slice(size) for size in (rows, *sizes))])
        return found

    def join(self, parts: Sequence[Tensor], rows: int, size: int) -> Tensor:
        """The opposite: K tensors R,N,D to one of K x `rows`,`size`,D, zeros where padded."""
        return torch.cat(
            [F.pad(one, (0, 0, 0, size - one.shape[1], 0, rows - one.shape[0])) for one in parts]
        )

    def drawn(
        self,
        shape: Sequence[int],
        like: Tensor,
        draw: Callable[[tuple[int, ...]], Tensor],
        step: int | None = None,
    ) -> Tensor:
        """A padded tensor of this shape and of the type of `like`, every model's part drawn from
        its own stream; 1 where padded.

        Args:
            draw: a shape to a tensor.
            step: the target step that the tensor belongs to, if it is one step's. Models whose
                targets have ended draw nothing.
        """
        found = like.new_ones(shape)
        by_model = found.view(self.count, -1, *shape[1:])
        for model, own in enumerate(self.shapes(shape)):
            if step is None or step < self.steps[model]:
                with self.draws.of(model):
                    by_model[model][tuple(slice(size) for size in own)] = draw(own)
        return found


def fold_in_force() -> Fold | None:
    """The fold of whoever called, None where one model works alone."""
    return _in_force.get()
