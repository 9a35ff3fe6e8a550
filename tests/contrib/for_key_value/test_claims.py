"""What py-key-value asks of every store."""

from __future__ import annotations

import asyncio
import decimal
from collections.abc import Mapping
from typing import Any

import pytest
from dirty_equals import IsFloat
from key_value.aio.errors import InvalidTTLError, SerializationError
from key_value.aio.protocols import AsyncKeyValue
from key_value.aio.protocols.key_value import (
    AsyncCullProtocol,
    AsyncDestroyCollectionProtocol,
    AsyncDestroyStoreProtocol,
    AsyncEnumerateCollectionsProtocol,
    AsyncEnumerateKeysProtocol,
)

from coshelf.contrib.key_value import CoshelfStore

pytestmark = pytest.mark.anyio

ANN, BOB = {"name": "Ann", "age": 41}, {"name": "Bob"}
STRANGE = ("a/b", "a", "a\0b", "!@#$%^&*()", "ä" * 400, "../../etc/passwd", "", "\n", "日本", 3000 * "k")

COLLECTIONS = STRANGE[:5]


async def test_it_has_all_protocols(store: CoshelfStore) -> None:
    for protocol in (
        AsyncKeyValue, AsyncCullProtocol, AsyncDestroyCollectionProtocol, AsyncDestroyStoreProtocol,
        AsyncEnumerateCollectionsProtocol, AsyncEnumerateKeysProtocol,
    ):  # fmt: skip
        assert isinstance(store, protocol)


async def test_a_key_that_is_missing_is_none(store: CoshelfStore) -> None:
    assert await store.get("ann") is None
    assert await store.ttl("ann") == (None, None)
    assert await store.get_many(["ann", "bob"]) == [None, None]
    assert await store.ttl_many(["ann"]) == [(None, None)]
    assert await store.delete("ann") is False
    assert await store.delete_many(["ann", "bob"]) == 0
    assert await store.get_many([]) == []


async def test_a_value_comes_back_and_goes(store: CoshelfStore) -> None:
    await store.put("ann", ANN, collection="users")
    assert await store.get("ann", collection="users") == ANN
    assert await store.get("ann") is None
    await store.put("ann", BOB, collection="users")
    assert await store.get("ann", collection="users") == BOB
    assert await store.delete("ann", collection="users") is True
    assert await store.delete("ann", collection="users") is False
    assert await store.get("ann", collection="users") is None


@pytest.mark.parametrize(
    "value",
    [
        {}, {"none": None}, {"null": "null"}, {"true": True, "false": False}, {"int": 10**18, "float": -1.5},
        {"list": [1, [2.5, None], {"a": "b"}]}, {"deep": {"deep": {"deep": []}}}, {"text": "ä\0\n\U0001f600"},
        {"large": 200_000 * "x"}, {str(number): number for number in range(2_000)},
    ],
)  # fmt: skip
async def test_documents_come_back_equal(store: CoshelfStore, value: dict[str, Any]) -> None:
    await store.put("ann", value)
    assert await store.get("ann") == value


@pytest.mark.parametrize("value", [decimal.Decimal(1), b"bytes", {1}, object()])
async def test_what_is_not_json_is_refused_and_nothing_is_lost(store: CoshelfStore, value: object) -> None:
    await store.put("ann", ANN)
    with pytest.raises(SerializationError):
        await store.put("ann", {"value": value})
    with pytest.raises(SerializationError):
        await store.put_many(["bob", "ann"], [BOB, {"value": value}])
    assert await store.get_many(["ann", "bob"]) == [ANN, None]


async def test_many_come_back_in_the_order_in_which_they_are_asked_for(store: CoshelfStore) -> None:
    await store.put_many(["bob", "ann"], (BOB, ANN), collection="users")
    assert await store.get_many(["ann", "nobody", "bob", "ann"], collection="users") == [ANN, None, BOB, ANN]
    assert await store.delete_many(["bob", "nobody", "bob"], collection="users") == 1
    assert await store.get_many(["ann", "bob"], collection="users") == [ANN, None]
    with pytest.raises(ValueError, match="different number"):
        await store.put_many(["bob"], [BOB, ANN], collection="users")


