"""Words for tables and columns of pandas, pyarrow and polars: their shape and the names of the columns.

Layouts: pandas 1.3 to 3, whose DataFrame has a manager of blocks and two axes; pyarrow, whose arrays tell their length;
polars 1 and 2, which pickle an Arrow stream. A layout that is not one of these stays as it was described.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from coshelf.inspection.preview.arrays import dtype_of, first_items, is_array, shape_of
from coshelf.inspection.preview.arrow_stream import Beginning, beginning
from coshelf.inspection.preview.reading_things import Unfit, entry_of, items_of, part, scalar
from coshelf.inspection.preview.thing import Thing

__all__ = ["KNOWN", "KNOWN_BY_LAST_NAME", "PACKAGES", "unfinished_frame"]

PACKAGES = ("pandas", "pyarrow", "polars")

_DEEPEST = 5
_NAMES = 8  # columns that are named
_UNITS = {7: 1_000_000, 8: 1_000, 9: 1, 10: 0.001}  # microseconds; the numbers are numpy's
_ARROW_ARRAY = "pyarrow.lib._restore_array"
_ARROW_CHUNKS = "pyarrow.lib.chunked_array"


# --- lengths and names -----------------------------------------------------------------------------------------------


def _length(thing: Thing, depth: int = 0) -> int:
    """How many elements an index, an array or a column has. Raises :class:`Unfit`."""
    thing = thing.same or thing
    if depth > _DEEPEST:
        raise Unfit
    if thing.called.startswith("pandas.") and ".indexes." in thing.called:
        return _length_of_index(thing, depth)
    if is_array(thing):
        return (shape_of(thing) or (0,))[-1]
    if thing.called == _ARROW_ARRAY:
        return scalar(part(items_of(part(thing.arguments, 0)), 1), int)
    if thing.called == _ARROW_CHUNKS:
        chunks = part(thing.arguments, 0)
        if chunks.count > len(items_of(chunks)):
            raise Unfit
        return sum(_length(chunk, depth + 1) for chunk in items_of(chunks))
    state = thing.state.same or thing.state if thing.state is not None else None
    if state is not None and state.type == "dict":
        return _length(entry_of(state, "_pa_array", "_data", "_ndarray", "_codes"), depth + 1)
    for each in items_of(state):  # of what pandas builds in C
        if is_array(each.same or each):
            return _length(each, depth + 1)
    raise Unfit


def _length_of_index(thing: Thing, depth: int) -> int:
    state = part(thing.arguments, 1)
    try:
        start, stop, step = (scalar(entry_of(state, name), int) for name in ("start", "stop", "step"))
        return len(range(start, stop, step))
    except Unfit:
        pass  # it is not a RangeIndex
    try:
        return _length(part(items_of(entry_of(state, "codes", "labels")), 0), depth + 1)
    except Unfit:
        return _length(entry_of(state, "data", "values"), depth + 1)


def _names(index: Thing) -> list[str]:
    """The first names in an index of columns, as Python writes them. Raises :class:`Unfit`."""
    index = index.same or index
    state = part(index.arguments, 1)
    try:
        start, stop, step = (scalar(entry_of(state, name), int) for name in ("start", "stop", "step"))
        return [repr(number) for number in range(start, stop, step)[:_NAMES]]
    except Unfit:
        data = entry_of(state, "data", "values")
    return (first_items(data) if is_array(data) else _texts(data))[:_NAMES]


def _texts(thing: Thing) -> list[str]:
    """The first texts in an array of pyarrow, or of pandas over one. Raises :class:`Unfit`."""
    if thing.state is not None:
        thing = entry_of(thing.state, "_pa_array", "_data")
    if thing.called == _ARROW_CHUNKS:
        thing = part(items_of(part(thing.arguments, 0)), 0)
    if thing.called != _ARROW_ARRAY:
        raise Unfit
    parts = items_of(part(thing.arguments, 0))
    kind, length, first = part(parts, 0).written(80), scalar(part(parts, 1), int), scalar(part(parts, 3), int)
    form, size = ("q", 8) if "large" in kind else ("i", 4)
    buffers = items_of(part(parts, 4))
    ends, text = (_bytes(part(part(buffers, at).arguments, 0)) for at in (1, 2))
    known = min(first + length + 1, len(ends) // size)
    places = struct.unpack(f"<{known}{form}", ends[: known * size])[first:]
    pairs = pairwise(places)
    return [repr(text[at:end].decode("utf-8", "replace")) for at, end in pairs if 0 <= at <= end <= len(text)]


def _bytes(thing: Thing) -> bytes:
    value = thing.value
    if not isinstance(value, (bytes, bytearray)):
        raise Unfit
    return bytes(value)


def _frame_text(rows: int, columns: int, names: list[str]) -> str:
    named = ", ".join(names) + (", ..." if 0 < len(names) < columns else "")
    shape = f"{_rows(rows)} x {columns:,} column{'' if columns == 1 else 's'}"
    return f"{shape}{f': {named}' if named else ''}"


def _rows(rows: int) -> str:
    return f"{rows:,} row{'' if rows == 1 else 's'}"


# --- pandas ----------------------------------------------------------------------------------------------------------


def _data_frame(thing: Thing) -> None:
    manager = entry_of(thing.state, "_mgr", "_data")
    axes = items_of(part(manager.arguments, 1)) if manager.arguments else items_of(part(items_of(manager.state), 0))
    columns = part(axes, 0)
    try:
        names = _names(columns)
    except (Unfit, struct.error):
        names = []
    thing.become(thing.type, f"<DataFrame {_frame_text(_length(part(axes, 1)), _length(columns), names)}>")


def unfinished_frame(thing: Thing, loose: list[Thing]) -> None:
    """Describe a DataFrame whose pickle was not followed to its end by the rows of its first columns.

    Args:
        thing: the DataFrame.
        loose: what is not part of anything yet, the first first.
    """
    thing.become(thing.type, "<DataFrame>")
    blocks = [each for each in loose if each.called == "pandas._libs.internals._unpickle_block"]
    if blocks:
        thing.text = f"<DataFrame {_rows(_length(part(blocks[0].arguments, 0)))}>"
        return
    for shape, dtype in pairwise(loose):
        if shape.type == "tuple" and shape.count in (1, 2) and (dtype.same or dtype).called == "numpy.dtype":
            thing.text = f"<DataFrame {_rows(scalar(items_of(shape)[-1], int))}>"
            return


def _series(thing: Thing) -> None:
    manager = entry_of(thing.state, "_mgr", "_data")
    if manager.arguments:
        blocks, axes = items_of(part(manager.arguments, 0)), items_of(part(manager.arguments, 1))
        values = part(part(blocks, 0).arguments, 0)
    else:
        axes, values = items_of(part(items_of(manager.state), 0)), part(items_of(part(items_of(manager.state), 1)), 0)
    try:
        kind = f" {_kind(values)}"
    except Unfit:
        kind = ""
    try:
        name = entry_of(thing.state, "_name", "name").written(40, 5)
    except Unfit:
        name = "None"
    named = "" if name == "None" else f": {name}"
    thing.become(thing.type, f"<Series {_length(part(axes, 0)):,}{kind}{named}>")


def _kind(values: Thing) -> str:
    """The type of the elements of a column. Raises :class:`Unfit`."""
    if is_array(values):
        return dtype_of(values)
    name = (part(values.arguments, 0).text if values.arguments else values.called).rpartition(".")[2]
    kinds = {"ArrowStringArray": "str", "StringArray": "str", "Categorical": "category", "DatetimeArray": "datetime64"}
    return kinds.get(name, name.removesuffix("Array"))


def _index(thing: Thing) -> None:
    length, name = _length(thing), part(thing.arguments, 0).text
    try:
        names = _names(thing)
    except (Unfit, struct.error):
        names = []
    more = f": {', '.join(names)}{', ...' if len(names) < length else ''}" if names else ""
    thing.become(name, f"<{name.rpartition('.')[2]} {length:,}{more}>")


def _extension(thing: Thing) -> None:
    name = part(thing.arguments, 0).text if thing.arguments else thing.called
    thing.become(name, f"<{name.rpartition('.')[2]} {_length(thing):,}>")


def _timestamp(thing: Thing) -> None:
    microseconds = _microseconds(thing, 3)
    zone = part(thing.arguments, 2).written(60, 5)
    at = datetime.fromtimestamp(0, UTC).replace(tzinfo=None) + timedelta(microseconds=microseconds)
    is_local = zone == "None"
    tail = "" if is_local else f", tz={zone}"
    thing.become("pandas.Timestamp", f"pandas.Timestamp({str(at) + ('' if is_local else '+00:00')!r}{tail})")


def _timedelta(thing: Thing) -> None:
    length = timedelta(microseconds=_microseconds(thing, 1))
    thing.become("pandas.Timedelta", f"pandas.Timedelta({str(length)!r})")


def _microseconds(thing: Thing, at_unit: int) -> float:
    value = scalar(part(thing.arguments, 0), int)
    unit = scalar(part(thing.arguments, at_unit), int) if len(thing.arguments) > at_unit else 10
    return value // 1_000 if unit == 10 else value * _UNITS[unit]


# --- pyarrow ---------------------------------------------------------------------------------------------------------


def _arrow_table(thing: Thing) -> None:
    columns, schema = part(thing.arguments, 0), part(thing.arguments, 1)
    fields = items_of(part(schema.arguments, 0))
    names = [part((field.same or field).arguments, 0).text for field in fields[:_NAMES]]
    rows = _length(part(items_of(columns), 0)) if columns.count else 0
    kind = "RecordBatch" if thing.called.endswith("batch") else "Table"
    thing.become(f"pyarrow.{kind}", f"<{kind} {_frame_text(rows, columns.count, names)}>")


def _arrow_array(thing: Thing) -> None:
    kind = part(part(items_of(part(thing.arguments, 0)), 0).arguments, 0).written(40, 5).strip("'")
    thing.become("pyarrow.Array", f"<Array {_length(thing):,} {kind}>")


def _arrow_chunks(thing: Thing) -> None:
    thing.become("pyarrow.ChunkedArray", f"<ChunkedArray {_length(thing):,}>")


# --- polars ----------------------------------------------------------------------------------------------------------


def _polars_frame(thing: Thing) -> None:
    found = _stream(thing)
    names = [repr(name) for name in found.names]
    if found.rows is None:
        named = ", ".join(names) + (", ..." if len(names) < found.columns else "")
        thing.become(thing.type, f"<DataFrame {found.columns:,} columns: {named}>")
    else:
        thing.become(thing.type, f"<DataFrame {_frame_text(found.rows, found.columns, names)}>")


def _polars_series(thing: Thing) -> None:
    found = _stream(thing)
    rows = "" if found.rows is None else f" {found.rows:,}"
    name = f": {found.names[0]!r}" if found.names[0] else ""
    thing.become(thing.type, f"<Series{rows}{name}>")


def _stream(thing: Thing) -> Beginning:
    state = thing.state
    if state is None:
        raise Unfit
    return beginning(_bytes(state), state.count, _NAMES)


KNOWN: dict[str, Callable[[Thing], None]] = {
    "pyarrow.lib._reconstruct_table": _arrow_table,
    "pyarrow.lib._reconstruct_record_batch": _arrow_table,
    _ARROW_ARRAY: _arrow_array,
    _ARROW_CHUNKS: _arrow_chunks,
}
"""By the name of what is called to make an instance."""

KNOWN_BY_LAST_NAME: dict[tuple[str, str], Callable[[Thing], None]] = {
    ("pandas", "DataFrame"): _data_frame,
    ("pandas", "Series"): _series,
    ("pandas", "_new_Index"): _index,
    ("pandas", "_new_DatetimeIndex"): _index,
    ("pandas", "_new_PeriodIndex"): _index,
    ("pandas", "_unpickle_timestamp"): _timestamp,
    ("pandas", "_timedelta_unpickle"): _timedelta,
    ("pandas", "__pyx_unpickle_NDArrayBacked"): _extension,
    ("pandas", "ArrowStringArray"): _extension,
    ("pandas", "StringArray"): _extension,
    ("pandas", "IntegerArray"): _extension,
    ("pandas", "FloatingArray"): _extension,
    ("pandas", "BooleanArray"): _extension,
    ("polars", "DataFrame"): _polars_frame,
    ("polars", "Series"): _polars_series,
}
"""The same by package and last name, because classes and functions move between modules."""
