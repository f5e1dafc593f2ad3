"""Mean ranks over tasks against scipy, published critical values, and simulation."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from reports.figures.ranks import rank_figure
from reports.load import BenchmarkSetting
from reports.statistics import Analysis
from reports.statistics.ranks import MeanRanks, critical_difference, friedman_p, mean_ranks


def analysis(task: str, figures: dict[str, float], *, higher: bool = True, budget: str = "laptop"):
    """One setting and what `mean_ranks` takes of its analysis."""
    contenders = [SimpleNamespace(name=name) for name in figures]
    estimates = [
        None if value is None else SimpleNamespace(value=value) for value in figures.values()
    ]
    measured = SimpleNamespace(
        frame=SimpleNamespace(contenders=contenders, sign=1 if higher else -1),
        main=SimpleNamespace(estimates=estimates),
    )
    return BenchmarkSetting(task, "synthetic", budget), Analysis.losses.func(measured)


@pytest.mark.parametrize(
    ("names", "critical"),
    # Demšar 2006, table 5: q at 5 % for the two-tailed Nemenyi test.
    [(2, 1.960), (3, 2.343), (4, 2.569), (5, 2.728), (10, 3.164)],
)
def test_critical_differences_are_those_of_the_paper(names, critical):
    expected = critical * np.sqrt(names * (names + 1) / (6 * 14))
    assert critical_difference(names, 14) == pytest.approx(expected, rel=2e-3)


def test_friedman_is_that_of_scipy_turned_into_f():
    rng = np.random.default_rng(3)
    table = rng.standard_normal((8, 5)) + np.arange(5) * 0.5
    ranks = stats.rankdata(table, axis=1)
    squared = stats.friedmanchisquare(*table.T).statistic
    ratio = 7 * squared / (8 * 4 - squared)
    assert friedman_p(ranks) == pytest.approx(stats.f.sf(ratio, 4, 28))
    assert friedman_p(np.tile(np.arange(1, 6), (4, 1))) == 0.0


def test_ranks_turn_round_where_less_is_better():
    found = mean_ranks(
        dict(
            [
                analysis("translation", {"a": 30.0, "b": 20.0, "c": 10.0}),
                analysis("speech", {"a": 0.1, "b": 0.3, "c": 0.2}, higher=False),
                analysis("entailment", {"a": 0.7, "b": 0.7, "c": 0.2}),
            ]
        )
    )
    assert dict(zip(found.names, found.means, strict=True)) == {
        "a": pytest.approx((1 + 1 + 1.5) / 3),
        "b": pytest.approx((2 + 3 + 1.5) / 3),
        "c": pytest.approx((3 + 2 + 3) / 3),
    }
    assert found.names[0] == "a"


def test_who_did_not_finish_everywhere_is_left_out_and_counted():
    whole = {"a": 3.0, "b": 2.0, "c": 1.0}
    found = mean_ranks(
        dict(
            [
                analysis("x", {**whole, "d": 9.0}),
                analysis("y", {**whole, "d": None}),
                analysis("z", {**whole, "e": 5.0}),
            ]
        )
    )
    assert (found.names, found.left_out) == (("a", "b", "c"), 2)
    assert "2 mechanisms that did not finish" in rank_figure(found).caption


def test_budgets_are_not_mixed_and_too_little_gives_nothing():
    whole = {"a": 3.0, "b": 2.0, "c": 1.0}
    laptop = [analysis(task, whole) for task in "xyz"]
    other = [analysis(task, whole, budget="gpu") for task in "vw"]
    assert {one.budget for one in mean_ranks(dict([*laptop, *other])).settings} == {"laptop"}
    assert mean_ranks(dict(laptop[:2])) is None
    assert mean_ranks(dict([analysis(task, {"a": 1.0, "b": 2.0}) for task in "xyz"])) is None
    assert mean_ranks({}) is None


def test_a_setting_on_several_data_counts_once():
    whole = {"a": 3.0, "b": 2.0, "c": 1.0}
    turned = {"a": 1.0, "b": 2.0, "c": 3.0}
    settings = dict([analysis(task, whole) for task in "xyz"])
    first, *_ = settings
    once = mean_ranks(settings)
    for data in ("1" * 64, "2" * 64):
        settings[replace(first, data=data)] = {name: -turned[name] for name in ("a", "b")}
    assert mean_ranks(settings) == once


def test_bars_join_only_what_is_near():
    ranks = MeanRanks(("a", "b", "c", "d"), (1.0, 1.9, 2.8, 4.0), (), 0, 0.01, 1.0)
    assert ranks.cliques == [(0, 1), (1, 2)]
    assert MeanRanks(("a", "b"), (1.0, 2.0), (), 0, 0.5, 3.0).cliques == [(0, 1)]
    assert MeanRanks(("a", "b"), (1.0, 2.0), (), 0, 0.5, 0.5).cliques == []


def test_alike_mechanisms_are_told_apart_in_at_most_one_of_twenty():
    rng = np.random.default_rng(11)
    critical, claimed = critical_difference(6, 5), 0
    for _ in range(1000):
        means = stats.rankdata(rng.random((5, 6)), axis=1).mean(axis=0)
        claimed += means.max() - means.min() > critical
    assert claimed / 1000 <= 0.05


def test_the_diagram_names_everyone():
    found = mean_ranks(dict([analysis(task, {"a": 3.0, "<b>": 2.0, "c": 1.0}) for task in "xyz"]))
    figure = rank_figure(found)
    assert figure.frame["mechanism"].tolist() == ["a", "<b>", "c"]
    assert figure.description.startswith("Mean ranks: a 1.00, <b> 2.00, c 3.00.")
    assert "So few settings tell little" in figure.caption
    assert "are alike: p\xa0<\xa00.001." in rank_figure(replace(found, p=1e-9)).caption
    assert "are alike: p\xa0=\xa00.040." in rank_figure(replace(found, p=0.04)).caption
