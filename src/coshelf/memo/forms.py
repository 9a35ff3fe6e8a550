"""Digests of values, by content: the same in every process, on every machine and with every hash seed.

A form is a tag and bytes. That of a container is a digest of the forms of its parts, so forms are short. Two values of
different types never have the same form, with one exception: equal numbers have one, as they are one key of a shelf.
"""

from __future__ import annotations

import dataclasses
import enum
import math
import sys
from collections.abc import Callable, Iterable, Mapping
from hashlib import blake2b
from typing import Any, Final

from coshelf import keys

__all__ = ["DIGEST", "Forms", "Unstable", "class_name", "module_name"]

DIGEST: Final = 16
"""Bytes of a digest."""

_DEPTH = 100
_DIRECT = 64  # bytes of text that are their own form
_MAIN = ("__main__", "__mp_main__")

_MOVED = ("numpy", "pandas", "pathlib")  # packages that move classes between their modules from version to version

Form = Callable[["Forms", Any], bytes]


class Unstable(Exception):
    """A value has no form. The message says why."""


class Forms:
    """Makes the forms of the values of one call.

    Args:
        types: how to make the forms of types that are known by name.
        typed: whether equal numbers of different types have different forms.
    """

    def __init__(self, types: Mapping[str, Form], *, typed: bool = False) -> None:
        self.typed = typed
        self._types = types
        self._above: list[int] = []  # ids of the containers around a value
        self._known: dict[int, tuple[Any, bytes]] = {}  # the objects are kept, because ids are used again

    def of(self, value: Any) -> bytes:
        """The form of a value. Raises :class:`Unstable`."""
        kind = type(value)
        simple = _SIMPLE.get(kind)
        if simple is not None:
            return simple(self, value)
        known = self._known.get(id(value))
        if known is not None:
            return known[1]
        if id(value) in self._above:
            raise Unstable(f"a {class_name(kind)} contains itself")
        if len(self._above) > _DEPTH:
            raise Unstable(f"values are nested more than {_DEPTH} levels deep")
        self._above.append(id(value))
        try:
            form = self._of_parts(kind, value)
        finally:
            self._above.pop()
        self._known[id(value)] = value, form
        return form

    def _of_parts(self, kind: type, value: Any) -> bytes:
        found = _CONTAINERS.get(kind) or self._types.get(_known_name(kind))
        if found is not None:
            return found(self, value)
        if isinstance(value, enum.Enum):
            return self.together(class_name(kind), [value.value if isinstance(value, enum.Flag) else value.name])
        fields = _fields_of(value)
        if fields is not None:
            return self.together(
                class_name(kind), [part for name in fields for part in (name, _attribute(value, name))]
            )
        if isinstance(value, type) or kind in _FUNCTIONS:
            return self.text("name", _importable(value))
        raise Unstable(f"{class_name(kind)} has no form that is the same in every process")

    def together(self, tag: str, parts: Iterable[Any]) -> bytes:
        """The form of a container with these parts, in this order."""
        return _digest(tag, map(self.of, parts))

    def in_any_order(self, tag: str, parts: Iterable[Any]) -> bytes:
        """The form of a container whose parts have no order."""
        return _digest(tag, sorted(map(self.of, parts)))

    def text(self, tag: str, text: str) -> bytes:
        """The form of something that a text tells apart."""
        return self.data(tag, text.encode("utf-8", "surrogatepass"))

    def data(self, tag: str, *data: Any) -> bytes:
        """The form of something that bytes tell apart. Each part is an object with a buffer."""
        if len(data) == 1 and len(data[0]) <= _DIRECT:
            return tag.encode("utf-8", "surrogatepass") + b"=" + bytes(data[0])
        return _digest(tag, data)

    def number(self, value: complex) -> bytes:
        """The form of a number: that of a key, and others for NaN and -0.0."""
        kind = type(value).__name__ if self.typed else "number"
        if isinstance(value, complex):
            return self.together("complex", [value.real, value.imag])
        if isinstance(value, float) and (math.isnan(value) or (value == 0 and math.copysign(1, value) < 0)):
            return self.text(kind, "nan" if math.isnan(value) else "-0.0")
        return self.data(kind, keys.encode(value))


