"""The long-term memory of agents in a shelf, beside what LangGraph's own tests of stores ask."""

from __future__ import annotations

import asyncio
import pickle
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from insides import until
from langgraph.store.base import (
    GetOp,
    InvalidNamespaceError,
    ListNamespacesOp,
    MatchCondition,
    PutOp,
    SearchOp,
)

import coshelf
from coshelf.contrib.langgraph import CoshelfStore
from coshelf.contrib.langgraph.sweeping import Sweeper

ANN, BOB = ("users", "ann"), ("users", "bob")


@pytest.fixture
def store() -> Any:
    with CoshelfStore("memory:") as opened:
        yield opened


def keys(found: Any) -> list[str]:
    return [item.key for item in found]


def test_an_item_keeps_the_time_at_which_it_was_made(store: CoshelfStore) -> None:
    store.put(ANN, "food", {"likes": "leeks"})
    before = store.get(ANN, "food")
    store.put(ANN, "food", {"likes": "beans"})
    after = store.get(ANN, "food")
    assert before is not None
    assert after is not None
    assert (after.value, after.created_at) == ({"likes": "beans"}, before.created_at)
    assert after.updated_at > before.updated_at
    store.delete(ANN, "food")
    assert store.get(ANN, "food") is None


def test_a_search_shows_what_was_updated_last_first(store: CoshelfStore) -> None:
    for key in ("a", "b", "c"):
        store.put(ANN, key, {"n": 1})
    store.put(ANN, "a", {"n": 2})
    assert keys(store.search(("users",))) == ["a", "c", "b"]
    assert keys(store.search(("users",), limit=1, offset=1)) == ["c"]


def test_a_prefix_of_namespaces_is_no_prefix_of_labels_and_no_item(store: CoshelfStore) -> None:
    store.put(("users",), "ann", {"n": 1})  # its place is that of the namespace
    store.put(ANN, "food", {"n": 2})
    store.put(("users", "anna"), "food", {"n": 3})
    assert [item.value["n"] for item in store.search(ANN)] == [2]
    assert len(store.search(())) == 3


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"n": 5}, ["five"]),
        ({"n": {"$eq": 5}}, ["five"]),
        ({"n": {"$ne": 5}}, ["none", "text", "three"]),
        ({"n": {"$gt": 3}}, ["five"]),
        ({"n": {"$gte": 3, "$lt": 5}}, ["three"]),
        ({"n": {"$lte": "3"}}, ["three"]),
        ({"n": {"$gt": "a"}}, ["text"]),
        ({"tags": ["a", {"b": {"$gt": 1}}]}, ["three"]),
        ({"deep": {"er": 1}}, ["five"]),
        ({"deep": {"er": 2}}, []),
    ],
)
def test_filters_select(wanted: Any, found: list[str], store: CoshelfStore) -> None:
    store.put(ANN, "three", {"n": 3, "tags": ["a", {"b": 2}]})
    store.put(ANN, "five", {"n": 5, "deep": {"er": 1}})
    store.put(ANN, "text", {"n": "some"})
    store.put(ANN, "none", {})
    assert sorted(keys(store.search(ANN, filter=wanted))) == found


def test_an_unknown_operator_is_refused(store: CoshelfStore) -> None:
    store.put(ANN, "a", {"n": 1})
    with pytest.raises(ValueError, match=r"unknown operator '\$near'"):
        store.search(ANN, filter={"n": {"$near": 1}})


def test_a_batch_reads_first_stores_last_and_is_one_commit(store: CoshelfStore) -> None:
    store.put(ANN, "a", {"n": 1})
    version = store.part.whole.version
    ops = [
        PutOp(ANN, "a", {"n": 2}),
        PutOp(ANN, "a", {"n": 3}),
        GetOp(ANN, "a"),
        PutOp(BOB, "b", {"n": 4}),
        SearchOp(("users",)),
        ListNamespacesOp(),
    ]
    results = store.batch(ops)
    assert [type(each).__name__ for each in results] == ["NoneType", "NoneType", "Item", "NoneType", "list", "list"]
    assert results[2].value == {"n": 1}
    assert keys(results[4]) == ["a"]
    assert results[5] == [ANN]
    assert sorted(item.value["n"] for item in store.search(("users",))) == [3, 4]
    assert store.part.whole.version == version + 1
    with pytest.raises(TypeError, match="ListNamespacesOp, not 5"):
        store.batch([PutOp(ANN, "a", None), 5])  # type: ignore[list-item]
    assert store.get(ANN, "a") is not None


def test_namespaces_are_listed_as_their_conditions_say(store: CoshelfStore) -> None:
    for namespace in (("a", "b", "c"), ("a", "b", "d", "e"), ("a", "c", "f"), ("b", "c")):
        store.put(namespace, "key", {})
    assert store.list_namespaces(prefix=("a", "*"), suffix=("f",)) == [("a", "c", "f")]
    assert store.list_namespaces(prefix=("a", "b"), max_depth=3) == [("a", "b", "c"), ("a", "b", "d")]
    assert store.list_namespaces(suffix=("c",), limit=1, offset=1) == [("b", "c")]
    with pytest.raises(ValueError, match="'prefix' or 'suffix'"):
        store.batch([ListNamespacesOp((MatchCondition("middle", ("a",)),))])  # type: ignore[arg-type]


def test_wrong_names_and_times_are_refused_and_nothing_is_stored(store: CoshelfStore) -> None:
    for namespace in ((), ("a.b",), ("",), ("langgraph", "a")):
        with pytest.raises(InvalidNamespaceError):
            store.put(namespace, "key", {})
    with pytest.raises(coshelf.InvalidExpiry, match="number of minutes"):
        store.batch([PutOp(ANN, "a", {}), PutOp(ANN, "b", {}, ttl="5")])  # type: ignore[arg-type]
    assert store.search(()) == []


