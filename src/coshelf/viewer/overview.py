"""What a shelf is, for the first page."""

from __future__ import annotations

from typing import Any

from coshelf.contract import distrust
from coshelf.mapping.shelf import Shelf
from coshelf.screen import plain
from coshelf.viewer.sizes import in_words

__all__ = ["overview_of"]


def overview_of(shelf: Shelf[Any, Any]) -> list[tuple[str, str]]:
    """Names and values. Where counting would visit each entry, nothing is counted."""
    engine = shelf.engine_for("viewer")
    if not shelf.capabilities.cheap_count:
        reason = distrust(engine)
        return [("engine", engine.name), ("trusted", "yes" if reason is None else f"no: {plain(reason)}")]
    info = shelf.info()
    found = [
        ("entries", f"{info.entries:,}"),
        ("engine", info.engine),
        ("file", None if info.file_size is None else in_words(info.file_size)),
        ("codec", info.codec),
        ("compression", info.compression),
        ("encrypted with key", info.encryption),
        ("limit of entries", None if info.max_entries is None else f"{info.max_entries:,}"),
        ("limit of size", None if info.max_bytes is None else in_words(info.max_bytes)),
        ("evicts by", info.evict),
        ("created", info.created),
        ("owner", info.owner and f"{info.owner}, {info.mode}"),
        ("trusted", "yes" if info.reason is None else f"no: {info.reason}"),
    ]
    return [(name, plain(value)) for name, value in found if value]
