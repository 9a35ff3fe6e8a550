"""Paths and URLs as messages may show them: without passwords, even if a URL is malformed."""

from __future__ import annotations

import re

__all__ = ["OF_PATHS", "has_credentials", "without_secrets"]

OF_PATHS = ("files", "lmdb", "memory", "sqlite")
"""Schemes that a path follows."""

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")  # at least two characters, so that a drive letter is not a scheme
_DRIVE = re.compile(r"[A-Za-z]:[\\/]|\\\\")
"""What a path of Windows begins with: a drive, or a share."""
_QUERY = re.compile("[?#]")
_CREDENTIALS = re.compile("//[^/]*@|:.*@|^//[^/].*[?]", re.DOTALL)
_HOST = r"(?:[A-Za-z0-9._~-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]+)?"
_PLACE = re.compile(rf"{_HOST}(?:,{_HOST})*(?:/[^\s]*)?")


def without_secrets(target: str) -> str:
    """A path or URL as messages may show it: a URL without user, password and query, and whatever may be part of them.

    If it cannot be told what is a password, as in a malformed URL, only the scheme is shown.

    >>> without_secrets("postgresql://ann:secret@db.example:5432/shelves?sslpassword=secret")
    'postgresql://db.example:5432/shelves'
    >>> without_secrets("redis://ann:se/cr@et@host/0"), without_secrets("redis://ann:secret")
    ('redis://host/0', 'redis:...')
    >>> without_secrets("recipes.shelf")
    'recipes.shelf'
    """
    found = _URL.match(target)
    if found is None:
        return "(a URL without a scheme)" if has_credentials(target) else target
    scheme, rest = found.group(1), target[found.end() :]
    if scheme.lower() in OF_PATHS:
        return f"{scheme}:..." if has_credentials(rest) else target
    credentials, _, place = rest.rpartition("@")
    place = _QUERY.split(place, maxsplit=1)[0].removeprefix("//")
    # If an "@" follows a "?", both may be parts of a password.
    if _QUERY.search(credentials) or not _PLACE.fullmatch(place):
        return f"{scheme}:..."
    return f"{scheme}://{place}"


def has_credentials(path: str) -> bool:
    """Whether a text that should be a path looks like the rest of a URL after its scheme, with user and password.

    >>> [has_credentials(path) for path in ("//ann:secret@host/0", "ann:secret@host", "/data/a:b@c", "./a:b@c")]
    [True, True, False, False]
    >>> has_credentials("C:/users/ann@example.org/recipes.shelf")
    False
    """
    if _DRIVE.match(path):
        return False
    if path.startswith((".", "/", "~")) and not path.startswith("//"):
        return False
    return _CREDENTIALS.search(path) is not None or "://" in path
