"""What the machine's core can do: the products and passes that a training step is made of."""

from __future__ import annotations

import torch

from measures.figure import Figure, median_seconds, one_core
from measures.sentences import VOCABULARY

ROWS, SIZE, PARAMETERS = 900, 256, 6_000_000
TIMES = 15


def measure() -> list[Figure]:
    one_core()
    torch.manual_seed(1)
    features, target = torch.randn(ROWS, SIZE), VOCABULARY[1]
    weight, square = torch.randn(target, SIZE), torch.randn(1024, 1024)
    aligned = torch.randn(-(-target // 16) * 16, SIZE)
    logits = torch.randn(ROWS, target)
    parameter = torch.nn.Parameter(torch.randn(PARAMETERS))
    parameter.grad = torch.randn(PARAMETERS)
    adam = torch.optim.AdamW([parameter], fused=True)
    product = f"{ROWS} x {SIZE} x "
    rate = 2 * 1024**3 / median_seconds(lambda: square @ square, TIMES) / 1e9
    timed = {
        f"product {product}{target}": lambda: features @ weight.t(),
        f"product {product}{len(aligned)}": lambda: features @ aligned.t(),
        f"log-softmax of {ROWS} x {target}": lambda: logits.log_softmax(dim=1),
        f"AdamW on {PARAMETERS / 1e6:.0f} M parameters, fused": adam.step,
    }
    return [
        Figure("core: 1024 x 1024 x 1024 product", rate, "GFLOP/s", "float32"),
        *(
            Figure(f"core: {name}", 1000 * median_seconds(action, TIMES), "ms")
            for name, action in timed.items()
        ),
    ]
