"""Call the module in C while each allocation fails in turn: ``python without_memory.py PART FILE LOCK``.

It must not die, and each call raises MemoryError, or gives its result, or leaves its argument to Python.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable
from typing import Any

ENOUGH = 30  # results in a row: the call does not have so many allocations


def calls(part: str, file: int, lock: int) -> list[tuple[Callable[..., Any], Any]]:
    from coshelf import _native, keys  # here, since this file is looked through where there is none

    value = {
        "text": ["a" * 300, "\u20ac", "\ud800", 2**70, -(2**70), 1.5, None],
        "more": [(number, str(number), {number}, frozenset({number})) for number in range(40)],
        ("key", 1): bytearray(2_000),
    }
    several = ["a" * 500, "\u20ac" * 300, ("a", "b\0c", ("d", 2**63, None), *range(12)), b"\0" * 300, 7]
    arguments: dict[str, list[tuple[str, Any]]] = {
        "dumps": [("dumps", value)],
        "loads": [("loads", pickle.dumps(value, 5)), ("loads", b"\x80\x05\xff")],
        "keys": [("encode_key", key) for key in several] + [("decode_key", keys.encode(key)) for key in several],
    }
    if part in arguments:
        return [(_native.either(name, left), argument) for name, argument in arguments[part]]

    def read(key: str) -> Any:
        reader = _native.BaseReader(file, file, lock)
        found = reader.load(key) if key == "whole" else reader.get(keys.encode(key))
        reader.close()
        return "left" if found is NotImplemented else found

    return [(read, "whole"), (read, "other"), (read, "none")]


def left(_: Any) -> Any:
    return "left"


def main() -> None:
    import _testcapi

    part, file, lock = sys.argv[1], *map(int, sys.argv[2:])
    failed = 0
    for function, argument in calls(part, file, lock):
        expected = function(argument)
        start = results = 0
        while results < ENOUGH:
            raised, result = False, None
            _testcapi.set_nomemory(start, start + 1)
            try:
                result = function(argument)
            except MemoryError:
                raised = True
            finally:
                _testcapi.remove_mem_hooks()
            start += 1
            failed += raised
            results = 0 if raised else results + 1
            assert raised or result in (expected, "left"), start
    print(f"{failed} failed")


if __name__ == "__main__":
    main()
