"""Three sets of values: arrays, records and texts. Most come with Python or matplotlib; none is downloaded."""

from __future__ import annotations

import glob
import os
import sys
import sysconfig
import unicodedata
from typing import Any

import msgspec
import numpy as np

__all__ = ["Character", "arrays", "records", "texts"]

Array = np.ndarray[Any, Any]


def arrays() -> dict[str, Array]:
    """Some megabytes each. The first four come with matplotlib, the others are generated from a seed."""
    from matplotlib import cbook
    from PIL import Image

    def sample(name: str) -> Any:
        return cbook.get_sample_data(name, asfileobj=False)

    photograph = np.asarray(Image.open(sample("grace_hopper.jpg")), dtype=np.float32) / 255
    with np.load(sample("jacksboro_fault_dem.npz")) as found:
        elevation = found["elevation"].astype(np.float64)
    with np.load(sample("goog.npz")) as found:
        prices = found["price_data"]
    chance = np.random.default_rng(0)
    return {
        "photograph, float32": photograph,
        "elevation, float64": elevation,
        "slope, float64": np.stack(np.gradient(elevation)),
        "prices, structured": prices,
        "random walk, float64": chance.standard_normal(1_000_000).cumsum(),
        "embeddings, float32": chance.standard_normal((20_000, 128), dtype=np.float32),
        "labels, int64": chance.integers(0, 10, 1_000_000),
    }


class Character(msgspec.Struct):
    """What Python's ``unicodedata`` knows about a character."""

    code: int
    name: str
    category: str
    bidirectional: str
    combining: int
    mirrored: bool
    decomposition: str
    numeric: float | None


def records(count: int) -> list[Character]:
    """Records of every twentieth character that has a name, at most so many."""
    named = [code for code in range(sys.maxunicode) if unicodedata.name(chr(code), None)]
    return [_character(chr(code)) for code in named[::20][:count]]


def _character(sign: str) -> Character:
    return Character(
        ord(sign),
        unicodedata.name(sign),
        unicodedata.category(sign),
        unicodedata.bidirectional(sign),
        unicodedata.combining(sign),
        bool(unicodedata.mirrored(sign)),
        unicodedata.decomposition(sign),
        unicodedata.numeric(sign, None),
    )


def texts() -> list[str]:
    """The help that comes with Python, and the sources of its standard library's modules."""
    from pydoc_data.topics import topics

    paths = sorted(glob.glob(os.path.join(sysconfig.get_path("stdlib"), "*.py")))
    found = list(topics.values())
    for path in paths:
        with open(path, encoding="utf-8", errors="replace") as file:
            found.append(file.read())
    return [text for text in found if text]
