"""The additive score's CUDA kernels without a GPU. `interpret` compares them with the formula
written out, under TRITON_INTERPRET=1; `compile` makes machine code of them. Prints JSON."""

from __future__ import annotations

import itertools
import json
import sys
from typing import Any

import torch

from bench.attention.scores.concat import additive_written_out

#: B, H, T, S, A: sides below, at and above those of a block.
SHAPES = [
    (1, 1, 1, 1, 1),
    (2, 1, 3, 4, 5),
    (1, 2, 1, 70, 66),
    (2, 3, 19, 1, 33),
    (1, 1, 16, 16, 16),
    (1, 2, 17, 35, 20),
    (1, 1, 3, 65, 65),
    (1, 1, 1, 9, 130),
]
ARCHITECTURES = (80, 90)


def inputs(shape: tuple[int, ...], dtype: torch.dtype) -> list[torch.Tensor]:
    B, H, T, S, A = shape
    sizes = ((B, H, T, A), (B, H, S, A), (H, A))
    return [(3 * torch.randn(size, dtype=dtype)).requires_grad_() for size in sizes]


def interpret() -> dict[str, Any]:
    """Largest differences by precision, over energies and all gradients."""
    scalars_as_numbers()
    from bench.attention.kernels.additive_triton import additive_by_kernel

    torch.manual_seed(3)
    largest: dict[str, float] = {}
    for dtype in (torch.float64, torch.float32):
        for shape in SHAPES:
            given = inputs(shape, dtype)
            doubles = [one.detach().double().requires_grad_() for one in given]
            upstream = torch.randn(*shape[:4], dtype=dtype)
            energies, exact = additive_by_kernel(*given), additive_written_out(*doubles)
            made = [energies, *torch.autograd.grad(energies, given, upstream)]
            expected = [exact, *torch.autograd.grad(exact, doubles, upstream.double())]
            for one, other in zip(made, expected, strict=True):
                assert one.dtype == dtype and one.shape == other.shape
                away = (one - other).abs().max().item()
                largest[str(dtype)] = max(largest.get(str(dtype), 0.0), away)
    far = [torch.full(size, 1e4) for size in ((1, 1, 1, 2), (1, 1, 1, 2), (1, 2))]
    half = [one.to(torch.bfloat16) for one in inputs((1, 1, 2, 2, 3), torch.float32)]
    twice = torch.autograd.gradgradcheck(additive_by_kernel, inputs((1, 2, 2, 3, 2), torch.float64))
    return {
        "largest": largest,
        "saturated": additive_by_kernel(*far).item(),
        "half": str(additive_by_kernel(*half).dtype),
        "twice": twice,
    }


def scalars_as_numbers() -> None:
    # Triton 3.6 makes arrays of one number of them, which numpy from 2.4 on refuses as bounds of
    # loops. On a GPU there are no such arrays.
    from triton.runtime import interpreter

    convert = interpreter._implicit_cvt

    def converted(argument: Any) -> Any:
        made = convert(argument)
        if isinstance(argument, int):
            made.handle.data = made.handle.data.reshape(())
        return made

    interpreter._implicit_cvt = converted


def compiled() -> dict[str, int]:
    """Bytes of machine code by kernel, architecture and block."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from bench.attention.kernels import additive_triton as module

    kernels = {
        module._energies: module.ENERGIES,
        module._query_gradients: module.QUERY_GRADIENTS,
        module._key_gradients: module.KEY_GRADIENTS,
    }
    ways = (module.FORMULA, module.SINGLE, module.HALF)
    made = {}
    for (kernel, choice), way, queries in itertools.product(kernels.items(), ways, (1, 2)):
        arguments = choice.of(queries).arguments()
        constants = {"WAY": way, **{name: arguments[name] for name in ("BT", "BS", "BA")}}
        names = [name for name in kernel.arg_names if name not in constants]
        types = {name: "i32" if name in "HTSA" else "*fp32" for name in names}
        signature = {**types, **dict.fromkeys(constants, "constexpr")}
        source = ASTSource(fn=kernel, signature=signature, constexprs=constants)
        for architecture in ARCHITECTURES:
            code = triton.compile(
                source,
                target=GPUTarget("cuda", architecture, 32),
                options={"num_warps": arguments["num_warps"]},
            )
            made[f"{kernel.__name__} {architecture} {way} {queries}"] = len(code.asm["cubin"])
    return made


if __name__ == "__main__":
    print(json.dumps({"interpret": interpret, "compile": compiled}[sys.argv[1]]()))
