"""Names that stored pickles contain. If one of them moved, values that name it could no longer be read."""

from __future__ import annotations

from typing import Any

__all__ = ["shaped"]


def shaped(buffer: Any, format: str, shape: tuple[int, ...]) -> memoryview:
    """A memoryview with a format and a shape, over a flat buffer."""
    flat = memoryview(buffer)
    return flat.cast("B").cast(format, shape) if shape else flat.cast(format, ())  # type: ignore[call-overload,no-any-return]
