from __future__ import annotations

from ablations.order import kind, longest_first
from bench.cell import Cell


def cell(attention: str, score: str, seed: int = 1, **options: object) -> Cell:
    return Cell("translation", "probe", attention, score, seed=seed, options=options)  # type: ignore[arg-type]


def test_what_goes_step_by_step_comes_first() -> None:
    quick = [cell("none", "none"), cell("global", "dot"), cell("self", "scaled-dot")]
    slow = [
        cell("soft", "concat"),
        cell("global", "location-aware"),
        cell("global", "dot", input_feeding=True),
    ]
    assert longest_first([*quick, *slow], {}) == [*slow, *quick]


def test_measured_times_count_more_than_guesses() -> None:
    cells = [cell("soft", "dot", seed=2), cell("none", "none", seed=2), cell("global", "dot")]
    seconds = {kind(cell("soft", "dot")): 3.0, kind(cell("none", "none")): 9.0}
    ordered = longest_first(cells, seconds)
    assert [c.attention for c in ordered] == ["global", "none", "soft"]


def test_seeds_share_a_kind_and_nothing_else_does() -> None:
    assert kind(cell("soft", "dot", seed=1)) == kind(cell("soft", "dot", seed=2))
    assert kind(cell("soft", "dot")) != kind(cell("soft", "concat"))
