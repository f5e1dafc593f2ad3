"""A GRU layer that walks step by step on a CPU, each step one function.

Between the steps stands what only PyTorch knows how to differentiate: attention of any kind. What
the steps share, the projection of the known inputs and the gradients of all weights, is done once:
the former before the first step, the latter after the last one's turn on the way back.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from bench.models import gru_steps as steps


class Tape:
    """What the steps of one walk leave for the way back, and on that way their gradients.

    Attributes:
        gates, before, extras: T,B,4H and T,B,H and T,B,X: of each step.
        fed: 3H,X weights of the extra inputs.
        turned: 3H,H see `gru_steps`.
    """

    def __init__(self, gates: Tensor, fed: Tensor, recurrent: Tensor) -> None:
        T, B, size = gates.shape
        self.gates, self.fed, self.turned = gates, fed, steps.turned(recurrent)
        self.before = gates.new_empty(T, B, size // 4)
        self.extras = gates.new_empty(T, B, fed.shape[1])
        self.each = list(steps.each(gates))
        self._found: Tensor | None = None
        self._turns: list[steps.StepBack] = []
        self._waiting: set[int] = set()
        self._pass: int | None = None

    def forwards(self, t: int, extra: Tensor, hidden: Tensor) -> Tensor:
        """The state B,H after step t, from B,X extra input and the state before."""
        self.before[t], self.extras[t] = hidden, extra
        given = self.gates[t, :, hidden.shape[1] :]
        torch.addmm(given, extra, self.fed.t(), out=given)
        after = torch.empty_like(hidden)
        steps.advance(self.each[t], hidden, self.turned.t(), after)
        return after

    def backwards(self, t: int, gradient: Tensor) -> tuple[Tensor, Tensor]:
        """Gradients of the extra input and of the state before."""
        # What a pass left that did not ask for the weights' gradients is not the next one's.
        if self._found is None or self._pass != torch._C._current_graph_task_id():
            self._pass = torch._C._current_graph_task_id()
            self._found = steps.slopes(self.gates, self.before)
            self._turns = steps.each_back(self._found)
            self._waiting = set(range(len(self._turns)))
        self._waiting.discard(t)
        turn = self._turns[t]
        to_hidden = steps.go_back(turn, self.each[t].update, gradient, self.turned)
        return turn.inputs @ self.fed, to_hidden

    def found(self) -> Tensor:
        """The gradients T,B,4H of all steps, zero for those that had no turn; begins anew."""
        assert self._found is not None
        found, self._found, self._turns = self._found, None, []
        for t in self._waiting:
            found[t] = 0.0
        return found


class Walk:
    """One walk along one batch.

    Args:
        known: T,B,E inputs known beforehand, or None.
        sizes: T and B.
        inputs: 3H,E+X weights of known and extra inputs.
        recurrent, input_bias, bias: 3H,H weights of the state, and biases 3H.
    """

    def __init__(
        self,
        known: Tensor | None,
        sizes: tuple[int, int],
        inputs: Tensor,
        recurrent: Tensor,
        input_bias: Tensor,
        bias: Tensor,
    ) -> None:
        size = 0 if known is None else known.shape[2]
        with torch.no_grad():
            gates = steps.empty_gates(*sizes, recurrent)
            flat = None if known is None else known.flatten(0, 1)  # T*B,E
            steps.fill_inputs(gates, flat, inputs[:, :size], (input_bias, bias))
            self._tape = Tape(gates, inputs.detach()[:, size:], recurrent)
        # Depends on all parameters, and all steps on it, so that its turn comes after theirs.
        self._opened: Tensor = _Open.apply(known, inputs, recurrent, input_bias, bias, self._tape)

    def __call__(self, t: int, extra: Tensor, hidden: Tensor) -> Tensor:
        """The state B,H after step t, from B,X extra input and the state before."""
        after: Tensor = _Step.apply(self._opened, extra, hidden, t, self._tape)
        return after


class _Open(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        known: Tensor | None,
        inputs: Tensor,
        recurrent: Tensor,
        input_bias: Tensor,
        bias: Tensor,
        tape: Tape,
    ) -> Tensor:
        ctx.save_for_backward(known, inputs, recurrent)
        ctx.tape = tape
        return inputs.new_zeros(())

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        known, inputs, _ = ctx.saved_tensors
        tape: Tape = ctx.tape
        found = tape.found()
        H, size = tape.before.shape[2], 0 if known is None else known.shape[2]
        of_inputs = found.flatten(0, 1)[:, H:]  # T*B,3H
        to_inputs = torch.empty_like(inputs)
        torch.mm(of_inputs.t(), tape.extras.flatten(0, 1), out=to_inputs[:, size:])
        to_known = None
        if known is not None:
            torch.mm(of_inputs.t(), known.flatten(0, 1), out=to_inputs[:, :size])
            to_known = (of_inputs @ inputs[:, :size]).view(known.shape)
        return to_known, to_inputs, *steps.weight_gradients(found, tape.before), None


class _Step(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, opened: Tensor, extra: Tensor, hidden: Tensor, t: int, tape: Tape
    ) -> Tensor:
        ctx.tape, ctx.t = tape, t
        return tape.forwards(t, extra, hidden)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        to_extra, to_hidden = ctx.tape.backwards(ctx.t, gradient)
        return gradient.new_zeros(()), to_extra, to_hidden, None, None
