"""A TCP proxy between a client and a server. It counts requests, and loses replies on demand."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Self

__all__ = ["TcpProxy"]


class TcpProxy:
    """Forwards to a port on this machine.

    Attributes:
        port: the port on which it listens.
        requests: how often a client sent data first, or after an answer of the server.
        swallow: called with each request. If it returns true, the reply and the connection are lost.
        hold: called with each request. If it returns true, the request waits for :meth:`release`, and the connection is
            lost.
    """

    def __init__(self, port: int) -> None:
        self._to = port
        self.requests = 0
        self._counting = threading.Lock()
        self.swallow: Callable[[bytes], bool] = lambda request: False
        self.hold: Callable[[bytes], bool] = lambda request: False
        self.held: list[threading.Event] = []
        self._threads: list[threading.Thread] = []
        self._clients: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._clients.append(client)
                thread = threading.Thread(target=self._serve, args=(client,), daemon=True)
                thread.start()
                self._threads.append(thread)

    def _serve(self, client: socket.socket) -> None:
        server = socket.create_connection(("127.0.0.1", self._to))
        for each in (client, server):
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        lost, answered = threading.Event(), threading.Event()
        answered.set()
        answers = threading.Thread(target=self._answer, args=(server, client, lost, answered), daemon=True)
        answers.start()
        with contextlib.suppress(OSError):
            while request := client.recv(1 << 20):
                with self._counting:
                    self.requests += answered.is_set()
                    answered.clear()
                if self.hold(request):
                    released = threading.Event()
                    self.held.append(released)
                    client.shutdown(socket.SHUT_RDWR)
                    released.wait(300)
                elif self.swallow(request):
                    lost.set()
                server.sendall(request)
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_WR)
        answers.join(5)
        client.close()
        server.close()

    @staticmethod
    def _answer(server: socket.socket, client: socket.socket, lost: threading.Event, answered: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while (reply := server.recv(1 << 20)) and not lost.is_set():
                answered.set()  # before the client has it, and asks for more
                client.sendall(reply)
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)

    def cut(self, port: int | None = None) -> None:
        """Cut all connections. With a port, later ones lead to the server there."""
        self._to = self._to if port is None else port
        clients, self._clients = self._clients, []
        for client in clients:
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)

    def release(self) -> None:
        """Pass on the requests that were held, long after the client has given them up."""
        for released in self.held:
            released.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._listener.close()
        self.release()
        for thread in self._threads:
            thread.join(5)
