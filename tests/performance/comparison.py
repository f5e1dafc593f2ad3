"""The table of figures: beside an earlier one, beside the peers', as text and as JSON."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from measures.figure import Figure
from pivot import pivot_lines, pivoted

BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
#: Rows of an earlier table that are named where they are missing; of the rest only the number.
NAMED = 5


@dataclass(frozen=True)
class Table:
    """Figures of one run on one machine."""

    machine: str
    figures: tuple[Figure, ...]

    def to_json(self) -> str:
        rows = [asdict(figure) for figure in self.figures]
        return json.dumps({"machine": self.machine, "figures": rows}, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Table:
        """Raises ValueError for what is no such table."""
        try:
            found = json.loads(text)
            return cls(found["machine"], figures_of(found["figures"]))
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a table of figures: {error!r}") from error


def figures_of(rows: Iterable[Mapping[str, object]]) -> tuple[Figure, ...]:
    """Figures from JSON objects with name, value, unit and, optionally, note."""
    return tuple(
        Figure(
            str(row["name"]), float(str(row["value"])), str(row["unit"]), str(row.get("note", ""))
        )
        for row in rows
    )


def described_machine() -> str:
    """Processor, cores and versions, without any name of the machine."""
    import torch

    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        named = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        model = named[0].partition(":")[2].strip() if named else model
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    versions = f"Python {platform.python_version()}, torch {torch.__version__}"
    return f"{model}, {os.cpu_count()} cores{gpu}, {versions}"


def better(figure: Figure) -> bool | None:
    """Whether more of it is better; None where neither is."""
    if figure.unit.endswith("/s") or figure.unit in ("share", "of outputs", "times"):
        return True
    return False if figure.unit in ("s", "ms", "us", "MB", "bytes") else None


def speed(figure: Figure, other: Figure) -> float | None:
    """How many times as good the first is as the second; None where that has no meaning."""
    more = better(figure)
    if more is None or figure.unit != other.unit or figure.value <= 0 or other.value <= 0:
        return None
    return figure.value / other.value if more else other.value / figure.value


def markdown(table: Table, before: Table | None = None) -> str:
    """The table, with how many times as good as before each figure is; what was measured at
    several lengths follows as tables of its own, a column per length."""
    earlier = {figure.name: figure for figure in before.figures} if before else {}

    def ratio(figure: Figure) -> str:
        known = earlier.get(figure.name)
        found = speed(figure, known) if known else None
        return "" if found is None else f"{found:.2f}"

    def bracketed(figure: Figure) -> str:
        found = ratio(figure)
        return f"{rounded(figure.value)} ({found})" if found else rounded(figure.value)

    lines = [f"Machine: {table.machine}.", ""]
    if before:
        lines += [f"Before: {before.machine}.", ""]
    lines += [
        "| measured | figure | unit | times as good as before | note |",
        "|---|--:|---|--:|---|",
    ]
    plain, pivots = pivoted(table.figures)
    for figure in plain:
        lines.append(
            f"| {figure.name} | {rounded(figure.value)} | {figure.unit} | {ratio(figure)} |"
            f" {figure.note} |"
        )
    grown = [figure for pivot in pivots for row in pivot.rows for figure in row.figures.values()]
    if any(map(ratio, grown)):
        lines += ["", "In brackets: times as good as before."]
    for pivot in pivots:
        lines += ["", *pivot_lines(pivot, bracketed)]
    now = {figure.name for figure in table.figures}
    missing = [name for name in earlier if name not in now]
    if missing:
        more = len(missing) - NAMED
        rest = f" and {more} more" if more > 0 else ""
        lines += ["", f"Measured before, not now: {', '.join(missing[:NAMED])}{rest}."]
    return "\n".join(lines) + "\n"


def against(ours: Sequence[Figure], pairs: Iterable[tuple[str, str]]) -> list[Figure]:
    """Rows "ours / theirs" for the pairs of names of which both were measured."""
    named = {figure.name: figure for figure in ours}
    found = []
    for mine, theirs in pairs:
        if mine in named and theirs in named:
            ratio = speed(named[mine], named[theirs])
            if ratio is not None:
                found.append(Figure(f"{mine}, over {theirs}", ratio, "times", "same run"))
    return found


def rounded(value: float) -> str:
    """Three figures, or all before the point."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def between_markers(page: str, text: str) -> str:
    """The page with the text in place of what stands between its markers.

    Raises ValueError for a page without them."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"no {BEGIN} ... {END} in the page")
    return f"{before}{BEGIN}\n\n{text}\n{END}{after}"
