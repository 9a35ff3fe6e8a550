"""The storages for hishel: bodies that are stored while they are read, and errors that no reader sees."""

from __future__ import annotations

import asyncio
import logging
import os
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from hishel import Entry, Headers, Request, Response
from hishel.httpx import CacheTransport
from support import Crew

import coshelf
from coshelf.contrib.hishel import AsyncCoshelfStorage, CoshelfStorage
from coshelf.contrib.hishel.rows import CHUNK, UNFINISHED, chunk_key, entry_key

URL = "https://a/"
LARGE = os.urandom(5 * CHUNK // 2)


def made(storage: CoshelfStorage, body: bytes = b"hello", key: str = URL, *, parts: int = 1_000) -> Entry:
    """A new response whose body has not been read. It comes in parts of this many bytes."""
    stream = iter([body[place : place + parts] for place in range(0, len(body), parts)])
    headers = Headers({"etag": "1", "set-cookie": ["a", "b"]})
    return storage.create_entry(Request("GET", URL, Headers({"accept": "x"})), Response(200, headers, stream), key)


def read(entry: Entry) -> bytes:
    return b"".join(entry.response.stream)


def stored(storage: CoshelfStorage, body: bytes = b"hello", key: str = URL) -> Entry:
    entry = made(storage, body, key)
    assert read(entry) == body
    return entry


def only(storage: CoshelfStorage, key: str = URL) -> Entry:
    (entry,) = storage.get_entries(key)
    return entry


@pytest.mark.parametrize("size", [0, 1, CHUNK, CHUNK + 1, len(LARGE)])
def test_a_body_of_any_size_comes_back(storage: CoshelfStorage, size: int) -> None:
    entry = made(storage, LARGE[:size])
    assert storage.get_entries(URL) == []
    assert read(entry) == LARGE[:size]
    found = only(storage)
    assert (found.id, read(found)) == (entry.id, LARGE[:size])
    assert found.request == entry.request
    assert (found.response.status_code, found.response.headers) == (200, entry.response.headers)
    assert len(storage._part.shelf) == (1 if size <= CHUNK else 1 + -(-size // CHUNK))


def test_several_responses_of_a_key_and_of_others_stay_apart(storage: CoshelfStorage) -> None:
    for body, key in ((b"1", "k"), (b"2", "k"), (b"3", "k" * 5_000), (b"4", "")):
        stored(storage, body, key)
    assert sorted(map(read, storage.get_entries("k"))) == [b"1", b"2"]
    assert read(only(storage, "k" * 5_000)) == b"3"
    assert read(only(storage, "")) == b"4"


def test_a_large_body_is_stored_while_it_is_read(storage: CoshelfStorage) -> None:
    stream = made(storage, LARGE).response.stream
    for _ in range(2 * CHUNK // 1_000):
        next(stream)
    shelf = storage._part.shelf
    assert len(shelf) == 1
    assert all(shelf.expires(key) is not None for key in shelf)
    assert storage.get_entries(URL) == []


def test_a_body_that_is_not_read_to_its_end_leaves_nothing(storage: CoshelfStorage) -> None:
    def fails() -> Iterator[bytes]:
        yield LARGE
        raise ConnectionError

    entry = storage.create_entry(Request("GET", URL), Response(200, stream=fails()), URL)
    with pytest.raises(ConnectionError):
        read(entry)
    stream = made(storage, LARGE, parts=CHUNK).response.stream
    assert len(next(stream)) + len(next(stream)) == 2 * CHUNK
    stream.close()
    assert len(storage._part.shelf) == 0


def test_who_reads_a_body_gets_to_its_end(storage: CoshelfStorage) -> None:
    entry = stored(storage, LARGE)
    began, later = only(storage), only(storage)
    first = next(began.response.stream)
    storage.remove_entry(entry.id)
    assert storage.get_entries(URL) == []
    assert first + read(began) == LARGE
    assert read(later) == LARGE


def test_a_body_that_is_gone_raises_and_does_not_end_early(storage: CoshelfStorage) -> None:
    entry = stored(storage, LARGE)
    found = only(storage)
    storage._part.shelf.clear()
    with pytest.raises(RuntimeError, match="removed before"):
        read(found)
    stored(storage, LARGE)
    del storage._part.shelf[chunk_key(only(storage).id, 1)]
    assert storage.get_entries(URL) == []
    assert entry_key(entry.id) not in storage._part.shelf


def test_a_response_removed_while_it_is_written_stays_removed(storage: CoshelfStorage) -> None:
    entry = made(storage, LARGE)
    first = next(entry.response.stream)
    storage.remove_entry(entry.id)
    assert first + read(entry) == LARGE
    entry = made(storage)
    storage.remove_entry(entry.id)
    assert read(entry) == b"hello"
    assert len(storage._part.shelf) == 0


def test_headers_are_replaced_and_times_stay(storage: CoshelfStorage) -> None:
    storage.default_ttl = 1000
    entry = stored(storage, LARGE)
    before = storage._part.shelf.expires(entry_key(entry.id))
    storage.update_headers(entry.id, Headers({"etag": "2"}))
    assert only(storage).response.headers == Headers({"etag": "2"})
    assert read(only(storage)) == LARGE
    assert storage._part.shelf.expires(entry_key(entry.id)) == before
    storage.update_headers(uuid.uuid4(), Headers({}))
    storage.remove_entry(uuid.uuid4())


def test_a_use_begins_the_time_without_use_again(storage: CoshelfStorage) -> None:
    storage.default_tti = 1000
    entry = stored(storage, LARGE)
    shelf = storage._part.shelf
    before = shelf.expires(entry_key(entry.id))
    only(storage)
    assert shelf.expires(entry_key(entry.id)) == before
    shelf.touch(entry_key(entry.id), expire=400)
    only(storage)
    assert before <= shelf.expires(entry_key(entry.id)) <= shelf.expires(chunk_key(entry.id, 2))


def test_a_body_that_is_too_large_is_handed_on_and_not_stored(storage: CoshelfStorage) -> None:
    storage.max_stream_size = 2 * CHUNK
    assert read(made(storage, LARGE)) == LARGE
    assert len(storage._part.shelf) == 0
    stored(storage, LARGE[: 2 * CHUNK])
    only(storage)


def test_errors_of_the_shelf_are_logged_and_do_not_fail_a_request(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with CoshelfStorage(tmp_path / "a.shelf")._part as part:
        entry = stored(CoshelfStorage(part.whole))
    with coshelf.open(tmp_path / "a.shelf", "r") as shelf, caplog.at_level(logging.ERROR):
        storage = CoshelfStorage(shelf)
        assert read(made(storage, b"small")) == b"small"
        assert read(made(storage, LARGE)) == LARGE
        storage.update_headers(entry.id, Headers({}))
        storage.remove_entry(entry.id)
        assert read(only(storage)) == b"hello"
    assert {record.exc_info[0] for record in caplog.records} == {coshelf.ReadOnlyShelf}
    assert len(caplog.records) >= 4


def test_what_cannot_be_loaded_is_a_miss(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = str(tmp_path / "a.shelf")
    storage = CoshelfStorage(path)
    stored(storage, b"kept")
    key = entry_key(stored(storage, b"replaced").id)
    storage._part.shelf[key] = os.getpid
    storage.close()
    again = CoshelfStorage(path, trust=False)
    with caplog.at_level(logging.CRITICAL):
        assert read(only(again)) == b"kept"
    again.close()


def test_a_shelf_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("<html>" * 1000)
    with pytest.raises(coshelf.NotAShelf):
        CoshelfStorage(tmp_path / "page.html").get_entries(URL)
    with pytest.raises(coshelf.Unsupported, match="expiry"):
        made(CoshelfStorage(f"{tmp_path}/files/"))
    storage = CoshelfStorage("memory:")
    storage.close()
    for error in (RuntimeError, coshelf.ShelfClosed):
        with pytest.raises(error, match="closed"):
            storage.get_entries(URL)


def test_both_storages_share_their_responses(tmp_path: Path) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield LARGE

    async def main() -> Entry:
        storage = AsyncCoshelfStorage(tmp_path / "a.shelf", default_tti=1000)
        entry = await storage.create_entry(Request("GET", URL), Response(200, stream=body()), URL)
        assert b"".join([part async for part in entry.response.stream]) == LARGE
        (found,) = await storage.get_entries(URL)
        assert b"".join([part async for part in found.response.stream]) == LARGE
        await storage.update_headers(entry.id, Headers({"etag": "2"}))
        await storage.close()
        with pytest.raises(RuntimeError, match="closed"):
            await storage.get_entries(URL)
        return entry

    entry = asyncio.run(main())
    storage = CoshelfStorage(tmp_path / "a.shelf")
    assert read(only(storage)) == LARGE
    storage.remove_entry(entry.id)
    assert storage.get_entries(URL) == []
    storage.close()


def test_two_clients_share_a_cache(tmp_path: Path) -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, headers={"cache-control": "max-age=3600"}, content=LARGE)

    for _ in range(3):
        storage = CoshelfStorage(tmp_path / "a.shelf")
        with httpx.Client(transport=CacheTransport(httpx.MockTransport(answer), storage=storage)) as client:
            assert client.get(URL).content == LARGE
    assert len(asked) == 1


WRITING = """
    from hishel import Request, Response
    from coshelf.contrib.hishel import CoshelfStorage
    storage = CoshelfStorage(path)

    def body():
        while True:
            yield b"x" * 100_000

    entry = storage.create_entry(Request("GET", "k"), Response(200, stream=body()), "k")
    for number, _ in enumerate(entry.response.stream):
        say(number)
"""


def test_a_writer_that_is_killed_leaves_no_response_and_nothing_for_ever(crew: Crew, path: str) -> None:
    worker = crew.start(WRITING, path)
    for _ in range(10):
        worker.hear()
    worker.kill()
    storage = CoshelfStorage(path)
    assert storage.get_entries("k") == []
    shelf = storage._part.shelf
    assert len(shelf) >= 5
    assert all(shelf.expires(key) is not None for key in shelf)
    assert UNFINISHED == 3600
    storage.close()
