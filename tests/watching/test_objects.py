"""Changes on object stores: what lists show, at what cost, and which positions are known."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import objects
import pytest

import coshelf
from coshelf.contract import Batch, Engine, OpenOptions
from coshelf.engines import open_engine
from coshelf.errors import Unavailable
from coshelf.keys import FIRST, LAST, encode

ALL = ((FIRST, LAST),)
BODY = b"\x80\x04N."


@pytest.fixture(scope="module")
def moto() -> Iterator[objects.Server]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in objects.ENVIRONMENT.items():
            patch.setenv(name, value)
        with objects.moto_server() as server:
            yield server


@pytest.fixture
def url(moto: objects.Server) -> str:
    return moto.url()


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    with contextlib.closing(open_engine(url, OpenOptions())) as engine:
        yield engine


def put(engine: Engine, key: str, body: bytes = BODY) -> None:
    engine.commit(Batch(puts={encode(key): body}))


def test_states_between_two_lists_are_told_as_one(engine: Engine) -> None:
    put(engine, "a")
    with engine.changes(ALL, engine.position()) as reader:
        for body in (BODY, BODY + b"1", BODY + b"2"):
            put(engine, "a", body)
        put(engine, "b")
        engine.commit(Batch(deletes=frozenset((encode("b"),))))
        (change,) = reader.read(60)
        assert (change.key, change.kind) == (encode("a"), "set")
        assert change.record is not None
        assert change.record.startswith(BODY + b"2")
        assert reader.read(0) == []


def test_list_that_shows_no_change_is_one_request(engine: Engine, moto: objects.Server) -> None:
    for number in range(5):
        put(engine, f"k{number}")
    with engine.changes(((encode("k"), encode("l")),), engine.position()) as reader:
        moto.requests.clear()
        assert reader.read(0) == []
        assert moto.requests == ["GET?list"]
        put(engine, "k3")
        put(engine, "other")
        moto.requests.clear()
        assert [change.key for change in reader.read(0)] == [encode("k3")]
        assert moto.requests == ["GET?list", "GET"]


def test_large_object_is_not_read_before_it_is_wanted(engine: Engine, moto: objects.Server) -> None:
    with engine.changes(ALL, engine.position()) as reader:
        put(engine, "a", b"x" * 100_000)
        moto.requests.clear()
        (change,) = reader.read(0)
        assert (change.kind, change.record) == ("set", None)
        assert moto.requests == ["GET?list"]


def test_reader_goes_on_from_the_positions_of_an_earlier_one_of_the_same_handle(engine: Engine) -> None:
    positions = [engine.position()]
    with engine.changes(ALL, positions[0]) as reader:
        for key in ("a", "b", "c"):
            put(engine, key)
            positions.append(reader.read(0)[-1].position)
    put(engine, "d")
    engine.commit(Batch(deletes=frozenset((encode("a"),))))
    expected = [{"b", "c", "d"}, {"a", "b", "c", "d"}, {"a", "c", "d"}, {"a", "d"}]
    for position, keys in zip(positions, expected, strict=True):
        with engine.changes(ALL, position) as again:
            assert {change.key for change in again.read(0)} == {encode(key) for key in keys}
    with engine.changes(((encode("b"), encode("d")),), positions[2]) as part:
        assert [change.key for change in part.read(0)] == [encode("c")]


def test_position_of_another_process_is_told_as_a_gap(url: str) -> None:
    with coshelf.open(url) as shelf:
        version = shelf.version
        shelf["a"] = 1
    with coshelf.open(url) as shelf, shelf.watch(since=version, timeout=60) as watch:
        assert next(watch).kind == "gap"
        shelf["a"] = 2
        assert next(watch).value == 2


def test_position_that_was_forgotten_is_told_as_a_gap(engine: Engine) -> None:
    old = engine.position()
    for _ in range(8):
        last = engine.position()
    put(engine, "a")
    for position, kind in ((last, "set"), (old, "gap")):
        with engine.changes(ALL, position) as reader:
            assert [change.kind for change in reader.read(0)] == [kind]


def test_reader_goes_on_when_the_server_is_back(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    from coshelf.engines.objects.listing import Listing

    listed = Listing.listed
    with engine.changes(ALL, engine.position()) as reader:
        put(engine, "a")

        def fail(*_: object) -> Iterator[object]:
            raise Unavailable("away")

        monkeypatch.setattr(Listing, "listed", fail)
        with pytest.raises(Unavailable):
            reader.read(0)
        monkeypatch.setattr(Listing, "listed", listed)
        assert [change.key for change in reader.read(0)] == [encode("a")]


def test_object_that_goes_between_the_list_and_its_reading_is_not_told_as_stored(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    from coshelf.engines.objects.client import Client

    get = Client.get
    put(engine, "a")
    with engine.changes(ALL, engine.position()) as reader:
        put(engine, "a")
        put(engine, "b")
        monkeypatch.setattr(Client, "get", lambda *_: None)
        assert [(change.key, change.kind) for change in reader.read(0)] == [(encode("a"), "deleted")]
        monkeypatch.setattr(Client, "get", get)
        assert [change.kind for change in reader.read(0)] == ["set", "set"]  # as the objects are there, after all
