"""Names that Windows changes or gives a meaning of their own. A shelf under such a name would be another file.

Windows drops dots and spaces at the end of a name, reads ``CON`` as the console, and writes ``a:b`` into a stream of
the file ``a``. SQLite makes files beside a database by adding to its name, so those would be other files, too.
"""

from __future__ import annotations

import ntpath
import os

__all__ = ["follows_rules", "share_of", "trouble_with"]

follows_rules = os.path is ntpath
"""Whether paths have the rules of Windows."""

_DEVICES = frozenset(
    (
        "CON",
        "PRN",
        "AUX",
        "NUL",
        "CONIN$",
        "CONOUT$",
        *(f"{name}{number}" for name in ("COM", "LPT") for number in "123456789¹²³"),
    )
)
_FORBIDDEN = frozenset('<>"|?*')
_VERBATIM = "\\\\?\\"
_VERBATIM_SHARE = "\\\\?\\UNC\\"


def trouble_with(path: str) -> str | None:
    r"""Why no file can have exactly this path on Windows, in words; None if one can.

    >>> trouble_with(r"C:\data\recipes.shelf"), trouble_with(r"\\?\C:\data\recipes.shelf")
    (None, None)
    >>> trouble_with(r"C:\data\nul.shelf")
    "'nul.shelf' is the name of a device"
    >>> trouble_with("recipes. ")
    "'recipes. ' ends with a dot or a space, which Windows drops"
    """
    place, name = ntpath.split(ntpath.splitdrive(path.removeprefix(_VERBATIM))[1])
    for part in (*place.replace("/", "\\").split("\\"), name):
        if part in ("", ".", ".."):
            continue
        if part.partition(".")[0].rstrip(" ").upper() in _DEVICES:
            return f"{part!r} is the name of a device"
        if part[-1] in ". ":
            return f"{part!r} ends with a dot or a space, which Windows drops"
        if ":" in part:
            return f"{part!r} names a stream of a file, by its colon"
        wrong = next((each for each in part if each in _FORBIDDEN or each < " "), None)
        if wrong is not None:
            return f"{part!r} has the character {wrong!r}, which no name can have"
    return None


def share_of(path: str) -> str | None:
    r"""The server and the share that an absolute path names; None if it is on a drive of this machine.

    >>> share_of(r"\\server\share\recipes.shelf"), share_of(r"\\?\UNC\server\share\x"), share_of(r"\\?\C:\x")
    ('\\\\server\\share', '\\\\server\\share', None)
    """
    text = path.replace("/", "\\")
    if text.startswith(_VERBATIM_SHARE):
        text = "\\\\" + text.removeprefix(_VERBATIM_SHARE)
    drive = ntpath.splitdrive(text)[0]
    return drive if drive.startswith("\\\\") and drive[2:3] not in ("?", ".") else None
