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
from coshelf.system.file_systems import in_memory
from coshelf.system.files import flags
from coshelf.system.processes.endings import ENDING

__all__ = ["Draft", "drafted"]

_ENDED = tuple(128 + number for number in ENDING)


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
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | flags.CLOSE_ON_EXEC, 0o600)
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
    directory = tempfile.mkdtemp(prefix="coshelf-edit-", dir=in_memory.place() if is_secret else None)
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
    for number in ENDING:
        if signal.getsignal(number) == signal.SIG_DFL:
            before[number] = signal.signal(number, _exit)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _exit(number: int, _: FrameType | None) -> None:
    sys.exit(128 + number)
