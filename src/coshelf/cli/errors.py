"""Prints errors: what happened, why, and what to do. A traceback is never printed."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from coshelf.cli.wording import in_options
from coshelf.errors import CoshelfError
from coshelf.screen import plain

__all__ = ["SOMETHING_LEFT", "STORE_ERROR", "USAGE", "reported"]

SOMETHING_LEFT, USAGE, STORE_ERROR = 1, 2, 3


@contextmanager
def reported() -> Iterator[None]:
    """Print an error of coshelf or of the system, and exit with its code."""
    try:
        yield
    except BrokenPipeError:
        # The program that read the output has closed it. Python would raise again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(STORE_ERROR)
    except (CoshelfError, OSError) as error:
        _tell(error)
        sys.exit(STORE_ERROR)
    except (ValueError, LookupError, TypeError) as error:
        _tell(error)
        sys.exit(USAGE)


def _tell(error: Exception) -> None:
    first, *rest = plain(in_options(_words(error)), keep="\n").split("\n")
    sys.stderr.write("\n".join([f"error: {first}", *(f"  {line.strip()}" for line in rest)]) + "\n")


def _words(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error) or type(error).__name__
