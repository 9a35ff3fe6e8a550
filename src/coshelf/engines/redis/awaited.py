"""redis-py's asynchronous client, for calls inside a bridge: the parts of it that the engine uses, in synchronous form.

The classes have the names of redis-py's synchronous client. Each method awaits the asynchronous one. All belong to the
loop on which they were made.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

from coshelf.engines.redis.address import Address
from coshelf.engines.redis.failures import redis
from coshelf.system.extras import imported
from coshelf.system.threads.bridge import awaited
from coshelf.system.threads.per_loop import at_once_or_soon, soon

__all__ = ["AwaitedClient", "AwaitedCluster", "awaited_client"]

T = TypeVar("T")

_CONNECTIONS = 64  # for commands, to one server; the next task waits until one of them is free
_UNLIMITED = 1 << 30

_asyncio = imported("redis.asyncio", "redis", "a shelf on Redis")


def awaited_client(address: Address, settings: dict[str, Any]) -> AwaitedClient | AwaitedCluster:
    """The client of an address, with the settings of the synchronous one. It connects when it is used."""
    retry, backoff = imported("redis.asyncio.retry", "redis", "a shelf on Redis"), redis.backoff
    # The time limits are set here: redis-py's own would start a task for each command.
    mine = {**settings, "socket_timeout": None, "retry": retry.Retry(backoff.NoBackoff(), 0)}
    limits = _Limits(settings)
    if address.kind == "single":
        host, port = address.hosts[0]
        return AwaitedClient(_asyncio.Redis(host=host, port=port, **limits.lifted(mine)), limits)
    if address.kind == "cluster":
        return AwaitedCluster(address, mine, limits)
    sentinel = imported("redis.asyncio.sentinel", "redis", "a shelf on Redis")
    # As in the synchronous client, sentinels are asked without a user.
    theirs = {name: value for name, value in settings.items() if name not in ("username", "password", "db")}
    theirs |= {"retry": mine["retry"]}
    found = sentinel.Sentinel(list(address.hosts), sentinel_kwargs=theirs, **limits.lifted(mine))
    return AwaitedClient(found.master_for(address.service), limits, found.sentinels)


class _Limits:
    """How long tasks wait, and how many of them talk to one server at the same time."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.reply = float(settings["socket_timeout"])
        self.connect = float(settings["socket_connect_timeout"]) + self.reply
        self.connections = int(settings.get("max_connections") or _CONNECTIONS)

    @staticmethod
    def lifted(settings: dict[str, Any]) -> dict[str, Any]:
        """The settings of a pool whose connections are counted here: its own limit would raise at once."""
        return {**settings, "max_connections": _UNLIMITED}


async def _within(seconds: float, work: Coroutine[Any, Any, T], doing: str) -> T:
    try:
        async with asyncio.timeout(seconds):
            return await work
    except TimeoutError:
        raise redis.TimeoutError(f"Timeout {doing}") from None


class _Connection:
    """A connection that a task has taken from the pool."""

    def __init__(self, connection: Any, reply: float) -> None:
        self.taken = connection
        self._reply = reply
        self._loop = asyncio.get_running_loop()
        self.pack_commands: Callable[[Any], Any] = connection.pack_commands

    def send_packed_command(self, command: Any) -> None:
        awaited(_within(self._reply, self.taken.send_packed_command(command), "writing to socket"))

    def read_response(self) -> Any:
        return awaited(self._read())

    async def _read(self) -> Any:
        return await _within(self._reply, self.taken.read_response(), "reading from socket")

    def disconnect(self) -> None:
        at_once_or_soon(self._loop, partial(self.taken.disconnect, nowait=True))


class _Pool:
    """The connections to one server."""

    def __init__(self, pool: Any, limits: _Limits) -> None:
        self._pool = pool
        self._limits = limits
        self._free = asyncio.Semaphore(limits.connections)
        self._loop = asyncio.get_running_loop()

    def get_connection(self) -> _Connection:
        return awaited(self._taken())

    async def _taken(self) -> _Connection:
        if self._free.locked():
            doing = f"waiting for one of the {self._limits.connections} connections of this event loop"
            await _within(self._limits.connect, self._free.acquire(), doing)
        else:
            await self._free.acquire()
        try:
            connection = await _within(self._limits.connect, self._pool.get_connection(), "connecting to server")
        except BaseException:
            self._free.release()
            raise
        return _Connection(connection, self._limits.reply)

    def release(self, connection: _Connection) -> None:
        at_once_or_soon(self._loop, partial(self._given_back, connection))

    async def _given_back(self, connection: _Connection) -> None:
        self._free.release()
        await self._pool.release(connection.taken)


