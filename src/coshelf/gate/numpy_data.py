"""What numpy arrays and scalars are made of in pickles, checked before numpy's C code relies on it."""

from __future__ import annotations

import math
import re
from typing import Any

from coshelf.errors import UntrustedValue
from coshelf.gate.data_types import Guarded

__all__ = ["check_state", "numpy_type"]

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


def check_state(made: Any, state: Any) -> None:
    """Raise :class:`UntrustedValue` for a state that an array or dtype could not have been pickled with."""
    import numpy as np

    if type(made) is np.ndarray:
        _check_array(state)
    elif isinstance(made, np.dtype):
        _check_dtype(made, state)
    else:
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


def _check_dtype(made: Any, state: Any) -> None:
    """A state must describe a dtype that numpy would itself make: it writes offsets and flags as they are given."""
    import numpy as np

    if not isinstance(state, tuple) or len(state) not in (8, 9) or state[0] not in (3, 4):
        raise _refused("a dtype with a strange state")
    _, order, part, names, fields, size, alignment, flags = state[:8]
    proper: Any
    sizes: tuple[int, ...]
    try:
        if names is None and fields is None and part is None:
            proper, sizes = made, (-1, made.itemsize)
        elif part is not None and names is None and fields is None:
            proper = np.dtype(part)
            sizes = (proper.itemsize,)
        elif part is None:
            offsets = [fields[name][1] for name in names]
            kinds = [fields[name][0] for name in names]
            if set(fields) != set(names) or any(len(field) != 2 for field in fields.values()):
                raise _refused("a dtype with titles")
            proper = np.dtype(
                {"names": list(names), "formats": kinds, "offsets": offsets, "itemsize": size},
                align=bool(flags & 0x80),
            )
            sizes = (proper.itemsize,)
        else:
            raise _refused("a dtype with fields and parts")
    except (TypeError, ValueError, KeyError, IndexError) as error:
        raise _refused(f"a dtype that numpy refuses ({error})") from error
    right = order in ("<", ">", "|", "=") and size in sizes and alignment in (-1, proper.alignment)
    if not right or (flags & 0x7F if flags >= 0 else flags & 0xFF & 0x7F) != proper.flags & 0x7F:
        raise _refused("a dtype with a strange size or flags")
    if len(state) == 9 and not _is_unit(state[8]):
        raise _refused("a dtype with metadata")


def _is_unit(metadata: Any) -> bool:
    """Whether it is what dates and spans of time have: nothing, and unit, count, and two numbers."""
    return (
        isinstance(metadata, tuple) and len(metadata) == 2 and not metadata[0] and isinstance(metadata[1], tuple)
        and len(metadata[1]) == 4 and isinstance(metadata[1][0], (bytes, str))
        and all(isinstance(number, int) and 0 < number < 2**31 for number in metadata[1][1:])
    )  # fmt: skip


def _refused(what: str) -> UntrustedValue:
    return UntrustedValue(f"{what} is no plain data", f"numpy: {what}")
