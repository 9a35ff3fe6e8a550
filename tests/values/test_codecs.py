"""Every codec with every layer, on every engine: what is stored comes back, and says what it is."""

from __future__ import annotations

import copy
import datetime as dt
import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from values_support import KEY, LARGE, SMALL, Holder, Line, Person, Plain, Point, User, body_of

import coshelf
from coshelf import records
from coshelf.values.headers import IDS
from coshelf.values.layered import LayeredCodec
from coshelf.values.pickles import Pickles
from coshelf.values.serializers import serializer

CODECS = list(SMALL)


@pytest.mark.parametrize("encrypt", [(), KEY], ids=["", "encrypted"])
@pytest.mark.parametrize("compress", [None, "zstd"], ids=["", "zstd"])
@pytest.mark.parametrize("codec", CODECS)
def test_values_come_back(opened: Any, codec: str, compress: Any, encrypt: Any) -> None:
    shelf = opened(codec=codec, compress=compress, encrypt=encrypt)
    small, large = SMALL[codec], LARGE[codec]
    shelf["small"] = small
    shelf.update(large=large)
    with shelf.transaction() as t:
        t["in transaction"] = small
        assert t["large"] == large
        t.sub("part")["k"] = small
    assert shelf["small"] == small
    assert shelf["large"] == large
    assert type(shelf["small"]) is type(small)
    assert shelf.get_many(["small", "large", "none"]) == {"small": small, "large": large}
    everything = {"small": small, "large": large, "in transaction": small, "part/k": small}
    assert dict(shelf.items()) == everything
    with shelf.snapshot() as then:
        shelf["small"] = large
        assert dict(then) == everything
        assert then["small"] == small
    assert shelf.modify("small", lambda _: small) == small
    assert shelf.replace("small", small, large)
    assert shelf.pop("small") == large
    assert shelf.check().ok


@pytest.mark.parametrize("compress", [None, "zstd"], ids=["", "zstd"])
@pytest.mark.parametrize("codec", CODECS)
def test_signed_values_have_every_codec_and_layer(path: Path, codec: str, compress: Any) -> None:
    for encrypt in ((), KEY):
        with coshelf.open(path, "n", codec=codec, compress=compress, encrypt=encrypt, sign=KEY) as shelf:
            shelf.update(small=SMALL[codec], large=LARGE[codec])
            assert dict(shelf) == {"small": SMALL[codec], "large": LARGE[codec]}
            shelf._handle.engine.commit(coshelf.contract.Batch(puts={b"0other": body_of(shelf, "small")}))
            with pytest.raises(coshelf.UntrustedValue, match="does not fit"):
                shelf["other"]
            bare = LayeredCodec(Pickles(), shelf._codec.layers[:-1], IDS.get(codec))
            shelf._handle.engine.put(b"0bare", bare.dump("bare", b"0bare", SMALL[codec]))
            with pytest.raises(coshelf.UntrustedValue, match="not signed"):
                shelf["bare"]


