"""Optional dependencies: imported when they are used, and reported here when they are missing."""

from __future__ import annotations

import importlib
from typing import Any

from coshelf.errors import MissingExtra

__all__ = ["imported"]


def imported(module: str, extra: str, what: str) -> Any:
    """A module of an optional dependency.

    Args:
        module: its name.
        extra: of this package, which brings it.
        what: what needs it, for the message.

    Raises:
        MissingExtra: it is not installed.

    >>> imported("json", "none", "this example").dumps([1])
    '[1]'
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise MissingExtra(
            f"{what} needs {error.name or module}, which is not installed\n  hint: pip install 'coshelf[{extra}]'"
        ) from error
