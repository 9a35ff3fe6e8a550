"""Calls of a cache as data, so that the same calls can be made of two caches and their answers compared."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

from hypothesis import strategies as st

QUEUE = 500_000_000_000_000  # where the keys of a queue without a prefix begin
LONG = 1 << 15  # bytes from which on a value goes to a file

KEYS: list[Any] = [
    0, -1, -1.0, -7, 2.5, True, None, "", "a", "b", b"a", (), ("a", 1), ("a", 1.0), (("a",), None), 1 << 70,
    QUEUE - 1, QUEUE, QUEUE + 1, "jobs-000500000000000000",
]  # fmt: skip
VALUES: list[Any] = [
    0, 41, -3, 2.25, True, None, "", "text", "x" * (LONG + 1), b"", b"bytes", b"y" * LONG, [1, "two"], {"k": (1,)},
    1 << 80,
]  # fmt: skip
TAGS: list[Any] = [None, "red", "blue", 3, b"t"]
LIFETIMES: list[Any] = [None, None, 1, 5.5, 100, 0, -1]


def _value(number: int) -> Any:
    """A value by its number, so that hypothesis shows no long ones."""
    return VALUES[number]


keys = st.sampled_from(KEYS)
values = st.integers(0, len(VALUES) - 1).map(_value)
tags = st.sampled_from(TAGS)
lifetimes = st.sampled_from(LIFETIMES)
numbered = st.sampled_from([0, "a", "b", ("a", 1)])
flags = st.booleans()
sides = st.sampled_from(["front", "back"])
prefixes = st.sampled_from([None, "jobs"])


@dataclass(repr=False)
class Call:
    """A call of a method by its name."""

    name: str
    arguments: tuple[Any, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        options = [f"{name}={value!r:.40}" for name, value in self.options.items()]
        return f"{self.name}({', '.join([*(f'{each!r:.40}' for each in self.arguments), *options])})"

    def of(self, cache: Any) -> Any:
        """The answer of a cache: ("value", what it returned) or ("error", the name of the exception)."""
        try:
            answer = getattr(cache, self.name)(*self.arguments, **self.options)
        except (KeyError, TypeError, OverflowError) as error:
            return "error", type(error).__name__
        if self.name == "__delitem__":  # ``del`` shows no result
            return "value", None
        return "value", _comparable(answer)


def _comparable(answer: Any) -> Any:
    """An answer that can be compared: the bytes of an open file, and types beside values (True is not 1)."""
    if isinstance(answer, io.BufferedReader):
        with answer:
            return "file", answer.read()
    if isinstance(answer, tuple):
        return tuple(map(_comparable, answer))
    return type(answer).__name__, answer


def _call(name: str, *arguments: st.SearchStrategy[Any], **options: st.SearchStrategy[Any]) -> st.SearchStrategy[Call]:
    return st.builds(Call, st.just(name), st.tuples(*arguments), st.fixed_dictionaries({}, optional=options))


with_details = {"expire_time": flags, "tag": flags}
calls: st.SearchStrategy[Call] = st.one_of(
    _call("set", keys, values, expire=lifetimes, tag=tags),
    _call("set", keys, values, expire=lifetimes, tag=tags),
    _call("__setitem__", keys, values),
    _call("add", keys, values, expire=lifetimes, tag=tags),
    _call("get", keys, default=st.just("none"), read=flags, **with_details),
    _call("__getitem__", keys),
    _call("__contains__", keys),
    _call("read", keys),
    _call("touch", keys, expire=lifetimes),
    _call("pop", keys, default=st.just("none"), **with_details),
    _call("delete", keys),
    _call("__delitem__", keys),
    _call("incr", numbered, st.sampled_from([1, -2, 0.5]), default=st.sampled_from([0, 5, None])),
    _call("decr", st.sampled_from([0, "a"]), st.sampled_from([1, 3])),
    _call("push", values, prefix=prefixes, side=sides, expire=lifetimes, tag=tags),
    _call("pull", prefix=prefixes, side=sides, **with_details),
    _call("peek", prefix=prefixes, side=sides, **with_details),
    _call("peekitem", last=flags, **with_details),
    _call("evict", tags),
    _call("expire"),
    _call("expire", st.sampled_from([1_000_000_003.0, 1_000_000_050.0])),
    _call("clear"),
    _call("create_tag_index"),
    _call("drop_tag_index"),
    _call("stats", enable=flags, reset=flags),
    _call("cull"),
)  # fmt: skip


class Clock:
    """The time that caches see."""

    def __init__(self) -> None:
        self.now = 1_000_000_000.0

    @contextmanager
    def shown(self) -> Iterator[None]:
        """For a block, ``time.time()`` is this clock."""
        with mock.patch("time.time", side_effect=lambda: self.now):
            yield


def listing(cache: Any) -> Any:
    """All that is in a cache, in its orders."""
    return {
        "len": len(cache),
        "iter": list(map(_comparable, cache)),
        "reversed": list(map(_comparable, reversed(cache))),
        "iterkeys": list(map(_comparable, cache.iterkeys())),
        "backwards": list(map(_comparable, cache.iterkeys(reverse=True))),
    }