def test_every_changed_bit_of_a_signed_value_with_layers_is_noticed(path: Path) -> None:
    with coshelf.open(path, codec="json", compress="zstd", sign=KEY) as shelf:
        shelf["k"] = ["again and again"] * 20
        body = body_of(shelf, "k")
        assert body[:2] == b"\x02\x20"
        for bit in range(len(body) * 8):
            changed = bytearray(body)
            changed[bit // 8] ^= 1 << bit % 8
            shelf._handle.engine.put(b"0k", bytes(changed))
            with pytest.raises(coshelf.UntrustedValue):
                shelf["k"]


def test_plain_pickles_have_no_header(opened: Any) -> None:
    shelf = opened(codec="pickle")
    shelf["k"] = [1]
    assert body_of(shelf, "k") == pickle.dumps([1], 5)
    assert shelf._handle.engine.get(b"\x01values") is None


@pytest.mark.parametrize("codec", ["pickle", "msgspec", "json"])
@pytest.mark.parametrize("compress", [None, "zstd"])
def test_writeback_writes_what_was_changed(path: Path, codec: Any, compress: Any) -> None:
    value = {"list": [1, 2], "text": "again and again " * 20}
    with coshelf.open(path, codec=codec, compress=compress, writeback=True) as shelf:
        shelf.update(a=value, b=copy.deepcopy(value))
        shelf.sync()
        shelf["a"]["list"].append(3)
        before = body_of(shelf, "b")
        shelf.sync()
    with coshelf.open(path) as shelf:
        assert shelf["a"]["list"] == [1, 2, 3]
        assert body_of(shelf, "b") == before


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("compress", [None, "zstd"])
def test_fingerprint_changes_with_the_value_alone(opened: Any, codec: str, compress: Any) -> None:
    shelf = opened(codec=codec, compress=compress, encrypt=KEY)
    codec_of_shelf = shelf._codec
    first, again, other = (
        codec_of_shelf.fingerprint("k", b"0k", value) for value in (SMALL[codec], SMALL[codec], LARGE[codec])
    )
    assert first == again != other
    assert codec_of_shelf.dump("k", b"0k", SMALL[codec]) != codec_of_shelf.dump("k", b"0k", SMALL[codec])


# --- what comes back equal, and what is refused ----------------------------------------------------------------------

ATOMS = st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(st.characters(exclude_categories=()))
JSON_VALUES = st.recursive(
    ATOMS.filter(lambda value: value not in (float("inf"), float("-inf"))) | st.integers(),
    lambda parts: st.lists(parts, max_size=4) | st.dictionaries(st.text(), parts, max_size=4),
    max_leaves=10,
)
MSGPACK_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.floats()
    | st.text()
    | st.binary()
    | st.integers(-(2**63), 2**64 - 1)
    | st.datetimes(timezones=st.just(dt.UTC)),
    lambda parts: st.lists(parts, max_size=4) | st.dictionaries(st.text() | st.integers(0, 2**32), parts, max_size=4),
    max_leaves=10,
)


@given(JSON_VALUES)
def test_what_json_has_comes_back(value: Any) -> None:
    codec = serializer(2)
    data = codec.dumps("k", value)
    assert codec.loads("k", data) == value
    json.loads(data.decode("utf-8", "surrogatepass"))


@given(MSGPACK_VALUES)
def test_what_msgpack_has_comes_back(value: Any) -> None:
    codec = serializer(1)
    assert repr(codec.loads("k", codec.dumps("k", value))) == repr(value).replace(" fold=1,", "")


@pytest.mark.parametrize("codec", ["json", "msgspec"])
@pytest.mark.parametrize(
    ("value", "where"),
    [
        ((1, 2), "tuple would come back as list"),
        ({"a": [0, (1,)]}, r"tuple would come back as list, at \['a'\]\[1\]"),
        ({1, 2}, "set"),
        (object(), "object"),
        (Point(1.0, 2.0), "Point"),
        ({"a": User("x", 1)}, "User"),
    ],
)
def test_what_would_not_come_back_equal_is_refused_and_says_where(
    opened: Any, codec: str, value: Any, where: str
) -> None:
    shelf = opened(codec=codec)
    with pytest.raises(coshelf.UnwritableValue, match=where) as caught:
        shelf["k"] = value
    assert caught.value.keys == ("k",)
    assert "k" not in shelf


@pytest.mark.parametrize(
    "value",
    [{1: "a"}, {"a": {None: 1}}, {True: 1}, float("nan"), [float("inf")], b"x", [10**5000], {"a": b"x"}],
    ids=range(8),
)
def test_json_refuses_what_it_does_not_have(value: Any) -> None:
    with coshelf.open("memory:", codec="json") as shelf, pytest.raises(coshelf.UnwritableValue):
        shelf["k"] = value


@pytest.mark.parametrize(("codec", "value"), [("bytes", "text"), ("bytes", 5), ("str", b"x"), ("str", None)])
def test_bytes_and_str_take_nothing_else(codec: Any, value: Any) -> None:
    with coshelf.open("memory:", codec=codec) as shelf, pytest.raises(coshelf.UnwritableValue, match=repr(codec)):
        shelf["k"] = value


def test_nan_comes_back_by_msgpack() -> None:
    with coshelf.open("memory:", codec="msgspec") as shelf:
        shelf["k"] = [{"a": float("nan")}]
        assert repr(shelf["k"]) == "[{'a': nan}]"


