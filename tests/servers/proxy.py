"""Something between a client and a server, which loses replies when it is told to."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable


class Proxy:
    """Forwards to a port on this machine.

    Attributes:
        swallow: asked with each request; while it is true the reply to it is lost, together with the connection.
        hold: asked with each request; if true the request itself waits for :meth:`release`, and the connection is lost.
    """

    def __init__(self, port: int) -> None:
        self._to = port
        self.swallow: Callable[[bytes], bool] = lambda request: False
        self.hold: Callable[[bytes], bool] = lambda request: False
        self.held: list[threading.Event] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                thread = threading.Thread(target=self._serve, args=(client,), daemon=True)
                thread.start()
                self._threads.append(thread)

    def _serve(self, client: socket.socket) -> None:
        server = socket.create_connection(("127.0.0.1", self._to))
        lost = threading.Event()
        answers = threading.Thread(target=self._answer, args=(server, client, lost), daemon=True)
        answers.start()
        with contextlib.suppress(OSError):
            while request := client.recv(1 << 20):
                if self.hold(request):
                    released = threading.Event()
                    self.held.append(released)
                    client.shutdown(socket.SHUT_RDWR)
                    released.wait(30)
                elif self.swallow(request):
                    lost.set()
                server.sendall(request)
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_WR)
        answers.join(5)
        client.close()
        server.close()

    @staticmethod
    def _answer(server: socket.socket, client: socket.socket, lost: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while (reply := server.recv(1 << 20)) and not lost.is_set():
                client.sendall(reply)
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)

    def release(self) -> None:
        """Let what was held arrive, long after the client has given it up."""
        for released in self.held:
            released.set()

    def close(self) -> None:
        self._listener.close()
        self.release()
        for thread in self._threads:
            thread.join(5)
