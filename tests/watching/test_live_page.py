"""examples/live_page.py, served by uvicorn on the loopback interface, and read by several clients."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

import coshelf

EXAMPLE = Path(__file__).parents[2] / "examples" / "live_page.py"
PATIENCE = 60.0  # seconds


class Event(NamedTuple):
    """One server-sent event."""

    version: str
    kind: str
    data: dict[str, Any]


class Events:
    """The events of one client, as they come."""

    def __init__(self, response: httpx.Response) -> None:
        self._lines = response.iter_lines()

    def next(self) -> Event:
        fields: dict[str, str] = {}
        for line in self._lines:
            if line and not line.startswith(":"):
                name, _, text = line.partition(": ")
                fields[name] = text
            elif fields:
                return Event(fields["id"], fields["event"], json.loads(fields["data"]))
        raise AssertionError("the stream has ended")


@pytest.fixture(params=["lmdb", "sqlite"])
def url(request: pytest.FixtureRequest, path: str) -> str:
    """Of the shelf."""
    return path if request.param == "lmdb" else f"sqlite:{path}"


@pytest.fixture
def page(url: str) -> Iterator[httpx.Client]:
    command = [sys.executable, str(EXAMPLE), url, "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            with httpx.Client(base_url=server.stdout.readline().strip(), timeout=PATIENCE) as client:
                yield client
        finally:
            server.kill()


@contextmanager
def following(page: httpx.Client, *, since: str | None = None, last: str | None = None) -> Iterator[Events]:
    """A client that follows the changes."""
    parameters = {} if since is None else {"since": since}
    headers = {} if last is None else {"Last-Event-ID": last}
    with page.stream("GET", "changes", params=parameters, headers=headers) as response:
        assert response.status_code == 200
        yield Events(response)


def test_clients_are_told_of_changes_and_one_that_comes_back_of_those_since(page: httpx.Client, url: str) -> None:
    assert "<title>live</title>" in page.get("/").text
    page.put("entries", json={"a": 1}).raise_for_status()
    found = page.get("entries").json()
    assert found["entries"] == {"a": 1}
    with following(page, since=found["version"]) as first, following(page, since=found["version"]) as second:
        with coshelf.open(url, codec="json") as shelf:  # another process
            shelf.update({"a": 2, "b": [3], "c": {"d": None}})
            del shelf["b"]
        expected = [
            ("set", {"key": "a", "value": 2}),
            ("set", {"key": "b", "value": [3]}),
            ("set", {"key": "c", "value": {"d": None}}),
            ("deleted", {"key": "b"}),
        ]
        told = [first.next() for _ in expected]
        assert [event[1:] for event in told] == expected
        left = second.next()  # this client goes away within a commit
    page.put("entries", json={"e": 5}).raise_for_status()
    page.delete("entries/c").raise_for_status()
    expected += [("set", {"key": "e", "value": 5}), ("deleted", {"key": "c"})]
    with following(page, last=left.version) as again:
        assert [again.next()[1:] for _ in expected[1:]] == expected[1:]
    with following(page, since=found["version"], last=told[-1].version) as again:
        assert [again.next()[1:] for _ in range(2)] == expected[-2:]


def test_version_that_cannot_be_is_refused(page: httpx.Client) -> None:
    assert page.get("changes", params={"since": "nonsense"}).status_code == 400
