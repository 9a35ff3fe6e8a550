"""The branches of the tree of keys: str keys that begin alike up to a ``/``, and tuples that begin alike."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass

from coshelf.cli.key_text import literal_of, text_of_key
from coshelf.contract import Reader
from coshelf.errors import DamagedRecord
from coshelf.keys import FIRST, LAST, STR, TUPLE, decode, decode_element, prefix_end
from coshelf.screen import plain
from coshelf.viewer.keys.addresses import address_of, encoded_of

__all__ = ["ROOT", "Branch", "Child", "branch_at", "branches_around", "children", "runs"]

_DEEPEST = 50
"""Levels below the whole shelf. Each page of a key names all of them, and a hostile key of slashes has a million."""

_PASSED = 24  # keys of a branch that are passed over before the next key is looked up behind the branch


@dataclass(frozen=True, slots=True)
class Branch:
    """A range of keys.

    Attributes:
        base: what the bytes of all its keys begin with; empty for the whole shelf.
        start: the first bytes that can be a key in it.
        stop: the first bytes that cannot.
        level: how many branches are around it.
    """

    base: bytes
    start: bytes
    stop: bytes
    level: int

    @property
    def address(self) -> str:
        """Its address; empty for the whole shelf."""
        return address_of(self.base) if self.base else ""

    def inner(self, key: bytes) -> Branch | None:
        """The branch in this one that has a key of it; None if the key is not in a deeper one."""
        if self.level == _DEEPEST:
            return None
        if key.startswith(STR):
            slash = key.find(b"/", max(len(self.base), len(STR)))
            return None if slash < 0 else _of_texts(key[: slash + 1], self.level + 1)
        if not key.startswith(TUPLE):
            return None
        try:
            end = decode_element(key, max(len(self.base), len(TUPLE)))[1]
        except DamagedRecord:
            return None
        return None if end >= len(key) else _of_tuples(key[:end], self.level + 1)

    def has_no_branch(self, keys: list[bytes]) -> bool:
        """Whether none of these keys, which are in order, is in a deeper branch. If in doubt, False."""
        if self.level == _DEEPEST:
            return True
        is_text = keys[0].startswith(STR) and keys[-1].startswith(STR)
        return is_text and b"".join(keys).count(b"/") == len(keys) * self.base.count(b"/")

    def parents(self) -> list[Branch]:
        """The branches around this one, from the whole shelf on."""
        return branches_around(self.base + FIRST)[:-1] if self.base else []

    def name(self, outer: Branch) -> str:
        """What it is called within another branch."""
        if not self.base:
            return "all keys"
        if self.base.startswith(STR):
            return plain(_text(self.base[max(len(outer.base), len(STR)) :]))
        shown = ", ".join(literal_of(each) for each in _elements(self.base, max(len(outer.base), len(TUPLE))))
        return f"{shown}, …" if outer.base else f"({shown}, …)"


def _of_texts(base: bytes, level: int) -> Branch:
    return Branch(base, base, prefix_end(base), level)


def _of_tuples(base: bytes, level: int) -> Branch:
    return Branch(base, base + FIRST, base + LAST, level)


ROOT = Branch(b"", FIRST, LAST, 0)
"""The whole shelf."""


def branches_around(key: bytes) -> list[Branch]:
    """The branches that have a key, from the whole shelf on."""
    found = [ROOT]
    while (deeper := found[-1].inner(key)) is not None:
        found.append(deeper)
    return found


def branch_at(address: str) -> Branch:
    """The branch with an address. Raises ValueError if there can be none."""
    if not address:
        return ROOT
    base = encoded_of(address)
    found: Branch | None = None
    if base.startswith(STR) and base.endswith(b"/"):
        found = _of_texts(base, base.count(b"/"))
    elif base.startswith(TUPLE) and len(base) > 1:
        try:
            found = _of_tuples(base, len(decode(base)))
        except DamagedRecord:
            pass  # it is not the beginning of a key
    if found is None or found.level > _DEEPEST:
        raise ValueError("this is not the address of a branch")
    return found


@dataclass(frozen=True, slots=True)
class Child:
    """A key in a branch, or a branch in it.

    Attributes:
        key: the bytes of the key; of a branch, what its keys begin with.
        branch: the branch; None for a key.
    """

    key: bytes
    branch: Branch | None

    def name(self, outer: Branch) -> str:
        """What it is called within a branch."""
        if self.branch is not None:
            return self.branch.name(outer)
        try:
            if not outer.base:
                return text_of_key(decode(self.key))
            if self.key.startswith(STR):
                return plain(_text(self.key[len(outer.base) :])) or "''"
            return ", ".join(literal_of(each) for each in _elements(self.key, len(outer.base)))
        except DamagedRecord:
            return f"damaged key {self.key[:40]!r}"

    @property
    def behind(self) -> bytes:
        """The first bytes behind it."""
        return self.key + b"\0" if self.branch is None else self.branch.stop


def children(reader: Reader, branch: Branch, start: bytes | None = None) -> Iterator[Child]:
    """The keys and branches in a branch, in order, from a position on.

    A branch costs one look-up, however many keys it has.
    """
    for found in runs(reader, branch, start):
        if isinstance(found, Branch):
            yield Child(found.base, found)
        else:
            yield from (Child(key, None) for key in found)


def runs(reader: Reader, branch: Branch, start: bytes | None = None) -> Generator[list[bytes] | Branch]:
    """As :func:`children`, with lists of keys that follow each other: most keys are not looked at one by one."""
    at = branch.start if start is None else max(start, branch.start)
    while at < branch.stop:
        inner: Branch | None = None
        passed = 0
        behind = branch.stop
        with closing(_pages(reader, at, branch.stop)) as pages:
            for page in pages:
                if (inner is None or page[0] >= inner.stop) and branch.has_no_branch(page):
                    yield page
                    continue
                run: list[bytes] = []
                for key in page:
                    if inner is not None and key < inner.stop:
                        passed += 1
                        if passed < _PASSED:
                            continue
                        behind = inner.stop
                        break
                    inner, passed = branch.inner(key), 0
                    if inner is None:
                        run.append(key)
                        continue
                    if run:
                        yield run
                        run = []
                    yield inner
                if run:
                    yield run
                if behind != branch.stop:
                    break
        at = behind


def _pages(reader: Reader, start: bytes, stop: bytes) -> Generator[list[bytes]]:
    for page in reader.key_pages(start, stop):
        if page:
            yield page


def _text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:  # it was damaged on disk
        return raw.decode("utf-8", "backslashreplace")


def _elements(data: bytes, at: int) -> Iterator[object]:
    while at < len(data):
        element, at = decode_element(data, at)
        yield element
