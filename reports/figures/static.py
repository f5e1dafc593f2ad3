"""Figures as files: Vega-Lite converts to SVG, PDF and PNG without a browser and without a network.

Also the script that draws figures in pages: Vega, Vega-Lite and Vega-Embed in one bundle, which
vl-convert brings along. Vega-Embed has the interpreter for Vega's expressions in it, so that pages
need not allow `unsafe-eval`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from typing import Any, Literal

from bench.store.files import user_cache
from reports.figures import Figure
from tasks.data.cache import cached

Format = Literal["svg", "pdf", "png", "json"]
#: Pixels of a PNG for each pixel of the chart.
_SCALE = 2.0
#: Fewer files than this are converted faster in this process than in several.
_FEW = 3


def converted(
    figures: Iterable[Figure], formats: tuple[Format, ...]
) -> Iterator[tuple[str, str | bytes]]:
    """Files of figures by name (`<figure>.svg`), converted in one process for each processor.

    Args:
        formats: `json` is the specification itself, for Vega's editor and other programs.
    """
    jobs = [(one.name, one.specification, formats) for one in figures]
    wanted = [one for one in formats if one != "json"]
    workers = min(os.cpu_count() or 1, len(jobs))
    if not wanted or len(jobs) < _FEW or workers < 2:
        for job in jobs:
            yield from _convert(job)
        return
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    # Not forked: this process has threads.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for found in pool.map(_convert, jobs):
            yield from found


def _convert(job: tuple[str, dict[str, Any], tuple[Format, ...]]) -> list[tuple[str, str | bytes]]:
    import vl_convert

    name, specification, formats = job
    found: list[tuple[str, str | bytes]] = []
    svg = ""
    if {"svg", "pdf", "png"} & {*formats}:
        svg = vl_convert.vegalite_to_svg(specification)
    for one in formats:
        content: str | bytes = svg
        if one == "json":
            content = json.dumps(specification, ensure_ascii=False)
        elif one == "pdf":
            content = vl_convert.svg_to_pdf(svg)
        elif one == "png":
            content = vl_convert.svg_to_png(svg, scale=_SCALE)
        found.append((f"{name}.{one}", content))
    return found


def bundle() -> str:
    """The script that defines `vegaEmbed`. It takes seconds to make, so it is kept in the user's
    cache for each version of vl-convert."""
    from importlib.metadata import version

    import vl_convert

    path = cached(
        user_cache() / "attnbench" / "scripts",
        f"vega-{version('vl-convert-python')}",
        lambda draft: draft.write_text(
            vl_convert.javascript_bundle(snippet="window.vegaEmbed = vegaEmbed;"), "utf-8"
        ),
        suffix=".js",
    )
    return path.read_text("utf-8")
