"""Names of the files beside a shelf. They are never too long if the shelf's own name is not."""

from __future__ import annotations

import os
from hashlib import blake2b

__all__ = ["with_suffix"]

_LONGEST = 140  # bytes of a name, which some file systems limit to 143


def with_suffix(name: str, suffix: str) -> str:
    """A file's name with a suffix. If that is too long, the digest of the name with the suffix."""
    encoded = os.fsencode(name)
    if len(encoded) + len(suffix) > _LONGEST:
        name = blake2b(encoded, digest_size=16).hexdigest()
    return name + suffix
