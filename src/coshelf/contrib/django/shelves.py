"""The shelves that this process has open for Django: one handle for all requests and threads.

Django makes a backend anew for each thread, and for each request that is a task of an event loop. So backends share
their handles: the same target with the same options is opened once in a process.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any, Final

from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed

from coshelf.contrib.parts import AsyncPart, Part, Target
from coshelf.errors import Unsupported
from coshelf.mapping.shelf import Shelf
from coshelf.opening import open as open_shelf

if TYPE_CHECKING:
    from coshelf.aio import AsyncShelf

__all__ = ["Held", "close_all", "hold"]

_OPTIONS: Final = inspect.signature(open_shelf).parameters.keys() - {"target", "writeback"}
"""Options of a backend. Values of ``writeback=True`` would be shared, and not copies."""
_SETTINGS: Final = frozenset({"CACHES", "SESSION_SHELF", "SESSION_SHELF_OPTIONS", "TASKS"})
_held: Final[dict[Hashable, Held]] = {}


class Held:
    """A part of a shelf that backends share. It is opened at its first use, and again after :meth:`close`.

    Attributes:
        left: how many entries may be stored until they are counted, for each limit (``culling.py``).
    """

    def __init__(self, target: Target, part: str, options: Mapping[str, Any]) -> None:
        self._of_part = target, part, options
        self._part = self._begin()
        self.left: dict[Hashable, int] = {}

    def _begin(self) -> AsyncPart:
        target, part, options = self._of_part
        return AsyncPart(Part(target, part, **options))

    @property
    def shelf(self) -> Shelf[Any, Any]:
        """The part, as a shelf."""
        return self._part.part.shelf

    @property
    def whole(self) -> Shelf[Any, Any]:
        """The shelf that it is a part of."""
        return self._part.part.whole

    async def shelf_of_tasks(self) -> AsyncShelf[Any, Any]:
        """The part, for tasks of an event loop.

        Raises:
            MissingExtra: ``coshelf[aio]`` is not installed.
        """
        import coshelf.aio  # noqa: F401 (it says which extra is missing)

        return await self._part.shelf()

    def close(self) -> None:
        """Close the shelf, unless the program opened it. The next use opens it again."""
        before, self._part, self.left = self._part, self._begin(), {}
        before.part.close()


def hold(setting: str, target: Any, part: str, options: Mapping[str, Any], require: tuple[str, ...]) -> Held:
    """The shelf of a backend: the one that this process holds already, if target and options are the same.

    Args:
        setting: the setting that names the target, for messages.
        target: a path, a URL, or an open shelf.
        part: the part of the shelf.
        options: further arguments of :func:`coshelf.open`.
        require: capabilities that the engine must have.

    Raises:
        ImproperlyConfigured: the target is missing, or an option does not exist.
        Unsupported: the engine of an open shelf lacks a capability. For a path or URL, opening raises it.
    """
    if isinstance(target, Shelf):
        _refuse_lacking(setting, target, require)
        return Held(target, part, _checked(setting, options))
    if not target or not isinstance(target, str | bytes | os.PathLike):
        raise ImproperlyConfigured(f"{setting} must be the path or URL of a shelf, or an open shelf, not {target!r}")
    checked = _checked(setting, options)
    asked = checked.get("require", ())
    checked["require"] = (*require, *((asked,) if isinstance(asked, str) else asked))
    key = (type(target), target, part, _frozen(checked))
    found = _held.get(key)
    return found if found is not None else _held.setdefault(key, Held(target, part, checked))


def _checked(setting: str, options: Mapping[str, Any]) -> dict[str, Any]:
    unknown = sorted(options.keys() - _OPTIONS)
    if unknown:
        raise ImproperlyConfigured(
            f"{setting}: the option {', '.join(map(repr, unknown))} does not exist\n"
            f"  hint: the options of coshelf.open are {', '.join(sorted(_OPTIONS))}"
        )
    return dict(options)


def _refuse_lacking(setting: str, shelf: Shelf[Any, Any], require: tuple[str, ...]) -> None:
    for needed in require:
        name, _, value = needed.partition("=")
        has = getattr(shelf.capabilities, name)
        if has != value if value else not has:
            raise Unsupported(f"{setting} needs a shelf with {needed}, but {shelf.name} has {name}={has}")


def _frozen(value: Any) -> Hashable:
    """A hashable form of options. Equal options have equal forms."""
    if isinstance(value, Mapping):
        return tuple((name, _frozen(value[name])) for name in sorted(value))
    if isinstance(value, list | tuple | set):
        return tuple(_frozen(each) for each in value)
    return type(value), value


def close_all() -> None:
    """Close all shelves that were opened for Django. The next use of each opens it again."""
    for each in list(_held.values()):
        each.close()


def _after_a_change(*, setting: str, **_: Any) -> None:
    """Close what tests used with other settings, because they may remove the directories now."""
    if setting in _SETTINGS:
        close_all()


setting_changed.connect(_after_a_change, dispatch_uid="coshelf.contrib.django")
