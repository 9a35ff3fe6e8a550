"""Codecs and layers on the engines that lie on servers: what tests/values shows where nothing is to be started."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import coshelf
from coshelf import CodecMismatch, UntrustedValue, WrongKey

SECRET, OTHER = b"s" * 32, b"o" * 32
LAYERS: tuple[dict[str, Any], ...] = (
    {"codec": "json"},
    {"codec": "msgspec", "compress": "zstd"},
    {"codec": "json", "compress": "zstd", "encrypt": SECRET},
    {"encrypt": SECRET},
    {"sign": SECRET},
)
VALUE = {"a": [1, 2.5, None, "text" * 500]}


@pytest.fixture(params=["moto", "redis", "cluster", "postgresql"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    """Of a shelf that is not there yet."""
    if request.param in ("moto", "postgresql"):
        yield request.getfixturevalue(request.param).url()
    else:
        yield request.getfixturevalue({"redis": "server", "cluster": "cluster"}[request.param])


@pytest.mark.parametrize("layers", LAYERS, ids=lambda layers: "-".join(map(str, layers)))
def test_values_come_back_and_the_shelf_remembers_how(url: str, layers: dict[str, Any]) -> None:
    with coshelf.open(url, **layers) as shelf:
        shelf["k"] = VALUE
        shelf.update(dict.fromkeys(range(3), VALUE))
        assert shelf.modify("k", lambda value: value | {"b": 1}) == VALUE | {"b": 1}
    secrets = {name: given for name, given in layers.items() if name in ("encrypt", "sign")}
    with coshelf.open(url, "w", **secrets) as shelf:
        assert shelf["k"] == VALUE | {"b": 1}
        assert dict(shelf.items(start=0, stop=3)) == {0: VALUE, 1: VALUE, 2: VALUE}
        if "codec" in layers:
            assert shelf.info().codec == layers["codec"]


def test_wrong_secrets_and_other_codecs_are_told_and_nothing_is_lost(url: str) -> None:
    with coshelf.open(url, codec="json", encrypt=SECRET) as shelf:
        shelf["k"] = VALUE
    with pytest.raises(WrongKey):
        coshelf.open(url, encrypt=OTHER)
    with pytest.raises(WrongKey):
        coshelf.open(url)
    with pytest.raises(CodecMismatch, match="json"):
        coshelf.open(url, codec="msgspec", encrypt=SECRET)
    with coshelf.open(url, encrypt=SECRET) as shelf:
        assert shelf["k"] == VALUE


def test_what_was_not_signed_is_refused_on_a_signed_shelf(url: str) -> None:
    with coshelf.open(url) as shelf:
        shelf["k"] = VALUE
    with coshelf.open(url, sign=SECRET) as shelf:
        shelf["own"] = {1, 2}
        assert shelf["own"] == {1, 2}
        with pytest.raises(UntrustedValue):
            shelf["k"]


def test_arrays_are_in_their_records_and_come_back_as_copies(url: str) -> None:
    with coshelf.open(url) as shelf:
        assert not shelf.capabilities.blobs
        shelf["a"] = bytearray(1 << 20)
        assert shelf["a"] == shelf.get("a", copy=True) == bytearray(1 << 20)
        assert type(shelf["a"]) is bytearray
