"""Why a shelf without this user's mark is not trusted, and whether it can be marked."""

from __future__ import annotations

from coshelf.contract import Engine, Markable
from coshelf.system.rights import profile_directories, users
from coshelf.trust import marks

__all__ = ["can_be_trusted", "has_no_place_for_mark", "protecting", "unmarked"]


def unmarked(where: str, store_id: bytes) -> str:
    """Why a shelf without this user's mark is not trusted: it is a copy of a marked shelf, or another user made it."""
    original = marks.marked_elsewhere(store_id)
    if original is not None:
        return f"{where} is a copy of {original}; a copy is not trusted, since others may have changed it"
    return f"{where} was not made by this user on this machine, or was copied or moved to where it is"


def has_no_place_for_mark(engine: Engine) -> bool:
    """Whether a shelf of a kind that can be marked cannot get this user's mark, because there is no place for it."""
    return isinstance(engine, Markable) and not marks.has_place()


def can_be_trusted(engine: Engine) -> bool:
    """Whether ``coshelf trust`` would work: there is a place for the mark, and no other user can write the shelf."""
    if not isinstance(engine, Markable):
        return False
    path = engine.where.removeprefix("sqlite:")
    try:
        return engine.exposure() is None and marks.has_place_for_mark(path)
    except OSError:
        return False


def protecting() -> str:
    """What a user does so that no other user can write a shelf, in words for a hint."""
    if users.has_numbers:
        return "keep all other users from writing it"
    profile = profile_directories.of_this_user()
    return "move it into your profile directory" + (f" {profile}" if profile else "")
