"""Object stores: what is sent, what is refused, and what is found there."""

from __future__ import annotations

import os
import pickle
import sys
import threading
import time
import traceback
from functools import partial
from typing import Any

import objects
import obstore
import pytest
from http_proxy import proxy
from obstore.store import from_url

import coshelf
from coshelf import records
from coshelf.contract import Batch, OpenOptions
from coshelf.engines import open_engine
from coshelf.engines.objects.names import before, key_of, longest_key, name_of
from coshelf.keys import encode
from coshelf.testing.contract.key_samples import long_keys


@pytest.fixture
def shelf(moto: objects.Server) -> Any:
    with coshelf.open(moto.url()) as shelf:
        moto.requests.clear()
        yield shelf


def bare(server: objects.Server) -> Any:
    """The client by itself."""
    return from_url(f"s3://{objects.BUCKET}", config={"endpoint": server.endpoint}, client_options={"allow_http": True})


def names_in(server: objects.Server, prefix: str) -> list[str]:
    return [meta["path"] for page in obstore.list(bare(server), prefix) for meta in page]


# --- names -----------------------------------------------------------------------------------------------------------


def test_names_have_the_order_of_keys_and_parts_that_file_systems_take() -> None:
    keys = sorted({*long_keys(longest_key("prefix/e/")), *(encode(n) for n in range(-300, 300)), b"\0", b"\xff\xff"})
    names = [name_of(key) for key in keys]
    assert names == sorted(names)
    assert [key_of(name) for name in names] == keys
    assert all(len(part) <= 255 for name in names for part in name.split("/"))
    assert not {part for name in names for part in name.split("/")[:-1]} & set(names)
    assert len("prefix/e/" + name_of(bytes(longest_key("prefix/e/")))) <= 1024


def test_what_lists_begin_behind_leaves_out_no_name() -> None:
    names = sorted(name_of(key) for key in long_keys(600))
    directories = {name[:at] for name in names for at in range(len(name)) if name[at] == "/"}
    for name in names:
        low = before(name)
        assert low < name
        assert low not in directories
        assert [other for other in names if low < other < name] == [] or len(name) > 700


@pytest.mark.parametrize("name", ["", "a", "A0", "0_", "w0", "é0", "00/", "0/0", "01"])
def test_other_objects_are_no_entries(name: str) -> None:
    assert key_of(name) in (None, b"") and (name == "" or key_of(name) is None)


def test_format_is_fixed(moto: objects.Server) -> None:
    store = bare(moto)
    with coshelf.open(moto.url("fixed")) as shelf:
        shelf["hello"] = 15
        shelf[("k" * 200, 1)] = None
        long = name_of(encode(("k" * 200, 1)))
        assert names_in(moto, "fixed") == ["fixed/coshelf.json", "fixed/e/61k6ar3cds", f"fixed/e/{long}"]
        assert long.startswith("80o6mqrb") and long[250:252] == "_/"
        meta = bytes(obstore.get(store, "fixed/coshelf.json").bytes())
        assert meta == b'{"coshelf": 1, "id": "%s"}\n' % shelf._handle.engine.store_id.hex().encode()
        record = bytes(obstore.get(store, "fixed/e/61k6ar3cds").bytes())
        assert record[: -records.TRAILER] == pickle.dumps(15, 5)
        assert records.is_intact(encode("hello"), record)


# --- what it costs ---------------------------------------------------------------------------------------------------


def test_requests_of_each_operation(moto: objects.Server, shelf: Any) -> None:
    def cost(operation: Any) -> dict[str, int]:
        moto.requests.clear()
        operation()
        return {kind: moto.requests.count(kind) for kind in sorted(set(moto.requests))}

    entries = {f"k{n:03}": n for n in range(150)}
    assert cost(lambda: shelf.__setitem__("a", 1)) == {"PUT": 1}
    assert cost(lambda: shelf["a"]) == {"GET": 1}
    assert cost(lambda: "a" in shelf) == {"GET": 1}
    assert cost(lambda: shelf.modify("a", lambda n: n + 1)) == {"GET": 1, "PUT": 1}
    assert cost(lambda: shelf.replace("a", 2, 3)) == {"GET": 1, "PUT": 1}
    assert cost(lambda: shelf.setdefault("a", 4)) == {"GET": 1}
    assert cost(lambda: shelf.setdefault("b", 4)) == {"GET": 1, "PUT": 1}
    assert cost(lambda: shelf.pop("b")) == {"DELETE": 1, "GET": 1}
    assert cost(lambda: shelf.__delitem__("a")) == {"DELETE": 1, "GET": 1}
    assert cost(lambda: shelf.update(entries)) == {"PUT": 150}
    assert cost(lambda: shelf.get_many(entries)) == {"GET": 150}
    assert cost(lambda: len(shelf)) == {"GET?list": 1}
    assert cost(lambda: list(iter(shelf.keys()))) == {"GET?list": 1}
    assert cost(lambda: dict(shelf.items())) == {"GET": 150, "GET?list": 1}
    assert cost(lambda: next(iter(shelf.items()))) == {"GET": 1, "GET?list": 1}
    assert cost(shelf.popitem) == {"DELETE": 1, "GET": 1, "GET?list": 1}
    assert cost(shelf.clear) == {"GET?list": 1, "POST": 1}


