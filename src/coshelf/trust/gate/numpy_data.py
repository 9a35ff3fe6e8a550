"""numpy's arrays, scalars and dtypes from pickles, made by functions of the gate instead of those that pickles name.

An array is made at once, from bytes whose length fits its shape and dtype. numpy makes a dtype from a description.
numpy's own functions for pickles do not check their arguments, so no pickle reaches them.
"""

from __future__ import annotations

import math
import re
from typing import Any

from coshelf.trust.gate.known import Known, Machine, refused

__all__ = ["numpy_name"]

_UNITS = {"generic", "Y", "M", "W", "D", "h", "m", "s", "ms", "us", "ns", "ps", "fs", "as"}
_KINDS = re.compile(r"[<>|=]?(?:[bBhHiIlLqQefdgFDG?]|[iufcbSUVmM]\d{1,9}|[SUVmM]|O8?)", re.ASCII)
_MOST_DIMENSIONS = 64
_DEEPEST = 32  # fields within fields
_MOST_EMPTY = 1 << 16  # elements of no bytes
_LAST_CHARACTER = 0x10FFFF


def numpy_name(module: str, name: str) -> Known | None:
    """What a pickle gets for one of numpy's names, or None."""
    inside = module.removeprefix("numpy.").removeprefix("_core.").removeprefix("core.")
    label = f"{module}.{name}"
    match inside, name:
        case "numpy", "ndarray":
            return Known(label)
        case "numpy", "dtype":
            return Known(label, make=_kind_begun)
        case "multiarray", "_reconstruct":
            return Known(label, make=_array_begun)
        case "multiarray", "scalar":
            return Known(label, make=_scalar)
        case "numeric", "_frombuffer":
            return Known(label, make=_from_buffer)
    return None


# --- dtypes ----------------------------------------------------------------------------------------------------------


def _kind_begun(machine: Machine, arguments: tuple[Any, ...]) -> Any:
    kind = arguments[0] if arguments else None
    right = type(kind) is str and _KINDS.fullmatch(kind) and all(type(each) in (bool, int) for each in arguments[1:])
    if not right or len(arguments) > 3:
        raise _refused(f"dtype {kind!r:.40}")
    return machine.begin(_kind, kind)


def _kind(machine: Machine, kind: str, state: Any) -> Any:
    """The dtype, which numpy makes from a description: numpy does not check a state itself, and crashes on some."""
    import numpy as np

    if type(state) is not tuple or len(state) not in (8, 9) or state[0] not in (3, 4):
        raise _refused("a dtype with a strange state")
    try:
        made = _described(np.dtype(kind), state)
    except (TypeError, ValueError, KeyError, IndexError, AttributeError, MemoryError, OverflowError) as error:
        raise _refused(f"a dtype that numpy refuses ({error})") from error
    _look_through(machine, made, 0)
    size, alignment, flags = state[5:8]
    right = type(flags) is int and size in (-1, made.itemsize) and alignment in (-1, made.alignment)
    if not right or flags & 0x7F != made.flags & 0x7F:
        raise _refused("a dtype with a strange size or flags")
    return made


def _described(made: Any, state: tuple[Any, ...]) -> Any:
    """The dtype that a state describes, made by numpy."""
    import numpy as np

    parts: tuple[Any, ...] = state[:8]
    _, order, part, names, fields, size, _, flags = parts
    if type(order) is not str or order not in ("<", ">", "|", "="):
        raise _refused("a dtype with a strange byte order")
    if made.kind in "mM":
        unit = _unit(state[8]) if len(state) == 9 else None
        if unit is None or (part, names, fields) != (None, None, None):
            raise _refused("a date or span of time without a unit")
        return _ordered(np.dtype(f"{made.kind}8{unit}"), order)
    if len(state) == 9:
        raise _refused("a dtype with metadata")
    if names is None and fields is None and part is None:
        return _ordered(made, order)
    if part is not None and names is None and fields is None:
        return _with_parts(part)
    if part is not None or made.kind != "V":
        raise _refused("a dtype with fields and parts")
    return _with_fields(names, fields, size, flags)


def _ordered(kind: Any, order: str) -> Any:
    return kind.newbyteorder(order)


def _with_parts(part: Any) -> Any:
    """A dtype whose elements are small arrays."""
    import numpy as np

    base, shape = part if type(part) is tuple and len(part) == 2 else (None, None)
    shape = (shape,) if type(shape) is int else shape
    if not isinstance(base, np.dtype) or base.hasobject or not _is_shape(shape):
        raise _refused("a dtype of strange parts")
    return np.dtype((base, shape))


def _with_fields(names: Any, fields: Any, size: Any, flags: Any) -> Any:
    import numpy as np

    if type(names) is not tuple or type(fields) is not dict or not all(type(name) is str for name in names):
        raise _refused("a dtype with strange names")
    if set(fields) != set(names) or type(size) is not int or type(flags) is not int:
        raise _refused("a dtype with titles")
    for field in fields.values():
        right = type(field) is tuple and len(field) == 2 and isinstance(field[0], np.dtype) and type(field[1]) is int
        if not right or field[0].hasobject or field[1] < 0:
            raise _refused("a dtype with strange fields")
    described: Any = {
        "names": list(names),
        "formats": [fields[name][0] for name in names],
        "offsets": [fields[name][1] for name in names],
        "itemsize": size,
    }
    return np.dtype(described, align=bool(flags & 0x80))


def _look_through(machine: Machine, kind: Any, depth: int) -> None:
    """Limit fields within fields: they can be many more than the pickle has bytes, and numpy goes through them all."""
    machine.spend(1)
    if depth > _DEEPEST:
        raise _refused("a dtype with fields within fields within fields")
    if kind.subdtype is not None:
        _look_through(machine, kind.subdtype[0], depth + 1)
    for name in kind.names or ():
        _look_through(machine, kind.fields[name][0], depth + 1)


