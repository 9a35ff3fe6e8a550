"""URLs of servers, taken apart."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from coshelf.engines.urls import without_secrets

__all__ = ["ESCAPED", "ServerUrl", "parse"]

ESCAPED = "in a password, '@' is written %40, '/' %2F, ':' %3A, '?' %3F and '#' %23"
"""What a message about a malformed URL says."""


@dataclass(frozen=True, slots=True)
class ServerUrl:
    """A URL of a server, ``SCHEME://USER:PASSWORD@HOSTS/PATH?QUERY``, in its parts as they stand there.

    Attributes:
        shown: the URL for messages, without secrets.
        scheme: in lower case.
        credentials: what stands before the last "@", or nothing.
        hosts: what stands behind it.
        path: what stands between the first "/" behind the hosts and the query.
        query: what stands behind the first "?".
    """

    shown: str
    scheme: str
    credentials: str = field(repr=False)
    hosts: str = field(repr=False)  # of a malformed URL it may be a part of a password, and so may the path
    path: str = field(repr=False)
    query: str = field(repr=False)

    @property
    def options(self) -> dict[str, str]:
        """Names and values in the query, decoded."""
        return dict(parse_qsl(self.query, keep_blank_values=True))


def parse(url: str) -> ServerUrl:
    """Take a URL apart. Raises ValueError, which shows no secrets, if it has no scheme.

    A password in which '/' or '?' is not escaped ends up in ``hosts`` and what follows: an engine refuses hosts that
    cannot be hosts, and an "@" behind them.

    >>> url = parse("redis://ann:secret@db.example:6379/0/recipes?wait=1")
    >>> url.hosts, url.path, url.options
    ('db.example:6379', '0/recipes', {'wait': '1'})
    """
    shown = without_secrets(url)
    scheme, mark, rest = url.partition("://")
    if not mark:
        raise ValueError(f"{shown} has no '://' behind the scheme")
    place, _, query = rest.partition("?")
    authority, _, path = place.partition("/")
    credentials, _, hosts = authority.rpartition("@")
    return ServerUrl(shown, scheme.lower(), credentials, hosts, path, query)