async def test_a_time_to_live_is_told(store: CoshelfStore) -> None:
    await store.put("ann", ANN, ttl=100)
    await store.put_many(["bob", "cat"], [BOB, {}], ttl=200.5)
    await store.put("dora", {})
    assert await store.ttl("ann") == (ANN, IsFloat(gt=0, le=100))
    assert await store.ttl_many(["bob", "dora"]) == [(BOB, IsFloat(gt=100, le=200.5)), ({}, None)]
    await store.put("ann", ANN)
    assert await store.ttl("ann") == (ANN, None)


@pytest.mark.parametrize("ttl", [0, -1, -0.5, True, float("-inf")])
async def test_a_time_to_live_that_is_not_positive_is_refused(store: CoshelfStore, ttl: Any) -> None:
    await store.put("ann", ANN)
    with pytest.raises(InvalidTTLError):
        await store.put("ann", BOB, ttl=ttl)
    with pytest.raises(InvalidTTLError):
        await store.put_many(["ann"], [BOB], ttl=ttl)
    assert await store.get("ann") == ANN


async def test_names_of_keys_and_collections_are_kept_exactly(store: CoshelfStore) -> None:
    for collection in COLLECTIONS:
        for key in STRANGE:
            await store.put(key, {"at": [collection, key]}, collection=collection)
    for collection in COLLECTIONS:
        assert sorted(await store.keys(collection)) == sorted(STRANGE)
        assert await store.get_many(STRANGE, collection=collection) == [{"at": [collection, key]} for key in STRANGE]


async def test_keys_and_collections_are_listed_in_order(store: CoshelfStore) -> None:
    assert await store.collections() == []
    assert await store.keys("users") == []
    for collection in ("users", "us", "ers", "users2", "users/a"):
        await store.put_many(["b", "a", "c"], [{}, {}, {}], collection=collection)
    await store.put("z", {})
    assert await store.collections() == ["default_collection", "ers", "us", "users", "users/a", "users2"]
    assert await store.collections(limit=2) == ["default_collection", "ers"]
    assert await store.keys("us") == ["a", "b", "c"]
    assert await store.keys("us", limit=2) == ["a", "b"]
    assert await store.keys("us", limit=0) == []
    assert await store.keys() == ["z"]


async def test_a_collection_is_destroyed_and_no_other(store: CoshelfStore) -> None:
    for collection in ("users", "us", "users/a"):
        await store.put_many(["a", "b"], [{}, {}], collection=collection)
    assert await store.destroy_collection("users") is True
    assert await store.destroy_collection("users") is False
    assert await store.collections() == ["us", "users/a"]
    assert await store.destroy() is True
    assert await store.collections() == []
    await store.put("ann", ANN)
    assert await store.get("ann") == ANN


async def test_tasks_use_it_at_once(store: CoshelfStore) -> None:
    async def use(number: int) -> None:
        for each in range(5):
            key = f"{number}/{each}"
            assert await store.get(key) is None
            await store.put(key, {"number": number})
            assert await store.get(key) == {"number": number}
            assert await store.delete(key)

    await asyncio.gather(*[use(number) for number in range(5)])
    assert await store.keys() == []


async def test_a_mapping_of_any_kind_is_a_value(store: CoshelfStore) -> None:
    class Settings(Mapping[str, Any]):
        def __getitem__(self, key: str) -> Any:
            return {"size": 3}[key]

        def __iter__(self) -> Any:
            return iter(["size"])

        def __len__(self) -> int:
            return 1

    await store.put("settings", Settings())
    assert await store.get("settings") == {"size": 3}
