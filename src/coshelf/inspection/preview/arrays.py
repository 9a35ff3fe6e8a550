"""Words for numpy's arrays, numbers and types, and the shapes of arrays for tables that consist of them."""

from __future__ import annotations

import struct
from collections.abc import Callable

from coshelf.inspection.preview.reading_things import Unfit, items_of, part, scalar
from coshelf.inspection.preview.thing import Thing

__all__ = ["KNOWN", "dtype_of", "first_items", "is_array", "shape_of"]

_KINDS = {"f": "float", "i": "int", "u": "uint", "c": "complex"}
_FORMS = {"f2": "e", "f4": "f", "f8": "d", "i1": "b", "i2": "h", "i4": "i", "i8": "q", "u1": "B", "u2": "H", "u4": "I"}
_FORMS |= {"u8": "Q", "b1": "?"}


def is_array(thing: Thing) -> bool:
    """Whether it is an array of numpy."""
    return thing.called == "numpy.ndarray" or (
        thing.called.startswith("numpy.") and thing.called.endswith("._frombuffer")
    )


def shape_of(thing: Thing) -> tuple[int, ...]:
    """The shape of an array. Raises :class:`Unfit`."""
    shape = part(thing.arguments, 2) if thing.called != "numpy.ndarray" else part(items_of(thing.state), 1)
    return tuple(scalar(size, int) for size in items_of(shape))


def dtype_of(thing: Thing) -> str:
    """The name of the type of an array's elements. Raises :class:`Unfit`."""
    return _dtype_name(part(thing.arguments, 1) if thing.called != "numpy.ndarray" else part(items_of(thing.state), 2))


def first_items(thing: Thing) -> list[str]:
    """The first elements of an array of objects or numbers, as Python writes them. Raises :class:`Unfit`."""
    if thing.called == "numpy.ndarray":
        data = part(items_of(thing.state), 4)
        if data.type == "list":
            return [item.written(40, 5) for item in items_of(data)]
        dtype = part(items_of(thing.state), 2)
    else:
        data, dtype = part(thing.arguments, 0), part(thing.arguments, 1)
    form = _FORMS.get(_code(dtype))
    value = data.value
    if form is None or not isinstance(value, (bytes, bytearray)):
        raise Unfit
    size = struct.calcsize(form)
    return [repr(item) for (item,) in struct.iter_unpack(f"<{form}", bytes(value[: len(value) // size * size]))]


def _code(dtype: Thing) -> str:
    if dtype.called != "numpy.dtype":
        raise Unfit
    return scalar(part(dtype.arguments, 0), str)


def _dtype_name(dtype: Thing) -> str:
    code = _code(dtype)
    kind, size = code[:1], code[1:]
    if kind in _KINDS and size.isdecimal() and len(size) < 3:
        return f"{_KINDS[kind]}{8 * int(size)}"
    if kind in ("M", "m"):
        unit = scalar(part(items_of(part(items_of(part(items_of(dtype.state), 8)), 1)), 0), bytes)
        return f"{'datetime64' if kind == 'M' else 'timedelta64'}[{unit.decode('ascii', 'replace')}]"
    return {"b1": "bool", "O8": "object"}.get(code, code)


def _array(thing: Thing) -> None:
    shape = shape_of(thing)
    thing.become("numpy.ndarray", f"<numpy.ndarray {shape} {dtype_of(thing)}>")


def _scalar(thing: Thing) -> None:
    dtype, data = part(thing.arguments, 0), scalar(part(thing.arguments, 1), bytes)
    name, form = _dtype_name(dtype), _FORMS.get(_code(dtype))
    thing.type = f"numpy.{name.partition('[')[0]}"
    if form is not None:
        order = scalar(part(items_of(dtype.state), 1), str) if dtype.state is not None else "<"
        thing.become(thing.type, f"{thing.type}({struct.unpack(('>' if order == '>' else '<') + form, data)[0]!r})")
    else:
        thing.become(thing.type, f"<{thing.type}>")


def _dtype(thing: Thing) -> None:
    thing.become("numpy.dtype", f"numpy.dtype({_dtype_name(thing)!r})")


KNOWN: dict[str, Callable[[Thing], None]] = {
    "numpy.ndarray": _array,
    "numpy._core.numeric._frombuffer": _array,
    "numpy.core.numeric._frombuffer": _array,
    "numpy._core.multiarray.scalar": _scalar,
    "numpy.core.multiarray.scalar": _scalar,
    "numpy.dtype": _dtype,
}
"""By the name of what is called to make an instance."""
