"""Sessions in a shelf: what they promise beyond Django's own tests of engines, which `make suites` runs."""

from __future__ import annotations

import asyncio
import importlib
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.sessions.backends.base import CreateError, UpdateError
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings
from support import Crew

import coshelf
from coshelf.contrib.django import shelves
from coshelf.contrib.django.sessions import SessionStore


@pytest.fixture(autouse=True)
def site(path: str) -> Iterator[None]:
    with override_settings(SESSION_SHELF=path):
        yield


def stored(**data: Any) -> SessionStore:
    session = SessionStore()
    session.update(data)
    session.save()
    return session


def test_the_setting_names_the_engine() -> None:
    assert importlib.import_module("coshelf.contrib.django.sessions").SessionStore is SessionStore


def test_a_session_is_signed_json_and_expires_by_the_shelf(path: str) -> None:
    with override_settings(SESSION_COOKIE_AGE=500):
        session = stored(name="ann")
    with coshelf.open(path, trust=False) as shelf:
        (key,) = shelf
        assert key == f"django/sessions/{session.session_key}"
        assert type(shelf[key]) is str
        assert SessionStore().decode(shelf[key]) == {"name": "ann"}
        expires = shelf.expires(key)
    assert expires is not None
    assert 400 < expires - time.time() <= 500


def test_data_that_another_program_wrote_is_an_empty_session(path: str) -> None:
    session = stored(name="ann")
    with coshelf.open(path) as shelf:
        shelf[f"django/sessions/{session.session_key}"] = "forged:data"
    assert dict(SessionStore(session.session_key).items()) == {}


def test_a_deleted_session_is_not_stored_again(path: str) -> None:
    session = stored(name="ann")
    SessionStore().delete(session.session_key)
    session["name"] = "bob"
    with pytest.raises(UpdateError):
        session.save()
    with pytest.raises(UpdateError):
        asyncio.run(session.asave())
    with coshelf.open(path) as shelf:
        assert len(shelf) == 0


def test_a_key_that_exists_is_not_made_again() -> None:
    session = stored(name="ann")
    for save in (lambda other: other.save(must_create=True), lambda other: asyncio.run(other.asave(must_create=True))):
        with pytest.raises(CreateError):
            save(SessionStore(session.session_key))
    assert SessionStore(session.session_key)["name"] == "ann"


def test_methods_of_tasks_do_what_the_others_do() -> None:
    async def main() -> None:
        session = SessionStore()
        await session.aset("name", "ann")
        await session.asave()
        key = session.session_key
        assert key is not None
        assert await session.aexists(key)
        assert await SessionStore(key).aget("name") == "ann"
        await session.aset("name", "bob")
        await session.asave()
        await session.acycle_key()
        assert await SessionStore(session.session_key).aget("name") == "bob"
        assert not await session.aexists(key)
        await session.aflush()
        assert session.session_key is None
        await SessionStore.aclear_expired()

    asyncio.run(main())


def test_saving_again_leaves_no_row_of_the_time_before(path: str) -> None:
    session = stored(name="ann")
    for number in range(10):
        session["number"] = number
        session.save()
    shelves.close_all()
    with coshelf.open(path) as shelf:
        engine = shelf.engine_for("test")
        (start, stop), *_ = engine.capabilities.indexes
        assert len(list(engine.scan(start, stop))) == 1


def test_a_time_that_has_passed_removes_a_session_that_exists() -> None:
    session = stored(name="ann")
    session.set_expiry(-5)
    session.save()
    assert not SessionStore().exists(session.session_key)


def test_expired_sessions_are_removed(path: str) -> None:
    session = stored(name="ann")
    session.set_expiry(0.001)
    session.save()
    kept = stored(name="bob")
    end = time.monotonic() + 60
    while session.exists(session.session_key):
        assert time.monotonic() < end
        time.sleep(0.005)
    SessionStore.clear_expired()
    with coshelf.open(path) as shelf:
        assert list(shelf) == [f"django/sessions/{kept.session_key}"]


@pytest.mark.parametrize("key", ["short", "x" * 5000, "\x00" * 40, "\u20ac" * 40])
def test_a_key_from_a_visitor_finds_nothing(key: str) -> None:
    session = SessionStore(key)
    assert session.get("name") is None
    assert session.session_key is None


def test_options_name_a_part_and_more(path: str) -> None:
    with override_settings(SESSION_SHELF_OPTIONS={"part": "shop", "durability": "commit"}):
        session = stored(name="ann")
    with coshelf.open(path) as shelf:
        assert list(shelf) == [f"shop/{session.session_key}"]


def test_a_missing_setting_is_said() -> None:
    with override_settings():
        from django.conf import settings

        del settings.SESSION_SHELF
        with pytest.raises(ImproperlyConfigured, match="SESSION_SHELF must be the path or URL"):
            SessionStore("x" * 32).load()


def test_one_of_several_processes_creates_a_session(crew: Crew, path: str) -> None:
    program = """
    from django.conf import settings
    settings.configure(SECRET_KEY="tests", SESSION_SHELF=path)
    from coshelf.contrib.django.sessions import CreateError, SessionStore
    say("ready")
    hear()
    made = 0
    for number in range(30):
        try:
            SessionStore(f"session-{number}").save(must_create=True)
            made += 1
        except CreateError:
            pass
    say(made)
    """
    workers = crew.start_many(2, program, path)
    assert sum(int(worker.finish()[0]) for worker in workers) == 30
