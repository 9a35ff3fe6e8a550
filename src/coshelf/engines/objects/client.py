"""Objects by their names: each method is one request, with a timeout, and raises our errors.

Inside a bridge the asynchronous functions of the client library are used.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Final, TypeVar

from coshelf.engines.connections import repeated
from coshelf.engines.objects import signed
from coshelf.engines.objects.address import Address
from coshelf.engines.objects.failures import Changed, Lost, translated
from coshelf.errors import CoshelfError, OutcomeUnknown, ShelfPermissionError, StorageError, Unsupported
from coshelf.system.extras import imported
from coshelf.system.processes.forks import at_fork
from coshelf.system.threads.bridge import awaited, is_bridged

__all__ = ["NEW", "Client", "Found", "Listed", "Token"]

T = TypeVar("T")
Token = dict[str, str]
"""The server's name for the state of an object: its ETag, and on GCS its generation."""

NEW: Final[Token] = {}
"""As a condition of a write: the object does not exist."""

_LEAST_TIMEOUT = 1.0  # for one request; 0 would mean that there is no timeout
_LONGEST_TIMEOUT = 86_400.0
_PAGE = 1_000  # names in an answer to LIST


@dataclass(frozen=True, slots=True)
class Found:
    """An object as it was read."""

    data: bytes
    token: Token


@dataclass(frozen=True, slots=True)
class Listed:
    """An object in a list."""

    name: str
    size: int
    tag: str
    """The ETag, which tells states of the object apart."""


class _Process:
    """Whether this process can use the client. A forked child cannot if its parent used it: the threads are missing."""

    used = False
    is_lost = False


def _after_fork() -> None:
    _Process.is_lost = _Process.is_lost or _Process.used


at_fork(after_in_child=_after_fork)


