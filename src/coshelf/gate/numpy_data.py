"""What numpy arrays and scalars are made of in pickles, checked before numpy's C code relies on it."""

from __future__ import annotations

import math
import re
from typing import Any

from coshelf.errors import UntrustedValue
from coshelf.gate.data_types import Guarded

__all__ = ["checked_state", "numpy_type"]

_UNITS = {"generic", "Y", "M", "W", "D", "h", "m", "s", "ms", "us", "ns", "ps", "fs", "as"}
_KINDS = re.compile(r"[<>|=]?[?bBhHiIlLqQefdgFDGSUVmMOcu]\d*")


def numpy_type(module: str, name: str) -> Any:
    """What a pickle gets for one of numpy's names, or None."""
    import numpy as np

    if (module, name) == ("numpy", "ndarray"):
        return np.ndarray
    inside = module.removeprefix("numpy.").removeprefix("_core.").removeprefix("core.")
    functions: dict[tuple[str, str], Any] = {
        ("numpy", "dtype"): _dtype,
        ("multiarray", "_reconstruct"): _reconstruct,
        ("multiarray", "scalar"): _scalar,
        ("numeric", "_frombuffer"): _from_buffer,
    }
    function = functions.get((inside, name))
    return None if function is None else Guarded(function)


def _dtype(kind: str, align: bool = False, _copy: bool = True) -> Any:
    import numpy as np

    if not isinstance(kind, str) or not _KINDS.fullmatch(kind):
        raise _refused(f"dtype {kind!r}")
    return np.dtype(kind, align=bool(align), copy=True)


def _reconstruct(kind: Any, shape: Any, typecode: Any) -> Any:
    import numpy as np

    if kind is not np.ndarray or shape != (0,) or typecode not in (b"b", "b"):
        raise _refused("an array of another class")
    return np.ndarray((0,), "b")


def _scalar(kind: Any, data: Any = b"") -> Any:
    import numpy as np

    if not isinstance(kind, np.dtype) or kind.hasobject or not isinstance(data, bytes) or len(data) != kind.itemsize:
        raise _refused(f"a scalar of {kind!r}")
    return np.frombuffer(data, kind)[0]


def _from_buffer(data: Any, kind: Any, shape: Any, order: Any) -> Any:
    import numpy as np

    if not isinstance(kind, np.dtype) or kind.hasobject:
        raise _refused(f"a buffer of {kind!r}")
    return np.frombuffer(data, dtype=kind).reshape(shape, order=order)


def checked_state(made: Any, state: Any) -> Any:
    """The state that an array or dtype is to be given in the place of this one.

    Raises :class:`UntrustedValue` for a state that it could not have been pickled with.
    """
    import numpy as np

    if type(made) is np.ndarray:
        _check_array(state)
        return state
    if isinstance(made, np.dtype):
        return _own_state(made, state)
    raise _refused(f"a state of {type(made).__name__}")


def _check_array(state: Any) -> None:
    import numpy as np

    parts: tuple[Any, ...] = state if isinstance(state, tuple) and len(state) == 5 else (None,) * 5
    version, shape, kind, _, data = parts
    right = version == 1 and isinstance(kind, np.dtype) and isinstance(shape, tuple)
    if not right or not all(isinstance(length, int) and length >= 0 for length in shape):
        raise _refused("an array with a strange state")
    count = math.prod(shape)
    if isinstance(data, list):
        right = kind.hasobject and len(data) == count
    else:
        right = not kind.hasobject and isinstance(data, (bytes, bytearray, str)) and len(data) == count * kind.itemsize
    if not right:
        raise _refused(f"an array of {count} elements with other data")


def _own_state(made: Any, state: Any) -> Any:
    """What numpy itself gives a dtype that it made after this description: it believes states, and crashes on some."""
    if not isinstance(state, tuple) or len(state) not in (8, 9) or state[0] not in (3, 4):
        raise _refused("a dtype with a strange state")
    try:
        proper = _described(made, state)
    except UntrustedValue:
        raise
    except (TypeError, ValueError, KeyError, IndexError, AttributeError) as error:
        raise _refused(f"a dtype that numpy refuses ({error})") from error
    own = proper.__reduce__()[2]
    _, _, _, _, _, size, alignment, flags = state[:8]
    right = isinstance(flags, int) and size in (-1, proper.itemsize) and alignment in (-1, proper.alignment)
    if not right or flags & 0x7F != proper.flags & 0x7F:
        raise _refused("a dtype with a strange size or flags")
    return own


def _described(made: Any, state: Any) -> Any:
    """The dtype that a state describes, made by numpy."""
    import numpy as np

    _, order, part, names, fields, size, _, flags = state[:8]
    if order not in ("<", ">", "|", "="):
        raise _refused(f"a dtype with the byte order {order!r}")
    if made.kind in "mM":
        unit = _unit(state[8]) if len(state) == 9 else None
        if unit is None or (part, names, fields) != (None, None, None):
            raise _refused("a date or span of time without a unit")
        return np.dtype(f"{made.kind}8{unit}").newbyteorder(order)
    if len(state) == 9:
        raise _refused("a dtype with metadata")
    if names is None and fields is None and part is None:
        return made.newbyteorder(order)
    if part is not None and names is None and fields is None:
        return np.dtype(part)
    if part is not None:
        raise _refused("a dtype with fields and parts")
    if set(fields) != set(names) or any(len(field) != 2 for field in fields.values()):
        raise _refused("a dtype with titles")
    described: Any = {
        "names": list(names),
        "formats": [fields[name][0] for name in names],
        "offsets": [fields[name][1] for name in names],
        "itemsize": size,
    }
    if not all(isinstance(kind, np.dtype) for kind in described["formats"]):
        raise _refused("a dtype with fields of no dtype")
    return np.dtype(described, align=bool(flags & 0x80))


def _unit(metadata: Any) -> str | None:
    """What dates and spans of time count: nothing besides, and unit, count, and two numbers."""
    try:
        nothing, (unit, count, divisor, event) = metadata
        unit = unit.decode() if isinstance(unit, bytes) else unit
    except (TypeError, ValueError):
        return None
    if nothing or unit not in _UNITS or type(count) is not int or not 0 < count < 2**31 or (divisor, event) != (1, 1):
        return None
    return "" if unit == "generic" else f"[{count}{unit}]"


def _refused(what: str) -> UntrustedValue:
    return UntrustedValue(f"{what} is no plain data", f"numpy: {what}")
