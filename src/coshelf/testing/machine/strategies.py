"""The strategies of hypothesis: keys, values, globs and conditions."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import strategies as st

from coshelf.keys import encode

__all__ = ["NAMES", "conditions", "keys", "limit_keys", "patterns", "values"]

_LONG = "long/" + "k" * 700
# Keys at which encodings change form, keys that are prefixes of others, equal keys of different types, and long keys
# that end near multiples of 493 bytes (docs/format.md, "Long keys"). Few, so that several rules use the same ones.
_TELLING: list[Any] = [
    *(None, True, False, 0, 1, -1, 1.0, 255, 256, -255, -256, 2**64 - 1, 2**64, -(2**64), 2**600, -(2**600), 1e300),
    *(0.5, -0.5, 1.5, -1.5, 255.75, 5e-324, -5e-324, 2.0**52 + 0.5, math.inf, -math.inf, -0.0),
    *("", "a", "a/", "a/b", "a/b/c", "b", "b/a", "a\0", "a\0b", "ab", "\0", "\ud800", "\udfff", "\uffff", "\U0001f600"),
    *("a/\ud800", "a/\0", "a/\U0010ffff", "b/ab", "a/a/b"),
    *(b"", b"\0", b"a", b"a\0", b"a\0b", b"a\xff", b"\xff\xff", b"\0\xff"),
    *((), (None,), (0,), ((),), ("a",), ("a", 1), ("a", "b"), ("a\0",), (b"a\0", -1), (b"a\0\xff",), (1, (2, (3.5,)))),
    *(("a/", 1), ("a/", None), ("a/", b"x"), ("a/", (1, "b")), ("a/", 1, 2), ("a/", "b"), ("a/",), ("b/", 0.5)),
    *(_LONG[:length] for length in (491, 492, 493, 494, 984, 985, 986, 987)),
    *(_LONG[:600] + end * 1400 for end in ("\0", "a", "z")),
    *(_LONG[:600].encode() + end * 1400 for end in (b"\0", b"a", b"\xff")),
    *(("a/" + _LONG[:610], end) for end in (0, "a")),
]
NAMES = ["", "a", "b", "a/b"]


# Enough for entries beside each other, in parts and parts of parts, in each of which the same key is another one.
_FEW: list[Any] = ["a", "b/a", 1, _LONG[:600]]


@st.composite  # for its short repr: hypothesis prints strategies in its reports
def keys(draw: st.DrawFn) -> Any:
    """Keys of every type, most of them from a small set, so that rules use the same ones."""
    return draw(st.sampled_from(_FEW) if _few[0] else _keys().filter(_fits))


_limit: list[int | None] = [None]  # the limit of the machine that runs
_few = [False]


def limit_keys(longest: int | None, *, few: bool) -> None:
    """From now on, draw no keys whose encoding is longer than this. ``few``: draw one of four keys."""
    _limit[0] = longest
    _few[0] = few


def _fits(key: Any) -> bool:
    return _limit[0] is None or len(encode(key)) <= _limit[0]


def _keys() -> st.SearchStrategy[Any]:
    text = st.text(st.characters(exclude_categories=()), max_size=6)
    long = st.tuples(st.sampled_from([_LONG[:600], _LONG[:491]]), text, st.integers(0, 1300)).map(
        lambda parts: parts[0] + parts[1] + "m" * parts[2]
    )
    numbers = st.one_of(st.integers(), st.floats(allow_nan=False), st.booleans())
    plain = st.one_of(st.none(), numbers, text, st.binary(max_size=6))
    nested = st.recursive(plain, lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=5)
    telling = st.sampled_from(_TELLING)
    return st.one_of(telling, telling, telling, st.sampled_from("abc/").map(str), plain, nested, long)


def values() -> st.SearchStrategy[Any]:
    """Values that can be compared. Some of them can be changed in place."""
    number = st.integers(-3, 3)
    return st.one_of(
        number,
        st.lists(number, max_size=3),
        st.dictionaries(st.sampled_from("xyz"), number, max_size=2),
        st.sampled_from(["", "text", None, b"bytes" * 100, ("tuple", 1.5)]),
    )


def patterns() -> st.SearchStrategy[str]:
    """Globs. Two stars are adjacent only as ``**``."""
    pieces = st.sampled_from(["a", "b", "/", "?", "[ab]", "[!a]", "\0"])
    stars = st.sampled_from(["", "", "*", "**"])
    return st.lists(st.tuples(stars, pieces), max_size=4).flatmap(
        lambda pairs: stars.map(lambda end: "".join(star + piece for star, piece in pairs) + end)
    )


def conditions() -> st.SearchStrategy[dict[str, Any]]:
    """Arguments for ``keys()``, ``items()`` and ``values()``."""
    prefix = st.one_of(
        st.sampled_from(["", "a", "a/", "a\0", "\ud800", "long/", _LONG[:600]]),
        st.sampled_from([b"", b"a", b"a\0", _LONG[:493].encode()]),
        st.sampled_from([(), ("a",), ("a/",), ("a/", 1), (b"a\0",), (1, (2,)), (0.0,)]),
        keys().filter(lambda key: isinstance(key, (str, bytes, tuple))),
    )
    return st.fixed_dictionaries(
        {},
        optional={
            "glob": patterns(),
            "prefix": prefix,
            "start": keys(),
            "stop": keys(),
            "reverse": st.booleans(),
        },
    )
