"""The forms of values whose types are known by name, so that their modules are imported by the program alone."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from coshelf import keys
from coshelf.memo.forms import Form, Forms, Unstable, class_name

if TYPE_CHECKING:
    import numpy as np

__all__ = ["NAMED", "without_numpy"]

_LITTLE = "<"
_PORTABLE = {"b": 1, "i": 8, "u": 8, "f": 8, "c": 16, "M": 8, "m": 8, "S": 1 << 40, "U": 1 << 40, "V": 1 << 40}
"""The kinds of numpy's types whose bytes are the same on every machine, and their longest items."""


def _as_text(forms: Forms, value: Any) -> bytes:
    return forms.text(class_name(type(value)), str(value))


def _ordered(forms: Forms, value: Any) -> bytes:
    return forms.together(class_name(type(value)), [part for item in value.items() for part in item])


def _counter(forms: Forms, value: Any) -> bytes:
    return forms.together("collections.Counter", [dict(value)])


def _deque(forms: Forms, value: Any) -> bytes:
    return forms.together("collections.deque", [value.maxlen, *value])


def _default_dict(forms: Forms, value: Any) -> bytes:
    return forms.together("collections.defaultdict", [value.default_factory, dict(value)])


def _decimal(forms: Forms, value: Any) -> bytes:
    sign, digits, exponent = value.as_tuple()
    return forms.together("decimal.Decimal", [sign, "".join(map(str, digits)), exponent])


def _fraction(forms: Forms, value: Any) -> bytes:
    return forms.together("fractions.Fraction", [value.numerator, value.denominator])


def _path(flavour: str) -> Form:
    return lambda forms, value: forms.text(flavour, str(value))


def _pattern(forms: Forms, value: Any) -> bytes:
    return forms.together("re.Pattern", [value.pattern, value.flags])


def _partial(forms: Forms, value: Any) -> bytes:
    return forms.together("functools.partial", [value.func, value.args, value.keywords])


def _time(forms: Forms, value: Any) -> bytes:
    zone = getattr(value, "tzinfo", None)
    parts = [value.isoformat(), getattr(value, "fold", 0), getattr(value, "nanosecond", 0), zone]
    return forms.together(class_name(type(value)), parts)


def _duration(forms: Forms, value: Any) -> bytes:
    return forms.together("datetime.timedelta", [value.days, value.seconds, value.microseconds])


def _zone(forms: Forms, value: Any) -> bytes:
    return forms.together("datetime.timezone", [value.utcoffset(None), value.tzname(None)])


def _zone_info(forms: Forms, value: Any) -> bytes:
    if value.key is None:
        raise Unstable("a zoneinfo.ZoneInfo without a name has no form that is the same in every process")
    return forms.text("zoneinfo.ZoneInfo", value.key)


def _array(forms: Forms, value: np.ndarray[Any, Any]) -> bytes:
    kind, tag = value.dtype, "numpy.ndarray"
    shape = repr(tuple(map(int, value.shape))).encode()
    if kind.names is not None:  # field by field, because there may be unused bytes between fields
        return forms.together(tag, [shape, *(part for name in kind.names for part in (name, value[name]))])
    if kind.hasobject:
        return forms.together(tag, [kind.str, shape, value.reshape(-1).tolist()])
    if kind.itemsize > _PORTABLE.get(kind.kind, 0):
        raise Unstable(f"arrays of {kind} have no form that is the same on every machine")
    ordered = _contiguous(value.astype(kind.newbyteorder(_LITTLE), copy=False))
    return forms.data(tag, ordered.dtype.str.encode(), shape, ordered.reshape(-1).view("u1") if ordered.size else b"")


def _contiguous(value: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The same array in C order."""
    return value if value.flags.c_contiguous else value.copy(order="C")


def _numpy_scalar(forms: Forms, value: Any) -> bytes:
    plain = value if forms.typed else without_numpy(value)
    if plain is not value:
        return forms.of(plain)
    import numpy as np

    return forms.together(f"numpy.{value.dtype.kind}", [np.asarray(value)])


def without_numpy(value: Any) -> Any:
    """The number or text of Python that equals a scalar of numpy. Any other object as it is."""
    kind = type(value)
    if kind.__module__ != "numpy" or kind.__name__ not in _SCALARS:
        return value
    if value.dtype.kind in "biuf" and (keys.is_key_type(value) or math.isnan(value)):
        return float(value) if value.dtype.kind == "f" else value.item()
    return value.item() if value.dtype.kind in "US" else value


def _series(forms: Forms, value: Any) -> bytes:
    return forms.together("pandas.Series", [value.name, value.index, *_column(value)])


def _frame(forms: Forms, value: Any) -> bytes:
    columns = [part for number in range(value.shape[1]) for part in _column(value.iloc[:, number])]
    return forms.together("pandas.DataFrame", [value.columns, value.index, *columns])


def _index(forms: Forms, value: Any) -> bytes:
    return forms.together("pandas.Index", [list(value.names), *_column(value)])


def _column(value: Any) -> tuple[str, Any]:
    """The type and the values of a column: as an array if numpy has the type, and otherwise one by one."""
    import numpy as np

    if isinstance(value.dtype, np.dtype) and not value.dtype.hasobject:
        return str(value.dtype), value.to_numpy()
    return str(value.dtype), value.tolist()


_INDEXES = "Index RangeIndex MultiIndex CategoricalIndex DatetimeIndex TimedeltaIndex PeriodIndex IntervalIndex"
_SCALARS = frozenset(
    (
        "bool bool_ int8 int16 int32 int64 uint8 uint16 uint32 uint64 longlong ulonglong float16 float32 float64 "
        "longdouble complex64 complex128 str_ bytes_ datetime64 timedelta64 void"
    ).split()
)

NAMED: Final[dict[str, Form]] = {
    "collections.Counter": _counter,
    "collections.OrderedDict": _ordered,
    "collections.defaultdict": _default_dict,
    "collections.deque": _deque,
    "datetime.date": _time,
    "datetime.datetime": _time,
    "datetime.time": _time,
    "datetime.timedelta": _duration,
    "datetime.timezone": _zone,
    "decimal.Decimal": _decimal,
    "fractions.Fraction": _fraction,
    "functools.partial": _partial,
    "re.Pattern": _pattern,
    "uuid.UUID": _as_text,
    "zoneinfo.ZoneInfo": _zone_info,
    "numpy.ndarray": _array,
    "numpy.memmap": _array,
    "pandas.Series": _series,
    "pandas.DataFrame": _frame,
    "pandas.NAType": _as_text,
    "pandas.NaTType": _as_text,
    "pandas.Timestamp": _time,
    **{f"pandas.{name}": _index for name in _INDEXES.split()},
    **{f"numpy.{name}": _numpy_scalar for name in _SCALARS},
    **{f"ipaddress.IPv{version}{kind}": _as_text for version in (4, 6) for kind in ("Address", "Network", "Interface")},
    **{f"pathlib.{name}": _path("posix path") for name in ("PurePosixPath", "PosixPath")},
    **{f"pathlib.{name}": _path("windows path") for name in ("PureWindowsPath", "WindowsPath")},
}
"""By the name of the class with its module. A subclass has another name, and may hold more than its base tells."""
