"""What stored pickles name. If it moved, the values that name it could not be read any more."""

from __future__ import annotations

from typing import Any

__all__ = ["shaped"]


def shaped(buffer: Any, format: str, shape: tuple[int, ...]) -> memoryview:
    """A memoryview that has more to it than bytes."""
    flat = memoryview(buffer)
    return flat.cast("B").cast(format, shape) if shape else flat.cast(format, ())  # type: ignore[call-overload,no-any-return]
