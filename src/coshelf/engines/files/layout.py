"""Which file a key has: the file of its path if that is possible, and an escaped one if not.

What can be at a path changes. ``a/b`` cannot be a file while ``a`` is one. ``Recipe`` cannot be beside ``recipe`` on a
file system that folds case. So a key is looked for in both places, and stays in the one that it was given.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Collection, Iterator

from coshelf.engines.files.names import ESCAPED, LONG, escape, key_in_name
from coshelf.engines.files.paths import OWN, Parts, is_part, key_of, parts_of, plain_parts
from coshelf.engines.files.tree import Tree
from coshelf.engines.files.twins import folded
from coshelf.errors import InvalidKey, KeyTooLong
from coshelf.keys import STR, decode, prefix_end, shown

__all__ = ["Layout", "PathsAlone"]

_ESCAPED = "/".join(ESCAPED)
_STR_END = prefix_end(STR)
# Names that every file system allows: without the characters, endings and device names that Windows reserves.
_ANYWHERE = re.compile(
    r"""(?!(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\.|$))[^\x00-\x1f\x7f-\U0010ffff<>:"|?*]*(?<![. ])""",
    re.IGNORECASE | re.ASCII,
)


class Layout:
    """The places of keys in a tree. This one has a place for every key."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree

    def possible(self, key: bytes) -> list[Parts]:
        """Where the file of a key could come to be, in the order in which it is looked for."""
        plain = plain_parts(key)
        return [escape(key)] if plain is None else [plain, escape(key)]

    def places(self, key: bytes) -> Iterator[Parts]:
        """Where the file of a key can be now."""
        plain = plain_parts(key)
        if plain is not None:
            yield plain
        if plain is None or self._some_are_escaped():
            yield escape(key)

    def _some_are_escaped(self) -> bool:
        """Whether there could be keys in an escaped form. Most look-ups of a missing path need only this test."""
        return self._tree.exists(_ESCAPED)

    def key_at(self, parts: Parts) -> bytes | None:
        """The key whose file would be at a path; None if no key has it. That of a long key is read from the file."""
        if not all(map(is_part, parts)):
            return None
        if self._is_path(parts[0]):
            return key_of(parts)
        if parts[:-1] == ESCAPED:
            return key_in_name(parts[-1])
        key = self._tree.key_behind(parts) if parts[:-1] == LONG else None
        return key if key is not None and escape(key) == parts else None

    def may_have_files(self, directory: Parts) -> bool:
        """Whether files of keys may lie in a directory, or below it."""
        return not directory or self._is_path(directory[0]) or directory in ((OWN,), ESCAPED, LONG)

    def find(self, key: bytes) -> tuple[Parts, os.stat_result] | None:
        """The file of a key, and its status; None if there is none."""
        for parts in self.places(key):
            status = self._file_at(parts)
            if status is not None:
                return parts, status
        return None

    def homes(self, keys: Collection[bytes], leaving: set[Parts]) -> dict[bytes, tuple[Parts, os.stat_result | None]]:
        """Where to put the files of keys, and the status of those that they replace.

        ``leaving`` has the files that are removed first. Raises :class:`InvalidKey` if a link, a FIFO or the like is
        in the way.
        """
        if keys:
            is_ascii = all(key[1:].isascii() for key in keys if key[:1] == STR)
            self._tree.twins.find_out(self._tree.descriptor, ascii_only=is_ascii)
        claimed = _Claimed(self._tree.twins.exist)
        found = {}
        for key in sorted(keys):
            found[key] = parts, _ = self._home(key, leaving, claimed)
            claimed.add(parts)
        return found

    def _home(self, key: bytes, leaving: set[Parts], claimed: _Claimed) -> tuple[Parts, os.stat_result | None]:
        plain, escaped = plain_parts(key), escape(key)
        if plain is not None:
            status, obstacle = self._tree.standing(plain, leaving)
            if status is not None:
                return plain, status
            if obstacle is None and self._fits(plain, claimed):
                status = self._file_at(escaped) if self._some_are_escaped() else None
                return (plain, None) if status is None else (escaped, status)
        status, obstacle = self._tree.standing(escaped, leaving)
        if obstacle is not None:
            where = f"{'/'.join(escaped)!r} in {self._tree.where}"
            raise InvalidKey(f"key {shown(decode(key))} has its file at {where}, which {obstacle}")
        return escaped, status

    def _file_at(self, parts: Parts) -> os.stat_result | None:
        status = self._tree.look(parts)
        return status if status is not None and stat.S_ISREG(status.st_mode) else None

    def _fits(self, parts: Parts, claimed: _Claimed) -> bool:
        """Whether a new file can be at a free path, beside the other files of the batch, on this file system."""
        if claimed.clash(parts) is not None:
            return False
        return not self._tree.twins.exist or all(map(_ANYWHERE.fullmatch, parts))

    def walk(self, start: bytes, stop: bytes, *, shadowed: bool = False) -> Iterator[tuple[bytes, Parts]]:
        """Encoded keys in ``[start, stop)`` and their files, unordered.

        A file in escaped form is shadowed if its key also has the file of its path. ``shadowed`` includes these.
        """
        yield from self._plain(start, stop)
        for key, parts in self._escaped():
            if start <= key < stop and (shadowed or not self._is_shadowed(key)):
                yield key, parts

    def _is_shadowed(self, key: bytes) -> bool:
        plain = plain_parts(key)
        return plain is not None and self._file_at(plain) is not None

    def _plain(self, start: bytes, stop: bytes) -> Iterator[tuple[bytes, Parts]]:
        if stop <= STR or start >= _STR_END:
            return
        to_do: list[tuple[Parts, bytes]] = [((), STR)]
        while to_do:
            above, beginning = to_do.pop()
            for name, is_directory in self._tree.listed(above):
                if not is_part(name) or not (above or self._is_path(name)):
                    continue
                key = beginning + name.encode("utf-8", "surrogatepass")
                if not is_directory:
                    if start <= key < stop:
                        yield key, (*above, name)
                elif key + b"/" < stop and prefix_end(key + b"/") > start:
                    to_do.append(((*above, name), key + b"/"))

    def _is_path(self, name: str) -> bool:
        """Whether a name in the root begins a path that is a key."""
        return name.lower() != OWN

    def _escaped(self) -> Iterator[tuple[bytes, Parts]]:
        for name, is_directory in self._tree.listed(ESCAPED):
            key = None if is_directory else key_in_name(name)
            if key is not None:
                yield key, (*ESCAPED, name)
        for name, is_directory in self._tree.listed(LONG):
            parts = (*LONG, name)
            key = None if is_directory else self._tree.key_behind(parts)
            if key is not None and escape(key) == parts:
                yield key, parts


class PathsAlone(Layout):
    """pickleshare's own layout: the keys are the paths of the files, whatever they are, and there are no others."""

    def possible(self, key: bytes) -> list[Parts]:
        try:
            return [parts_of(key)]
        except (InvalidKey, KeyTooLong):
            return []

    def places(self, key: bytes) -> Iterator[Parts]:
        return iter(self.possible(key))

    def _home(self, key: bytes, leaving: set[Parts], claimed: _Claimed) -> tuple[Parts, os.stat_result | None]:
        parts = parts_of(key)
        standing = self._tree.standing(parts, leaving)
        obstacle = standing.obstacle or claimed.clash(parts) or self._change(parts)
        if obstacle is not None:
            raise InvalidKey(f"key {'/'.join(parts)!r} {obstacle} in {self._tree.where}")
        return parts, standing.status

    def _change(self, parts: Parts) -> str | None:
        is_changed = any(map(self._tree.twins.change, parts))
        return "has a part that the file system changes to another name" if is_changed else None

    def _is_path(self, name: str) -> bool:
        return True

    def _escaped(self) -> Iterator[tuple[bytes, Parts]]:
        return iter(())


class _Claimed:
    """The paths that the other keys of a batch are given, in the form in which the file system compares them."""

    def __init__(self, folds: bool) -> None:
        self._folds = folds
        self._files: set[Parts] = set()
        self._directories: set[Parts] = set()

    def _folded(self, parts: Parts) -> Parts:
        return folded(parts) if self._folds else parts

    def add(self, parts: Parts) -> None:
        folded = self._folded(parts)
        self._files.add(folded)
        self._directories.update(folded[:length] for length in range(1, len(folded)))

    def clash(self, parts: Parts) -> str | None:
        """In words, why a path cannot be beside those that are there."""
        folded = self._folded(parts)
        if folded in self._files or folded in self._directories:
            return "is the path of another key, or a directory of one, in this batch"
        if any(folded[:length] in self._files for length in range(1, len(folded))):
            return "would lie below another key that is in this batch"
        return None
