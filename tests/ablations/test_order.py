from __future__ import annotations

from ablations.sweep import family, kind, longest_first, mean_seconds
from bench.store.cell import Cell


def cell(attention: str, score: str, seed: int = 1, **options: object) -> Cell:
    return Cell("translation", "probe", attention, score, seed=seed, options=options)  # type: ignore[arg-type]


def test_without_times_the_order_is_guessed() -> None:
    quick = [cell("global", "dot"), cell("local-m", "general"), cell("none", "none")]
    stepwise = [
        cell("soft", "concat"),
        cell("global", "location-aware"),
        cell("global", "dot", input_feeding=True),
    ]
    slow = [cell("self", "scaled-dot"), cell("multi-step", "dot")]
    assert longest_first([*quick, *stepwise, *slow], {}) == [*slow, *stepwise, *quick]


def test_relatives_stand_in_for_cells_without_times() -> None:
    seconds = mean_seconds([(cell("self", "dot"), 8.0), (cell("self", "general"), 10.0)])
    assert seconds[family(cell("self", "concat", seed=3))] == 9.0
    unknown, related, same = cell("none", "none"), cell("self", "concat"), cell("self", "general")
    assert longest_first([related, same, unknown], seconds) == [unknown, same, related]


def test_measured_times_count_more_than_guesses() -> None:
    cells = [cell("soft", "dot", seed=2), cell("none", "none", seed=2), cell("global", "dot")]
    seconds = {kind(cell("soft", "dot")): 3.0, kind(cell("none", "none")): 9.0}
    ordered = longest_first(cells, seconds)
    assert [c.attention for c in ordered] == ["global", "none", "soft"]


def test_seeds_share_a_kind_and_nothing_else_does() -> None:
    assert kind(cell("soft", "dot", seed=1)) == kind(cell("soft", "dot", seed=2))
    assert kind(cell("soft", "dot")) != kind(cell("soft", "concat"))
