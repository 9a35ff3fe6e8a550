"""Which different names the file system takes for the same: names that differ in case, or in Unicode's form.

macOS folds both by default, and so do vfat and directories with ``casefold``. Other file systems fold Unicode's form
alone (HFS+ and APFS that tell case apart, some of ZFS). HFS+ also changes the form of a name that it stores.
"""

from __future__ import annotations

import errno
import os
import unicodedata
from collections.abc import Iterable
from contextlib import suppress

from coshelf.system.files.directories import make_directory, names_in, remove_directory, status_of

__all__ = ["NO_NAME", "Twins", "folded"]

NO_NAME = frozenset((errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ))
"""The errors of a file system for a name that it does not allow."""

_CASE = ".coshelf-Probe"
_FORM = ".coshelf-probe-\u00e9"


class Twins:
    """What is known of the file system of a tree. It is found out with names that exist, or that are made for that.

    Attributes:
        by_case: whether names that differ in the case of ASCII letters are the same; None if that is not known.
        by_form: whether names that differ in Unicode's form are the same; None if that is not known.
        keeps_form: whether a name is stored in the form in which it was given; None if that is not known.
    """

    def __init__(self) -> None:
        self.by_case: bool | None = None
        self.by_form: bool | None = None
        self.keeps_form: bool | None = None

    @property
    def exist(self) -> bool:
        """Whether some different names are known to be the same."""
        return bool(self.by_case or self.by_form)

    def learn(self, directory: int) -> None:
        """Find out what the names in a directory tell."""
        for name in names_in(directory):
            self._look(name, directory)
            if self.by_case is not None and self.by_form is not None:
                return

    def find_out(self, directory: int, *, ascii_only: bool) -> None:
        """Find out what is not known, before names are given: by directories that are made and removed again."""
        if self.by_case is None:
            self._try(_CASE, directory)
        if self.keeps_form is None and not ascii_only and self.by_form is not False:
            self.keeps_form = self._try(_FORM, directory)

    def change(self, name: str) -> bool:
        """Whether the file system stores a name in another form, so that its key is not found again."""
        return self.keeps_form is False and unicodedata.normalize("NFD", name) != name

    def _try(self, name: str, directory: int) -> bool | None:
        """Look at a name that is made for that. Return whether the directory has it in this form."""
        try:
            with suppress(FileExistsError):  # of a process that was killed
                make_directory(name, directory, 0o700)
            self._look(name, directory)
            return name in names_in(directory)
        except OSError as error:
            if error.errno not in NO_NAME:
                raise
            return None
        finally:
            with suppress(OSError):
                remove_directory(name, directory)

    def hide(self, name: str, directory: int) -> bool:
        """Whether a name that was found is spelled in another way in the directory, so another key has that file."""
        if self.by_case is False and (self.by_form is False or name.isascii()):
            return False
        self._look(name, directory)
        return self.exist and name not in names_in(directory)

    def _look(self, name: str, directory: int) -> None:
        if self.by_case is None:
            self.by_case = _are_same(name, _in_other_case(name), directory)
        if self.by_form is None and not name.isascii():
            self.by_form = _are_same(name, _in_other_form(name), directory)


def _in_other_case(name: str) -> str:
    """The name with ASCII letters in the other case: other letters are not folded by all that fold these."""
    return name.swapcase() if name.isascii() else "".join(c.swapcase() if c.isascii() else c for c in name)


def _in_other_form(name: str) -> str:
    apart = unicodedata.normalize("NFD", name)
    return apart if apart != name else unicodedata.normalize("NFC", name)


def _are_same(name: str, other: str, directory: int) -> bool | None:
    """Whether two names lead to the same file; None if they tell nothing."""
    if name == other:
        return None
    try:
        found = status_of(name, directory)
    except FileNotFoundError:
        return None
    try:
        return os.path.samestat(found, status_of(other, directory))
    except FileNotFoundError:
        return False
    except OSError as error:
        if error.errno not in NO_NAME:
            raise
        return None


def folded(parts: Iterable[str]) -> tuple[str, ...]:
    """Names in a form in which twins are equal."""
    return tuple(unicodedata.normalize("NFC", part.casefold()) for part in parts)
