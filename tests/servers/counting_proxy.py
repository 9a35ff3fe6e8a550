"""A proxy that counts requests: how often a client spoke after the server had answered, or first."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["CountingProxy", "counting"]


class CountingProxy:
    """Passes bytes on between any number of clients and one server.

    Attributes:
        port: where it listens.
        requests: how often something was sent to the server that did not follow what had been sent before it.
    """

    def __init__(self, target: int) -> None:
        self.requests = 0
        self._target = target
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._target))
            for each in (client, server):
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            turn = ["server"]
            for source, sink, who in ((client, server, "client"), (server, client, "server")):
                threading.Thread(target=self._pass_on, args=(source, sink, who, turn), daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket, who: str, turn: list[str]) -> None:
        try:
            while data := source.recv(1 << 16):
                with self._lock:
                    if who == "client" and turn[0] == "server":
                        self.requests += 1
                    turn[0] = who
                sink.sendall(data)
        except OSError:
            pass
        finally:
            for each in (source, sink):
                each.close()

    def close(self) -> None:
        self._listener.close()


@contextmanager
def counting(target: int) -> Iterator[CountingProxy]:
    """A proxy in front of a port, for the length of the block."""
    proxy = CountingProxy(target)
    try:
        yield proxy
    finally:
        proxy.close()