# --- types -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("codec", ["msgspec", "json"])
@pytest.mark.parametrize(
    ("kind", "value", "builtins"),
    [
        (User, User("Ann", 5, ["Bob"]), {"name": "Ann", "age": 5, "friends": ["Bob"]}),
        (Line, Line([Point(1.0, 2.0)]), {"points": [{"x": 1.0, "y": 2.0}]}),
        (dict[str, list[int]], {"a": [1]}, {"a": [1]}),
        (tuple[int, set[str]], (1, {"x"}), [1, ["x"]]),
        (int | None, None, None),
        (list[User], [User("Ann", 5)], [{"name": "Ann", "age": 5, "friends": []}]),
    ],
)
def test_typed_values_come_back_as_their_type(path: Path, codec: Any, kind: Any, value: Any, builtins: Any) -> None:
    with coshelf.open(path, codec=codec, type=kind) as shelf:
        shelf["k"] = value
        assert shelf["k"] == value
        assert type(shelf["k"]) is type(value)
        assert list(shelf.values()) == [value]
    with coshelf.open(path) as shelf:
        assert shelf["k"] == builtins


@pytest.mark.parametrize("value", [{"name": "Ann", "age": 5}, User("Ann", "5"), 5, [User("Ann", 5)]])  # type: ignore[arg-type]
def test_value_of_another_type_is_not_written(opened: Any, value: Any) -> None:
    shelf = opened(type=User)
    with pytest.raises(coshelf.UnwritableValue, match="'k'"):
        shelf["k"] = value
    with pytest.raises(coshelf.UnwritableValue):
        shelf.update(a=User("Ann", 5), b=value)
    assert len(shelf) == 0


def test_changed_type_is_an_error_that_names_the_field(path: Path) -> None:
    with coshelf.open(path, codec="msgspec") as shelf:
        shelf.update(a={"address": {"lines": [1, "two"]}}, b={"address": {"lines": [1]}}, c={}, d=5)
    with coshelf.open(path, type=Person) as shelf:
        assert shelf["b"].address.lines == [1]
        for key, field in (("a", "address.lines[1]"), ("c", ""), ("d", "")):
            with pytest.raises(coshelf.TypeMismatch, match=f"'{key}'.*Person") as caught:
                shelf[key]
            assert (caught.value.key, caught.value.field) == (key, field)
            assert isinstance(caught.value, coshelf.UnreadableValue)
        with pytest.raises(coshelf.TypeMismatch):
            list(shelf.items())
    with coshelf.open(path) as shelf:
        assert shelf["a"] == {"address": {"lines": [1, "two"]}}


def test_values_with_nan_and_without_equality_can_be_typed() -> None:
    with coshelf.open("memory:", type=Holder) as shelf:
        shelf["k"] = Holder([Plain(1.5)], float("nan"))
        assert shelf["k"].of[0].x == 1.5


def test_bad_options_are_refused_before_anything_is_made(path: Path) -> None:
    for options, error in (
        ({"codec": "yaml"}, ValueError),
        ({"codec": "bytes", "type": int}, ValueError),
        ({"codec": "pickle", "type": int}, ValueError),
        ({"type": 5}, TypeError),
        ({"compress": "gzip"}, ValueError),
        ({"compress": True}, ValueError),
        ({"encrypt": b"short"}, ValueError),
        ({"encrypt": "text of some length"}, TypeError),
        ({"encrypt": [KEY, 5]}, TypeError),
    ):
        with pytest.raises(error):
            coshelf.open(path, **options)  # type: ignore[arg-type]
    for level in (0, 23, "high"):
        with pytest.raises((ValueError, TypeError), match="level"):
            coshelf.Zstd(level)  # type: ignore[arg-type]
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize(
    "options",
    [{"codec": "json"}, {"type": int}, {"compress": "zstd"}, {"encrypt": KEY}],
    ids=lambda each: next(iter(each)),
)
@pytest.mark.parametrize("url", ["files:{}", "{}/"])
def test_files_engine_refuses_before_anything_is_made(path: Path, options: Any, url: str) -> None:
    with pytest.raises(coshelf.Unsupported, match="bare pickles"):
        coshelf.open(url.format(path), **options)
    assert not path.exists()
    with coshelf.open(url.format(path), codec="pickle", compress=False) as shelf:
        shelf["a"] = 1


def test_protocols_are_kept_with_layers(opened: Any) -> None:
    for protocol in range(6):
        shelf = opened(compress="zstd", protocol=protocol)
        shelf[protocol] = ["again and again"] * (1 if protocol % 2 else 50)
        assert shelf[protocol] == ["again and again"] * (1 if protocol % 2 else 50)
        if body_of(shelf, protocol)[0] == records.HEADERED:
            assert shelf.preview(protocol).stored_as == f"zstd pickle {protocol if protocol > 1 else '0 or 1'}"
