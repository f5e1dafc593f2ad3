"""Pictures changed at random in training: cut, mirrored, tinted."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from tasks.captioning.settings import CaptioningSettings


def augmented(pictures: Tensor, settings: CaptioningSettings) -> Tensor:
    """P,H,W,3 to the same shape; what the settings leave out stays as it is.

    Draws from PyTorch's default generator, so a seed fixes the outcome.
    """
    if settings.crop or settings.flip:
        pictures = _moved(pictures, settings.crop, settings.flip)
    return _tinted(pictures, settings.tint) if settings.tint else pictures


def _moved(pictures: Tensor, crop: float, flip: float) -> Tensor:
    """Each picture's cut, whose sides are 1 - crop to 1 of the whole, stretched to its size, and
    mirrored with probability `flip`. P,H,W,3."""
    P = len(pictures)
    device = pictures.device
    share = 1.0 - crop * torch.rand(P, 2, device=device)  # across, down
    shift = (1.0 - share) * (2.0 * torch.rand(P, 2, device=device) - 1.0)
    mirrored = torch.rand(P, device=device) < flip
    turn = torch.where(mirrored, -1.0, 1.0)
    theta = torch.zeros(P, 2, 3, device=device)
    theta[:, 0, 0], theta[:, 1, 1] = share[:, 0] * turn, share[:, 1]
    theta[:, :, 2] = shift
    maps = pictures.permute(0, 3, 1, 2).float()
    places = F.affine_grid(theta, list(maps.shape), align_corners=False)
    moved = F.grid_sample(maps, places, padding_mode="reflection", align_corners=False)
    return moved.permute(0, 2, 3, 1)


def _tinted(pictures: Tensor, tint: float) -> Tensor:
    """Contrast and brightness by one factor and shift a picture, and a factor a colour."""
    P = len(pictures)
    pixels = pictures.float()

    def spread(size: int) -> Tensor:
        return tint * (2.0 * torch.rand(P, 1, 1, size, device=pixels.device) - 1.0)

    contrast, brightness, colours = 1.0 + spread(1), 127.5 * spread(1), 1.0 + 0.5 * spread(3)
    return ((pixels - 127.5) * contrast * colours + 127.5 + brightness).clamp(0.0, 255.0)
