"""What the script of tables reads: figures behind the texts of a table, as data attributes.

A page shows rounded texts; `tables.js` sorts, filters, marks and copies by the figures themselves
(those of cells stand in `data` elements).
Attributes are written only where there is something to say, so that pages stay small.
"""

from __future__ import annotations

import json

from markupsafe import Markup, escape

from reports.tables import Entry, Number, Row, Table


def cell_data(entry: Entry) -> Markup:
    """The attributes of a cell: ends of the interval and tie group of a number."""
    if not isinstance(entry, Number):
        return Markup()
    ends = {name: getattr(entry, name) for name in ("low", "high")}
    told = {name: figure(one) for name, one in ends.items() if one is not None}
    return _attributes(**told, group=entry.group)


def figure(value: float) -> str:
    """A figure as scripts read it: whole numbers as they are, others to seven digits."""
    return f"{value:.0f}" if float(value).is_integer() else f"{value:.7g}"


def row_data(row: Row) -> Markup:
    """The attributes of a row: its place on the axes (attention, score, backbone, options)."""
    return _attributes(axes=json.dumps(dict(row.axes), ensure_ascii=False) if row.axes else None)


def column_data(table: Table, place: int) -> Markup:
    """The attributes of the heading of a column.

    `better` is the direction of the column's metric, `cost` that of a cost, `percent` stands where
    its figures are fractions shown as percentages, `digits` is the number of decimals shown.
    """
    column = table.columns[place]
    entries = [one.spanning or one.entries[place] for one in table.rows]
    first = next((one for one in entries if isinstance(one, Number)), None)
    better = column.better or None
    return _attributes(
        key=column.key,
        better=None if column.is_cost else better,
        cost=better if column.is_cost else None,
        percent="" if first and first.form == "percent" else None,
        digits=first.digits if first and first.form == "plain" else None,
    )


def table_data(table: Table) -> Markup:
    """The attributes of a table: its name, and whether its columns share one scale (a matrix)."""
    return _attributes(name=table.name, matrix="" if table.spanning_key else None)


def _attributes(**values: object) -> Markup:
    known = ((name, value) for name, value in values.items() if value is not None)
    return Markup("".join(f' data-{name}="{escape(value)}"' for name, value in known))
