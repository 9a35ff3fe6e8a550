"""Runs the application on a port of this machine: in the thread of the caller, or in one of its own."""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from html import escape
from typing import TYPE_CHECKING, Any

from coshelf.mapping.shelf import Shelf
from coshelf.system import extras
from coshelf.viewer.viewing import Viewing
from coshelf.viewer.web.access import Access

if TYPE_CHECKING:
    import uvicorn

__all__ = ["Serving", "run"]

_LONGEST_REQUEST = 1 << 20  # bytes before the body: the address of a page has its key, which may be long
_NEEDED = ("starlette", "uvicorn", "jinja2", "python_multipart")
_ENDING = 1  # seconds that requests have to end


def run(
    shelf: Shelf[Any, Any],
    host: str,
    port: int,
    *,
    write: bool,
    started: Callable[[str], object],
    opening: Callable[[str], object] = lambda _: None,
    rescued: str | None = None,
) -> None:
    """Serve a shelf until a signal ends it. The arguments are those of :func:`coshelf.viewer.serve`.

    In addition, ``opening`` is called with an address that is good once, for a browser that is started with it, and
    ``rescued`` is what each page says of a shelf that is a copy of a damaged one.
    """
    _refuse_missing()
    with closing(Viewing(shelf, write=write, rescued=rescued)) as viewing, _listening(host, port) as listener:
        access = Access.of(*listener.getsockname()[:2])

        def tell() -> None:
            started(access.start)
            opening(access.start_once)

        server = _server(viewing, access, tell)
        server.run(sockets=[listener])


class Serving:
    """A shelf that is shown from a thread, from :func:`coshelf.viewer.serving`. Close it, or use ``with``.

    Attributes:
        address: the start address.
    """

    def __init__(self, shelf: Shelf[Any, Any], host: str, port: int, *, write: bool) -> None:
        _refuse_missing()
        self._name = repr(shelf)
        self._closing = ExitStack()
        with ExitStack() as stack:
            viewing = stack.enter_context(closing(Viewing(shelf, write=write)))
            listener = stack.enter_context(_listening(host, port))
            access = Access.of(*listener.getsockname()[:2])
            is_up = threading.Event()
            server = _server(viewing, access, is_up.set)
            run_it = partial(self._run, server, listener, is_up)
            thread = threading.Thread(target=run_it, name="coshelf-viewer", daemon=True)
            thread.start()
            is_up.wait()
            self._closing = stack.pop_all()
        self._closing.callback(thread.join)
        self._closing.callback(setattr, server, "should_exit", True)  # it is done before the thread is waited for
        self.address = access.start

    def close(self) -> None:
        """End it. The shelf stays open. Closing twice is fine."""
        self._closing.close()

    def _run(self, server: uvicorn.Server, listener: socket.socket, is_up: threading.Event) -> None:
        """What the thread does. It keeps this object as long as it runs, though the program may have dropped it."""
        try:
            server.run(sockets=[listener])
        finally:
            is_up.set()  # also if it did not start: nothing waits for it any longer

    def __enter__(self) -> str:
        return self.address

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Serving {self._name} at {self.address}>"

    def _repr_html_(self) -> str:
        address = escape(self.address)
        return f'<a href="{address}" target="_blank" rel="noreferrer">{address}</a>'


def _refuse_missing() -> None:
    for module in _NEEDED:
        extras.imported(module, "viewer", "the viewer")


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    """A socket that listens on an address of this machine. It is bound here, so that its port is known."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        address = None
    if address is None or not address.is_loopback:
        raise ValueError(
            f"the viewer is for this machine alone: its address must be 127.0.0.1 or ::1, not {host!r}\n"
            f"  hint: from another machine, use ssh -L {port or 8000}:127.0.0.1:{port or 8000} and the same port"
        )
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    # With the protocol named, asyncio sends small packets at once. Otherwise each answer would wait for 40 ms.
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            raise OSError(error.errno, f"port {port} of {host} cannot be used: {error.strerror}") from None
        listener.listen(128)
        yield listener


def _server(viewing: Viewing, access: Access, started: Callable[[], object]) -> uvicorn.Server:
    import uvicorn

    from coshelf.viewer.web.application import application

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            started()

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            viewing.streams.close()  # they would not end by themselves
            await super().shutdown(sockets)

    config = uvicorn.Config(
        application(viewing, access),
        http="h11",
        h11_max_incomplete_event_size=_LONGEST_REQUEST,
        ws="none",
        loop="asyncio",
        lifespan="off",
        log_config=None,  # the logging of the program stays as it is
        access_log=False,  # it would have the token
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=_ENDING,
    )
    return Server(config)
