"""Parses the URLs of servers."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from coshelf.engines.urls import without_secrets

__all__ = ["ESCAPED", "ServerUrl", "parse"]

ESCAPED = "in a password, '@' is written %40, '/' %2F, ':' %3A, '?' %3F and '#' %23"
"""The hint in messages about malformed URLs."""


@dataclass(frozen=True, slots=True)
class ServerUrl:
    """The parts of a server's URL, ``SCHEME://USER:PASSWORD@HOSTS/PATH?QUERY``. They are not decoded.

    Attributes:
        shown: the URL for messages, without secrets.
        scheme: in lower case.
        credentials: the text before the last "@"; "" if there is none.
        hosts: the text after it.
        path: the text between the first "/" after the hosts and the query.
        query: the text after the first "?".
    """

    shown: str
    scheme: str
    credentials: str = field(repr=False)
    hosts: str = field(repr=False)  # in a malformed URL, hosts and path may be parts of a password
    path: str = field(repr=False)
    query: str = field(repr=False)

    @property
    def options(self) -> dict[str, str]:
        """Names and values in the query, decoded."""
        return dict(parse_qsl(self.query, keep_blank_values=True))


def parse(url: str) -> ServerUrl:
    """Parse a URL. Raises ValueError, which shows no secrets, if it has no scheme.

    If a '/' or '?' in a password is not escaped, parts of the password are in ``hosts`` and the following attributes.
    So an engine refuses hosts that cannot be hosts, and an "@" after them.

    >>> url = parse("redis://ann:secret@db.example:6379/0/recipes?wait=1")
    >>> url.hosts, url.path, url.options
    ('db.example:6379', '0/recipes', {'wait': '1'})
    """
    shown = without_secrets(url)
    scheme, mark, rest = url.partition("://")
    if not mark:
        raise ValueError(f"'//' must follow the scheme and its colon: write {shown}")
    place, _, query = rest.partition("?")
    authority, _, path = place.partition("/")
    credentials, _, hosts = authority.rpartition("@")
    return ServerUrl(shown, scheme.lower(), credentials, hosts, path, query)
