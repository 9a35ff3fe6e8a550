"""The live part of the viewer over HTTP: its pages, and the stream of changes."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

import coshelf
from coshelf import viewer
from coshelf.viewer.activity import streaming
from coshelf.viewer.activity.changes import Burst, next_burst
from coshelf.viewer.activity.streaming import ChangeStream
from coshelf.viewer.activity.streams import Streams

PATIENCE = 60.0


@contextmanager
def opened(shelf: coshelf.Shelf[Any, Any]) -> Iterator[httpx.Client]:
    """A client with the cookie of a viewer."""
    with viewer.serving(shelf) as start:
        base = start.partition("/?")[0]
        with httpx.Client(base_url=base, timeout=PATIENCE, follow_redirects=True) as client:
            client.get(start).raise_for_status()
            yield client


class Events:
    """The events of one stream, as they come."""

    def __init__(self, response: httpx.Response) -> None:
        assert response.headers["content-type"].startswith("text/event-stream")
        self._lines = response.iter_lines()

    def next(self) -> tuple[str, str, Any]:
        """Its id, kind and data."""
        fields: dict[str, str] = {}
        for line in self._lines:
            if line and not line.startswith(":"):
                name, _, text = line.partition(": ")
                fields[name] = text
            elif "data" in fields:
                return fields.get("id", ""), fields["event"], json.loads(fields["data"])
        raise AssertionError("the stream has ended")


@contextmanager
def following(client: httpx.Client, last: str | None = None, **parameters: str) -> Iterator[Events]:
    headers = {} if last is None else {"Last-Event-ID": last}
    with client.stream("GET", "/data/changes", params=parameters, headers=headers) as response:
        yield Events(response)


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[coshelf.Shelf[Any, Any]]:
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        yield shelf


def test_a_page_that_comes_back_is_told_each_change_once(shelf: Any) -> None:
    since = str(shelf.version)
    shelf["a"] = 1
    with opened(shelf) as client:
        with following(client, since=since) as events:
            last, kind, data = events.next()
        assert (kind, [change["label"] for change in data["changes"]]) == ("changes", ["a"])
        shelf["b"] = 2
        with following(client, last, since=since) as events:
            _, _, data = events.next()
        assert [change["label"] for change in data["changes"]] == ["b"]


def test_a_gap_is_told(shelf: Any) -> None:
    shelf["a"] = 1
    with opened(shelf) as client, following(client, since="0") as events:
        _, _, data = events.next()
    assert data["gap"]
    assert data["changes"][0]["kind"] == "gap"


def test_a_version_of_no_shelf_ends_the_stream_with_a_reason(shelf: Any) -> None:
    with opened(shelf) as client, following(client, since="nonsense") as events:
        _, kind, data = events.next()
    assert kind == "stopped"
    assert "nonsense" in data["reason"]


def test_only_the_changes_of_one_key_are_told_if_asked_for(shelf: Any) -> None:
    since = str(shelf.version)
    shelf["a"] = 1
    shelf["b"] = 2
    with opened(shelf) as client:
        with following(client, since=since) as events:
            seen: list[Any] = []
            while len(seen) < 2:
                seen += events.next()[2]["changes"]
        address = next(change["address"] for change in seen if change["label"] == "b")
        with following(client, since=since, key=address) as events:
            assert [change["label"] for change in events.next()[2]["changes"]] == ["b"]


def test_a_page_that_is_closed_ends_its_watch(shelf: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Semaphore(0)
    leave = Streams.leave

    def told(streams: Streams, end: Any) -> None:
        leave(streams, end)
        ended.release()

    monkeypatch.setattr(Streams, "leave", told)
    with opened(shelf) as client:
        since = str(shelf.version)
        shelf["a"] = 1
        for _ in range(3):
            with following(client, since=since) as events:
                events.next()
            assert ended.acquire(timeout=PATIENCE)
        assert all(watch._is_closed for watch in shelf._handle.watches)


def test_a_shelf_that_is_closed_ends_the_streams_with_a_reason(tmp_path: Path) -> None:
    shelf = coshelf.open(tmp_path / "a.shelf")
    since = str(shelf.version)
    shelf["a"] = 1
    with opened(shelf) as client, following(client, since=since) as events:
        events.next()
        shelf.close()
        _, kind, data = events.next()
        assert kind == "stopped"
        assert "closed" in data["reason"]


def test_more_pages_than_a_viewer_follows_are_told_so(shelf: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Streams, "begin", lambda *_: False)
    with opened(shelf) as client, following(client) as events:
        assert events.next()[1:] == (
            "stopped",
            {"reason": "Too many pages are open. Close some of them, and load this one again."},
        )


def test_streams_are_counted_and_end_with_the_viewer() -> None:
    ended: list[str] = []
    streams = Streams(most=1)
    one, other = (lambda: ended.append("one")), (lambda: ended.append("other"))
    assert streams.begin(one)
    assert not streams.begin(other)
    streams.leave(one)
    assert len(streams) == 0
    assert streams.begin(other)
    streams.close()
    assert ended == ["other"]
    streams.leave(other)
    assert not streams.begin(one)


def test_a_viewer_that_ends_ends_its_streams_without_a_word(shelf: Any, caplog: pytest.LogCaptureFixture) -> None:
    with viewer.serving(shelf) as start:
        client = httpx.Client(base_url=start.partition("/?")[0], timeout=PATIENCE, follow_redirects=True)
        client.get(start).raise_for_status()
        since = str(shelf.version)
        shelf["a"] = 1
        stream = client.send(client.build_request("GET", "/data/changes", params={"since": since}), stream=True)
        lines = stream.iter_lines()
        while not next(lines).startswith("data:"):
            pass
    assert list(lines) == [""]  # it has its proper end
    stream.close()
    client.close()
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_a_stream_needs_the_cookie(shelf: Any) -> None:
    with viewer.serving(shelf) as start, httpx.Client(base_url=start.partition("/?")[0]) as stranger:
        for path in ("/data/changes", "/data/now", "/activity", "/sizes"):
            assert stranger.get(path).status_code == 403


def test_hostile_keys_and_values_stay_text_in_events_and_pages(shelf: Any) -> None:
    since = str(shelf.version)
    shelf["</script><b id=evil>\u2028\n\nevent: evil"] = "</td><b id=evil>"
    shelf["\ud800" + "x" * 100_000] = "\r\ndata: evil"
    shelf.queue("<b id=evil>").put(1)
    with opened(shelf) as client:
        with following(client, since=since) as events:
            seen: list[Any] = []
            while len(seen) < 2:
                _, kind, data = events.next()
                assert kind == "changes"
                seen += data["changes"]
        assert {bool(change["address"]) for change in seen} == {True, False}  # the long one has no page of its own
        with shelf.lock("<b id=evil>"):
            for path, shown in (("/activity", "&lt;b id=evil&gt;"), ("/sizes", "&lt;/")):
                text = client.get(path).text
                assert "id=evil>" not in text
                assert shown in text


def test_the_activity_page_has_what_the_script_asks_for(shelf: Any) -> None:
    shelf.queue("mail").put(1)
    with opened(shelf) as client, shelf.lock("deploy"):
        page = client.get("/activity").text
        found = client.get("/data/now").json()
    for table in found["tables"]:
        assert f'data-table="{table["name"]}"' in page
    for line in found["lines"]:
        assert f'data-line="{line["name"]}"' in page
    rows = {table["name"]: table["rows"] for table in found["tables"]}
    assert rows["queues"] == [["mail", "1", "0", "0", "0"]]
    assert [row[:2] for row in rows["locks"]] == [["lock", "'deploy'"]]
    assert "&#39;deploy&#39;" in page


def test_each_engine_has_both_pages(tmp_path: Path) -> None:
    for target in ("memory:", f"sqlite:{tmp_path}/a.shelf", f"files:{tmp_path}/b"):
        with coshelf.open(target) as shelf:
            shelf["a"] = "x"
            with opened(shelf) as client:
                assert client.get("/activity").status_code == 200
                assert "1 entries" in client.get("/sizes").text


def test_an_empty_shelf_has_no_map(shelf: Any) -> None:
    with opened(shelf) as client:
        assert "Nothing is stored here." in client.get("/sizes").text


def test_a_page_that_reads_nothing_keeps_its_stream_from_taking_changes(
    shelf: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[Burst | None] = []

    def counted(*arguments: Any, **options: Any) -> Burst | None:
        taken.append(next_burst(*arguments, **options))
        return taken[-1]

    monkeypatch.setattr(streaming, "next_burst", counted)

    async def follow() -> None:
        gone, full = anyio.Event(), anyio.Event()

        async def receive() -> dict[str, Any]:
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            if b"event:" in message.get("body", b""):
                full.set()
                await anyio.sleep_forever()  # as if nobody took it

        stream = ChangeStream(shelf, Streams(), str(shelf.version), lambda _: "")
        async with anyio.create_task_group() as group:
            group.start_soon(stream, {}, receive, send)
            for number in range(1_000):
                shelf[number] = number
            with anyio.fail_after(PATIENCE):
                await full.wait()
            for number in range(1_000):
                shelf[number] = -number
            gone.set()

    anyio.run(follow)
    assert len(taken) == 1
    assert all(watch._is_closed for watch in shelf._handle.watches)