class Client:
    """A bucket, and the requests to it. The client library repeats nothing: this class decides what may be repeated.

    Attributes:
        server: its name in messages.
        patience: seconds for which requests are repeated while the server cannot be reached.
    """

    def __init__(self, address: Address, timeout: float) -> None:
        self._refuse_forked(address.shown)
        self._library = imported("obstore", "s3", f"{address.scheme}://")
        store: Any = imported("obstore.store", "s3", f"{address.scheme}://")
        errors: Any = imported("obstore.exceptions", "s3", f"{address.scheme}://")
        self.server = address.server
        self.patience = timeout
        self._each = min(max(timeout, _LEAST_TIMEOUT), _LONGEST_TIMEOUT)
        try:
            self._store = store.from_url(
                f"{address.scheme}://{address.bucket}",
                config=address.options,
                client_options={
                    "timeout": f"{self._each}s",
                    "connect_timeout": f"{min(self._each, 10.0)}s",
                    "allow_http": (address.endpoint or "").startswith("http://"),
                },
                retry_config={"max_retries": 0, "retry_timeout": dt.timedelta(seconds=self._each)},
            )
        except errors.UnknownConfigurationKeyError:
            raise ValueError(f"{address.shown}: the client does not know an option in the URL") from None
        except errors.BaseError:  # its message may quote the options
            raise ValueError(f"{address.shown}: the client does not take the options in the URL") from None

    # --- reading: repeated while the server cannot be reached --------------------------------------------------------

    def get(self, name: str) -> Found | None:
        """An object; None if there is none."""
        return self._again(lambda: self._get(name))

    def _get(self, name: str) -> Found | None:
        try:
            with translated(self.server, missing=True):
                if is_bridged():
                    return awaited(self._get_on_loop(name))
                result = self._library.get(self._store, name)
                return Found(bytes(result.bytes()), _token(result.meta))
        except FileNotFoundError as error:
            if isinstance(error, CoshelfError):
                raise
            return None

    async def _get_on_loop(self, name: str) -> Found:
        result = await self._library.get_async(self._store, name)
        return Found(bytes(await result.bytes_async()), _token(result.meta))

    def pages(self, folder: str, after: str) -> Iterator[list[Listed]]:
        """The objects whose names begin with ``folder/`` and come after another name. Each page is one request.

        They come in the server's order. Most servers sort by name.
        """
        stream: Any = None

        def next_page() -> list[Listed] | None:
            nonlocal stream
            try:
                with translated(self.server):
                    if stream is None:
                        stream = self._library.list(self._store, folder or None, offset=after or None, chunk_size=_PAGE)
                    page = awaited(_next(stream)) if is_bridged() else next(stream, None)
            except Exception:
                stream = None  # begin again after the last object that was listed
                raise
            return None if page is None else [Listed(meta["path"], meta["size"], meta["e_tag"] or "") for meta in page]

        while page := self._again(next_page):
            after = page[-1].name
            yield page

    def second(self, name: str) -> int | None:
        """The server's time in microseconds, without the fraction of a second; None if it cannot be asked.

        The client library does not show the header with the time, but it can sign URLs. The object need not exist.
        """
        self._refuse_forked(self.server)
        try:
            with translated(self.server):
                said = signed.send("HEAD", self._signed("HEAD", name), {}, self._each).date
        except (CoshelfError, Changed, Lost):  # it has no key to sign with, or cannot be reached
            return None
        try:
            return int(parsedate_to_datetime(said or "").timestamp()) * 1_000_000
        except (TypeError, ValueError):
            return None

    def _signed(self, method: str, name: str) -> str:
        """A URL for a request that the client library has no call for."""
        arguments = (method, name, dt.timedelta(seconds=max(self._each, 60)))
        url: str = self._do("sign", *arguments)
        return url

    def _do(self, function: str, *arguments: Any, **named: Any) -> Any:
        """Call a function of the client library, or inside a bridge its asynchronous twin."""
        if is_bridged():
            return awaited(_called(getattr(self._library, f"{function}_async"), self._store, *arguments, **named))
        return getattr(self._library, function)(self._store, *arguments, **named)

    def _again(self, read: Callable[[], T]) -> T:
        self._refuse_forked(self.server)
        return repeated(read, _is_lost, where=self.server, timeout=self.patience)

    # --- writing: never repeated if it may have been done ------------------------------------------------------------

    def put(self, name: str, data: bytes, condition: Token | None = None) -> Token:
        """Write an object. With a condition, raises :class:`Changed` if the object is in another state."""
        mode: Any = "overwrite" if condition is None else condition or "create"

        def write() -> Token:
            with translated(self.server):
                return _token(self._do("put", name, data, mode=mode, use_multipart=False))

        try:
            return self._until_sent(write)
        except Lost as lost:
            found = self._look(name)
            if data and found is not None and found.data == data:
                return found.token  # no two writes have the same bytes, except tombstones, which are empty
            raise self._unknown("a write", lost) from None

    def delete(self, names: list[str]) -> None:
        """Delete objects, without a condition."""

        def delete() -> None:
            try:
                with translated(self.server, missing=True):
                    self._do("delete", names)
            except FileNotFoundError as error:
                if isinstance(error, CoshelfError):
                    raise

        try:
            self._until_sent(delete)
        except Lost as lost:
            raise self._unknown(f"a deletion of {len(names)} entries", lost) from None

    def delete_matching(self, name: str, token: Token) -> None:
        """Delete an object that is in a certain state. Raises :class:`Changed`.

        The client library has no call for this, but it can sign URLs. The condition need not be signed.
        """
        with translated(self.server):
            url = self._signed("DELETE", name)
        try:
            self._until_sent(lambda: self._delete_signed(url, token["e_tag"]))
        except Lost as lost:
            raise self._unknown("a deletion", lost) from None

    def _delete_signed(self, url: str, tag: str) -> None:
        status = signed.send("DELETE", url, {"If-Match": tag}, self._each).status
        if status < 300:
            return
        if status in {404, 409, 412}:
            raise Changed
        if status in {401, 403}:
            raise ShelfPermissionError(f"{self.server} does not let this user delete: HTTP status {status}")
        if status >= 500:
            raise Lost(f"HTTP status {status}", is_unsent=False)
        raise StorageError(f"{self.server} failed: HTTP status {status}")

    def _until_sent(self, write: Callable[[], T]) -> T:
        self._refuse_forked(self.server)
        return repeated(write, _is_unsent, where=self.server, timeout=self.patience)

    def _look(self, name: str) -> Found | None:
        """The object after a reply was lost; None if there is none, or if it cannot be read."""
        try:
            return self.get(name)
        except (CoshelfError, OSError):
            return None

    def _unknown(self, what: str, lost: Lost) -> OutcomeUnknown:
        return OutcomeUnknown(
            f"{what} was sent to {self.server}, and no valid reply came ({lost}; timeout {self._each:g} s): "
            "it may have happened or not, and is not repeated"
        )

    @staticmethod
    def _refuse_forked(where: str) -> None:
        if _Process.is_lost:
            raise Unsupported(
                f"{where} cannot be used by a forked process whose parent used an object store: the client's threads "
                "are not there\n  hint: start processes by 'spawn' or 'forkserver', or open it only after the fork"
            )
        _Process.used = True


async def _called(function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    return await function(*arguments, **named)


async def _next(stream: Any) -> Any:
    """The next page of a list; None after the last one."""
    async for page in stream:
        return page
    return None


def _token(answer: Any) -> Token:
    return {name: answer[name] for name in ("e_tag", "version") if answer[name] is not None}


def _is_lost(error: Exception) -> bool:
    return isinstance(error, Lost)


def _is_unsent(error: Exception) -> bool:
    return isinstance(error, Lost) and error.is_unsent
