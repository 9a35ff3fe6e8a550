"""The address of a shelf on PostgreSQL: turns a URL into parameters for libpq, and into a text for messages."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

import psycopg
from psycopg.conninfo import conninfo_to_dict

from coshelf.engines import server_urls

__all__ = ["Address", "parse"]

_SHELF = "default"
_CONNECTIONS = 32
_SECRETS = ("password", "sslpassword", "passfile", "oauth_client_secret")
_LONGEST_NAME = 200  # bytes
_HOST = r"(?:[^:\[\]]*|\[[^\]]*\])(?::[0-9]*)?"
_PORTS = re.compile(rf"{_HOST}(?:,{_HOST})*")


@dataclass(frozen=True)
class Address:
    """Where a shelf is.

    Attributes:
        shelf: its name in the database.
        most_connections: the largest number of connections of a process.
        where: the URL as messages may show it.
        parameters: the parameters for libpq.
        url: the URL as it was given.
    """

    shelf: str
    most_connections: int
    where: str
    parameters: dict[str, Any] = field(repr=False)
    url: str = field(repr=False)

    @property
    def has_secrets(self) -> bool:
        """Whether the URL itself holds a secret."""
        return any(name in self.parameters for name in _SECRETS)

    @property
    def has_several_servers(self) -> bool:
        """Whether two connections may go to different servers."""
        return "," in str(self.parameters.get("host") or self.parameters.get("hostaddr") or os.environ.get("PGHOST"))


def parse(url: str, timeout: float) -> Address:
    """The address in a URL. Parameters that are not coshelf's are for libpq. Raises ValueError without showing the URL.

    >>> parse("postgresql://ann:secret@db.example/app?shelf=recipes&sslmode=require", 5).where
    'postgresql://db.example/app?shelf=recipes'
    """
    parts = server_urls.parse(url)
    # Libpq ends the password at the first "@". The rest must not be taken for the host, which messages show.
    if "@" in parts.credentials + parts.path or "#" in url or not _PORTS.fullmatch(parts.hosts):
        raise _refused(f"it is unclear where its password ends; {server_urls.ESCAPED}")
    ours = {"shelf": _SHELF, "connections": str(_CONNECTIONS)}
    libpqs = parts.options
    ours |= {name: libpqs.pop(name) for name in ours.keys() & libpqs.keys()}
    place = f"{parts.credentials}@{parts.hosts}/{parts.path}" if parts.credentials else f"{parts.hosts}/{parts.path}"
    try:
        given = conninfo_to_dict(f"postgresql://{place}?{urlencode(libpqs, quote_via=quote)}")
    except psycopg.Error:
        raise _refused("libpq does not understand it") from None  # its own message may show the password
    if not ours["connections"].isdigit() or int(ours["connections"]) < 2:
        raise _refused("connections= is a number of at least 2")
    shelf = ours["shelf"]
    if not shelf or "\0" in shelf or len(shelf.encode("utf-8", "surrogatepass")) > _LONGEST_NAME:
        raise _refused(f"the name of a shelf has 1 to {_LONGEST_NAME} bytes")
    parameters = _with_defaults(given, timeout)
    return Address(shelf, int(ours["connections"]), _shown(parameters, shelf), parameters, url)


def _refused(why: str) -> ValueError:
    return ValueError(
        f"this is not a URL of a shelf on PostgreSQL: {why}\n"
        "  hint: postgresql://USER@HOST:PORT/DATABASE?shelf=NAME, and parameters of libpq after that"
    )


def _with_defaults(given: dict[str, Any], timeout: float) -> dict[str, Any]:
    """Add defaults: connect to a server that accepts writes, and do not wait for ever for one that is silent."""
    defaults: dict[str, Any] = {
        "application_name": "coshelf",
        "connect_timeout": max(2, min(10, int(timeout))),
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
    }
    if not os.environ.get("PGTARGETSESSIONATTRS"):
        defaults["target_session_attrs"] = "read-write"
    return defaults | given


def _shown(parameters: dict[str, Any], shelf: str) -> str:
    hosts = str(parameters.get("host") or parameters.get("hostaddr") or os.environ.get("PGHOST") or "localhost")
    ports = str(parameters.get("port") or os.environ.get("PGPORT") or "").split(",")
    each = hosts.split(",")
    if len(ports) == 1:
        ports *= len(each)
    places = ",".join(f"{host}:{port}" if port else host for host, port in zip(each, ports, strict=False))
    database = parameters.get("dbname") or os.environ.get("PGDATABASE") or parameters.get("user") or ""
    return f"postgresql://{places}/{database}?shelf={quote(shelf)}"
