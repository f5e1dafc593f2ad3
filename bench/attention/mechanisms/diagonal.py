"""The control that walks along the source at an even pace."""

from __future__ import annotations

from pydantic import Field

from bench.attention.base import AttentionOptions, Sizes
from bench.attention.mechanisms.uniform import UniformAttention
from bench.attention.registries import attentions
from bench.attention.windows import MonotonicWindow


class DiagonalOptions(AttentionOptions):
    window: int = Field(5, ge=1, description="D, positions on either side of the centre")
    gaussian: bool = Field(
        True, description="weights fall off from the centre with sigma = D/2; false: equal ones"
    )


@attentions.register("diagonal")
class DiagonalAttention(UniformAttention):
    """A window around t times the length ratio that looks at no content: `local-m` without its
    score (Luong 2015, section 3.2), by default with the Gaussian of `local-p` (equation 10), whose
    weights sum to 1 again.

    What a mechanism gains over it is not owed to source and target running in step.
    """

    summary = "a window that moves with the step and looks at no content, a control"
    citation = "Luong 2015"
    Options = DiagonalOptions

    def __init__(self, sizes: Sizes, score: str, options: DiagonalOptions) -> None:
        window = MonotonicWindow(options.window, sizes.length_ratio, gaussian=options.gaussian)
        super().__init__(sizes, score, options, window=window)
