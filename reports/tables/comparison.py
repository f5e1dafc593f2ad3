"""Two stores beside each other, a table a setting (`reports.statistics.comparison`)."""

from __future__ import annotations

from itertools import groupby

import pandas as pd

from reports import formats
from reports.statistics.comparison import StoreComparison
from reports.tables import Column, Table, metric_column
from reports.tables.scores import CONTENDER


def comparison_tables(comparison: StoreComparison, number: int = 1) -> list[Table]:
    """Build a table for each setting that both stores have; `number` makes the names of several
    comparisons distinct."""
    tables = []
    order = list(dict.fromkeys(one.setting for one in comparison.differences))
    every = sorted(comparison.differences, key=lambda one: order.index(one.setting))
    for setting, members in groupby(every, key=lambda one: one.setting):
        own = list(members)
        first = own[0]
        metric = first.metric
        columns = (
            metric_column("before", "before", metric),
            metric_column("after", "after", metric),
            metric_column(
                "difference", "after − before", metric, signed=True, ends=("low", "high")
            ),
            Column("p", "p", "two-sided, after Holm's correction over all comparisons", form="p"),
            Column("verdict", "verdict", text=True),
            Column("basis", "interval over", text=True),
            Column("seeds", "seeds", form="count"),
        )
        rows = [
            {
                **vars(one),
                "difference": one.after - one.before,
                "verdict": f"{one.told} ({one.reason})" if one.reason else one.told,
                "seeds": len(one.seeds),
            }
            for one in own
        ]
        frame = pd.DataFrame(rows, dtype=object).set_index("contender")
        better = "higher" if first.higher_is_better else "lower"
        told = f"{formats.title(metric)}, {better} is better; means over the seeds of both."
        title = f"{setting.task.capitalize()}, {setting.label}: {formats.metric_name(metric)}"
        head = (f"compare-{number}-{setting.slug}", title, CONTENDER)
        tables.append(Table.of_frame(head, columns, frame, filter(None, (told, first.shared))))
    return tables
