"""The key of a call: the function, its version, and the arguments bound to its parameters."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Iterator
from inspect import Parameter
from typing import Any, Final

from coshelf import keys
from coshelf.errors import UnkeyableArgument
from coshelf.memo.forms import DIGEST, Forms, Unstable, module_name
from coshelf.memo.named_types import NAMED, without_numpy

__all__ = ["Arguments"]

_LONGEST = 256  # bytes of the arguments as a key; some engines take keys of 600
_LONGEST_NAME = 160
_DIGEST: Final = "digest"
_MARKS = (_DIGEST, "bool", "int", "float")
"""The first elements of tuples that stand for another value. A tuple of the caller that begins so is digested."""


class Arguments:
    """Makes the keys of the calls of a function.

    A key is the tuple of the function's name, its version, and a value for each parameter. Values that can be keys are
    in it as they are, and all others as ``("digest", bytes)``.

    Raises:
        TypeError: the function cannot be memoized, or what is to be ignored is not a parameter of it.
        InvalidKey: the version cannot be a key.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        key: Callable[..., Any] | None = None,
        ignore: Iterable[str | int] | str | int = (),
        typed: bool = False,
        version: Any = None,
    ) -> None:
        _refuse(function)
        self._shown = f"{function.__qualname__}()"
        self._signature = inspect.signature(function)
        self._key = key
        self._typed = typed
        ignored = {ignore} if isinstance(ignore, (str, int)) else set(ignore)
        self._ignored_names, self._ignored_places = self._ignored(ignored)
        keys.encode((version,))
        self.beginning = (_bounded_name(function), version)
        """The first elements of the keys of all calls."""

    def _ignored(self, ignored: set[str | int]) -> tuple[frozenset[str], frozenset[int]]:
        """The names of the parameters, and the places in ``*args``, that are not part of a key."""
        parameters = self._signature.parameters.values()
        positional = [parameter.name for parameter in parameters if parameter.kind in _BY_PLACE]
        known = {parameter.name for parameter in parameters}
        takes = {parameter.kind for parameter in parameters}
        names, places = set[str](), set[int]()
        for wanted in ignored:
            if isinstance(wanted, str) and (wanted in known or Parameter.VAR_KEYWORD in takes):
                names.add(wanted)
            elif isinstance(wanted, int) and 0 <= wanted < len(positional):
                names.add(positional[wanted])
            elif isinstance(wanted, int) and wanted >= 0 and Parameter.VAR_POSITIONAL in takes:
                places.add(wanted - len(positional))
            else:
                raise TypeError(f"ignore: {self._shown} has no parameter {wanted!r}; it has {', '.join(sorted(known))}")
        return frozenset(names), frozenset(places)

    def key(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        """The key of a call.

        Raises:
            TypeError: the function does not take these arguments.
            UnkeyableArgument: an argument has no form that is the same in every process.
        """
        values = self._of_values(args, kwargs) if self._key is None else (self._given(args, kwargs),)
        if len(keys.encode(values)) > _LONGEST:
            values = (_digested(Forms(NAMED, typed=self._typed), values),)
        return (*self.beginning, *values)

    def _given(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        assert self._key is not None
        return self._keyed("key", self._key(*args, **kwargs), Forms(NAMED, typed=self._typed))

    def _of_values(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        try:
            bound = self._signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{self._shown}: {error}") from None
        bound.apply_defaults()
        forms = Forms(NAMED, typed=self._typed)
        return tuple(self._each(bound.arguments, forms))

    def _each(self, arguments: dict[str, Any], forms: Forms) -> Iterator[Any]:
        for name, parameter in self._signature.parameters.items():
            if name in self._ignored_names:
                continue
            value = arguments[name]
            if parameter.kind is Parameter.VAR_POSITIONAL:
                yield tuple(
                    self._keyed(f"{name}[{place}]", item, forms)
                    for place, item in enumerate(value)
                    if place not in self._ignored_places
                )
            elif parameter.kind is Parameter.VAR_KEYWORD:
                yield tuple(
                    (given, self._keyed(given, value[given], forms))
                    for given in sorted(value.keys() - self._ignored_names)
                )
            else:
                yield self._keyed(name, value, forms)

    def _keyed(self, name: str, value: Any, forms: Forms) -> Any:
        """A value as an element of a key."""
        value = value if self._typed else without_numpy(value)
        if _is_plain(value, self._typed):
            return value
        if self._typed and type(value) in (bool, int, float) and _is_plain(value, typed=False):
            return type(value).__name__, value
        try:
            return _digested(forms, value)
        except Unstable as error:
            raise UnkeyableArgument(
                f"the argument {name!r} of {self._shown} cannot be part of a key: {error}\n"
                f"  hint: leave it out with ignore=({name!r},), or give memoize(key=...) a function of the arguments",
                name,
            ) from None


_BY_PLACE = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)


def _is_plain(value: Any, typed: bool) -> bool:
    """Whether a value is its own element of a key."""
    kind = type(value)
    if kind is str or kind is bytes or value is None:
        return True
    if kind is int or kind is bool:
        return not typed
    if kind is float:
        return not (typed or math.isnan(value) or (value == 0 and math.copysign(1, value) < 0))
    if kind is tuple:
        return not (value and isinstance(value[0], str) and value[0] in _MARKS) and all(
            _is_plain(item, typed) for item in value
        )
    return False


def _digested(forms: Forms, value: Any) -> tuple[str, bytes]:
    return _DIGEST, forms.together("argument", [value])[-DIGEST:]


def _refuse(function: Any) -> None:
    """Raise TypeError for what cannot be memoized."""
    if isinstance(function, (classmethod, staticmethod, property)):
        raise TypeError(f"memoize: write @{type(function).__name__} above @memoize, not below it")
    if not callable(function) or not hasattr(function, "__qualname__"):
        raise TypeError(
            f"memoize: a function is needed, not {type(function).__name__}\n"
            "  hint: memoize a function that calls it, because results belong to a name"
        )
    name = function.__qualname__
    if name.endswith("<lambda>"):
        raise TypeError("memoize: all lambdas of a module have the same name\n  hint: use def, and give it a name")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(
            f"memoize: {name}() is a generator function, and its iterators cannot be kept\n  hint: return a list"
        )


def _bounded_name(function: Callable[..., Any]) -> str:
    name = f"{module_name(function.__module__)}.{function.__qualname__}"
    if len(name.encode("utf-8", "surrogatepass")) <= _LONGEST_NAME:
        return name
    return f"{name[: _LONGEST_NAME // 4]}...{_digested(Forms(NAMED), name)[1].hex()}"
