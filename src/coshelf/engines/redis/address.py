"""Parses URLs: which servers, which shelf on them, and how to connect to them."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import unquote, urlencode

from coshelf.engines import server_urls
from coshelf.system.extras import imported

__all__ = ["Address", "parse"]

Kind = Literal["single", "sentinel", "cluster"]

_KINDS: dict[str, Kind] = {"redis": "single", "redis+sentinel": "sentinel", "redis+cluster": "cluster"}
_PORTS = {"single": 6379, "cluster": 6379, "sentinel": 26379}
_NAME = "shelf"
_LONGEST_NAME = 200
_FORMS = {
    "single": "redis://[user:password@]host[:port][/db][/name]",
    "sentinel": "redis+sentinel://[user:password@]host[:port],...[/service][/db][/name]",
    "cluster": "redis+cluster://[user:password@]host[:port],...[/name]",
}
MOST_BUCKETS = 1024
_VALKEY = re.compile("^valkey")
_USER, _PASSWORD = "COSHELF_REDIS_USERNAME", "COSHELF_REDIS_PASSWORD"


@dataclass(frozen=True, slots=True)
class Address:
    """A parsed URL.

    Attributes:
        where: the URL for messages, without secrets.
        kind: what the servers are.
        hosts: names and ports of the servers; with Sentinel, those of the sentinels.
        service: the sentinels' name for the servers that they watch.
        name: the name of the shelf.
        buckets: the number of buckets of a new shelf; None if the URL does not say.
        evicts: whether a server that evicts keys is accepted.
        wait: replicas that must have a commit before it returns.
        settings: the settings for the client, with credentials and TLS.
    """

    where: str
    kind: Kind
    hosts: tuple[tuple[str, int], ...]
    service: str
    name: str
    buckets: int | None
    evicts: bool
    wait: int
    settings: dict[str, Any] = field(repr=False)


def parse(url: str) -> Address:
    """Parse a URL. Raises ValueError for a URL of another form; the message shows no secrets."""
    given = server_urls.parse(url)
    where = given.shown
    scheme = _VALKEY.sub("redis", given.scheme, count=1)
    secure = scheme.startswith("rediss")
    kind = _KINDS.get(scheme.replace("rediss", "redis", 1))
    if kind is None or url.endswith("://"):
        raise ValueError(f"{where} has none of these forms: {', '.join(_FORMS.values())}")
    if "@" in given.path or "@" in given.query:
        raise ValueError(f"{where} has an '@' after the host: {server_urls.ESCAPED}")
    parts = [unquote(part) for part in given.path.split("/") if part]
    service = parts.pop(0) if kind == "sentinel" and parts else ""
    database = int(parts.pop(0)) if kind != "cluster" and parts and parts[0].isdecimal() else 0
    name = parts.pop(0) if parts else _NAME
    if parts or (kind == "sentinel" and not service):
        raise ValueError(f"{where} is not of the form {_FORMS[kind]}")
    if len(name) > _LONGEST_NAME or not name.isprintable() or set(name) & set("{}/ "):
        raise ValueError(
            f"{where} ends in text that cannot be a shelf's name on Redis: a name has no braces, slashes or spaces, "
            f"and at most {_LONGEST_NAME} characters"
        )
    options = given.options
    buckets = _number(where, options, "buckets", 1, MOST_BUCKETS)
    evicts = options.pop("evicts", "")
    if evicts not in ("", "allowed"):
        raise ValueError(f"{where} has an evicts= that is not evicts=allowed")
    wait = _number(where, options, "wait", 0, 100) or 0
    settings = _settings(where, secure, given.credentials, database, options)
    hosts = tuple(_host(where, host, _PORTS[kind]) for host in given.hosts.split(","))
    if kind == "single" and len(hosts) > 1:
        raise ValueError(f"{where} names {len(hosts)} servers: write redis+cluster:// or redis+sentinel://")
    if kind == "cluster":
        settings.pop("db", None)
    return Address(where, kind, hosts, service, name, buckets, evicts == "allowed", wait, settings)


def _number(where: str, options: dict[str, str], name: str, least: int, most: int) -> int | None:
    given = options.pop(name, None)
    if given is None:
        return None
    if not given.isdecimal() or not least <= int(given) <= most:
        raise ValueError(f"{where} has a {name}= that is not a number from {least} to {most}")
    return int(given)


def _host(where: str, host: str, port: int) -> tuple[str, int]:
    name, colon, number = host.rpartition(":")
    if not colon or (host.startswith("[") and host.endswith("]")):
        name, number = host, str(port)
    if not number.isdecimal() or not 0 < int(number) < 65536:
        raise ValueError(f"{where} has a port that is not a number from 1 to 65535: {server_urls.ESCAPED}")
    return name.strip("[]") or "localhost", int(number)


def _settings(where: str, secure: bool, credentials: str, database: int, options: dict[str, str]) -> dict[str, Any]:
    """The settings for the client. redis-py's own parser of URLs decides what each option means."""
    connection = imported("redis.connection", "redis", "a shelf on Redis")
    try:
        settings: dict[str, Any] = connection.parse_url(f"redis://host/{database}?{urlencode(options)}")
    except ValueError as error:  # names the option and not its value
        raise ValueError(f"{where}: {error}") from None
    settings.pop("host", None)
    user, colon, password = credentials.partition(":")
    if not colon and user:  # in redis://NAME@host the name is a user without a password
        password = ""
    username, secret = unquote(user) or os.environ.get(_USER), unquote(password) or os.environ.get(_PASSWORD)
    if username:
        settings.setdefault("username", username)
    if secret:
        settings.setdefault("password", secret)
    if secure:
        settings["ssl"] = True
    return settings