class _PubSub:
    """A subscription, on a connection of its own."""

    def __init__(self, subscription: Any, limits: _Limits) -> None:
        self._subscription = subscription
        self._limits = limits
        self._loop = asyncio.get_running_loop()

    def subscribe(self, channel: bytes) -> None:
        awaited(_within(self._limits.connect, self._subscription.subscribe(channel), "subscribing"))

    def ssubscribe(self, channel: bytes) -> None:
        awaited(_within(self._limits.connect, self._subscription.ssubscribe(channel), "subscribing"))

    def get_message(self, timeout: float) -> Any:
        return awaited(self._subscription.get_message(timeout=timeout))

    def close(self) -> None:
        at_once_or_soon(self._loop, self._subscription.aclose)

    def __del__(self) -> None:
        if self._subscription.connection is not None:
            soon(self._loop, self._subscription.aclose)


class AwaitedClient:
    """The client of one server, which Sentinels may have named."""

    def __init__(self, client: Any, limits: _Limits, sentinels: list[Any] | None = None) -> None:
        self._client = client
        self._limits = limits
        self._sentinels = sentinels or []
        self.connection_pool = _Pool(client.connection_pool, limits)

    def execute_command(self, *command: Any) -> Any:
        """The reply to a command, in the form that redis-py gives it."""
        return awaited(_within(self._limits.connect, self._client.execute_command(*command), "waiting for a reply"))

    def pubsub(self) -> _PubSub:
        """A new subscription."""
        return _PubSub(self._client.pubsub(), self._limits)

    async def aclose(self) -> None:
        """Close all connections. Called on the loop."""
        for client in (self._client, *self._sentinels):
            await client.connection_pool.disconnect()


class _Nodes:
    """Which node has which slot."""

    def __init__(self, manager: Any) -> None:
        self._manager = manager

    @property
    def known(self) -> Any:
        """redis-py's manager, after the nodes were asked."""
        if not self._manager.slots_cache:
            self.initialize()
        return self._manager

    def initialize(self) -> None:
        awaited(self._manager.initialize())

    def move_slot(self, error: Exception) -> None:
        awaited(self._manager.move_slot(error))

    def get_node_from_slot(self, slot: int) -> Any:
        return self.known.get_node_from_slot(slot)


class AwaitedCluster:
    """The clients of the nodes of a Cluster."""

    def __init__(self, address: Address, settings: dict[str, Any], limits: _Limits) -> None:
        cluster = imported("redis.asyncio.cluster", "redis", "a shelf on Redis")
        self._settings = settings
        self._limits = limits
        # These connections ask for the slots only. Those of the clients below have the commands.
        asking = {**settings, "socket_timeout": limits.reply}
        nodes = [cluster.ClusterNode(host, port) for host, port in address.hosts]
        self._cluster = cluster.RedisCluster(startup_nodes=nodes, **asking)
        self._clients: dict[tuple[str, int], AwaitedClient] = {}
        self.nodes_manager = _Nodes(self._cluster.nodes_manager)

    def get_primaries(self) -> list[Any]:
        """The nodes that are primaries."""
        primaries: list[Any] = self.nodes_manager.known.get_nodes_by_server_type("primary")
        return primaries

    def get_node(self, host: str, port: int) -> Any:
        """The node at an address; None if it is not known."""
        return self.nodes_manager.known.get_node(host, port)

    def get_redis_connection(self, node: Any) -> AwaitedClient:
        """The client of a node."""
        place = node.host, int(node.port)
        client = self._clients.get(place)
        if client is None:
            made = _asyncio.Redis(host=node.host, port=node.port, **self._limits.lifted(self._settings))
            client = self._clients[place] = AwaitedClient(made, self._limits)
        return client

    async def aclose(self) -> None:
        """Close all connections. Called on the loop."""
        manager = self._cluster.nodes_manager
        await manager.aclose()
        await manager.aclose("startup_nodes")
        for client in self._clients.values():
            await client.aclose()
