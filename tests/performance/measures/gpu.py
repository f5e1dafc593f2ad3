"""What a CUDA device does: the additive score's kernel, training, decoding, sharing it.

Without such a device there are no rows. Times are of the clock, with the device waited for at both
ends.
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from bench.attention.scores.concat import additive_kernel
from measures.additive import WAYS, Attend, attention, inputs, plain, there_and_back
from measures.decoding import BEAM, search
from measures.figure import Figure
from measures.models import make
from measures.sentences import batches, described, pairs
from measures.sweep import span, swept
from measures.training_step import measured, name_of, train
from tasks.data.batching import Batch
from tasks.training.sequence import GenerationModule

LENGTHS = (32, 128, 512, 1024, 4096)
HEADS, SIZE = 8, 64
#: Numbers of a hidden layer that the plain formula may keep.
WHOLE = 2**31
#: Sentences a batch: as the peers have them, and as a GPU would be given them.
TOGETHER = (64, 512)
STEPS, WARM = 20, 3
#: Examples, positions and sizes of a step.
STEPS_OF = ((64, 15, 128), (64, 15, 256), (512, 20, 256), (32, 200, 256), (8, 2000, 256))
LOOP = 20
DECODED = (("soft", "concat"), ("global", "general"), ("self", None))
SHARES = (1, 0.25)
SHARED = """
tasks: [translation]
budget: laptop
seeds: {seeds}
options: {{max_steps: 150, test_limit: 200}}
blocks: [{{attentions: [soft]}}]
"""


def measure() -> list[Figure]:
    if not torch.cuda.is_available():
        return []
    return [
        *kernels(),
        *single_steps(),
        *training_steps(),
        *decoding(),
        *sharing(),
    ]


def device_seconds(action: Callable[[], object]) -> float:
    torch.cuda.synchronize()
    begun = time.perf_counter()
    action()
    torch.cuda.synchronize()
    return time.perf_counter() - begun


def median_seconds(action: Callable[[], object], times: int) -> float:
    """The median of so many calls, after some that warm up."""
    for _ in range(3):
        action()
    return statistics.median(device_seconds(action) for _ in range(times))


def kernels() -> Iterator[Figure]:
    """Attention with the additive score, there and back, as queries and positions grow."""
    for (name, dtype), length in itertools.product(
        (("float32", torch.float32), ("bfloat16", torch.bfloat16)), LENGTHS
    ):
        for way, attend in WAYS.items():
            if way == "formula" and HEADS * length * length * SIZE > WHOLE:
                continue
            drawn = inputs(HEADS, length, length, SIZE)
            given = [one.detach().to("cuda", dtype).requires_grad_() for one in drawn]
            action = partial(there_and_back, attend, given)
            seconds = median_seconds(action, 20)
            torch.cuda.reset_peak_memory_stats()
            before = torch.cuda.memory_allocated()
            action()
            taken = torch.cuda.max_memory_allocated() - before
            label = f"gpu: attention, {name}, length {length}, {way}"
            yield Figure(f"{label}: time", 1e3 * seconds, "ms", f"{HEADS} heads of {SIZE}")
            yield Figure(f"{label}: memory", taken / 2**20, "MiB")


def single_steps() -> Iterator[Figure]:
    """One query against many positions, as a loop over steps asks: the launches of many steps
    wait in one line, as there."""
    kernel = additive_kernel(torch.device("cuda"))
    assert kernel is not None
    ways = {"formula": attention(plain), "kernel": attention(kernel)}
    for (batch, positions, size), (way, attend) in itertools.product(STEPS_OF, ways.items()):
        drawn = inputs(batch, 1, positions, size)
        given = [one.detach().to("cuda").requires_grad_() for one in drawn]

        def loop(attend: Attend = attend, given: list[torch.Tensor] = given) -> None:
            for _ in range(LOOP):
                there_and_back(attend, given)

        seconds = median_seconds(loop, 7) / LOOP
        label = f"gpu: attention step, {batch} x {positions} x {size}, {way}"
        yield Figure(label, 1e3 * seconds, "ms")


def training_steps() -> Iterator[Figure]:
    """Target tokens a second of whole steps, as Lightning takes them."""
    every = batches(pairs()[0])
    for together in TOGETHER:
        chosen = [_joined(every, together, place) for place in _places(every, together)]
        for (attention_, score, feeding), precision in itertools.product(
            measured(), ("32-true", "bf16-mixed")
        ):
            if precision != "32-true" and together == min(TOGETHER):
                continue
            module = make(attention_, score, input_feeding=feeding)
            # A kernel is loaded when it is first called, and every shape may call others.
            train(module, chosen, device="cuda", precision=precision)
            times = train(module, chosen, device="cuda", precision=precision)[WARM:]
            rate = sum(batch.units for batch in chosen[WARM:]) / sum(times)
            label = f"gpu: train: {name_of(attention_, score, feeding)}, {together} sentences"
            kind = "" if precision == "32-true" else ", bf16"
            yield Figure(f"{label}{kind}", rate, "target tokens/s", described())


def _places(every: Sequence[Batch], together: int) -> list[int]:
    """Where batches begin, evenly from the shortest sentences to the longest."""
    last = len(every) - together // len(every[0].index)
    return [0] * WARM + [int(last * (number + 0.5) / STEPS) for number in range(STEPS)]


def _joined(every: Sequence[Batch], together: int, place: int) -> Batch:
    """So many sentences of neighbouring batches as one batch."""
    parts = every[place : place + together // len(every[0].index)]

    def padded(name: str) -> torch.Tensor:
        tensors = [getattr(part, name) for part in parts]
        width = max(tensor.shape[1] for tensor in tensors)
        pad = torch.nn.functional.pad
        return torch.cat([pad(one, (0, width - one.shape[1])) for one in tensors])

    source, given, wanted, mask = map(padded, ("source", "inputs", "outputs", "source_mask"))
    return Batch(
        index=torch.arange(len(source)),
        source=source,
        source_mask=mask,
        inputs=given,
        outputs=wanted,
        units=sum(part.units for part in parts),
    )


def decoding() -> Iterator[Figure]:
    """Sentences a second of an untrained model, whose outputs run to their longest."""
    test = [batch.to("cuda") for batch in batches(pairs()[1])]
    count = sum(len(batch.index) for batch in test)
    for (attention_, score), beam in itertools.product(DECODED, (1, BEAM)):
        module = make(attention_, score).to("cuda").eval()
        search(module, test[0], beam)
        seconds = device_seconds(partial(_decode, module, test, beam))
        what = "greedy" if beam == 1 else f"beam {beam}"
        label = f"gpu: {what}: {name_of(attention_, score, False)}, to the longest"
        yield Figure(label, count / seconds, "sentences/s", described())


def _decode(module: GenerationModule, test: Sequence[Batch], beam: int) -> None:
    for batch in test:
        search(module, batch, beam)


def sharing() -> Iterator[Figure]:
    """Trials a second, once a sweep has started, if each has the GPU to itself or a part of it."""
    for share in SHARES:
        together = round(1 / share)
        with TemporaryDirectory(prefix="attnbench-") as scratch:
            results = swept(Path(scratch), SHARED.format(seeds=2 * together), share)
        begun, ended = (span(results, name) for name in ("started", "finished"))
        rate = len(results) / (max(ended) - min(begun))
        note = f"translation, soft + concat, laptop, 150 steps; {together} at a time"
        yield Figure(f"gpu: trials, a share of {share:g} each", rate, "trials/s", note)
