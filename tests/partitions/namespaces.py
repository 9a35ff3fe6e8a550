"""Hosts in network namespaces on one bridge. Each host can be cut off from all others, and joined again."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Host", "Network", "can_be_made", "network"]

_SUBNET = "10.77.0"
_TIMEOUT = 60


def _ip(*arguments: str) -> None:
    result = subprocess.run(["ip", *arguments], capture_output=True, text=True, timeout=_TIMEOUT)
    assert result.returncode == 0, f"ip {' '.join(arguments)}: {result.stderr}"


def can_be_made() -> bool:
    """Whether this process may make network namespaces."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        return False
    name = f"cosh{os.getpid()}probe"
    if subprocess.run(["ip", "netns", "add", name], capture_output=True, timeout=_TIMEOUT).returncode:
        return False
    _ip("netns", "del", name)
    return True


class Host:
    """One namespace with one address."""

    def __init__(self, switch: str, number: int) -> None:
        self._switch = switch
        self.name = f"{switch}h{number}"
        self.address = f"{_SUBNET}.{number}"
        self._link = f"h{number}"
        self.is_cut = False

    def make(self) -> None:
        _ip("netns", "add", self.name)
        _ip("-n", self._switch, "link", "add", self._link, "type", "veth", "peer", "name", "eth0", "netns", self.name)
        _ip("-n", self._switch, "link", "set", self._link, "master", "bridge", "up")
        _ip("-n", self.name, "addr", "add", f"{self.address}/24", "dev", "eth0")
        for device in ("eth0", "lo"):
            _ip("-n", self.name, "link", "set", device, "up")

    def command(self, *arguments: str) -> list[str]:
        """The command that runs a program on this host."""
        return ["ip", "netns", "exec", self.name, *arguments]

    def cut(self) -> None:
        """Lose all packets from and to this host."""
        _ip("-n", self._switch, "link", "set", self._link, "down")
        self.is_cut = True

    def heal(self) -> None:
        _ip("-n", self._switch, "link", "set", self._link, "up")
        self.is_cut = False

    def remove(self) -> None:
        with contextlib.suppress(AssertionError):  # it was not made
            _ip("netns", "del", self.name)


class Network:
    """A bridge and its hosts."""

    def __init__(self) -> None:
        self._switch = f"cosh{os.getpid()}"
        self.hosts: list[Host] = []
        _ip("netns", "add", self._switch)
        _ip("-n", self._switch, "link", "add", "bridge", "type", "bridge")
        _ip("-n", self._switch, "link", "set", "bridge", "up")

    def host(self) -> Host:
        """A new host."""
        host = Host(self._switch, len(self.hosts) + 1)
        self.hosts.append(host)
        host.make()
        return host

    def remove(self) -> None:
        for host in self.hosts:
            host.remove()
        _ip("netns", "del", self._switch)


@contextmanager
def network() -> Iterator[Network]:
    """A network for a block. What runs on its hosts has to end before it does."""
    made = Network()
    try:
        yield made
    finally:
        made.remove()
