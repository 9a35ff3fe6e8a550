"""Commands to the servers, and their replies: to one server, to servers with Sentinel, or to a Cluster.

It uses redis-py's pools, which connect, authenticate and reconnect. redis-py's own retries are switched off: they
repeat every command, and a write must not be sent twice unless the server recognises that. Inside a bridge the client
is redis-py's asynchronous one, one for each event loop.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, TypeVar

from coshelf.engines.connections import repeated
from coshelf.engines.redis.address import Address
from coshelf.engines.redis.failures import is_lost, redis, translated
from coshelf.engines.redis.scripts import in_full
from coshelf.system.extras import imported
from coshelf.system.threads.bridge import is_bridged
from coshelf.system.threads.per_loop import PerLoop

__all__ = ["Client", "Command", "Sent", "slot_of"]

T = TypeVar("T")
Command = tuple[Any, ...]

_LONGEST_REPLY = 10.0  # seconds to wait for a reply before the connection counts as lost
_LONGEST_CONNECT = 5.0
_SHORTEST = 0.2
_REDIRECTIONS = 8

_crc = imported("redis.crc", "redis", "a shelf on Redis")
slot_of: Callable[..., int] = _crc.key_slot
"""The hash slot of a key, as a Cluster computes it: if the key has a part in braces, only that part counts."""


class Sent:
    """Commands that were sent, and whose replies have not been read."""

    def __init__(self, pool: Any, connection: Any, count: int) -> None:
        self._pool = pool
        self._connection = connection
        self._count = count

    def replies(self) -> list[Any]:
        """The replies, which include errors of the server. Raises if the connection is lost."""
        connection = self._connection
        try:
            return [_reply(connection) for _ in range(self._count)]
        except BaseException:
            connection.disconnect()
            raise
        finally:
            self._pool.release(connection)

    def fileno(self) -> int:
        """The descriptor of the socket on which the replies come. Raises ConnectionError if it was closed meanwhile.

        redis-py closes the connections to nodes that have left a Cluster, whoever uses them.
        """
        socket = self._connection._get_socket()  # noqa: SLF001 (redis-py has no public name for it)
        if socket is None:
            raise redis.ConnectionError("the connection was closed while a reply was awaited")
        number: int = socket.fileno()
        return number

    def drop(self) -> None:
        """Discard the replies."""
        self._connection.disconnect()
        self._pool.release(self._connection)


def _reply(connection: Any) -> Any:
    try:
        return connection.read_response()
    except redis.ResponseError as error:
        return error


class Client:
    """Talks to the servers of an address.

    Attributes:
        where: the address, for messages.
        timeout: seconds after which no command is repeated.
    """

    def __init__(self, address: Address, timeout: float) -> None:
        self.where = address.where
        self.timeout = timeout
        self.address = address
        reply = max(_SHORTEST, min(timeout, _LONGEST_REPLY))
        retry = imported("redis.retry", "redis", "a shelf on Redis")
        backoff = imported("redis.backoff", "redis", "a shelf on Redis")
        self._settings: dict[str, Any] = {
            "socket_timeout": reply,
            "socket_connect_timeout": min(reply, _LONGEST_CONNECT),
            "socket_keepalive": True,
            "retry": retry.Retry(backoff.NoBackoff(), 0),
            **address.settings,
            "decode_responses": False,
        }
        self.reply_timeout = float(self._settings["socket_timeout"])
        self._opened: Any = None
        self._on_loops: PerLoop[Any] | None = None

    def __repr__(self) -> str:
        return f"<Client of {self.where}>"

    @property
    def client(self) -> Any:
        """redis-py's client. That of a Cluster asks for the slots when it is made."""
        if is_bridged():
            return self._on_this_loop()
        if self._opened is None:
            self._opened = _open(self.address, self._settings)
        return self._opened

    def _on_this_loop(self) -> Any:
        if self._on_loops is None:
            from coshelf.engines.redis.awaited import awaited_client

            self._on_loops = PerLoop(lambda: awaited_client(self.address, self._settings), lambda made: made.aclose())
        return self._on_loops.here()

    # --- one step ----------------------------------------------------------------------------------------------------

    def primaries(self) -> list[Any]:
        """redis-py's clients of all primaries."""
        if self.address.kind != "cluster":
            return [self.client]
        return [self.client.get_redis_connection(node) for node in self.client.get_primaries()]

    def primary(self, slot: int) -> Any:
        """redis-py's client of the primary that has a slot."""
        if self.address.kind != "cluster":
            return self.client
        return self.client.get_redis_connection(self.client.nodes_manager.get_node_from_slot(slot))

    def connect(self, slot: int) -> tuple[Any, Any]:
        """A pool and one of its connections, by which commands for a slot can be sent."""
        pool = self.primary(slot).connection_pool
        return pool, pool.get_connection()

    def send(self, slot: int, *commands: Command) -> Sent:
        """Send commands; the replies are read later."""
        return _send(*self.connect(slot), commands)

    def run(self, slot: int, *commands: Command, connected: tuple[Any, Any] | None = None) -> list[Any]:
        """The replies of the server that has the slot now, which include its errors.

        Raises redis-py's errors if a connection is lost. A server that redirects has done nothing, and neither has one
        that does not have the script of the first command.
        """
        replies: list[Any] = []
        for _ in range(_REDIRECTIONS):
            sent = _send(*(connected or self.connect(slot)), commands)
            connected = None
            replies = sent.replies()
            redirection = replies[0]
            if isinstance(redirection, redis.exceptions.NoScriptError):
                commands = (in_full(commands[0]), *commands[1:])
                continue
            if not isinstance(redirection, redis.exceptions.AskError):
                break
            if isinstance(redirection, redis.exceptions.MovedError):
                self.client.nodes_manager.move_slot(redirection)
                continue
            node = self.client.get_node(redirection.host, redirection.port)
            if node is None:
                self.learn()
                continue
            pool = self.client.get_redis_connection(node).connection_pool
            replies = _send(pool, pool.get_connection(), (("ASKING",), *commands)).replies()[1:]
            break
        return replies

    def learn(self) -> None:
        """Ask again which server has which slot, after a connection was lost."""
        if self.address.kind == "cluster" and (self._opened is not None or is_bridged()):
            with contextlib.suppress(Exception):  # if the cause lasts, the next command raises
                self.client.nodes_manager.initialize()

    # --- reads, which may be repeated --------------------------------------------------------------------------------

    def read(self, slot: int, *command: Any) -> Any:
        """The reply to a command that changes nothing."""
        return self.repeat(lambda: _only(self.run(slot, command)))

    def read_many(self, commands: list[tuple[int, Command]]) -> list[Any]:
        """The replies to commands for different slots, all sent before the first reply is awaited."""
        if len(commands) == 1:
            return [self.read(commands[0][0], *commands[0][1])]
        return self.repeat(lambda: self._many(commands))

    def _many(self, commands: list[tuple[int, Command]]) -> list[Any]:
        by_pool: dict[int, tuple[Any, list[int]]] = {}
        for at, (slot, _) in enumerate(commands):
            pool = self.primary(slot).connection_pool
            by_pool.setdefault(id(pool), (pool, []))[1].append(at)
        sent: list[tuple[Sent, list[int]]] = []
        replies: list[Any] = [None] * len(commands)
        try:
            for pool, places in by_pool.values():
                sent.append((_send(pool, pool.get_connection(), [commands[at][1] for at in places]), places))
            while sent:
                some, places = sent.pop()
                for at, reply in zip(places, some.replies(), strict=True):
                    replies[at] = reply
        finally:
            for some, _ in sent:
                some.drop()
        for at, reply in enumerate(replies):
            if isinstance(reply, Exception):  # a redirection, or the server does not have the script
                slot, command = commands[at]
                replies[at] = _only(self.run(slot, command))
        return replies

    def repeat(self, read: Callable[[], T]) -> T:
        """The result of a read, which is repeated while servers cannot be reached. Raises coshelf's errors."""
        first = True

        def once() -> T:
            nonlocal first
            if not first:
                self.learn()
            first = False
            return read()

        try:
            return repeated(once, is_lost, where=self.where, timeout=self.timeout)
        except Exception as error:
            mine = translated(error, self.where)
            if mine is error:
                raise
            raise mine from error

    def close(self) -> None:
        """Give the connections back."""
        client, self._opened = self._opened, None
        if client is not None:
            client.close()
        if self._on_loops is not None:
            self._on_loops.close()


def _send(pool: Any, connection: Any, commands: Any) -> Sent:
    try:
        connection.send_packed_command(connection.pack_commands(commands))
    except BaseException:
        connection.disconnect()
        pool.release(connection)
        raise
    return Sent(pool, connection, len(commands))


def _only(replies: list[Any]) -> Any:
    if isinstance(replies[0], Exception):
        raise replies[0]
    return replies[0]


def _open(address: Address, settings: dict[str, Any]) -> Any:
    """redis-py's client."""
    if address.kind == "single":
        host, port = address.hosts[0]
        return redis.Redis(host=host, port=port, **settings)
    if address.kind == "cluster":
        cluster = imported("redis.cluster", "redis", "a shelf on Redis")
        nodes = [cluster.ClusterNode(host, port) for host, port in address.hosts]
        return cluster.RedisCluster(startup_nodes=nodes, **settings)
    sentinel = imported("redis.sentinel", "redis", "a shelf on Redis")
    # Sentinels have their own users. They are asked without a user, over the same kind of connection.
    theirs = {name: value for name, value in settings.items() if name not in ("username", "password", "db")}
    found = sentinel.Sentinel(list(address.hosts), sentinel_kwargs=theirs, **settings)
    return found.master_for(address.service)