def _unit(metadata: Any) -> str | None:
    """The unit of dates and spans of time, as numpy writes it; None if the metadata have any unexpected part."""
    if type(metadata) is not tuple or len(metadata) != 2 or type(metadata[1]) is not tuple or len(metadata[1]) != 4:
        return None
    nothing, (unit, count, divisor, event) = metadata
    unit = unit.decode("latin-1") if type(unit) is bytes else unit
    if nothing not in (None, {}) or type(unit) is not str or unit not in _UNITS:
        return None
    if type(count) is not int or not 0 < count < 2**31 or (divisor, event) != (1, 1):
        return None
    return "" if unit == "generic" else f"[{count}{unit}]"


# --- arrays and scalars ----------------------------------------------------------------------------------------------


def _array_begun(machine: Machine, arguments: tuple[Any, ...]) -> Any:
    kind, shape, code = arguments if len(arguments) == 3 else (None, None, None)
    is_class = type(kind) is Known and kind.label == "numpy.ndarray"
    if not is_class or shape != (0,) or code not in (b"b", "b"):
        raise _refused("an array of another class")
    return machine.begin(_array, None)


def _array(machine: Machine, _arguments: None, state: Any) -> Any:
    """An array with memory of its own, like those that numpy unpickles."""
    import numpy as np

    parts: tuple[Any, ...] = state if type(state) is tuple and len(state) == 5 else (None,) * 5
    version, shape, kind, is_fortran, data = parts
    right = type(version) is int and version == 1 and isinstance(kind, np.dtype) and _is_shape(shape)
    if not right or type(is_fortran) not in (bool, int):
        raise _refused("an array with a strange state")
    order = "F" if is_fortran else "C"
    if kind.hasobject:
        return _of_objects(machine, kind, shape, order, data)
    if type(data) is str:
        data = data.encode("latin-1")  # as Python 2 wrote it
    if type(data) not in (bytes, bytearray):
        raise _refused("an array of other data")
    machine.spend(len(data) >> 3)
    made = _seen(data, kind, shape, order, copy=True)
    # Converted to the machine's byte order, as numpy does.
    return made if made.dtype.isnative or made.dtype.names else made.byteswap().view(made.dtype.newbyteorder("="))


def _of_objects(machine: Machine, kind: Any, shape: Any, order: Any, items: Any) -> Any:
    """An array that holds these objects, each stored unchanged."""
    import numpy as np

    if kind != np.dtype("O") or type(items) is not list or len(items) != math.prod(shape):
        raise _refused("an array of objects with other data")
    machine.spend(len(items))
    made = np.empty(len(items), kind)
    for at, item in enumerate(items):
        made[at] = item
    return made.reshape(shape, order=order)


def _scalar(_machine: Machine, arguments: tuple[Any, ...]) -> Any:
    import numpy as np

    kind, data = arguments if len(arguments) == 2 else (None, None)
    data = data.encode("latin-1") if type(data) is str else data
    if not isinstance(kind, np.dtype) or kind.hasobject or kind.subdtype or type(data) is not bytes:
        raise _refused("a scalar of strange data")
    return _seen(data, kind, (1,), "C", copy=True)[0]


def _from_buffer(_machine: Machine, arguments: tuple[Any, ...]) -> Any:
    import numpy as np

    parts: tuple[Any, ...] = arguments if len(arguments) == 4 else (None,) * 4
    data, kind, shape, order = parts
    shape = (shape,) if type(shape) is int else shape
    right = type(data) in (bytes, bytearray, memoryview) and type(order) is str and order in ("C", "F")
    if not right or not isinstance(kind, np.dtype) or kind.hasobject or not _is_shape(shape):
        raise _refused("an array of a strange buffer")
    return _seen(data, kind, shape, order, copy=False)


def _is_shape(shape: Any) -> bool:
    right = type(shape) is tuple and len(shape) <= _MOST_DIMENSIONS
    return right and all(type(length) is int and 0 <= length < 1 << 62 for length in shape)


def _seen(data: Any, kind: Any, shape: tuple[int, ...], order: Any, *, copy: bool) -> Any:
    """An array of these bytes. Their number must be what the array needs."""
    import numpy as np

    count = math.prod(shape)
    size = memoryview(data).nbytes
    if kind.subdtype is not None or size != count * kind.itemsize or (not size and count > _MOST_EMPTY):
        raise _refused(f"an array of {count} elements with other data")
    try:
        if size:
            made = np.frombuffer(data, kind).reshape(shape, order=order)
            made = made.copy(order="K") if copy else made
        else:
            made = np.ndarray(shape, kind, b"" if kind.itemsize == 0 else None, order=order)
    except (ValueError, TypeError, OverflowError) as error:
        raise _refused(f"an array that numpy refuses ({error})") from error
    _check_elements(made, 0)
    return made


def _check_elements(made: Any, depth: int) -> None:
    """Refuse elements that numpy could not have written: invalid characters, and truth values other than 0 and 1."""
    import numpy as np

    kind = made.dtype
    if kind.names is not None and depth <= _DEEPEST:
        for name in kind.names:
            _check_elements(made[name], depth + 1)
    elif kind.kind in "bU" and made.size and kind.itemsize:
        form = "u1" if kind.kind == "b" else f"{kind.byteorder if kind.byteorder in '<>' else '='}u4"
        most = 1 if kind.kind == "b" else _LAST_CHARACTER
        if int(np.ascontiguousarray(made).reshape(-1).view(form).max()) > most:
            raise _refused("an array with elements that its dtype does not have")


def _refused(what: str) -> Any:
    return refused(what, f"numpy: {what}")