def test_waiting_asks_seldom(moto: objects.Server, shelf: Any) -> None:
    late = threading.Timer(1.2, shelf.__setitem__, ["late", "here"])
    began = time.monotonic()
    late.start()
    assert shelf.wait("late", timeout=300) == "here"
    late.join()
    assert moto.requests.count("GET") <= 10 + time.monotonic() - began
    with pytest.raises(coshelf.WaitTimeout):
        shelf.wait("never", timeout=0.1)


def test_scan_goes_over_many_pages_of_names(weed: objects.Weed) -> None:
    with coshelf.open(weed.url()) as shelf:
        shelf.update((number, None) for number in range(1_100))
        assert len(shelf) == 1_100
        assert [*iter(shelf)] == [*range(1_100)]
        assert [*reversed(shelf.keys(start=998, stop=1_003))] == [1_002, 1_001, 1_000, 999, 998]
        assert shelf.popitem() == (1_099, None)


# --- what is refused, before anything is sent ------------------------------------------------------------------------


def test_limits_are_told_before_anything_is_sent(
    moto: objects.Server, shelf: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = shelf._handle.engine
    long = "k" * engine.capabilities.largest_key
    for write in (
        lambda: shelf.__setitem__(long, 1),
        lambda: shelf.update({"a": 1, long: 1}),
        lambda: shelf.transact(lambda transaction: transaction.update(a=1, b=1)),
        shelf.snapshot,
    ):
        with pytest.raises(coshelf.Unsupported):
            write()
    monkeypatch.setattr(engine, "capabilities", type(engine.capabilities)(largest_value=100, largest_key=100))
    with pytest.raises(coshelf.ValueTooLarge):
        shelf.update({"a": 1, "b": bytes(101)})
    assert moto.requests == []
    assert long not in shelf


def test_transaction_of_what_was_read_elsewhere_is_refused_and_of_one_entry_is_not(
    moto: objects.Server, shelf: Any
) -> None:
    shelf.update(a=1, b=2)

    def copy(transaction: Any) -> None:
        transaction["b"] = transaction["a"]

    with pytest.raises(coshelf.Unsupported, match="'a', which was read"):
        shelf.transact(copy)
    with shelf.transaction() as transaction:
        transaction["a"] = transaction["a"] + 1
        transaction["a"] += 1
    assert dict(shelf) == {"a": 3, "b": 2}
    with coshelf.open(moto.url(shelf.name.rpartition("/")[2])) as other:
        with pytest.raises(coshelf.Conflict), shelf.transaction() as transaction:
            transaction["a"] += 1
            other["a"] = "theirs"
        assert shelf["a"] == "theirs"
        with shelf.transaction() as transaction:  # all of one instant, since it is looked at once more
            assert transaction["a"] == "theirs" and transaction["b"] == 2
        with pytest.raises(coshelf.Conflict), shelf.transaction() as transaction:
            assert transaction["a"] == "theirs"
            other["a"] = "again"
            assert transaction["b"] == 2


@pytest.mark.parametrize("longest", [True, False])
def test_longest_key_fits_and_none_that_is_longer(moto: objects.Server, weed: objects.Weed, longest: bool) -> None:
    for server in (moto, weed):
        with coshelf.open(server.url(("p" * 100 + "/") * 3 + "x" if longest else None)) as shelf:
            limit = shelf.capabilities.largest_key
            assert limit is not None
            key = "k" * (limit - 1)
            shelf[key] = 1
            assert dict(shelf) == {key: 1}
            assert key + "k" not in shelf
            with pytest.raises(coshelf.KeyTooLong):
                shelf[key + "k"] = 1


@pytest.mark.parametrize("ignored", [("If-Match",), ("If-None-Match",), ("If-Match", "If-None-Match")])
def test_server_that_ignores_conditions_is_not_written_to(moto: objects.Server, ignored: tuple[str, ...]) -> None:
    name = f"ignorant/{os.urandom(8).hex()}"
    with proxy(moto, *ignored) as careless:
        with pytest.raises(coshelf.Unsupported, match="updates would be lost"):
            coshelf.open(careless.url(name))
        assert names_in(moto, name) == []
        with coshelf.open(moto.url(name)) as shelf:
            shelf["a"] = 1
        with coshelf.open(careless.url(name), "r") as shelf:
            assert dict(shelf) == {"a": 1}
            with pytest.raises(coshelf.ReadOnlyShelf):
                shelf["a"] = 2


def test_server_that_deletes_whatever_the_condition_is_gets_tombstones(moto: objects.Server) -> None:
    with proxy(moto) as careless:
        name = f"deleting/{os.urandom(8).hex()}"
        careless.status["DELETE"] = 501  # it knows no such thing, with or without condition
        with coshelf.open(careless.url(name)) as shelf:
            shelf.update(a=1, b=2)
            assert shelf.pop("a") == 1
            assert dict(shelf) == {"b": 2}
            assert len(shelf) == 1
            assert shelf.setdefault("a", 3) == 3
            del shelf["a"]
            assert "a" not in shelf
            with pytest.raises(KeyError):
                del shelf["a"]
        with coshelf.open(moto.url(name), "r") as shelf:
            assert dict(shelf) == {"b": 2}


def test_require_is_asked_of_what_was_found(moto: objects.Server) -> None:
    coshelf.open(moto.url(), require=["persistent", "shared=processes", "ordered=True"]).close()
    with pytest.raises(coshelf.Unsupported, match="snapshots is required"):
        coshelf.open(moto.url(), require=["snapshots"])


# --- what is found there ---------------------------------------------------------------------------------------------


def test_what_is_no_shelf_is_left_alone(moto: objects.Server) -> None:
    store = bare(moto)
    obstore.put(store, "others/data.bin", b"x")
    with pytest.raises(coshelf.NotAShelf, match=r"data\.bin"):
        coshelf.open(moto.url("others"))
    obstore.put(store, "meta/coshelf.json", b"[]")
    for flag in ("r", "c"):
        with pytest.raises(coshelf.NotAShelf):
            coshelf.open(moto.url("meta"), flag)  # type: ignore[arg-type]
    obstore.put(store, "later/coshelf.json", b'{"coshelf": 2, "id": "00"}')
    with pytest.raises(coshelf.FormatTooNew):
        coshelf.open(moto.url("later"))
    assert names_in(moto, "others") == ["others/data.bin"]
    with pytest.raises(coshelf.ShelfNotFound, match="no bucket"):
        coshelf.open(f"s3://nothing/x?endpoint={moto.endpoint}")
    for flag in ("r", "w"):
        with pytest.raises(coshelf.ShelfNotFound):
            coshelf.open(moto.url("nothing"), flag)  # type: ignore[arg-type]
    assert names_in(moto, "nothing") == []


def test_opening_leaves_what_belongs_to_the_shelf_alone(moto: objects.Server) -> None:
    coshelf.open(moto.url("tidy/shelf")).close()
    with coshelf.open(moto.url("tidy/shelf")) as shelf:
        shelf["a"] = 1
    assert names_in(moto, "tidy") == ["tidy/shelf/coshelf.json", f"tidy/shelf/e/{name_of(encode('a'))}"]


def test_all_who_make_it_at_once_have_one_shelf(moto: objects.Server) -> None:
    url = moto.url()
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(open_engine(url, OpenOptions()))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len({engine.store_id for engine in found}) == 1
    for engine in found:
        engine.close()


def test_others_can_write_there_so_plain_data_alone_is_loaded(moto: objects.Server) -> None:
    url = moto.url()
    with coshelf.open(url, trust=True) as shelf:
        shelf["object"] = threading.Barrier
    with coshelf.open(url) as shelf:
        shelf["plain"] = {"a": [1]}
        assert shelf["plain"] == {"a": [1]}
        with pytest.raises(coshelf.UnwritableValue):
            shelf["another"] = threading.Barrier
        with pytest.raises(coshelf.UntrustedValue, match="write access to the bucket"):
            shelf["object"]
        assert not shelf.info().trusted
    with coshelf.open(url, trust=True) as shelf:
        assert shelf["object"] is threading.Barrier


def test_signature_is_bound_to_the_shelf(moto: objects.Server) -> None:
    store, secret = bare(moto), b"s" * 16
    for name in ("signed/one", "signed/two"):
        with coshelf.open(moto.url(name), sign=secret) as shelf:
            shelf["a"] = partial
            assert shelf["a"] is partial
    entry = f"e/{name_of(encode('a'))}"
    obstore.put(store, f"signed/two/{entry}", bytes(obstore.get(store, f"signed/one/{entry}").bytes()))
    with coshelf.open(moto.url("signed/two"), sign=secret) as shelf, pytest.raises(coshelf.UntrustedValue):
        shelf["a"]


def test_object_that_was_changed_or_moved_is_damage(moto: objects.Server) -> None:
    store = bare(moto)
    with coshelf.open(moto.url("damaged")) as shelf:
        shelf.update(a=1, b=2, c=3)
        one, other, short = (f"damaged/e/{name_of(encode(key))}" for key in "abc")
        obstore.put(store, one, bytes(obstore.get(store, other).bytes()))
        obstore.put(store, short, b"x")
        obstore.put(store, "damaged/e/not-ours", b"x")
        for key in "ac":
            with pytest.raises(coshelf.DamagedRecord):
                shelf[key]
        assert list(shelf) == ["a", "b", "c"]
        assert len(shelf.check().problems) == 2


def test_writeback_goes_entry_by_entry(moto: objects.Server) -> None:
    url = moto.url()
    with coshelf.open(url) as other, coshelf.open(url, writeback=True) as shelf:
        shelf.update(a=[1], b=[2], c=[3])
        for key in "abc":
            shelf[key].append(4)
        other["b"] = "theirs"
        with pytest.raises(coshelf.Conflict) as caught:
            shelf.sync()
        assert caught.value.values == {"b": [2, 4]}
        assert dict(other) == {"a": [1, 4], "b": "theirs", "c": [3, 4]}


# --- secrets, processes, extras --------------------------------------------------------------------------------------


def test_secrets_are_in_no_repr_no_error_and_no_log(
    moto: objects.Server, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in objects.ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    secret = "hidden+secret/of=mine"
    quoted = "hidden%2Bsecret%2Fof%3Dmine"
    said = []
    caplog.set_level("DEBUG")
    for url in (
        f"s3://AKIAHIDDEN:{quoted}@{objects.BUCKET}/secrets?endpoint={moto.endpoint}",
        f"s3://{objects.BUCKET}/secrets?endpoint={moto.endpoint}&access_key_id=AKIAHIDDEN&secret_access_key={quoted}",
    ):
        with coshelf.open(url) as shelf:
            shelf["a"] = 1
            said += [repr(shelf), shelf.name, repr(shelf.info()), repr(shelf._handle.engine.__dict__)]
            with pytest.raises(TypeError) as refused:
                pickle.dumps(shelf)
            said.append(str(refused.value))
        for other in (
            url.replace(objects.BUCKET, "nothing"),
            url.replace(moto.endpoint, "http://127.0.0.1:9"),
            f"{url}&nonsense={quoted}",
            f"{url}#x",
            url.replace("/secrets", f"/{quoted}"),
        ):
            with pytest.raises((coshelf.CoshelfError, ValueError)) as caught:
                coshelf.open(other, timeout=0.2)
            said.append("".join(traceback.format_exception(caught.value)))
    text = "\n".join([*said, caplog.text]).replace(moto.endpoint, "")
    assert "hidden" not in text.replace("/hidden%2Bsecret%2Fof%3Dmine: a part of the prefix", "")
    assert secret not in text and "AKIAHIDDEN" not in text


def test_shelf_is_pickled_without_credentials(moto: objects.Server) -> None:
    with coshelf.open(moto.url()) as shelf:
        shelf["a"] = 1
        pickled = pickle.dumps(shelf)
        assert objects.SECRET.encode() not in pickled
        with pickle.loads(pickled) as again:
            assert dict(again) == {"a": 1}


@pytest.mark.parametrize("url", ["s3:", "s3://", "s3:///x", "s3://b/../x", "s3://b/a//b", "s3://b/é", "gs://u:p@b/x"])
def test_what_is_no_such_url_is_a_value_error(url: str) -> None:
    with pytest.raises(ValueError, match=url[:2]):
        coshelf.open(url)


def test_forked_child_is_told_instead_of_hanging(moto: objects.Server) -> None:
    with coshelf.open(moto.url()) as shelf:
        reading, writing = os.pipe()
        pid = os.fork()
        if not pid:
            try:
                shelf["a"]
            except coshelf.Unsupported as error:
                os.write(writing, str(error).encode())
            finally:
                os._exit(0)
        os.close(writing)
        with open(reading, "rb") as answer:
            assert b"spawn" in answer.read()
        os.waitpid(pid, 0)
        shelf["a"] = 1


def test_missing_client_is_told_with_the_way_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(coshelf.MissingExtra, match=r"coshelf\[s3\]"):
        coshelf.open("s3://bucket/x")


def test_batch_without_checks_is_written_entry_by_entry(shelf: Any) -> None:
    engine = shelf._handle.engine
    shelf.update(a=1, b=2)
    engine.commit(Batch(deletes=frozenset([encode("a")]), puts={encode("c"): pickle.dumps(3, 4)}))
    assert dict(shelf) == {"b": 2, "c": 3}
