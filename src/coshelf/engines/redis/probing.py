"""Asks the servers about themselves, and decides which guarantees a shelf has on them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from coshelf.contract import Capabilities, Durability
from coshelf.engines.redis.client import Client
from coshelf.engines.redis.failures import redis
from coshelf.errors import Unsupported

__all__ = ["Found", "capabilities", "probe", "refuse_unfit"]

_ASKED = ("appendfsync", "save", "proto-max-bulk-len", "client-query-buffer-limit")
_OLDEST = (6, 0)
_SHARDED_CHANNELS = (7, 0)
_WAITAOF = (7, 2)
_LARGEST_KEY = 1 << 20  # a key is in the hash and in the set, and a page has a hundred keys
_LARGEST_VALUE = 512 << 20  # this and the next are the server's defaults, for servers that do not tell
_LARGEST_REQUEST = 1 << 30
_ROOM = 64 << 10  # left for the rest of a request


@dataclass(frozen=True, slots=True)
class Found:
    """The answers of the servers. None means that a server does not tell.

    Attributes:
        version: the version of the oldest server.
        clustered: whether the servers are a Cluster.
        replica: whether a server is a replica.
        replicated: whether a failover may make another server the primary.
        evicts: the eviction policy, if memory is limited and keys may be evicted; "" if no key is evicted.
        appends: whether every write is written to a file before it is acknowledged.
        fsync: when that file is synced: "always", "everysec", "no".
        saves: whether all data is written to a file from time to time.
        largest_value: in bytes.
        largest_request: in bytes.
    """

    version: tuple[int, int]
    clustered: bool | None
    replica: bool | None
    replicated: bool
    evicts: str | None
    appends: bool | None
    fsync: str | None
    saves: bool | None
    largest_value: int
    largest_request: int

    @property
    def rings(self) -> bool:
        """Whether commits can be announced to waiting readers."""
        return not self.clustered or self.version >= _SHARDED_CHANNELS

    @property
    def syncs(self) -> bool:
        """Whether a commit can wait until it is in a file that has been synced."""
        return bool(self.appends) and self.version >= _WAITAOF

    @property
    def remembers(self) -> bool:
        """Whether it is certain that a repeated commit is recognised."""
        return self.evicts == ""


def probe(client: Client) -> Found:
    """Ask every primary."""
    return client.repeat(lambda: _worst([_ask(primary) for primary in client.primaries()], client))


def _ask(primary: Any) -> Found:
    said = _allowed(primary, "INFO", "everything") or {}
    told = _allowed(primary, "CONFIG", "GET", *_ASKED) if said else None
    told = told or {}
    numbers = str(said.get("redis_version", "6.0")).split(".")
    limited, policy = said.get("maxmemory"), said.get("maxmemory_policy")
    evicts = None if limited is None or policy is None else "" if not int(limited) or policy == "noeviction" else policy
    return Found(
        version=(int(numbers[0]), int(numbers[1])),
        clustered=None if "cluster_enabled" not in said else bool(int(said["cluster_enabled"])),
        replica=None if "role" not in said else said["role"] != "master",
        replicated=bool(int(said.get("connected_slaves", 0))),
        evicts=evicts,
        appends=None if "aof_enabled" not in said else bool(int(said["aof_enabled"])),
        fsync=told.get("appendfsync"),
        saves=None if "save" not in told else bool(told["save"]),
        largest_value=int(told.get("proto-max-bulk-len", _LARGEST_VALUE)) - _ROOM,
        largest_request=int(told.get("client-query-buffer-limit", _LARGEST_REQUEST)) - _ROOM,
    )


def _allowed(primary: Any, *command: str) -> dict[str, Any] | None:
    """The answer as a dict; None if the user may not ask."""
    try:
        answer = primary.execute_command(*command)
    except redis.exceptions.NoPermissionError:
        return None
    except redis.ResponseError as error:
        if "unknown" in str(error).lower() or "NOPERM" in str(error):
            return None
        raise
    pairs = answer.items() if isinstance(answer, dict) else zip(answer[::2], answer[1::2], strict=True)
    return {_text(name): _text(value) for name, value in pairs}


def _text(value: Any) -> Any:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _worst(found: list[Found], client: Client) -> Found:
    """The weakest answers, which are true for all servers."""

    def all_of(values: Iterable[bool | None]) -> bool | None:
        given = list(values)
        return False if False in given else None if None in given else True

    policies = [each.evicts for each in found]
    fsyncs = {each.fsync or "" for each in found}
    return Found(
        version=min(each.version for each in found),
        clustered=found[0].clustered if client.address.kind != "cluster" else True,
        replica=any(each.replica for each in found),
        replicated=any(each.replicated for each in found) or client.address.kind == "sentinel",
        evicts=None if None in policies else max(policy or "" for policy in policies),
        appends=all_of(each.appends for each in found),
        fsync=next(each for each in ("", "everysec", "no", "always") if each in fsyncs) or None,
        saves=all_of(each.saves for each in found),
        largest_value=min(each.largest_value for each in found),
        largest_request=min(each.largest_request for each in found),
    )


def refuse_unfit(found: Found, client: Client, *, writes: bool) -> None:
    """Raise Unsupported for servers that could lose entries, or that are of another kind than the URL says."""
    where = client.where
    if found.version < _OLDEST:
        raise Unsupported(f"{where} is Redis {found.version[0]}.{found.version[1]}; a shelf needs 6.0")
    if found.clustered and client.address.kind != "cluster":
        raise Unsupported(f"{where} is a node of a Cluster\n  hint: write redis+cluster:// instead of redis://")
    if found.replica and writes and client.address.kind == "single":
        raise Unsupported(f"{where} is a replica, which cannot be written\n  hint: name its primary, or use flag 'r'")
    if found.evicts and not client.address.evicts:
        raise Unsupported(
            f"{where} has maxmemory-policy {found.evicts}: if its memory is full it removes whole parts of a shelf\n"
            "  hint: set maxmemory-policy noeviction, or accept it by ?evicts=allowed in the URL"
        )


def capabilities(found: Found, client: Client, buckets: int, durability: Durability) -> Capabilities:
    """The capabilities of a shelf on these servers."""
    return Capabilities(
        snapshots=None,
        atomic="crash" if buckets == 1 else "shard",
        largest_batch=found.largest_request,
        watch="doorbell" if found.rings else "poll",
        persistent=found.appends is not False or found.saves is not False,
        acknowledged=_acknowledged(found, client, durability),
        consistency="eventual" if found.replica else "primary" if found.replicated else "strict",
        largest_key=_LARGEST_KEY,
        largest_value=found.largest_value,
        expiry=True,
        turns=None if found.replica else "lease",
        changes=None if found.replica else "all",
    )


def _acknowledged(found: Found, client: Client, durability: Durability) -> str:
    """How safe a commit is when it returns."""
    if client.address.wait:
        return f"{client.address.wait} replicas"
    if found.replicated:
        return "primary"
    if found.appends:
        if found.fsync == "always" or (durability == "commit" and found.syncs):
            return "durable"
        # With "everysec" the server may answer before it writes to the file, while a sync is under way. If it is
        # killed then, acknowledged commits are lost. With "no" it always writes to the file first.
        return {"no": "machine", "everysec": "everysec"}.get(found.fsync or "", "unknown")
    return "unknown" if found.appends is None else "memory"
