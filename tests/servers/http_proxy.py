"""An HTTP proxy that disturbs the requests and replies between a client and a server."""

from __future__ import annotations

import http.client
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import objects

__all__ = ["Proxy", "proxy"]

_RARE = 0.1


class Proxy(objects.Server):
    """A server that is reached through the proxy.

    Attributes:
        ignored: headers that the server never receives, in lower case.
        lost: methods whose replies are not passed on. The server does perform the request.
        status: methods that the proxy answers with this status. The server does not receive the request.
        chance: the source of chance by which a tenth of all requests and of all replies get lost, or None.
    """

    def __init__(self, endpoint: str, ignored: frozenset[str]) -> None:
        super().__init__(endpoint)
        self.ignored = ignored
        self.lost: set[str] = set()
        self.status: dict[str, int] = {}
        self.chance: random.Random | None = None


@contextmanager
def proxy(to: objects.Server, *ignored: str) -> Iterator[Proxy]:
    """A proxy in front of a server."""
    target = urlsplit(to.endpoint)

    class Handler(BaseHTTPRequestHandler):
        def _pass_on(self) -> None:
            method = self.command
            made.requests.append(method)
            fate = 1.0 if made.chance is None else made.chance.random()
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if method in made.status:
                self.send_response(made.status[method])
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            if fate < _RARE:
                self.close_connection = True
                return
            headers = {name: value for name, value in self.headers.items() if name.lower() not in made.ignored}
            connection = http.client.HTTPConnection(target.hostname or "", target.port, timeout=30)
            connection.request(method, self.path, body, headers)
            answer = connection.getresponse()
            data = answer.read()
            connection.close()
            self.close_connection = True
            if method in made.lost or fate < 2 * _RARE:
                return
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in {"transfer-encoding", "connection", "content-length"}:
                    self.send_header(name, value)
            self.send_header(
                "Content-Length", answer.getheader("Content-Length") if method == "HEAD" else str(len(data))
            )
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _pass_on  # noqa: N815

        def log_message(self, format: str, *arguments: object) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made = Proxy(f"http://127.0.0.1:{server.server_port}", frozenset(name.lower() for name in ignored))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
