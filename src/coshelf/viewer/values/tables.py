"""Tables of lists of records, of DataFrames of pandas, and of tables of Arrow."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from coshelf.viewer.texts import cut, short

__all__ = ["Table", "table_of"]

_ROWS, _COLUMNS = 100, 40
_NUMBER = re.compile(r"[-+]?(?:[0-9][0-9.e+-]*|nan|inf)")
_FEWEST = 2  # records that make a table


@dataclass(frozen=True)
class Table:
    """The beginning of a table.

    Attributes:
        columns: the names of the columns.
        numeric: whether each column has numbers alone.
        rows: the cells, as text.
        count: the number of all rows.
        width: the number of all columns.
        what: what it is, in words.
    """

    columns: list[str]
    numeric: list[bool]
    rows: list[list[str]]
    count: int
    width: int
    what: str


def table_of(value: Any) -> Table | None:
    """The table in a value; None if it has none."""
    pandas, arrow = sys.modules.get("pandas"), sys.modules.get("pyarrow")
    if pandas is not None and isinstance(value, (pandas.DataFrame, pandas.Series)):
        return _of_pandas(value.to_frame() if isinstance(value, pandas.Series) else value, type(value).__name__)
    if arrow is not None and isinstance(value, (arrow.Table, arrow.RecordBatch)):
        return _of_arrow(value)
    return _of_records(value)


def _of_records(value: Any) -> Table | None:
    if type(value) not in (list, tuple) or len(value) < _FEWEST:
        return None
    some = value[:_ROWS]
    if all(type(each) is dict for each in some):
        different = {id(each): each for each in some}.values()  # one large dict may be there a hundred times
        names = list(dict.fromkeys(name for each in different for name in each))
        if not all(type(name) is str for name in names) or not names:
            return None
        rows = [[short(each[name]) if name in each else "" for name in names[:_COLUMNS]] for each in some]
        return _made(names, rows, len(value), len(names), "records")
    if all(type(each) in (tuple, list) and len(each) == len(some[0]) for each in some) and len(some[0]) > 1:
        width = len(some[0])
        rows = [[short(cell) for cell in each[:_COLUMNS]] for each in some]
        return _made([str(at) for at in range(width)], rows, len(value), width, "rows")
    return None


def _of_pandas(frame: Any, what: str) -> Table:
    count, width = frame.shape
    some = frame.iloc[:_ROWS, :_COLUMNS]
    kinds = some.dtypes.tolist()
    names = ["", *(f"{name} ({kind})" for name, kind in zip(some.columns.tolist(), kinds, strict=True))]
    rows = [[short(cell, quoted=False) for cell in each] for each in some.itertuples(name=None)]
    return _made(names, rows, count, width, what)


def _of_arrow(table: Any) -> Table:
    names = table.schema.names
    columns = [table.column(at).slice(0, _ROWS).to_pylist() for at in range(min(len(names), _COLUMNS))]
    titles = [f"{name} ({kind})" for name, kind in zip(names, table.schema.types, strict=True)]
    cells: Iterable[tuple[Any, ...]] = zip(*columns, strict=True)
    rows = [[short(cell, quoted=False) for cell in row] for row in cells]
    return _made(titles, rows, table.num_rows, table.num_columns, f"Arrow {type(table).__name__}")


def _made(names: list[Any], rows: list[list[str]], count: int, width: int, what: str) -> Table:
    columns = [cut(str(name)) for name in names[: len(rows[0]) if rows else _COLUMNS]]
    numeric = [all(_is_number(row[at]) for row in rows) for at in range(len(columns))]
    return Table(columns, numeric, rows, count, width, what)


def _is_number(cell: str) -> bool:
    return _NUMBER.fullmatch(cell) is not None
