"""Servers on hosts of a network, and the faults that they and the network can have."""

from __future__ import annotations

import contextlib
import os
import pwd
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from pathlib import Path

from namespaces import Host, Network
from postgresql import Postgresql, find_programs, new_server
from valkey_servers import binary

__all__ = ["ClusterStore", "PostgresqlStore", "SentinelStore", "Store"]

_PATIENCE = 120.0
_PORT, _BUS, _SENTINEL = 7000, 17000, 7100
_Node = tuple[Host, int]


def _eventually(what: str, ready: Callable[[], object]) -> None:
    end = time.monotonic() + _PATIENCE
    while not ready():
        assert time.monotonic() < end, f"{what}: not within {_PATIENCE:.0f} s"
        time.sleep(0.05)


class Store(ABC):
    """Servers with a shelf.

    Attributes:
        hosts: where they run.
        loses_writes: whether a failover may lose the last commits, and then the turns in them.
    """

    loses_writes = False

    def __init__(self, net: Network, place: Path) -> None:
        self.hosts: list[Host] = []
        self._net = net
        self._place = place
        self._processes: list[subprocess.Popen[bytes]] = []

    @abstractmethod
    def url(self) -> str:
        """The URL of the shelf."""

    @abstractmethod
    def start(self) -> None:
        """Start the servers."""

    def pids_on(self, host: Host) -> list[int]:
        """The servers of one host, with their children."""
        said = subprocess.run(["ip", "netns", "pids", host.name], capture_output=True, text=True, timeout=60)
        return [int(pid) for pid in said.stdout.split()]

    def pause(self, host: Host) -> None:
        for pid in self.pids_on(host):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)

    def go_on(self, host: Host) -> None:
        for pid in self.pids_on(host):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def stop(self) -> None:
        for host in self.hosts:
            for pid in self.pids_on(host):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        for process in self._processes:
            process.wait(60)

    def _run(self, host: Host, place: Path, *command: str) -> None:
        place.mkdir(parents=True, exist_ok=True)
        with (place / "log").open("ab") as log:
            self._processes.append(
                subprocess.Popen(host.command(*command), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=place)
            )


_CLIENT = """
import redis, sys
client = redis.Redis(sys.argv[1], int(sys.argv[2]), socket_timeout=5, protocol=2)
client.response_callbacks.clear()
reply = client.execute_command(*sys.argv[3:])
print(reply.decode() if isinstance(reply, bytes) else reply)
"""


def _valkey(host: Host, port: int, *command: str) -> str:
    """The reply to one command, sent from the host itself; empty if there was an error."""
    return subprocess.run(
        host.command(sys.executable, "-c", _CLIENT, host.address, str(port), *command),
        capture_output=True, text=True, timeout=60,
    ).stdout.strip()  # fmt: skip


class _Valkey(Store):
    loses_writes = True

    def _server(self, host: Host, name: str, *options: str, port: int = _PORT) -> None:
        place = self._place / name
        self._run(
            host, place, binary(), *options, "--port", str(port), "--bind", host.address, "--dir", str(place),
            "--protected-mode", "no",
        )  # fmt: skip
        _eventually(name, lambda: _valkey(host, port, "PING") == "PONG")


_DATA = (
    "--save", "", "--appendonly", "yes", "--repl-diskless-sync-delay", "0", "--repl-timeout", "5",
    "--min-replicas-to-write", "1", "--min-replicas-max-lag", "2",
)  # fmt: skip


class SentinelStore(_Valkey):
    """A primary with two replicas on three hosts, and a sentinel on each host. Commits wait for one replica."""

    def start(self) -> None:
        self.hosts = [self._net.host() for _ in range(3)]
        first = self.hosts[0]
        for host in self.hosts:
            follows = () if host is first else ("--replicaof", first.address, str(_PORT))
            self._server(host, f"data {host.name}", *_DATA, *follows)
        for host in self.hosts:
            place = self._place / f"sentinel {host.name}"
            place.mkdir()
            configuration = place / "sentinel.conf"
            configuration.write_text(
                f"port {_SENTINEL}\nbind {host.address}\ndir {str(place)!r}\nprotected-mode no\n"
                f"sentinel monitor shelf {first.address} {_PORT} 2\n"
                "sentinel down-after-milliseconds shelf 1000\nsentinel failover-timeout shelf 5000\n"
            )
            self._run(host, place, binary(), str(configuration), "--sentinel")
        for host in self.hosts:
            _eventually("sentinels know each other", partial(self._is_joined, host))
        _eventually("replicas", lambda: "connected_slaves:2" in _valkey(first, _PORT, "INFO", "replication"))

    def _is_joined(self, host: Host) -> bool:
        return "'num-other-sentinels', b'2'" in _valkey(host, _SENTINEL, "SENTINEL", "MASTER", "shelf")

    def url(self) -> str:
        hosts = ",".join(f"{host.address}:{_SENTINEL}" for host in self.hosts)
        return f"redis+sentinel://{hosts}/shelf/0/jobs?wait=1"


