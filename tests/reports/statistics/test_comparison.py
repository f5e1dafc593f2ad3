"""The comparison of two stores as a DataFrame."""

from __future__ import annotations

import pytest

from bench.errors import UsageError
from reports.statistics.comparison import compare


def test_a_row_for_every_contender_whatever_the_stores_are_given_as(store):
    found = compare(store, store.address)
    frame = found.frame
    assert list(frame["contender"]) == [one.contender for one in found.differences]
    assert list(frame["before"]) == [one.before for one in found.differences]
    assert list(frame["seeds"]) == [len(one.seeds) for one in found.differences]
    assert set(frame["verdict"]) == {"identical"} and set(frame["task"]) == {"translation"}
    assert [str(frame[name].dtype) for name in ("low", "p", "converged")] == [
        "float64",
        "float64",
        "boolean",
    ]


def test_what_is_no_store_is_said(store, tmp_path):
    with pytest.raises(UsageError, match="no store there"):
        compare(store, tmp_path / "nothing")
