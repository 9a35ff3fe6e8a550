"""Shelves that the tests show: an ordinary one, one that attacks whoever looks at it, and a large one."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path
from typing import Any

import coshelf
from coshelf.opening import open_with_codec
from coshelf.values.front_doors import RAW_PICKLES

__all__ = ["RAN", "fill", "fill_many", "make_hostile", "picture"]

RAN = "a-pickle-ran"
"""The name of the directory that a pickle of the hostile shelf makes if it is loaded."""

_MARKUP = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(2)>",
    '"><svg onload=alert(3)>',
    "' onmouseover='alert(4)' x='",
    "</title></script><script>alert(5)</script>",
    "<svg/onload=alert(6)>/<b>bold</b>/<iframe src=javascript:alert(7)>",
    "<a href=javascript:alert(8) autofocus onfocus=alert(9)>click</a>",
    "<link rel=stylesheet href=//elsewhere.invalid/a.css>",
    "<meta http-equiv=refresh content=0;url=//elsewhere.invalid/>",
    "javascript:alert(10)",
    "{{ 7 * 7 }}{% raise %}${alert(11)}",
    "&lt;script&gt;&#60;script&#62;",
)
_ODD = (
    "",
    " ",
    ".",
    "..",
    "/",
    "//",
    "///elsewhere.invalid/",
    "%2e%2e%2f%00",
    "?token=1&x#y",
    "\x00\x01\x1b[2J\x1b]0;title\x07\r\n\t",
    "\u202ecod.exe\u2066\u2069\u200b\ufeff",
    "\ud800 half a pair",
    "zalgo " + "a\u0301\u0302\u0303\u0304" * 30,
    "\U0001f9c1" * 40,
    "k" * 100_000,
    "deep/" * 500 + "end",
)


def picture(width: int, height: int) -> bytes:
    """A PNG with some colours."""
    rows = b"".join(
        b"\0" + b"".join(bytes((x * 255 // width, y * 255 // height, 128)) for x in range(width)) for y in range(height)
    )

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def fill(shelf: coshelf.Shelf[Any, Any]) -> None:
    """Entries as a program of today has them."""
    import numpy as np
    import pandas as pd

    shelf["readme"] = "Recipes of the house.\nOne entry for each dish.\n"
    shelf["settings"] = {"language": "en", "units": ["g", "ml"], "guests": 4, "garden": None}
    for name, minutes in (("leek", 35), ("lentil", 50), ("pumpkin", 45), ("tomato", 30)):
        shelf[f"soups/{name}"] = {"minutes": minutes, "salt": 0.5, "steps": ["cut", "cook", "season"], "vegan": True}
    for layer in ("sponge", "cream", "icing"):
        shelf[f"cakes/layered/{layer}"] = {"layer": layer, "grams": 250}
    shelf["cakes/plain"] = ["flour", "butter", "eggs", "sugar"]
    shelf["orders"] = [
        {"table": table, "dish": dish, "price": 7.5 + table} for table, dish in enumerate("soup cake tea".split())
    ]
    for day in range(1, 8):
        shelf["sales", 2026, day] = {"soups": day * 3, "cakes": day * 2}
    shelf["photos/cake.png"] = picture(160, 100)
    shelf["data/oven"] = np.sin(np.linspace(0, 12, 64 * 48)).reshape(48, 64)
    shelf["data/sales"] = pd.DataFrame({"day": range(5), "soups": [3, 6, 9, 12, 15], "cakes": [2, 4, 6, 8, 10]})
    shelf["data/blob"] = bytes(range(256)) * 8
    shelf.set("sessions/ann", {"since": 1}, expire=86_400, tags=["web"])
    shelf[15] = "a number as key"
    shelf[b"\x00\xff"] = "bytes as key"
    shelf[None] = True


def fill_many(shelf: coshelf.Shelf[Any, Any], count: int) -> None:
    """Many entries, in branches and beside them."""
    shelf.update((f"users/{number % 1_000:04}/{number:07}", number) for number in range(count // 2))
    shelf.update((f"flat-{number:07}", "x" * (number % 50)) for number in range(count - count // 2))


class _Runs:
    """Its pickle makes a directory when it is loaded."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self._path,)


def make_hostile(place: Path) -> Path:
    """A shelf of somebody else, who hopes that you look at it. Return its path."""
    path = place / "<img src=x onerror=alert(0)>.shelf"
    with coshelf.open(path) as shelf:
        for text in (*_MARKUP, *_ODD):
            shelf[text] = text
        shelf["<b>", "</script>", 7] = {text: [text] for text in _MARKUP}
        shelf[b"<script>alert(12)</script>"] = [{"<th>": text, "</td>": 1} for text in _MARKUP]
        shelf["x-html"] = b"<!doctype html><script>alert(13)</script>"
        shelf["x-svg"] = b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(14)"></svg>'
        shelf["x-png"] = b"\x89PNG\r\n\x1a\n<script>alert(15)</script>"
        shelf["x-gif"] = b"GIF89a/*<script>alert(16)</script>*/=1;alert(17)"
        shelf["x-runs"] = _Runs(str(place / RAN))
        shelf["x-deep"] = _nested(200)
        shelf["x-long"] = "<b>" * 400_000
        shelf["x-damaged"] = "the record of this entry is damaged on disk"
        shelf.queue("<img src=x onerror=alert(18)>").put("<b>")
    with open_with_codec(path, "w", RAW_PICKLES) as shelf:
        shelf["x-broken-1"] = b"\x80\x05\x95\xff\xff\xff\xff\xff\xff\xff\x7f."
        shelf["x-broken-2"] = b"not a pickle at all <script>"
        shelf["x-broken-3"] = b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x09<b>id</b>\x85R"
    _damage(path, b"the record of this entry is damaged")
    return path


def _nested(depth: int) -> Any:
    value: Any = "<i>"
    for _ in range(depth):
        value = [value]
    return value


def _damage(path: Path, text: bytes) -> None:
    whole = bytearray(path.read_bytes())
    at = whole.find(text)
    assert at >= 0
    while at >= 0:
        whole[at] ^= 1
        at = whole.find(text)
    path.write_bytes(whole)
