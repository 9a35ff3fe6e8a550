"""Optional packages, imported at their first use. Only this module reports a missing one."""

from __future__ import annotations

import importlib
import sys
from typing import Any

from coshelf.errors import MissingExtra

__all__ = ["cryptography_aead", "imported", "msgspec", "zstd"]


def msgspec() -> Any:
    """The module ``msgspec``."""
    return imported("msgspec", "msgspec", "codec='msgspec', and type=")


def zstd() -> Any:
    """Python's module of Zstandard, or its backport before Python 3.14."""
    return imported("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd", "zstd", "compress='zstd'")


def cryptography_aead() -> Any:
    """The module of ``cryptography`` that has AES-GCM."""
    return imported("cryptography.hazmat.primitives.ciphers.aead", "crypto", "encrypt=")


def imported(module: str, extra: str, feature: str) -> Any:
    """Import a module of an optional package. ``extra`` installs it, and ``feature`` needs it.

    Raises:
        MissingExtra: the module cannot be imported.

    >>> imported("json", "none", "this example").dumps([1])
    '[1]'
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtra(
            f"{feature} needs {module.partition('.hazmat')[0]}, which cannot be imported here: {error}\n"
            f"  hint: pip install 'coshelf[{extra}]'",
            name=module,
        ) from error