def test_a_search_refreshes_what_it_shows_and_nothing_else(store: CoshelfStore) -> None:
    for key in ("old", "new", "lasting"):
        store.put(ANN, key, {"key": key}, ttl=None if key == "lasting" else 10)
        if key != "lasting":
            store.part.shelf.touch((*ANN, key), expire=100)
    before = store.part.shelf.expires((*ANN, "old"))
    assert keys(store.search(ANN, limit=2)) == ["lasting", "new"]
    assert store.part.shelf.expires((*ANN, "old")) == before
    assert store.part.shelf.expires((*ANN, "new")) > before + 400
    assert store.part.shelf.expires((*ANN, "lasting")) is None


def test_a_store_that_cannot_write_reads_items_that_expire(tmp_path: Path) -> None:
    with CoshelfStore(tmp_path / "a.shelf") as store:
        store.put(ANN, "food", {"likes": "leeks"}, ttl=10)
    with CoshelfStore(tmp_path / "a.shelf", flag="r") as reader:
        assert keys(reader.search(ANN)) == ["food"]
        with pytest.raises(coshelf.ReadOnlyShelf):
            reader.put(ANN, "food", {})


def test_an_engine_whose_entries_cannot_expire_is_refused_as_soon_as_times_are_asked(tmp_path: Path) -> None:
    with CoshelfStore(f"files:{tmp_path}/a") as store:
        store.put(ANN, "food", {"likes": "leeks"})
        with pytest.raises(coshelf.Unsupported, match="expir"):
            store.put(ANN, "food", {}, ttl=5)
        assert store.get(ANN, "food").value == {"likes": "leeks"}
    with CoshelfStore(f"files:{tmp_path}/a", ttl={"default_ttl": 5}) as store, pytest.raises(coshelf.Unsupported):
        store.get(ANN, "food")


def test_sweeping_removes_what_has_expired(store: CoshelfStore) -> None:
    store.put(ANN, "gone", {}, ttl=0.0001)
    store.put(ANN, "kept", {}, ttl=60)
    until(lambda: store.get(ANN, "gone", refresh_ttl=False) is None)
    assert store.sweep_ttl() == 1
    assert keys(store.search(ANN)) == ["kept"]


def test_a_sweeper_sweeps_until_it_is_stopped() -> None:
    swept = threading.Semaphore(0)
    part: Any = SimpleNamespace(whole=SimpleNamespace(expire=swept.release))
    sweeper = Sweeper(part)
    assert sweeper.stop()
    for _ in range(2):
        sweeper.start(0.00001)
        sweeper.start(0.00001)  # it goes on as it is
        assert swept.acquire(timeout=60)
        assert swept.acquire(timeout=60)
        assert sweeper.stop(60)
    for minutes in (0, -1, float("nan")):
        with pytest.raises(ValueError, match="more than 0 minutes"):
            sweeper.start(minutes)


def embed(texts: list[str]) -> list[list[float]]:
    """How often each of three words is in a text."""
    return [[float(text.count(word)) for word in ("leek", "bean", "dog")] for text in texts]


def test_a_query_finds_the_nearest_first(tmp_path: Path) -> None:
    index = {"dims": 3, "embed": embed, "fields": ["text"]}
    with CoshelfStore(tmp_path / "a.shelf", index=index, trust=False) as store:  # type: ignore[arg-type]
        store.put(ANN, "garden", {"text": "leek leek bean"})
        store.put(ANN, "dog", {"text": "dog"})
        store.put(ANN, "soup", {"text": "leek"})
        store.put(ANN, "unseen", {"text": "leek"}, index=False)
        store.put(BOB, "parts", {"text": "dog", "more": ["bean", "leek"]}, index=["text", "more[*]"])
        found = store.search(("users",), query="leek", limit=9)
        assert keys(found)[-1] == "unseen"
        assert {item.key: item.score for item in found[:4]} == {
            "soup": pytest.approx(1), "parts": pytest.approx(1), "garden": pytest.approx(2 / 5**0.5), "dog": 0,
        }  # fmt: skip
        assert keys(store.search(ANN, query="bean", limit=1)) == ["garden"]
        assert asyncio.run(store.asearch(ANN, query="dog", limit=1))[0].key == "dog"
    with CoshelfStore(tmp_path / "a.shelf", index=index | {"dims": 4}) as store:  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="3 numbers, but dims is 4"):
            store.put(ANN, "soup", {"text": "bean"})
        assert store.get(ANN, "soup").value == {"text": "leek"}


@pytest.mark.parametrize("target", ["a.shelf", "sqlite:a.sqlite", "memory:"])
def test_both_faces_show_the_same(target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    async def main() -> None:
        async with CoshelfStore(target) as store:
            await store.aput(ANN, "food", {"likes": "leeks"}, ttl=5)
            assert await store.aget(ANN, "food") == store.get(ANN, "food")
            assert await store.asearch(()) == store.search(())
            assert await store.alist_namespaces() == [ANN]
            await store.adelete(ANN, "food")
            assert store.get(ANN, "food") is None
            assert await store.asweep_ttl() >= 0
            store.start_ttl_sweeper(1)

    asyncio.run(main())


def test_a_pickled_store_opens_the_same_shelf(tmp_path: Path) -> None:
    with CoshelfStore(tmp_path / "a.shelf", ttl={"default_ttl": 5}) as store:
        store.put(ANN, "food", {"likes": "leeks"})
        with pickle.loads(pickle.dumps(store)) as again:
            assert again.get(ANN, "food") == store.get(ANN, "food")
            assert again.ttl_config == {"default_ttl": 5}
