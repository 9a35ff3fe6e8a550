"""Has modules of coshelf see the standard library as it is on a platform that lacks something.

The library and the tests themselves still need what is taken away: ``subprocess`` needs ``fcntl``, and pytest needs
``os.O_CLOEXEC``. So a module of coshelf that imports ``os`` gets a view of it, in which the names are missing. Whatever
coshelf does with the view, it meets what it would meet on that platform.
"""

from __future__ import annotations

import builtins
import importlib
import sys
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

from lacking.counting import note
from lacking.facility import Facility

__all__ = ["View", "hide", "is_hidden", "is_ours"]

_PACKAGE = "coshelf"


class View(ModuleType):
    """A module as coshelf sees it. What is set in it is set in the real module, too."""

    def __init__(self, real: ModuleType, lacks: frozenset[str], instead: Mapping[str, Any]) -> None:
        super().__init__(real.__name__, real.__doc__)
        mine = self.__dict__
        mine["_real"], mine["_lacks"] = real, lacks
        mine["__spec__"] = real.__spec__
        mine.update(instead)

    def __getattr__(self, name: str) -> Any:
        if name in self._lacks:
            note(f"{self.__name__}.{name}")
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}", name=name, obj=self)
        return getattr(self._real, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.__dict__:
            self.__dict__[name] = value
        else:
            setattr(self._real, name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self._real, name)

    def __dir__(self) -> list[str]:
        return sorted({*dir(self._real), *self.__dict__} - self._lacks)


def is_ours(namespace: Mapping[str, Any] | None) -> bool:
    """Whether a module with these globals is part of coshelf."""
    if namespace is None:
        return False
    name = namespace.get("__name__")
    if name == "__main__":
        name = namespace.get("__package__")
    return isinstance(name, str) and (name == _PACKAGE or name.startswith(f"{_PACKAGE}."))


def hide(lacking: Facility) -> None:
    """Have imports find no more than there is."""
    views = _Views(lacking)
    sys.meta_path.insert(0, _NoPackages(lacking.packages))
    builtins.__import__ = views.importing


def is_hidden() -> bool:
    """Whether :func:`hide` was called in this process."""
    return isinstance(getattr(builtins.__import__, "__self__", None), _Views)


class _NoPackages:
    """Finds that packages are not installed."""

    def __init__(self, packages: tuple[str, ...]) -> None:
        self._packages = frozenset(packages)

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> None:
        if name in self._packages:
            note(name)
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


class _Views:
    def __init__(self, lacking: Facility) -> None:
        self._real = builtins.__import__
        self._modules = frozenset(lacking.modules)
        self._names: dict[str, set[str]] = {}
        self._instead: dict[str, dict[str, Any]] = {"importlib": {"import_module": self._import_module}}
        for path in lacking.names:
            module, _, name = path.rpartition(".")
            self._names.setdefault(module, set()).add(name)
        for path, value in lacking.instead.items():
            module, _, name = path.rpartition(".")
            self._instead.setdefault(module, {})[name] = value
        if lacking.symbols or lacking.functions:
            from lacking.symbols import libraries_without

            found = libraries_without(lacking.symbols, lacking.functions)
            self._instead.setdefault("ctypes", {}).update(found)
        self._made: dict[str, ModuleType] = {}

    def importing(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,
        locals: Mapping[str, Any] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        """Take the place of ``__import__``."""
        if level or not is_ours(globals):
            return self._real(name, globals, locals, fromlist, level)
        top = name.partition(".")[0]
        if top in self._modules:
            note(top)
            raise ModuleNotFoundError(f"No module named {top!r}", name=top)
        if "" in self._instead and top in self._instead[""]:  # a module that only this platform has
            return self._instead[""][top]  # type: ignore[no-any-return]
        return self._seen(self._real(name, globals, locals, fromlist, level))

    def _import_module(self, name: str, package: str | None = None) -> ModuleType:
        top = name.partition(".")[0]
        if top in self._modules:
            note(top)
            raise ModuleNotFoundError(f"No module named {top!r}", name=top)
        return self._seen(importlib.import_module(name, package))

    def _seen(self, real: ModuleType) -> ModuleType:
        """What coshelf gets for a module."""
        name = getattr(real, "__name__", "")
        if name not in self._names and name not in self._instead:
            return real
        if name not in self._made:
            self._made[name] = View(real, frozenset(self._names.get(name, ())), self._instead.get(name, {}))
        return self._made[name]