class ClusterStore(_Valkey):
    """Three primaries on three hosts, each with a replica on the next host. Commits wait for the replica."""

    def start(self) -> None:
        self.hosts = [self._net.host() for _ in range(3)]
        nodes: list[_Node] = []
        for at in range(6):
            host, port = self.hosts[(at + at // 3) % 3], _PORT + at
            nodes.append((host, port))
            self._server(
                host, f"node{at}", "--save", "", "--appendonly", "yes", "--cluster-enabled", "yes",
                "--cluster-config-file", "nodes.conf", "--cluster-node-timeout", "1500",
                "--cluster-port", str(_BUS + at), "--repl-diskless-sync-delay", "0", port=port,
            )  # fmt: skip
        for at, (host, port) in enumerate(nodes):
            if at < 3:
                _valkey(host, port, "CLUSTER", "ADDSLOTSRANGE", str(16384 * at // 3), str(16384 * (at + 1) // 3 - 1))
            _valkey(host, port, "CLUSTER", "SET-CONFIG-EPOCH", str(at + 1))
        for at, (host, port) in enumerate(nodes[1:], 1):
            _valkey(*nodes[0], "CLUSTER", "MEET", host.address, str(port), str(_BUS + at))
        ids = [_valkey(*node, "CLUSTER", "MYID") for node in nodes]
        _eventually(
            "nodes meet", lambda: all(len(_valkey(*node, "CLUSTER", "NODES").splitlines()) == 6 for node in nodes)
        )
        for at, replica in enumerate(nodes[3:]):
            _eventually("replica", partial(self._follows, replica, ids[at]))
        for node in nodes:
            _eventually("cluster", partial(self._is_whole, node))
        for node in nodes[:3]:
            _eventually("replicas", partial(self._is_followed, node))

    def _follows(self, replica: _Node, primary: str) -> bool:
        return _valkey(*replica, "CLUSTER", "REPLICATE", primary) == "OK"

    def _is_whole(self, node: _Node) -> bool:
        return "cluster_state:ok" in _valkey(*node, "CLUSTER", "INFO")

    def _is_followed(self, node: _Node) -> bool:
        return "connected_slaves:1" in _valkey(*node, "INFO", "replication")

    def url(self) -> str:
        nodes = ",".join(f"{host.address}:{_PORT + at}" for at, host in enumerate(self.hosts))
        return f"redis+cluster://{nodes}/jobs?wait=1"


class PostgresqlStore(Store):
    """One server. Nothing is lost, whatever the network does."""

    def start(self) -> None:
        self.hosts = [self._net.host()]
        self._server: Postgresql = new_server(durable=True)
        self._server.make()
        host, server = self.hosts[0], self._server
        with (server.place / "data" / "pg_hba.conf").open("a") as rules:
            rules.write("host all all 10.77.0.0/24 trust\n")
        programs = find_programs()
        assert programs is not None
        settings = {
            "port": _PORT, "listen_addresses": host.address, "unix_socket_directories": server.place,
            "max_connections": 100, "shared_buffers": "32MB", "dynamic_shared_memory_type": "mmap",
        }  # fmt: skip
        options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        user = pwd.getpwuid(server.place.stat().st_uid).pw_name
        program = ["setpriv", "--reuid", user, "--regid", str(pwd.getpwnam(user).pw_gid), "--clear-groups"]
        self._run(
            host, self._place / "postgresql", *program, str(programs / "postgres"), "-D", str(server.place / "data"),
            *options,
        )  # fmt: skip
        _eventually("PostgreSQL", self._answers)

    def _answers(self) -> bool:
        code = f"import psycopg; psycopg.connect('host={self.hosts[0].address} port={_PORT} user=postgres').close()"
        said = subprocess.run(self.hosts[0].command(sys.executable, "-c", code), capture_output=True, timeout=60)
        return said.returncode == 0

    def url(self) -> str:
        return f"postgresql://postgres@{self.hosts[0].address}:{_PORT}/postgres?shelf=jobs"

    def stop(self) -> None:
        super().stop()
        self._server.remove()
