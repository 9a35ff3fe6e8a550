"""Every protocol, big values and long keys."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

import coshelf


@pytest.mark.parametrize("protocol", [*range(pickle.HIGHEST_PROTOCOL + 1), -1])
def test_every_protocol_is_written_and_read(protocol: int, path: Path) -> None:
    values = {"a": [1, "é", b"raw", None, 2.5], "b": {"x": (1, {2})}, "c": "text", "d": 10**30, "e": b"", "f": None}
    with coshelf.open(path, protocol=protocol) as shelf:
        shelf.update(values)
        assert shelf == values
        with shelf.edit("a") as value:
            value.append("more")
        assert shelf.protocol in (protocol, pickle.HIGHEST_PROTOCOL)
    values["a"] = [*values["a"], "more"]  # type: ignore[misc]
    with coshelf.open(path, "r") as shelf:
        assert shelf == values
    with coshelf.open(path, protocol=0) as shelf:
        shelf["g"] = "zero"
        assert shelf == values | {"g": "zero"}


@pytest.mark.parametrize(
    "megabytes",
    [20, pytest.param(100, marks=pytest.mark.long)],
)
def test_big_values_come_back_whole(megabytes: int, path: Path) -> None:
    block = bytes(range(256)) * 4096
    with coshelf.open(path) as shelf:
        shelf["small"] = 1
        shelf["big"] = block * megabytes
        shelf["list"] = [block] * 2
        assert shelf["big"] == block * megabytes
        with shelf.snapshot() as snapshot:
            shelf["big"] = "small now"
            assert len(snapshot["big"]) == megabytes << 20
        assert shelf.copy() == {"small": 1, "big": "small now", "list": [block] * 2}
    with coshelf.open(path) as shelf:
        assert shelf["big"] == "small now"
        assert shelf["list"] == [block, block]


def test_long_keys_are_as_any_other(empty: Any) -> None:
    entries = {"k" * length: length for length in (1, 491, 492, 493, 494, 510, 511, 512, 1000, 5000, 100_000)}
    entries |= {"k" * 600 + "a": 1, "k" * 600 + "b": 2, ("k" * 2000, 1): 3}
    empty.update(entries)
    assert empty == entries
    assert len(empty) == len(entries)
    assert list(empty.keys(prefix="k" * 600)) == sorted(key for key in entries if key[0] == "k" and len(key) >= 600)
    for key in entries:
        del empty[key]
    assert not empty
    assert len(empty) == 0
