"""The file for an editor, in its own directory. If a file stays there, the user is told."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import click

from coshelf.cli.output import say

__all__ = ["Draft", "drafted"]

_ENDING = (signal.SIGTERM, signal.SIGHUP)
_ENDED = tuple(128 + number for number in _ENDING)


class Draft:
    """A text that is edited.

    Attributes:
        path: the path of the file.
        is_stored: whether the text is not needed any more.
    """

    def __init__(self, directory: str, suffix: str, text: bytes) -> None:
        self.path = os.path.join(directory, f"value{suffix}")
        self.is_stored = False
        self._first = text
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(text)

    def read(self) -> bytes:
        """The content of the file after editing."""
        with open(self.path, "rb") as file:
            return file.read()

    def is_worth_keeping(self) -> bool:
        """Whether the user has written something that would be lost."""
        try:
            return not self.is_stored and self.read() != self._first
        except OSError:
            return False


@contextmanager
def drafted(text: str, suffix: str, *, is_secret: bool) -> Iterator[Draft]:
    """A file with a text, for a ``with`` block. At the end it is removed, with all files that the editor left there.

    If the block ends before the text is stored, a changed text stays, and a message names its path. A secret text is
    kept in memory if the system has a place for that, and stays only if the user wants that.
    """
    directory = tempfile.mkdtemp(prefix="coshelf-edit-", dir=_private_place() if is_secret else None)
    stays = False
    try:
        with _signals_as_exits():
            draft = Draft(directory, suffix, text.encode("utf-8", "surrogatepass"))
            try:
                yield draft
            except BaseException as error:
                stays = draft.is_worth_keeping() and (not is_secret or _wants_to_keep(draft, error))
                if stays:
                    say(f"  hint: as plain text, what you wrote is in {draft.path}")
                raise
    finally:
        if stays:
            _remove_all_but(draft.path)
        else:
            shutil.rmtree(directory, ignore_errors=True)
            if os.path.exists(directory):
                say(f"{directory} could not be removed\n  hint: remove it; it holds the value as plain text")


def _private_place() -> str | None:
    """A directory in memory, which other users cannot read and backups do not include; None if there is none."""
    for place in (os.environ.get("XDG_RUNTIME_DIR"), "/dev/shm"):  # noqa: S108 (a directory of mode 0700 is made there)
        if place and os.path.isabs(place) and os.path.isdir(place) and os.access(place, os.W_OK | os.X_OK):
            return place
    return None


def _wants_to_keep(draft: Draft, error: BaseException) -> bool:
    was_ended = isinstance(error, KeyboardInterrupt) or (isinstance(error, SystemExit) and error.code in _ENDED)
    if not was_ended and sys.stdin.isatty() and sys.stderr.isatty():
        what = f"Nothing was stored. Keep what you wrote, not encrypted, in {draft.path}?"
        return click.confirm(what, default=False, err=True)
    say("what you wrote was removed, since it would stay there not encrypted")
    return False


def _remove_all_but(path: str) -> None:
    directory, name = os.path.split(path)
    with os.scandir(directory) as found:
        for each in found:
            if each.is_dir(follow_symlinks=False):
                shutil.rmtree(each.path, ignore_errors=True)
            elif each.name != name:
                os.unlink(each.path)


@contextmanager
def _signals_as_exits() -> Iterator[None]:
    """Turn signals that would end the process at once into SystemExit, so that the block can clean up."""
    before = {}
    for number in _ENDING:
        if signal.getsignal(number) == signal.SIG_DFL:
            before[number] = signal.signal(number, _exit)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _exit(number: int, _: FrameType | None) -> None:
    sys.exit(128 + number)
