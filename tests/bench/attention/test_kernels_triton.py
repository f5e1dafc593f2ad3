"""The additive score's CUDA kernels: in Triton's interpreter and compiled, and on a GPU if there is
one.

The first two need a process of their own: Triton decides when it is imported which it does.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.attention.scores import concat as concat_module
from bench.attention.scores.concat import additive_kernel, additive_written_out

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = ROOT / "tests/support/additive_kernels.py"

needs_triton = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None, reason="Triton comes with CUDA builds of torch"
)


def result(mode: str, cache: Path, **variables: str) -> Any:
    given = {"PYTHONPATH": str(ROOT), "TRITON_CACHE_DIR": str(cache), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, str(SCRIPT), mode],
        env={**os.environ, **given, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@needs_triton
def test_the_kernels_are_the_formula(tmp_path: Path) -> None:
    found = result("interpret", tmp_path, TRITON_INTERPRET="1")
    assert found["largest"]["torch.float64"] < 1e-12
    assert found["largest"]["torch.float32"] < 1e-4
    assert found["saturated"] == 2e4, "v . tanh of large numbers is the sum of v"
    assert found["half"] == "torch.bfloat16"
    assert found["twice"]


@needs_triton
def test_the_kernels_compile_for_gpus(tmp_path: Path) -> None:
    found = result("compile", tmp_path)
    assert len(found) == 3 * 3 * 2 * 2 and min(found.values()) > 0


def test_without_triton_there_is_no_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "triton", None)
    monkeypatch.delitem(sys.modules, "bench.attention.kernels.additive_triton", raising=False)
    assert additive_kernel.__wrapped__(torch.device("cpu")) is None


@needs_triton
def test_a_kernel_that_cannot_be_made_is_gone_without() -> None:
    """Here for want of a GPU; elsewhere it may be a compiler that is missing."""
    with pytest.warns(UserWarning, match="goes without its kernel"):
        assert additive_kernel.__wrapped__(torch.device("cpu")) is None


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize(
    "shape",
    [(3, 2, 17, 35, 40), (64, 1, 1, 50, 256), (2, 1, 200, 300, 64), (2, 1, 1, 9, 130)],
)
def test_the_kernels_on_a_gpu(shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("STEP_FROM", "KERNEL_FROM"):
        monkeypatch.setattr(concat_module, name, 0)
    B, H, T, S, A = shape
    sizes = ((B, H, T, A), (B, H, S, A), (H, A))
    given = [torch.randn(size, device="cuda").requires_grad_() for size in sizes]

    def found(way: concat_module.Additive) -> list[torch.Tensor]:
        energies = way(*given)
        return [energies, *torch.autograd.grad(energies.sum(), given)]

    assert additive_kernel(given[0].device) is not None
    first, again = found(concat_module.additive), found(concat_module.additive)
    for one, other, slow in zip(first, again, found(additive_written_out), strict=True):
        assert torch.equal(one, other)
        torch.testing.assert_close(one, slow, rtol=1e-4, atol=1e-3)
    with torch.autocast("cuda", torch.bfloat16):
        rough = found(concat_module.additive)
    assert rough[0].dtype == torch.bfloat16
    for one, slow in zip(rough, first, strict=True):
        off = 0.02 * slow.detach().abs().max().item()
        torch.testing.assert_close(one.float(), slow, rtol=0.02, atol=off)
