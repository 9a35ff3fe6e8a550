"""Transactions of a file system: what is done in one is one commit at its end."""

from __future__ import annotations

from collections import deque
from typing import Any

from fsspec.transaction import Transaction

from coshelf.contrib.fsspec.files import WritingFile
from coshelf.contrib.fsspec.tree import Step
from coshelf.errors import TransactionInProgress

__all__ = ["OneCommit"]


class OneCommit(Transaction):
    """Gathers files and other changes, in their order, and makes one commit of them."""

    fs: Any  # the file system; None after the end
    files: deque[WritingFile | Step]

    def start(self) -> None:
        """Begin."""
        if self.fs._intrans:  # noqa: SLF001 (fsspec's own attribute)
            raise TransactionInProgress(
                "this file system is inside a transaction already\n  hint: leave the inner one away"
            )
        super().start()

    def complete(self, commit: bool = True) -> None:
        """Make everything one commit, or forget it.

        Raises:
            OSError: what one of the changes raises, such as FileExistsError. Then nothing is changed.
        """
        fs, files = self.fs, list(self.files)
        try:
            if commit:
                steps = [file.step() if isinstance(file, WritingFile) else file for file in files]
                fs.rows.transact(lambda rows: _all(steps, rows))
        finally:
            for file in files:
                if isinstance(file, WritingFile):
                    file.discard()
            self.files.clear()
            fs._intrans, fs._transaction, self.fs = False, None, None  # noqa: SLF001 (fsspec's own attributes)


def _all(steps: list[Step], rows: Any) -> None:
    for step in steps:
        step(rows)
