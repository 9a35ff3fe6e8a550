"""Names that stored pickles contain. They must not move: values that name them could not be read any more."""

from __future__ import annotations

from typing import Any

__all__ = ["shaped"]


def shaped(buffer: Any, format: str, shape: tuple[int, ...]) -> memoryview:
    """A memoryview with a format and a shape, over a flat buffer."""
    flat = memoryview(buffer)
    return flat.cast("B").cast(format, shape) if shape else flat.cast(format, ())  # type: ignore[call-overload,no-any-return]
