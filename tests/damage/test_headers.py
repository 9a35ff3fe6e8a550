"""The header that LMDB takes is the one that is looked at, and one that it would stumble over is refused."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest

import coshelf
from coshelf.engines.lmdb.pages.header import read_metas, wrong_with

PAGE = 4096
SECOND = PAGE + 512


def exchange(content: bytearray, first: int = 0, second: int = 512) -> None:
    """Header page 0 in the place of header page 1, and the reverse, each with its number."""
    content[first:second], content[PAGE + first : PAGE + second] = (
        content[PAGE + first : PAGE + second],
        content[first:second],
    )
    content[:8], content[PAGE : PAGE + 8] = bytes(8), (1).to_bytes(8, "little")


def put(at: int, form: str, number: int) -> Callable[[bytearray], None]:
    """In both header pages."""

    def change(content: bytearray) -> None:
        for page in (0, PAGE):
            struct.pack_into("<" + form, content, page + at, number)

    return change


def later(by: int) -> Callable[[bytearray], None]:
    """The newer header is of a later transaction."""

    def change(content: bytearray) -> None:
        numbers = [int.from_bytes(content[page + 144 : page + 152], "little") for page in (0, PAGE)]
        newer = numbers.index(max(numbers)) * PAGE
        struct.pack_into("<Q", content, newer + 144, max(numbers) + by)

    return change


def both_later(content: bytearray) -> None:
    for page in (0, PAGE):
        number = int.from_bytes(content[page + 144 : page + 152], "little")
        struct.pack_into("<Q", content, page + 144, number + 1)


CHANGES: dict[str, Callable[[bytearray], None]] = {
    "exchanged": exchange,
    "both of one transaction later": both_later,
    "newer one transaction too late": later(1),
    "newer two transactions too late": later(2),
    "pages of 512 bytes": put(40, "I", 512),
    "pages of 65536 bytes": put(40, "I", 65536),
    "no pages": put(40, "I", 0),
    "an address": put(24, "Q", 1 << 30),
    "keys of one size": put(88, "I", 16),
    "entries with several values": put(92, "H", 4),
    "entries with several values of one size": put(92, "H", 0x14),
    "no integers in the list of free pages": put(44, "H", 0x4000),
    "another kind of page": put(10, "H", 0),
    "a dirty page": put(10, "H", 0x18),
    "page number": put(0, "Q", 7),
    "more pages than can be": put(136, "Q", 1 << 50),
    "a last transaction": put(144, "Q", (1 << 64) - 1),
    "depth of a tree that is not there": put(46, "H", 40),
}


@pytest.mark.parametrize("turns", [1, 2])
@pytest.mark.parametrize("change", CHANGES)
def test_header_that_lmdb_would_read_otherwise_is_refused(change: str, turns: int, tmp_path: Path) -> None:
    path = tmp_path / "a.shelf"
    with coshelf.open(path) as shelf:
        shelf.update(dict.fromkeys(range(300), "x" * 50))
        for turn in range(turns):
            shelf["turn"] = turn
            shelf.sync()
    content = bytearray(path.read_bytes())
    CHANGES[change](content)
    for page in (0, 1):  # whoever makes a file makes its stamp as well, or leaves it out
        content[page * PAGE + 512 : (page + 1) * PAGE] = bytes(PAGE - 512)
    path.write_bytes(content)
    path.rename(tmp_path / "other.shelf")
    (tmp_path / "b.shelf").write_bytes(content)
    assert not coshelf.check(tmp_path / "b.shelf").ok
    for trust in (None, False):
        with pytest.raises(coshelf.CoshelfError):
            coshelf.open(tmp_path / "b.shelf", "r", trust=trust)
    assert (tmp_path / "b.shelf").read_bytes() == content


def test_wrong_parity_is_refused_even_in_a_shelf_of_one_s_own(tmp_path: Path) -> None:
    path = tmp_path / "a.shelf"
    with coshelf.open(path) as shelf:
        shelf["a"] = 1
    content = bytearray(path.read_bytes())
    exchange(content)
    with path.open("r+b") as file:
        file.write(content)
    for trust in (None, True):
        with pytest.raises(coshelf.DamagedShelf, match="header of transaction"):
            coshelf.open(path, trust=trust)


def test_headers_of_a_shelf_are_right_after_every_commit(tmp_path: Path) -> None:
    path = tmp_path / "a.shelf"
    with coshelf.open(path) as shelf, path.open("rb") as file:
        for number in range(20):
            assert wrong_with(read_metas(file.fileno(), "")) is None
            shelf[number] = number
            shelf.sync()