def _digest(tag: str, parts: Iterable[Any]) -> bytes:
    found = blake2b(digest_size=DIGEST)
    count = 0
    for part in parts:
        view = memoryview(part).cast("B")
        found.update(view.nbytes.to_bytes(8, "little"))
        found.update(view)
        count += 1
    found.update(count.to_bytes(8, "little"))
    return tag.encode("utf-8", "surrogatepass") + b":" + found.digest()


def _of_dict(forms: Forms, value: dict[Any, Any]) -> bytes:
    return _digest("dict", sorted(forms.together("item", item) for item in value.items()))


_SIMPLE: dict[type, Form] = {
    type(None): lambda forms, _: forms.text("None", ""),
    type(...): lambda forms, _: forms.text("Ellipsis", ""),
    bool: Forms.number,
    int: Forms.number,
    float: Forms.number,
    complex: Forms.number,
    str: lambda forms, value: forms.text("str", value),
    bytes: lambda forms, value: forms.data("bytes", value),
}
_CONTAINERS: dict[type, Form] = {
    tuple: lambda forms, value: forms.together("tuple", value),
    list: lambda forms, value: forms.together("list", value),
    set: lambda forms, value: forms.in_any_order("set", value),
    frozenset: lambda forms, value: forms.in_any_order("frozenset", value),
    dict: _of_dict,
    bytearray: lambda forms, value: forms.data("bytearray", value),
    range: lambda forms, value: forms.together("range", [value.start, value.stop, value.step]),
    slice: lambda forms, value: forms.together("slice", [value.start, value.stop, value.step]),
}
_FUNCTIONS = (type(_digest), type(len))


def _fields_of(value: Any) -> Iterable[str] | None:
    """The names of the attributes that make up a value; None if its class does not tell them."""
    if isinstance(value, type):
        return None
    if dataclasses.is_dataclass(value):
        return [field.name for field in dataclasses.fields(value)]
    kind = type(value)
    attributes = getattr(kind, "__attrs_attrs__", None)
    if attributes is not None:
        return [attribute.name for attribute in attributes]
    names = getattr(kind, "__struct_fields__", None)  # msgspec
    if names is None and isinstance(value, tuple):
        names = getattr(kind, "_fields", None)
    return names if names is None else list(names)


def _attribute(value: Any, name: str) -> Any:
    try:
        return getattr(value, name)
    except AttributeError:
        raise Unstable(f"a {class_name(type(value))} lacks its attribute {name!r}") from None


def class_name(kind: type) -> str:
    """The name of a class with its module."""
    return f"{module_name(kind.__module__)}.{kind.__qualname__}"


def _known_name(kind: type) -> str:
    """The name by which a type is looked up."""
    package = kind.__module__.partition(".")[0]
    return f"{package}.{kind.__qualname__}" if package in _MOVED else class_name(kind)


def module_name(name: str) -> str:
    """The name of a module. That of the program is the name under which other programs import it."""
    if name not in _MAIN:
        return name
    main = sys.modules.get(name)
    spec = getattr(main, "__spec__", None)
    if spec is not None:
        return str(spec.name)
    path = getattr(main, "__file__", None)
    return name if path is None else path.replace("\\", "/").rpartition("/")[2].partition(".")[0]


def _importable(value: Any) -> str:
    """The name under which every process finds a class or a function."""
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", "")
    found = sys.modules.get(module or "")
    for part in name.split("."):
        found = getattr(found, part, None)
    if found is not value:
        raise Unstable(f"{name or type(value).__name__} cannot be imported by this name")
    return f"{module_name(str(module))}.{name}"
