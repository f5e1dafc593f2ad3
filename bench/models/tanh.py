"""tanh in a third of PyTorch's time on CPUs, where its operations are not recorded.

tanh(x) = 2 sigmoid(2x) - 1, of which PyTorch's CPU kernel takes the right side three times as fast.
It agrees to the rounding of numbers about 1: near 0 it is not as exact as they could be.
"""

from __future__ import annotations

import torch
from torch import Tensor

#: Numbers from which on the detour is worth it.
FROM = 2**12


def tanh_(tensor: Tensor) -> Tensor:
    """tanh of float32 or float64 numbers of a CPU in their place, not recorded."""
    if tensor.numel() < FROM:
        return tensor.tanh_()
    tensor.add_(tensor).sigmoid_()
    return tensor.add_(tensor).sub_(1)


def tanh(tensor: Tensor) -> Tensor:
    """tanh, which is PyTorch's while gradients are wanted."""
    fast = tensor.device.type == "cpu" and tensor.dtype in (torch.float32, torch.float64)
    if not fast or torch.is_grad_enabled() or tensor.numel() < FROM:
        return torch.tanh(tensor)
    doubled = (tensor + tensor).sigmoid_()
    return doubled.add_(doubled).sub_(1)
