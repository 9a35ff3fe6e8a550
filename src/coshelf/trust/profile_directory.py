"""Who could write a file where users have no numbers: Windows.

``stat`` tells neither owner nor rights there. But the profile directory of a user (``C:\\Users\\ann``) has an access
control list that gives it to this user, to SYSTEM and to administrators, and what is made in it inherits that list. So
a file in this user's own profile directory counts as its own, and every other file as exposed.
"""

from __future__ import annotations

import os

from coshelf.system.rights import profile_directories

__all__ = ["exposure_by_place"]

# What Windows lets programs write that run with fewer rights than their user has: browsers' tabs, apps of the store.
_OF_RESTRICTED_PROGRAMS = (
    ("appdata", "locallow"),
    ("appdata", "local", "packages"),
    ("appdata", "local", "temp", "low"),
)


def exposure_by_place(path: str, found: os.stat_result) -> str | None:
    """Why another user may be able to write the file that was found at a path, in words; None if it is this user's own.

    Links and junctions are followed: the place of the file itself counts.
    """
    profile = profile_directories.of_this_user()
    if profile is None:
        return "files have no owner here by number, and this user has no profile directory that is known to be its own"
    try:
        place = os.path.realpath(path, strict=True)
        if not os.path.samestat(os.stat(place), found):
            return f"{path} leads to another file than the one that is open"
        inner = profile_directories.names_below(profile, place)
    except OSError as error:
        return f"the directories above {path} cannot be examined: {error.strerror}"
    if inner is None:
        return (
            f"files have no owner here by number, and {place} is not in this user's profile directory {profile}, "
            "so other users may be able to write it"
        )
    for restricted in _OF_RESTRICTED_PROGRAMS:
        if inner[: len(restricted)] == restricted:
            return f"programs with restricted rights can write in {os.path.join(profile, *restricted)}"
    return None
