"""Which tests an engine must pass: those whose requirements its capabilities grant."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from coshelf.contract import Capabilities

__all__ = ["grants", "needs"]

_Test = TypeVar("_Test", bound=Callable[..., None])


def needs(*requirements: str) -> Callable[[_Test], _Test]:
    """Run a test only if the engine grants these requirements, written as in ``coshelf.open(require=...)``."""

    def mark(test: _Test) -> _Test:
        test.needs = requirements  # type: ignore[attr-defined]
        return test

    return mark


def grants(capabilities: Capabilities, requirement: str) -> bool:
    """Whether capabilities grant a requirement: ``field`` must not be false, or ``field=value``."""
    field, equals, wanted = requirement.partition("=")
    value = getattr(capabilities, field)
    return str(value) == wanted if equals else bool(value)
