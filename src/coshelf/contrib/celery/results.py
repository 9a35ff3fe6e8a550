"""A result backend: the results of tasks are entries of a shelf, which expire and wake those who wait for them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import suppress
from typing import Any, Final

from celery import states
from celery.backends.base import KeyValueStoreBackend
from celery.exceptions import ImproperlyConfigured
from kombu.utils.encoding import bytes_to_str, ensure_bytes

from coshelf.contrib.celery.waiting import Pause, changes
from coshelf.contrib.parts import Part
from coshelf.errors import Conflict, OutcomeUnknown, ShelfLocked, Unavailable, UnknownEngine
from coshelf.mapping.shelf import Shelf
from coshelf.mapping.transaction import Transaction
from coshelf.opening import open as open_shelf

__all__ = ["CoshelfBackend"]

_PART: Final = "celery/results"
_SCHEME: Final = "coshelf://"
_CELERYS: Final = frozenset({"global_keyprefix"})  # what Celery itself reads from the options
_OPTIONS: Final = frozenset(inspect.signature(open_shelf).parameters) - {"target", "flag"}


class CoshelfBackend(KeyValueStoreBackend):
    """A result backend of Celery over a shelf. Celery makes it from the setting ``result_backend``.

    ``"coshelf:///var/lib/app/results.shelf"`` is a shelf by its path, and ``"coshelf+URL"`` one by a URL of coshelf,
    such as ``"coshelf+redis://cache.example/0/results"`` or ``"coshelf+sqlite:///var/lib/app/results.sqlite"``. The
    setting ``result_backend_transport_options`` takes the options of :func:`coshelf.open`, and ``part``, the name of
    the part that has the results.

    Raises:
        ImproperlyConfigured: the URL has no path, or an option is unknown.
        CoshelfError: what :func:`coshelf.open` raises; ``Unsupported`` for an engine without expiry.

    >>> from celery import Celery
    >>> app = Celery("shop", broker="memory://", backend="coshelf.contrib.celery:CoshelfBackend+memory://")
    >>> app.conf.task_always_eager = app.conf.task_store_eager_result = True
    >>> @app.task
    ... def add(a, b):
    ...     return a + b
    >>> app.AsyncResult(add.delay(2, 3).id).get(timeout=5)
    5
    """

    key_t = staticmethod(bytes_to_str)
    implements_incr = True
    supports_autoexpire = True
    supports_native_join = True
    supports_result_compression = True
    supports_failure_expires = True

    def __init__(self, app: Any, url: str | None = None, **options: Any) -> None:
        super().__init__(app, url=url, **options)
        self.thread_safe = True
        kept = app.conf.get("result_failure_expires")
        self.failure_expires = self.expires if kept is None else self.prepare_expires(kept)
        self.part: Final = _part_of(url, app.conf.get("result_backend_transport_options") or {})
        self._open()

    @property
    def shelf(self) -> Shelf[str, bytes]:
        """The part of the shelf that has the results."""
        return self.part.shelf

    def _open(self) -> None:
        """Have a wrong setting be noticed when the program begins."""
        try:
            _ = self.part.shelf
        except UnknownEngine as error:
            raise ImproperlyConfigured(f"the result backend {self.url!r}: {error}") from error
        except Unavailable:  # the server may come up later: then the first use opens the shelf
            return

    # --- what Celery's base class asks for ---------------------------------------------------------------------------

    def get(self, key: str) -> bytes | None:
        return self.shelf.get(key)

    def mget(self, keys: Iterable[str]) -> dict[str, bytes]:
        return self.shelf.get_many(keys)

    def set(self, key: str, value: str | bytes) -> None:
        self._set_with_state(key, value, states.SUCCESS)

    def _set_with_state(self, key: str, value: str | bytes, state: str) -> None:
        self.shelf.set(key, ensure_bytes(value), expire=self._kept_for(state))

    def delete(self, key: str) -> None:
        with suppress(KeyError):
            del self.shelf[key]

    def incr(self, key: str) -> int:
        """Count one more part of a chord as done. Of several workers, each counts once."""
        return int(self.shelf.incr(key, expire=self.chord_expires or None))

    def expire(self, key: str, value: float | None) -> None:
        """Let an entry expire ``value`` seconds from now; 0 and None: never."""
        self.shelf.touch(key, expire=value or None)

    def cleanup(self) -> None:
        """Remove what has expired. It is not shown before that, either."""
        self.part.whole.expire()

    def exception_safe_to_retry(self, exc: BaseException) -> bool:
        """Whether ``result_backend_always_retry`` repeats what raised this: a server or lock that may come back."""
        return isinstance(exc, Unavailable | OutcomeUnknown | Conflict | ShelfLocked)

    def __reduce__(self, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None) -> Any:
        made = {"url": self.url, "serializer": self.serializer, "expires": self.expires, **(kwargs or {})}
        return super().__reduce__(args, made)

    # --- storing -----------------------------------------------------------------------------------------------------

    def _kept_for(self, state: str) -> float | None:
        return (self.failure_expires if state == states.FAILURE else self.expires) or None

    def _store_result(
        self, task_id: Any, result: Any, state: str, traceback: Any = None, request: Any = None, **_: Any
    ) -> Any:
        """Store a result, unless the task has succeeded already: one step, whatever other workers do."""
        meta = self._get_result_meta(result=result, state=state, traceback=traceback, request=request)
        encoded = ensure_bytes(self.encode({**meta, "task_id": bytes_to_str(task_id)}))
        key = self.get_key_for_task(task_id)

        def store(shelf: Transaction[Any, Any]) -> None:
            if not self._has_succeeded(shelf.get(key)):
                shelf.set(key, encoded, expire=self._kept_for(state))

        self.shelf.transact(store)
        return result

    def _has_succeeded(self, stored: bytes | None) -> bool:
        return stored is not None and self.decode_result(stored)["status"] == states.SUCCESS

    # --- waiting -----------------------------------------------------------------------------------------------------

    def wait_for(
        self,
        task_id: Any,
        timeout: float | None = None,
        interval: float | None = 0.5,
        no_ack: bool = True,
        on_interval: Callable[[], Any] | None = None,
    ) -> Any:
        """Return what is stored of a task as soon as the task is ready. It wakes at once, and does not poll.

        Args:
            task_id: of the task.
            timeout: seconds to wait at most; None: there is no limit.
            interval: seconds between two calls of ``on_interval``.
            no_ack: is for other backends.
            on_interval: is called again and again while this waits.

        Raises:
            celery.exceptions.TimeoutError: the task was not ready in time.
        """
        self._ensure_not_eager()
        pause = Pause(timeout, interval, on_interval, self.TimeoutError)
        key = self.get_key_for_task(task_id)
        meta = self.get_task_meta(task_id)
        while meta["status"] not in states.READY_STATES:
            since = self.shelf.version
            meta = self.get_task_meta(task_id)
            if meta["status"] not in states.READY_STATES:
                pause.until_changed(self.shelf, key, since)
        return meta

    def get_many(
        self,
        task_ids: Iterable[Any],
        timeout: float | None = None,
        interval: float | None = 0.5,
        no_ack: bool = True,
        on_message: Callable[[Any], Any] | None = None,
        on_interval: Callable[[], Any] | None = None,
        max_iterations: int | None = None,
        READY_STATES: AbstractSet[str] = states.READY_STATES,  # noqa: N803 (Celery's name)
    ) -> Iterator[tuple[str, Any]]:
        """Give each task that is ready, as soon as it is. Arguments and errors are those of :meth:`wait_for`."""
        ids = {bytes_to_str(task_id) for task_id in task_ids}
        done = {task_id: meta for task_id in ids if (meta := self._cached(task_id))["status"] in READY_STATES}
        yield from done.items()
        waiting = {self.get_key_for_task(task_id): task_id for task_id in ids - done.keys()}
        pause = Pause(timeout, interval, on_interval, self.TimeoutError, max_iterations)
        for keys in changes(self.shelf, waiting, pause):
            found = self.mget(list(keys))
            for task_id, meta in self._mget_to_results(found, [waiting[key] for key in keys], READY_STATES).items():
                del waiting[self.get_key_for_task(task_id)]
                self._cache[task_id] = meta
                if on_message is not None:
                    on_message(meta)
                yield task_id, meta

    def _cached(self, task_id: str) -> Any:
        try:
            return self._cache[task_id]
        except KeyError:
            return {"status": states.PENDING}


def _part_of(url: str | None, options: Mapping[str, Any]) -> Part:
    """The part of a shelf that a URL and the options of the backend name."""
    given = {name: value for name, value in options.items() if name not in _CELERYS}
    name = given.pop("part", _PART)
    unknown = given.keys() - _OPTIONS
    if unknown:
        raise ImproperlyConfigured(
            f"result_backend_transport_options has {', '.join(sorted(unknown))}, which coshelf.open does not know"
            f"\n  hint: besides 'part', it knows {', '.join(sorted(_OPTIONS))}"
        )
    return Part(_target_of(url), name, needs=("expiry",), **given)


def _target_of(url: str | None) -> str:
    target = (url or "").removeprefix(f"{_SCHEME}localhost").removeprefix(_SCHEME)
    if target in {"", "/"} or (target != url and not target.startswith("/")):
        raise ImproperlyConfigured(
            f"the result backend {url!r} has no absolute path\n  hint: write coshelf:///var/lib/app/results.shelf, or"
            " coshelf+URL for a shelf by its URL, such as coshelf+redis://localhost/0/results"
        )
    return "memory:" if target == "memory://" else target  # Celery knows a URL by its slashes
