"""When training reached a share of the best figure, and when it never did."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from reports.statistics.target import over_seeds, time_to_target


def curves(*runs: tuple[str, int, list[float]], higher: bool = True) -> pd.DataFrame:
    rows = [
        ("task", name, seed, 10 * (at + 1), 2.0 * (at + 1), value, higher)
        for name, seed, values in runs
        for at, value in enumerate(values)
    ]
    names = ["setting", "contender", "seed", "step", "seconds", "value", "higher_is_better"]
    return pd.DataFrame(rows, columns=names)


def test_the_first_validation_that_reaches_the_target_counts() -> None:
    found = time_to_target(
        curves(("soft", 1, [0.2, 0.96, 0.5, 1.0]), ("hard", 1, [0.1, 0.3, 0.5, 0.94]))
    ).set_index("contender")
    assert found.loc["soft", "target"] == pytest.approx(0.95)
    assert tuple(found.loc["soft", ["reached", "step", "seconds"]]) == (True, 20.0, 4.0)
    assert tuple(found.loc["hard", ["reached", "step", "seconds"]]) == (False, 40.0, 8.0)


def test_where_less_is_better_a_share_of_the_way_is_the_target() -> None:
    found = time_to_target(curves(("soft", 1, [4.0, 2.1, 2.0]), higher=False), share=0.9)
    assert found["target"].item() == pytest.approx(2.2)
    assert found["step"].item() == 20


def test_every_setting_has_a_target_of_its_own() -> None:
    one, other = curves(("soft", 1, [1.0])), curves(("soft", 1, [50.0])).assign(setting="b")
    assert list(time_to_target(pd.concat([one, other]))["target"]) == pytest.approx([0.95, 47.5])


def test_no_mean_is_made_of_what_was_never_reached() -> None:
    times = time_to_target(
        curves(
            ("slow", 1, [0.1, 0.2]),
            ("slow", 2, [0.1, 1.0]),
            ("fast", 1, [1.0, 1.0]),
            ("fast", 2, [0.5, 1.0]),
        )
    )
    fast, slow = over_seeds(times).itertuples()
    assert (fast.contender, fast.seeds, fast.reached, fast.seconds) == ("fast", 2, 2, 3.0)
    assert (slow.contender, slow.reached, slow.at_least_seconds) == ("slow", 1, 4.0)
    assert np.isnan(slow.seconds)


@pytest.mark.parametrize("share", [0.0, -1.0, 1.5])
def test_a_share_is_above_0_and_at_most_1(share: float) -> None:
    with pytest.raises(ValueError, match="above 0 and at most 1"):
        time_to_target(curves(("soft", 1, [1.0])), share)
