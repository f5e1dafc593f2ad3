"""What a report learns from the registries."""

from __future__ import annotations

import pytest

from bench.store.cell import Cell
from reports.catalogue import Catalogue, catalogue_of


@pytest.fixture(scope="module")
def registered() -> Catalogue:
    return catalogue_of(
        [
            Cell("translation", "synthetic", "soft", "concat"),
            Cell("translation", "nobody's", "soft", "concat"),
            Cell("nobody's", "synthetic", "zeta", "mine"),
        ]
    )


def test_axes_run_from_the_simple_to_the_involved(registered):
    assert [one.name for one in registered.attentions][:3] == ["none", "soft", "hard"]
    assert [one.name for one in registered.scores][:2] == ["dot", "scaled-dot"]
    assert all(one.summary and one.source for one in registered.attentions)


def test_tasks_stand_in_one_order_whatever_a_store_lists_first():
    names = ["speech", "entailment", "summarization", "captioning", "translation"]
    cells = [Cell(name, "synthetic", "none", "none") for name in names]
    expected = ["translation", "captioning", "entailment", "speech", "summarization"]
    for given in (cells, cells[::-1]):
        assert list(catalogue_of(given).tasks) == expected


def test_refusals_give_their_reason(registered):
    reason = registered.refusals["translation", "self", "location-aware"]
    assert "no previous step" in reason
    assert ("translation", "soft", "concat") not in registered.refusals
    assert registered.controls == {"none"}


def test_options_of_the_data_make_the_setting(registered):
    found = registered.data_options_of(Cell("translation", "synthetic", "soft", "concat"))
    assert "reordering" in found
    assert "hidden_dim" not in found


def test_what_is_not_installed_has_a_name_and_nothing_else(registered):
    assert registered.task("nobody's").name == "nobody's"
    assert registered.attention("zeta").summary == ""
    assert registered.data_options_of(Cell("nobody's", "synthetic", "zeta", "mine")) == frozenset()
