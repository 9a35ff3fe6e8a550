"""What the client's errors mean, in words without secrets.

obstore raises few classes of errors. Their text says what happened, and may hold whole answers of the server. So the
cause is looked up in the text, and the text itself is not passed on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from coshelf.errors import ShelfNotFound, ShelfPermissionError, StorageError
from coshelf.system.extras import imported

__all__ = ["Changed", "Lost", "translated"]

_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>(\w{1,80})</Code>")
_KIND = re.compile(r"kind: (Connect|Timeout|Interrupted|Request|Decode|Unknown)\b")
_SYSTEM = re.compile(r'message: "([^"\n]{1,100})"')
_METADATA_SERVICE = "169.254.169.254"
_BUSY = {"429"}
_BUSY_CODES = {"SlowDown", "SlowDownWrite", "TooManyRequests"}


class Changed(Exception):
    """The condition of a write did not hold."""


class Lost(Exception):
    """The server could not be reached, closed the connection, or answered that it failed or is busy.

    Attributes:
        is_unsent: whether nothing can have been done: there was no connection, or the server said that it was busy.
    """

    def __init__(self, message: str, *, is_unsent: bool) -> None:
        super().__init__(message)
        self.is_unsent = is_unsent


@cache
def _errors() -> Any:
    """The client's classes of errors. They are kept, because no import is possible when the interpreter ends."""
    return imported("obstore.exceptions", "s3", "an object store")


@contextmanager
def translated(server: str, *, missing: bool = False) -> Iterator[None]:
    """Turn errors of the client into coshelf's. With ``missing``, a missing object stays a FileNotFoundError."""
    errors = _errors()
    try:
        yield
    except FileNotFoundError as error:
        text = str(error)
        if "NoSuchBucket" in text or "ContainerNotFound" in text:
            raise ShelfNotFound(f"there is no bucket for {server}") from None
        if not missing:
            raise Changed from None
        raise
    except (errors.PreconditionError, errors.AlreadyExistsError):
        raise Changed from None
    except (errors.PermissionDeniedError, errors.UnauthenticatedError) as error:
        raise ShelfPermissionError(
            f"{server} does not let this user in: {_words(str(error))}\n"
            "  hint: check that the credentials in the environment are for this bucket"
        ) from None
    except errors.BaseError as error:
        raise _meaning(server, str(error)) from None


def _meaning(server: str, text: str) -> Exception:
    if _METADATA_SERVICE in text.partition("\n")[0]:
        return ShelfPermissionError(
            f"there are no credentials for {server}\n  hint: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )
    status, code, kind = (_first(pattern, text) for pattern in (_STATUS, _CODE, _KIND))
    is_busy = status in _BUSY or code in _BUSY_CODES
    if is_busy or kind or (status is not None and status >= "500"):
        return Lost(_words(text), is_unsent=is_busy or kind == "Connect")
    if code == "NoSuchBucket":
        return ShelfNotFound(f"there is no bucket for {server}")
    return StorageError(f"{server} failed: {_words(text)}")


def _words(text: str) -> str:
    status, code, kind, system = (_first(pattern, text) for pattern in (_STATUS, _CODE, _KIND, _SYSTEM))
    if status is not None:
        return f"HTTP status {status}{' ' + code if code else ''}"
    return {"Connect": "no connection", "Timeout": "no answer in time", "Interrupted": "the connection broke"}.get(
        kind or "", "the client failed"
    ) + (f" ({system})" if system else "")


def _first(pattern: re.Pattern[str], text: str) -> str | None:
    found = pattern.search(text)
    return None if found is None else found.group(1)
