"""Whom access control lists let write a file, beside its owner and mode.

Linux shows lists as extended attributes of the file. macOS gives them through its C library. Where neither exists, no
list is looked for: OpenBSD has none. A list that exists and cannot be read may name anybody.
"""

from __future__ import annotations

from dataclasses import dataclass

from coshelf.system.rights import list_attributes, list_texts

__all__ = ["Listed", "listed", "listed_for_new_files"]

_NOBODY: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Listed:
    """Those that a list lets write a file. The defaults are those of a file without a list.

    Attributes:
        users: numbers of users.
        groups: numbers of groups.
        everybody: whether all users may, or users whose numbers the list does not have.
        owning_group: whether the group of the file may; None: the mode tells.
        is_known: whether the list could be read.
    """

    users: frozenset[int] = _NOBODY
    groups: frozenset[int] = _NOBODY
    everybody: bool = False
    owning_group: bool | None = None
    is_known: bool = True


_WITHOUT_LIST = Listed()
_UNKNOWN = Listed(is_known=False)


def listed(opened: int | str, *, by_group: bool) -> Listed:
    """Those that the list of a file lets write it.

    Args:
        opened: a descriptor of the file, also one of ``O_PATH``, or its path.
        by_group: whether the mode lets the group write. A POSIX list gives no rights beyond that.
    """
    try:
        if not list_attributes.exist:
            return _from_text(list_texts.text_of(opened), to_new_files=False)
        named = list_attributes.named_writers(opened) if by_group else None
        by_name = list_attributes.nfs_names_a_writer(opened)
    except OSError:
        return _UNKNOWN
    if named is None:
        return Listed(everybody=True) if by_name else _WITHOUT_LIST
    return Listed(named.users, named.groups, by_name or named.others, named.owning_group)


def listed_for_new_files(opened: int | str) -> Listed:
    """Those that the list of a directory lets write the files that are made in it."""
    try:
        if not list_attributes.exist:
            return _from_text(list_texts.text_of(opened), to_new_files=True)
        named = list_attributes.named_writers_of_new_files(opened)
    except OSError:
        return _UNKNOWN
    return _WITHOUT_LIST if named is None else Listed(named.users, named.groups, named.others)


def _from_text(text: str | None, *, to_new_files: bool) -> Listed:
    if text is None:
        return _WITHOUT_LIST
    try:
        users, groups = list_texts.writers_in(text, to_new_files=to_new_files)
    except ValueError:  # a list of another kind, such as those of FreeBSD
        return _UNKNOWN
    return Listed(users, groups)
