"""Use the module in C in several interpreters at once: ``python interpreters.py PATH``, PATH being the built module."""

from __future__ import annotations

import sys
import threading

try:
    import _interpreters
except ImportError:
    import _xxsubinterpreters as _interpreters  # before Python 3.13

_PROGRAM = """
import importlib.util, pickle, zlib
spec = importlib.util.spec_from_file_location("coshelf._native", {path!r})
native = importlib.util.module_from_spec(spec)
spec.loader.exec_module(native)
def left(value):
    raise AssertionError(value)
dumps, loads = native.either("dumps", left), native.either("loads", left)
encode, decode = native.either("encode_key", left), native.either("decode_key", left)
value = [{number}, {{"a": (1, 2**70, -1.5, b"x" * 300, {{"e"}})}}, ["text"] * 9]
for _ in range({rounds}):
    data = dumps(value)
    assert data == pickle.dumps(value, 5)
    assert loads(data) == value
    assert decode(encode(("a", {number}, None))) == ("a", {number}, None)
    assert native.checksum(b"k", data * 2000) == zlib.crc32(data * 2000, zlib.crc32(b"k"))
"""
ROUNDS = 15


def _use(path: str, number: int, errors: list[BaseException]) -> None:
    try:
        for generation in range(2):
            interpreter = _interpreters.create()
            error = _interpreters.run_string(
                interpreter, _PROGRAM.format(path=path, number=number + generation, rounds=ROUNDS)
            )
            if error is not None:
                raise RuntimeError(str(error))
            _interpreters.destroy(interpreter)
    except BaseException as error:
        errors.append(error)


def main() -> None:
    errors: list[BaseException] = []
    threads = [threading.Thread(target=_use, args=(sys.argv[1], number, errors)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    print("interpreters done")


if __name__ == "__main__":
    main()
