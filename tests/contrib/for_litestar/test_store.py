"""The store for Litestar: what Litestar asks of every store, and what this one adds."""

from __future__ import annotations

import string
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar, Request, get
from litestar.middleware.session.server_side import ServerSideSessionConfig
from litestar.stores.base import NamespacedStore
from litestar.stores.registry import StoreRegistry
from litestar.testing import TestClient
from support import Crew

import coshelf
from coshelf.contrib.litestar import CoshelfStore

pytestmark = pytest.mark.anyio


def shelf_of(store: CoshelfStore) -> coshelf.Shelf[Any, Any]:
    return store._home.part.part.shelf


async def test_values_come_back_as_bytes(store: CoshelfStore) -> None:
    assert isinstance(store, NamespacedStore)
    assert await store.get("key") is None
    await store.set("key", b"value", 60)
    await store.set("text", "ä")
    await store.set("empty", b"")
    assert (await store.get("key"), await store.get("text"), await store.get("empty")) == (b"value", "ä".encode(), b"")
    assert await store.exists("empty")
    assert not await store.exists("nothing")


async def test_deleting_what_is_missing_is_no_error(store: CoshelfStore) -> None:
    await store.delete("key")
    await store.set("key", b"value")
    await store.delete("key")
    assert await store.get("key") is None


@pytest.mark.parametrize("key", [*string.punctuation, "", "..", "foo\xc3\xbc", "a\0b", 5_000 * "k"])
async def test_keys_may_have_any_characters(store: CoshelfStore, key: str) -> None:
    await store.set(key, b"value")
    await store.set(key + "x", b"other")
    assert await store.get(key) == b"value"


async def test_a_time_is_told_in_seconds(store: CoshelfStore) -> None:
    assert await store.expires_in("key") is None
    await store.set("key", b"value")
    assert await store.expires_in("key") == -1
    await store.set("key", b"value", expires_in=1000)
    assert 900 < await store.expires_in("key") <= 1000
    await store.set("key", b"value", expires_in=timedelta(days=1))
    assert 86_000 < await store.expires_in("key") <= 86_400


@pytest.mark.parametrize("renew_for", [1000, timedelta(seconds=1000)])
async def test_reading_renews_a_time_and_gives_none(store: CoshelfStore, renew_for: int | timedelta) -> None:
    await store.set("key", b"value", expires_in=100)
    await store.set("permanent", b"value")
    assert await store.get("key") == b"value"
    assert await store.expires_in("key") <= 100
    assert await store.get("key", renew_for=0) == b"value"
    assert await store.expires_in("key") <= 100
    assert await store.get("key", renew_for=renew_for) == b"value"
    assert await store.expires_in("key") > 900
    assert await store.get("permanent", renew_for=renew_for) == b"value"
    assert await store.expires_in("permanent") == -1
    assert await store.get("missing", renew_for=renew_for) is None


async def test_expired_values_are_missing_and_can_be_removed(store: CoshelfStore) -> None:
    await store.set("key", b"value", expires_in=-1)
    await store.set("kept", b"value", expires_in=1000)
    assert (await store.get("key"), await store.get("key", renew_for=10)) == (None, None)
    assert await store.expires_in("key") is None
    await store.delete_expired()
    assert store._home.part.part.whole.expire() == 0
    assert await store.get("kept") == b"value"


async def test_namespaces_are_apart_and_are_emptied_with_those_above(store: CoshelfStore) -> None:
    users, pages = store.with_namespace("users"), store.with_namespace("pages")
    admins, strange = users.with_namespace("admins"), store.with_namespace("users/admins")
    everywhere = [store, users, pages, admins, strange]
    for number, each in enumerate(everywhere):
        for key in ("users", "key", "admins"):
            await each.set(key, str(number))
    assert [await each.get("users") for each in everywhere] == [b"0", b"1", b"2", b"3", b"4"]
    assert (users.namespace, admins.namespace) == ("users", "users/admins")
    await users.delete_all()
    assert [await each.exists("users") for each in everywhere] == [True, False, True, False, True]
    await store.delete_all()
    assert [await each.exists("key") for each in everywhere] == [False] * 5


async def test_other_parts_of_the_shelf_stay() -> None:
    with coshelf.open("memory:") as shelf:
        shelf["mine"] = 1
        async with CoshelfStore(shelf) as store:
            await store.set("key", b"value")
            await store.delete_all()
        assert dict(shelf) == {"mine": 1}


async def test_a_closed_store_opens_again(tmp_path: Path) -> None:
    store = CoshelfStore(tmp_path / "a.shelf")
    below = store.with_namespace("below")
    async with store:
        await below.set("key", b"value")
    assert await below.get("key") == b"value"
    await below.close()
    await store.close()


async def test_wrong_targets_are_refused_and_stay(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("<html>" * 1000)
    with pytest.raises(coshelf.NotAShelf):
        await CoshelfStore(tmp_path / "page.html").get("key")
    assert (tmp_path / "page.html").read_text() == "<html>" * 1000
    with pytest.raises(coshelf.Unsupported, match="expiry is required"):
        await CoshelfStore(f"{tmp_path}/files/").get("key")
    with coshelf.open("memory:") as shelf, pytest.raises(TypeError, match="no options"):
        CoshelfStore(shelf, durability="commit")
    async with CoshelfStore(tmp_path / "a.shelf") as store:
        await store.set("key", b"value")
        with pytest.raises(coshelf.InvalidExpiry):
            await store.set("key", b"other", expires_in="60")  # type: ignore[arg-type]
        assert await store.get("key") == b"value"


def application(path: Path) -> Litestar:
    @get("/", sync_to_thread=False)
    def count(request: Request[Any, Any, Any]) -> dict[str, int]:
        request.session["count"] = request.session.get("count", 0) + 1
        return {"count": request.session["count"]}

    root = CoshelfStore(path)
    config = ServerSideSessionConfig(renew_on_access=True)
    return Litestar([count], stores=StoreRegistry(default_factory=root.with_namespace), middleware=[config.middleware])


def test_applications_share_their_sessions(tmp_path: Path) -> None:
    cookies: dict[str, str] = {}
    for number in (1, 2, 3):
        with TestClient(application(tmp_path / "a.shelf")) as client:
            client.cookies.update(cookies)
            assert client.get("/").json() == {"count": number}
            cookies = cookies or dict(client.cookies)
    with coshelf.open(tmp_path / "a.shelf", "r") as shelf:
        ((part, key),) = shelf
        assert (part, key[0]) == ("litestar/", "sessions")
        assert shelf.expires((part, key)) is not None


RENEWING = """
    import asyncio
    from coshelf.contrib.litestar import CoshelfStore

    async def main():
        async with CoshelfStore(path) as store:
            say("ready")
            while True:
                assert await store.get("key", renew_for=1000) in (None, b"value")

    asyncio.run(main())
"""


async def test_a_value_that_becomes_permanent_gets_no_time_from_readers(crew: Crew, path: str) -> None:
    workers = [crew.start(RENEWING, path) for _ in range(2)]
    for worker in workers:
        worker.expect("ready")
    async with CoshelfStore(path) as store:
        for _ in range(100):
            await store.set("key", b"value", expires_in=100)
            await store.set("key", b"value")
            assert await store.expires_in("key") == -1
        for worker in workers:
            worker.kill()
        await store.set("key", b"value", expires_in=100)
        assert await store.get("key", renew_for=1000) == b"value"
